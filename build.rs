//! Names the shared library for the dynamic linker, and tells the linker what to leave out; compiles what RocksDB's C
//! interface has not.

/// Where parts of RocksDB begin that no call of the library can reach, by the names that the C++ compiler gives functions. The
/// linker cannot know that, as tables of names and of virtual functions lead to them. Without these, all that the part
/// consists of is left out: see docs/decisions/0008-size.md. A name that RocksDB does not have any more does no harm.
const LEFT_OUT: &[&str] = &[
    // Kinds of table files and of file systems that are made when a text of options names them; none of ours does.
    "_ZN7rocksdb17PlainTableFactoryC1ERKNS_17PlainTableOptionsE",
    "_ZN7rocksdb18CuckooTableFactoryC1ERKNS_18CuckooTableOptionsE",
    "_ZN7rocksdb14MockFileSystemC1ERKSt10shared_ptrINS_11SystemClockEEb",
    "_ZN7rocksdb7MockEnv6CreateEPNS_3EnvE",
    "_ZN7rocksdb26NewEncryptedFileSystemImplERKSt10shared_ptrINS_10FileSystemEERKS0_INS_18EncryptionProviderEEPSt10unique_ptrIS1_St14default_deleteIS1_EE",
    // Databases whose entries expire, which the rocksdb crate can open.
    "_ZN7rocksdb9DBWithTTL4OpenERKNS_9DBOptionsERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEERKSt6vectorINS_22ColumnFamilyDescriptorESaISD_EEPSC_IPNS_18ColumnFamilyHandleESaISJ_EEPPS0_RKSC_IiSaIiEEb",
    // Taking in table files and column families from elsewhere.
    "_ZN7rocksdb27ExternalSstFileIngestionJob7PrepareERKSt6vectorINSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEESaIS7_EESB_SB_RKS1_IPKNS_16PreparedFileInfoESaISE_EERKSt8optionalINS_8RangeOptEERKNS_11TemperatureEmPNS_12SuperVersionE",
    "_ZN7rocksdb27ExternalSstFileIngestionJob24MergeForSameColumnFamilyEPS0_",
    "_ZN7rocksdb27ExternalSstFileIngestionJob3RunEv",
    "_ZN7rocksdb21ImportColumnFamilyJob7PrepareEmPNS_12SuperVersionE",
    "_ZN7rocksdb21ImportColumnFamilyJob3RunEv",
    // Iterators that follow the end of a growing database.
    "_ZN7rocksdb15ForwardIteratorC1EPNS_6DBImplERKNS_11ReadOptionsEPNS_16ColumnFamilyDataEPNS_12SuperVersionEb",
];

/// The same for what RocksDB calls to register something by its name: an index of table files in the form of a trie.
const NOT_REGISTERED: &[&str] = &[
    "_ZN7rocksdb10trie_index31RegisterBuiltinTrieIndexFactoryERNS_13ObjectLibraryERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE",
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "disk")]
    compile();
    let target_os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if target_os == "linux" {
        // The SONAME carries the ABI's number: a program linked today goes on with every 0.x.y that keeps the ABI.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libkvds.so.0");
        // RocksDB's threads and thread-local destructors outlive a dlclose; unmapping their code would be a crash.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
        // Nothing of ours is to run at exit: see src/ffi/exit.rs, which has the other half for these processors.
        let processor = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
        if ["x86_64", "aarch64"].contains(&processor.as_str()) {
            println!("cargo:rustc-cdylib-link-arg=-Wl,--wrap=__cxa_atexit");
            // The other half is src/ffi/left_out.rs.
            if std::env::var_os("CARGO_FEATURE_DISK").is_some() {
                replace(LEFT_OUT, "kvds_left_out");
                replace(NOT_REGISTERED, "kvds_not_registered");
            }
        }
    }
}

/// Has calls of `functions` go to `other` instead.
fn replace(functions: &[&str], other: &str) {
    for function in functions {
        println!("cargo:rustc-cdylib-link-arg=-Wl,--wrap={function},--defsym=__wrap_{function}={other}");
    }
}

/// Compiles our own C++ with the headers of RocksDB, the inner ones too, as RocksDB was compiled.
#[cfg(feature = "disk")]
fn compile() {
    const SOURCES: [&str; 5] = [
        "src/engine/disk/bounds.cc",
        "src/engine/disk/env.cc",
        "src/engine/disk/guard.cc",
        "src/engine/disk/reclaim.cc",
        "src/engine/disk/error_recovery.cc",
    ];
    println!("cargo:rerun-if-changed=src/engine/disk/interface.h");
    let rocksdb = std::env::var("DEP_ROCKSDB_CARGO_MANIFEST_DIR").unwrap_or_default();
    let mut build = cc::Build::new();
    build.cpp(true).std("c++20");
    for source in SOURCES {
        println!("cargo:rerun-if-changed={source}");
        build.file(source);
    }
    build.include(format!("{rocksdb}/rocksdb")).include(format!("{rocksdb}/rocksdb/include"));
    // What is defined decides what RocksDB's classes consist of.
    for definition in [
        "NDEBUG",
        "OS_LINUX",
        "ROCKSDB_PLATFORM_POSIX",
        "ROCKSDB_LIB_IO_POSIX",
        "ROCKSDB_SCHED_GETCPU_PRESENT",
        "ROCKSDB_AUXV_GETAUXVAL_PRESENT",
        "ROCKSDB_FALLOCATE_PRESENT",
        "ROCKSDB_RANGESYNC_PRESENT",
        "HAVE_ALIGNED_NEW",
        "HAVE_UINT128_EXTENSION",
    ] {
        build.define(definition, "1");
    }
    // RocksDB's headers are not ours to mend.
    build.warnings(false).compile("kvds_rocksdb");
}
