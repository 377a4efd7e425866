//! Names the shared library for the dynamic linker, and compiles what RocksDB's C
//! interface has not.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "disk")]
    compile();
    let target_os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if target_os == "linux" {
        // The SONAME carries the ABI's number: a program linked today goes on with every 0.x.y that
        // keeps the ABI.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libkvds.so.0");
        // RocksDB's threads and thread-local destructors outlive a dlclose; unmapping their code
        // would be a crash.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
        // Nothing of ours is to run at exit: see src/ffi/exit.rs, which has the other half for
        // these processors.
        let processor = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
        if ["x86_64", "aarch64"].contains(&processor.as_str()) {
            println!("cargo:rustc-cdylib-link-arg=-Wl,--wrap=__cxa_atexit");
        }
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
