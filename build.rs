//! Sets linker arguments of the shared library, and compiles C++ for what RocksDB's C interface
//! lacks.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "disk")]
    compile();
    let target_os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if target_os == "linux" {
        // The SONAME has the number of the ABI: a linked program works with every 0.x.y that keeps
        // the ABI.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libkvds.so.0");
        // RocksDB's threads and thread-local destructors outlive a dlclose. Unmapping their code
        // would crash them.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
        // No code of the library runs at exit. src/ffi/exit.rs has the wrapper for these
        // processors.
        let processor = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
        if ["x86_64", "aarch64"].contains(&processor.as_str()) {
            println!("cargo:rustc-cdylib-link-arg=-Wl,--wrap=__cxa_atexit");
        }
    }
}

/// Compiles our C++ with RocksDB's headers, also internal ones, and RocksDB's definitions.
#[cfg(feature = "disk")]
fn compile() {
    const SOURCES: [&str; 12] = [
        "src/engine/disk/cache_limits.cc",
        "src/engine/disk/compaction_counters.cc",
        "src/engine/disk/damage/live_tables.cc",
        "src/engine/disk/damage/readable_tables.cc",
        "src/engine/disk/damage/table_check.cc",
        "src/engine/disk/deadlines.cc",
        "src/engine/disk/env.cc",
        "src/engine/disk/iterator.cc",
        "src/engine/disk/moved_dir_guard.cc",
        "src/engine/disk/tombstone_compaction.cc",
        "src/engine/disk/write_buffers.cc",
        "src/engine/disk/error_recovery.cc",
    ];
    for header in ["interface.h", "private_member.h", "damage/table_index.h"] {
        println!("cargo:rerun-if-changed=src/engine/disk/{header}");
    }
    let rocksdb = std::env::var("DEP_ROCKSDB_CARGO_MANIFEST_DIR").unwrap_or_default();
    let mut build = cc::Build::new();
    build.cpp(true).std("c++20");
    for source in SOURCES {
        println!("cargo:rerun-if-changed={source}");
        build.file(source);
    }
    build.include(format!("{rocksdb}/rocksdb")).include(format!("{rocksdb}/rocksdb/include"));
    // What is defined decides what RocksDB's classes consist of.
    let definitions = std::env::var("DEP_KVDS_ROCKSDB_DEFINITIONS").unwrap_or_default();
    for definition in definitions.split(' ') {
        build.define(definition, "1");
    }
    // RocksDB's headers have warnings.
    build.warnings(false).compile("kvds_rocksdb");
}
