//! Compiles every program of `ctests/`, links it with the shared library of this build, and runs
//! it.

use std::fmt::Write;
use std::fs;
use std::mem::offset_of;

use kvds::testing::ffi::*;

use testkit::ROOT;
use testkit::c_programs::{self, Way, declared_functions, sources};

macro_rules! programs {
    ($($name:ident)*) => {
        $(#[test] fn $name() { compile_and_run(stringify!($name)) })*

        #[test]
        fn every_program_is_run() {
            let mut listed = vec![$(stringify!($name)),*];
            listed.sort_unstable();
            let files = sources("ctests", "c");
            assert_eq!(listed, files, "the programs here and the files of ctests/ differ");
        }
    };
}

programs! {
    atomicity batches callbacks caller_threads checkpoint cluster cursors damage deadlines
    descriptor_limit directories dlopen durability exit expiry fork full_disk invalid_calls layout
    lifecycle limited_file_systems logging maintenance memory_limit no_file_locks observers
    operations options out_of_memory read_errors read_only standard_streams store_lock thread_limit
    threads view_lifecycle views watch write_errors
}

/// Programs that inject errors into calls. They are linked with `ctests/preload`.
const INJECTING: [&str; 4] = ["descriptor_limit", "full_disk", "read_errors", "write_errors"];

fn compile_and_run(name: &str) {
    let mut arguments = vec!["-lcmocka"];
    if INJECTING.contains(&name) {
        arguments.push(testkit::preload::library().to_str().expect("the path is text"));
    }
    let way = Way {
        includes: &["include"],
        arguments: &arguments,
        unlinked: name == "dlopen",
        cluster: name == "cluster",
        ..Way::default()
    };
    c_programs::compile_and_run(&format!("ctests/{name}.c"), &way, |directory| {
        fs::write(directory.join("rust_layout.h"), rust_layout())
            .expect("the header can be written");
    });
}

/// Returns the sizes, offsets and constants that Rust has, as lists for C's preprocessor.
fn rust_layout() -> String {
    let mut header = String::new();
    for (list, entries) in [("SIZES", SIZES), ("OFFSETS", OFFSETS), ("CONSTANTS", CONSTANTS)] {
        let _ = write!(header, "#define RUST_{list}(X)");
        for (name, number) in entries {
            let _ = write!(header, " X({name}, {number})");
        }
        header.push('\n');
    }
    header
}

/// A name of the header, and Rust's number for it.
type Entry = (&'static str, i64);

macro_rules! sizes {
    ($($name:ident)*) => { &[$((stringify!($name), size_of::<$name>() as i64)),*] };
}

macro_rules! offsets {
    ($($name:ident { $($field:ident)* })*) => {
        &[$($((
            concat!(stringify!($name), ", ", stringify!($field)),
            offset_of!($name, $field) as i64,
        ),)*)*]
    };
}

macro_rules! constants {
    ($($name:ident)*) => { &[$((stringify!($name), $name as i64)),*] };
}

const SIZES: &[Entry] = sizes! {
    kvds_status kvds_backend kvds_bytes kvds_pair kvds_range kvds_value kvds_stats
    kvds_visit kvds_store_visit kvds_death kvds_user_data_free kvds_change
    kvds_damage kvds_damage_visit kvds_salvaged
};

const OFFSETS: &[Entry] = offsets! {
    kvds_bytes { data len }
    kvds_pair { key key_len value value_len }
    kvds_range { prefix prefix_len start start_len end end_len }
    kvds_value { data len owner }
    kvds_stats { keys bytes reads writes hits disk_bytes memory_bytes }
    kvds_change { kind last sequence key key_len value value_len }
    kvds_damage { file problem loss first first_len last last_len }
    kvds_salvaged { pairs lost ttls_lost }
};

const CONSTANTS: &[Entry] = constants! {
    KVDS_VERSION_MAJOR KVDS_VERSION_MINOR KVDS_VERSION_PATCH
    KVDS_MAX_KEY_LEN KVDS_MAX_VALUE_LEN KVDS_MAX_TTL_MS
    KVDS_CHANGE_SET KVDS_CHANGE_DELETE KVDS_CHANGE_DELETE_RANGE
    KVDS_LOSS_NONE KVDS_LOSS_PAIRS KVDS_LOSS_TTLS
    KVDS_MEMORY KVDS_DISK KVDS_CLUSTER KVDS_VIEW_READ KVDS_VIEW_WRITE
    KVDS_DURABILITY_PROCESS KVDS_DURABILITY_SYNC KVDS_DURABILITY_NONE
    KVDS_COMPRESSION_NONE KVDS_COMPRESSION_LZ4 KVDS_COMPRESSION_ZSTD
    KVDS_LOG_ERROR KVDS_LOG_WARN KVDS_LOG_INFO KVDS_LOG_DEBUG
    KVDS_OK KVDS_NOT_FOUND KVDS_EXISTS KVDS_MISMATCH KVDS_STOPPED KVDS_TRUNCATED
    KVDS_INVALID_ARGUMENT KVDS_CLOSED KVDS_DENIED KVDS_LOCKED KVDS_IO KVDS_NO_SPACE
    KVDS_CORRUPTION KVDS_NO_MEMORY KVDS_UNSUPPORTED KVDS_BUSY KVDS_UNKNOWN_OUTCOME KVDS_FORKED
    KVDS_INTERNAL KVDS_EXPIRED
};

#[test]
fn every_constant_is_compared() -> testkit::Result {
    let header = fs::read_to_string(format!("{ROOT}/include/kvds.h"))?;
    for line in header.lines() {
        // The include guard has a name only; a constant has a value.
        let ["#define", name, _] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            continue;
        };
        assert!(
            CONSTANTS.iter().any(|(listed, _)| *listed == name),
            "{name} is not in the list of this file"
        );
    }
    Ok(())
}

#[test]
fn every_function_and_option_is_tested() -> testkit::Result {
    let entries = fs::read_dir(format!("{ROOT}/ctests"))?;
    let paths = entries.map(|entry| entry.expect("ctests/ can be read").path());
    let tests: String = paths.filter_map(|path| fs::read_to_string(path).ok()).collect();
    for function in declared_functions() {
        // A table of setters names them by their options.
        let setter =
            function.strip_prefix("kvds_options_set_").map(|option| format!("SETTER({option},"));
        let called = tests.contains(&format!("{function}("))
            || setter.is_some_and(|setter| tests.contains(&setter));
        assert!(called, "{function} has no test");
    }
    for option in kvds::testing::Options::names() {
        assert!(tests.contains(&format!("\"{option}\"")), "the option {option} has no test");
    }
    Ok(())
}
