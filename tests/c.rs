//! The C tests: every program of `ctests/` is compiled, linked with the shared library of this build, and run.
//!
//! With `KVDS_VALGRIND=1` they run under valgrind, with smaller loops. `KVDS_LIBRARY` names another library to test.

use std::fmt::Write;
use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use kvds::ffi::care::*;
use kvds::ffi::options::*;
use kvds::ffi::status::*;
use kvds::ffi::types::*;
use kvds::ffi::version::*;
use kvds::ffi::view::*;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The name of the shared library that programs are linked to: its SONAME, which the dynamic linker looks for.
const LIBRARY: &str = "libkvds.so.0";

/// How much of its loops a test program runs under valgrind, in percent.
const VALGRIND_SCALE: &str = "5";

macro_rules! programs {
    ($($name:ident)*) => {
        $(#[test] fn $name() { compile_and_run(stringify!($name)) })*

        #[test]
        fn every_program_is_run() {
            let mut listed = vec![$(stringify!($name)),*];
            listed.sort_unstable();
            assert_eq!(listed, sources(), "the programs here and the files of ctests/ are not the same");
        }
    };
}

programs! {
    batches callbacks care checkpoint contention cursors directories dlopen durability exit fork layout lifecycle
    limit locked log misuse observers operations options reader threads view_lifecycle views
}

/// The names of the C programs.
fn sources() -> Vec<String> {
    let entries = fs::read_dir(format!("{ROOT}/ctests")).expect("ctests/ can be read");
    let paths = entries.map(|entry| entry.expect("ctests/ can be read").path());
    let programs = paths.filter(|path| path.extension().is_some_and(|extension| extension == "c"));
    let mut names: Vec<_> = programs.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort_unstable();
    names
}

fn compile_and_run(name: &str) {
    // Everything is in one directory of the test's own, as builds and other runs of the tests may happen meanwhile.
    let mut directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory can be made");
    let program = compile(name, directory.path());
    let mut command = if env::var_os("KVDS_VALGRIND").is_some_and(|value| value == "1") {
        under_valgrind(&program)
    } else {
        Command::new(&program)
    };
    command.env("TMPDIR", directory.path()).env("KVDS_TEST_LIBRARY", directory.path().join(LIBRARY));
    // What fails is left for a debugger.
    directory.disable_cleanup(true);
    succeed(command);
    directory.disable_cleanup(false);
}

/// Makes the program and all it needs in `directory`.
fn compile(name: &str, directory: &Path) -> PathBuf {
    // Cargo puts what it just built beside the test that is for it. The copy one directory up may be an old one.
    let beside = || env::current_exe().expect("a program has a path").with_file_name("libkvds.so");
    let library = env::var_os("KVDS_LIBRARY").map_or_else(beside, PathBuf::from);
    fs::hard_link(&library, directory.join(LIBRARY)).unwrap_or_else(|cause| panic!("{}: {cause}", library.display()));
    fs::write(directory.join("rust_layout.h"), rust_layout()).expect("the header can be written");

    let program = directory.join(name);
    let mut command = compiler(directory);
    command.arg(format!("{ROOT}/ctests/{name}.c")).arg("-o").arg(&program);
    if name != "dlopen" {
        command.arg(directory.join(LIBRARY)).arg(format!("-Wl,-rpath,{}", directory.display()));
    }
    command.arg("-lcmocka");
    succeed(command);
    program
}

/// The C compiler that builds of this machine use (`CC` is heeded), strict and with every warning an error.
fn compiler(directory: &Path) -> Command {
    let target = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let mut build = cc::Build::new();
    build.cargo_metadata(false).host(&target).target(&target).out_dir(directory).opt_level(1).debug(true);
    build.std("c11").warnings(true).extra_warnings(true).warnings_into_errors(true);
    build.flag("-Wpedantic").flag("-pthread").include(format!("{ROOT}/include")).include(directory);
    if cfg!(not(feature = "disk")) {
        build.define("KVDS_TEST_NO_DISK", None);
    }
    build.get_compiler().to_command()
}

fn under_valgrind(program: &Path) -> Command {
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["-q", "--error-exitcode=99", "--fair-sched=yes", "--trace-children=no"])
        // A forked child leaves what it inherited as it is, on purpose: to valgrind, a leak.
        .arg(if program.ends_with("fork") { "--leak-check=no" } else { "--leak-check=full" })
        .args(["--show-leak-kinds=definite,possible", "--errors-for-leak-kinds=definite,possible"])
        .arg(format!("--suppressions={ROOT}/ctests/valgrind.supp"))
        .arg(program)
        .env("KVDS_TEST_SCALE", VALGRIND_SCALE);
    valgrind
}

/// Runs a command and shows what it printed if it fails.
fn succeed(mut command: Command) {
    let output = command.output().unwrap_or_else(|cause| panic!("cannot run {command:?}: {cause}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// What Rust takes sizes, offsets and constants to be, as lists for C's preprocessor.
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

/// Something of the header by its name, and Rust's number for it.
type Entry = (&'static str, i64);

macro_rules! sizes {
    ($($name:ident)*) => { &[$((stringify!($name), size_of::<$name>() as i64)),*] };
}

macro_rules! offsets {
    ($($name:ident { $($field:ident)* })*) => {
        &[$($((concat!(stringify!($name), ", ", stringify!($field)), offset_of!($name, $field) as i64),)*)*]
    };
}

macro_rules! constants {
    ($($name:ident)*) => { &[$((stringify!($name), $name as i64)),*] };
}

const SIZES: &[Entry] = sizes! {
    kvds_status kvds_backend kvds_bytes kvds_pair kvds_range kvds_value kvds_stats kvds_visit kvds_store_visit kvds_death kvds_user_data_free
};

const OFFSETS: &[Entry] = offsets! {
    kvds_bytes { data len }
    kvds_pair { key key_len value value_len }
    kvds_range { prefix prefix_len start start_len end end_len }
    kvds_value { data len owner }
    kvds_stats { keys bytes reads writes hits disk_bytes memory_bytes }
};

const CONSTANTS: &[Entry] = constants! {
    KVDS_VERSION_MAJOR KVDS_VERSION_MINOR KVDS_VERSION_PATCH
    KVDS_MAX_KEY_LEN KVDS_MAX_VALUE_LEN
    KVDS_MEMORY KVDS_DISK KVDS_VIEW_READ KVDS_VIEW_WRITE
    KVDS_DURABILITY_PROCESS KVDS_DURABILITY_SYNC KVDS_DURABILITY_NONE
    KVDS_COMPRESSION_NONE KVDS_COMPRESSION_LZ4 KVDS_COMPRESSION_ZSTD
    KVDS_LOG_ERROR KVDS_LOG_WARN KVDS_LOG_INFO KVDS_LOG_DEBUG
    KVDS_OK KVDS_NOT_FOUND KVDS_EXISTS KVDS_MISMATCH KVDS_STOPPED KVDS_TRUNCATED
    KVDS_INVALID_ARGUMENT KVDS_CLOSED KVDS_DENIED KVDS_LOCKED KVDS_IO KVDS_NO_SPACE KVDS_CORRUPTION KVDS_NO_MEMORY
    KVDS_UNSUPPORTED KVDS_BUSY KVDS_UNKNOWN_OUTCOME KVDS_FORKED KVDS_INTERNAL
};

#[test]
fn every_constant_is_compared() {
    let header = fs::read_to_string(format!("{ROOT}/include/kvds.h")).expect("the header can be read");
    for line in header.lines() {
        // The include guard has a name only; a constant has a value.
        let ["#define", name, _] = line.split_whitespace().collect::<Vec<_>>()[..] else { continue };
        assert!(CONSTANTS.iter().any(|(listed, _)| *listed == name), "{name} is not in the list of this file");
    }
}

/// What no test calls may be broken.
#[test]
fn every_function_and_option_is_tested() {
    let entries = fs::read_dir(format!("{ROOT}/ctests")).expect("ctests/ can be read");
    let paths = entries.map(|entry| entry.expect("ctests/ can be read").path());
    let tests: String = paths.filter_map(|path| fs::read_to_string(path).ok()).collect();
    let header = fs::read_to_string(format!("{ROOT}/include/kvds.h")).expect("the header can be read");
    let declared = header
        .lines()
        .filter(|line| !line.starts_with([' ', '#', '/']) && !line.starts_with("typedef"))
        .filter_map(|line| line.split_once('(').and_then(|(before, _)| before.split([' ', '*']).next_back()));
    for function in declared {
        // A table of setters names them by their options.
        let setter = function.strip_prefix("kvds_options_set_").map(|option| format!("SETTER({option},"));
        let called = tests.contains(&format!("{function}(")) || setter.is_some_and(|setter| tests.contains(&setter));
        assert!(called, "{function} has no test");
    }
    for option in kvds::Options::names() {
        assert!(tests.contains(&format!("\"{option}\"")), "the option {option} has no test");
    }
}
