//! Compiles RocksDB from the sources in the crate `librocksdb-sys`.
//!
//! `librocksdb-sys` itself compiles 343 files one by one, and each includes the same headers. Here
//! a few units include many files each, as RocksDB's own `make unity.a` does. That takes a third of
//! the time. `librocksdb-sys` cannot pass the flags below either.
//!
//! `.cargo/config.toml` makes `librocksdb-sys` compile nothing. Cargo does not read it where kvds
//! is a dependency of another workspace: there `librocksdb-sys` compiles RocksDB, and this crate
//! does not. See docs/decisions/0015-rocksdb-build.md.

use std::fs;
use std::path::{Path, PathBuf};

/// The number of units. Each parses the same headers again, which takes ten seconds, and needs
/// 1.4 GB of memory, or 1.9 GB without collecting garbage.
const UNITS: usize = 10;

/// From so many bytes of memory per processor on, the compiler need not save any.
const PLENTY: u64 = 3 << 30;

/// The layout of RocksDB's classes depends on these definitions. The C++ of kvds gets the same from
/// `DEP_KVDS_ROCKSDB_DEFINITIONS`.
const DEFINITIONS: [&str; 12] = [
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
    // No performance counters: nothing reads them, and their thread-local storage took a tenth of a
    // scan.
    "NPERF_CONTEXT",
    "NIOSTATS_CONTEXT",
];

const COMPRESSIONS: [&str; 4] = ["LZ4", "SNAPPY", "ZLIB", "ZSTD"];

/// The files of CRC-32C, the checksum of the log. They need flags of their own.
const CHECKSUM: [&str; 2] = ["util/crc32c.cc", "util/crc32c_arm64.cc"];

/// Parts of RocksDB that neither the rest of it nor its C interface uses, as beginnings of paths.
const UNUSED: [&str; 18] = [
    // src/engine/disk/env.cc takes its place.
    "db/periodic_task_scheduler.cc",
    "test_util/transaction_test_util",
    "tools/",
    "utilities/agg_merge/",
    "utilities/blob_db/",
    "utilities/cache_dump_load",
    "utilities/cassandra/",
    "utilities/convenience/",
    "utilities/debug",
    "utilities/env_mirror",
    "utilities/fault_injection_",
    "utilities/leveldb_options/",
    "utilities/option_change_migration/",
    "utilities/persistent_cache/",
    "utilities/secondary_index/",
    "utilities/simulator_cache/",
    "utilities/sorted_run_builder/",
    // Only registered under a name. trie_index.cc takes its place.
    "utilities/trie_index/",
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src");
    println!("cargo:rerun-if-env-changed=ROCKSDB_LIB_DIR");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let sources = PathBuf::from(variable("DEP_ROCKSDB_CARGO_MANIFEST_DIR"));
    let theirs = Path::new(&variable("DEP_ROCKSDB_OUT_DIR")).join("librocksdb.a").is_file();
    println!(
        "cargo:definitions={}",
        if theirs { &DEFINITIONS[..10] } else { &DEFINITIONS }.join(" ")
    );
    if theirs {
        return;
    }

    // Units have relative names, so a compiler cache recognizes them in every profile.
    std::env::set_current_dir(variable("OUT_DIR")).expect("the build's directory exists");
    let own = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("src");

    let mut build = cc::Build::new();
    build.cpp(true).std("c++20").warnings(false).flag("-w").flag("-include").flag("cstdint");
    // No other library can replace a function of this one, so the compiler may inline it.
    for flag in
        ["-fvisibility=hidden", "-fvisibility-inlines-hidden", "-fno-semantic-interposition"]
    {
        build.flag_if_supported(flag);
    }
    if build.get_compiler().is_like_gnu() && memory_per_processor() > PLENTY {
        // Without collecting garbage, the compiler takes a twelfth less time.
        build.flag("--param=ggc-min-expand=1000").flag("--param=ggc-min-heapsize=2000000");
    }
    for definition in DEFINITIONS.iter().chain(&COMPRESSIONS) {
        build.define(definition, "1");
    }
    for directory in ["rocksdb", "rocksdb/include", "snappy", "."] {
        build.include(sources.join(directory));
    }
    build.include(sources.join("rocksdb/third-party/gtest-1.8.1/fused-src"));
    // Some headers of compression libraries are in a directory per profile. The copies have a
    // relative name.
    fs::create_dir_all("include").expect("the build's directory is writable");
    for library in ["LZ4", "Z", "ZSTD"] {
        for directory in std::env::split_paths(&variable(&format!("DEP_{library}_INCLUDE"))) {
            copy_headers(&directory, Path::new("include"));
        }
    }
    build.include("include");
    match variable("CARGO_CFG_TARGET_ARCH").as_str() {
        "x86_64" => build.files(["crc32c.cc", "crc32c_sse42.cc"].map(|file| own.join(file))),
        processor => {
            let mut checksum = build.clone();
            if processor == "aarch64" {
                // RocksDB checks at run time that the processor has these instructions.
                checksum.flag("-march=armv8-a+crc+crypto");
            }
            checksum.files(CHECKSUM.map(|file| sources.join("rocksdb").join(file)));
            build.objects(checksum.compile_intermediates())
        }
    };
    build.file(own.join("trie_index.cc"));
    build.file(sources.join("build_version.cc"));
    build.files(units(&sources));
    build.compile("kvds_rocksdb_units");
}

/// Returns the bytes of memory per processor, or 0 where they are unknown.
fn memory_per_processor() -> u64 {
    let lines = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes: u64 = lines
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok())
        .unwrap_or(0);
    kilobytes * 1024 / std::thread::available_parallelism().map_or(1, usize::from) as u64
}

fn copy_headers(from: &Path, to: &Path) {
    let entries = fs::read_dir(from).expect("a compression library has headers");
    for path in entries.flatten().map(|entry| entry.path()) {
        if let Some(name) = path.file_name().filter(|_| path.extension().is_some_and(|e| e == "h"))
        {
            fs::copy(&path, to.join(name)).expect("the build's directory is writable");
        }
    }
}

/// Writes the units and returns their paths. Each includes neighbors in RocksDB's list of files, up
/// to an equal share of the source.
fn units(sources: &Path) -> Vec<PathBuf> {
    let list =
        fs::read_to_string(sources.join("rocksdb_lib_sources.txt")).expect("a list of files");
    let files: Vec<&str> = list
        .lines()
        .map(str::trim)
        .filter(|file| !file.is_empty() && *file != "util/build_version.cc")
        .filter(|file| !CHECKSUM.contains(file))
        .filter(|file| !UNUSED.iter().any(|part| file.starts_with(part)))
        .collect();
    let size =
        |file: &str| fs::metadata(sources.join("rocksdb").join(file)).map_or(0, |at| at.len());
    let all: u64 = files.iter().map(|file| size(file)).sum();
    let mut texts = vec![String::new(); UNITS];
    let mut before = 0;
    for file in files {
        let unit = (before * UNITS as u64 / all.max(1)) as usize;
        texts[unit] += &format!("#include \"{file}\"\n");
        before += size(file);
    }
    let mut paths = Vec::new();
    for (number, text) in texts.iter().enumerate().filter(|(_, text)| !text.is_empty()) {
        let path = PathBuf::from(format!("unit{number:02}.cc"));
        fs::write(&path, text).expect("the build's directory is writable");
        paths.push(path);
    }
    paths
}
