//! Compiles programs in C and C++, links them with the shared library of this build, and runs them.
//!
//! With `KVDS_VALGRIND=1` they run under valgrind, with smaller loops. `KVDS_LIBRARY` names another
//! library to test. If it is built with a sanitizer, `KVDS_SANITIZER` and `KVDS_SANITIZER_RUNTIME`
//! apply the same to the programs: see `scripts/sanitize`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, iter};

use kvds::testing::{Cluster, Disk};

use crate::{ROOT, etcd};

/// The SONAME, by which the dynamic linker finds the library.
pub const LIBRARY: &str = "libkvds.so.0";

/// The size of test loops under valgrind, in percent.
const VALGRIND_SCALE: &str = "5";

/// Programs whose forked children use the library.
const FORKING: [&str; 6] =
    ["standard_streams", "fork", "caller_threads", "store_lock", "thread_limit", "cluster"];

/// How to compile a program. Every warning is an error.
#[derive(Clone, Copy, Default)]
pub struct Way<'a> {
    /// C++17 instead of C11.
    pub cpp: bool,
    /// The compiler, if it is not the default one (`CC` or `CXX`).
    pub compiler: Option<&'a str>,
    /// Include directories, besides the directory of generated headers.
    pub includes: &'a [&'a str],
    /// More arguments for the compiler, such as libraries.
    pub arguments: &'a [&'a str],
    /// Does not link the program with the library.
    pub unlinked: bool,
    /// Tells the program a cluster, if there is an etcd.
    pub cluster: bool,
}

/// Compiles a source file (a path in the repository) and runs the program, which must succeed.
/// `prepare` may write headers to the directory that it gets.
pub fn compile_and_run(source: &str, way: &Way, prepare: impl Fn(&Path)) {
    // Each test has its own directory, as builds and other tests may run at the same time.
    let mut directory = crate::temporary_directory().expect("a directory can be made");
    prepare(directory.path());
    let program = compile(source, way, directory.path());
    let mut command = if in_valgrind() { under_valgrind(&program) } else { Command::new(&program) };
    if program.ends_with("exit") {
        // A program that exits with open stores leaves their memory allocated, on purpose.
        command.env("LSAN_OPTIONS", "detect_leaks=0");
    }
    command
        .env("TMPDIR", directory.path())
        .env("KVDS_TEST_LIBRARY", directory.path().join(LIBRARY));
    if way.cluster
        && Cluster::available().is_ok()
        && let Some(url) = etcd::shared_url(&etcd::fresh_namespace())
    {
        command.env(etcd::CLUSTER_VARIABLE, url);
    }
    // The files of a failed program stay for a debugger.
    directory.disable_cleanup(true);
    succeed(command);
    directory.disable_cleanup(false);
}

/// Returns whether programs run under valgrind.
pub fn in_valgrind() -> bool {
    env::var_os("KVDS_VALGRIND").is_some_and(|value| value == "1")
}

/// Compiles a program and puts it and the library into `directory`.
pub fn compile(source: &str, way: &Way, directory: &Path) -> PathBuf {
    // Cargo puts the library of this build beside the test. The copy one directory up may be an old
    // one.
    let beside = || env::current_exe().expect("a program has a path").with_file_name("libkvds.so");
    let library = env::var_os("KVDS_LIBRARY").map_or_else(beside, PathBuf::from);
    fs::hard_link(&library, directory.join(LIBRARY))
        .unwrap_or_else(|cause| panic!("{}: {cause}", library.display()));

    let source = Path::new(ROOT).join(source);
    let program = directory.join(source.file_stem().expect("a source file has a name"));
    let mut command = compiler(way, directory);
    command.arg(source).arg("-o").arg(&program);
    if !way.unlinked {
        command.arg(directory.join(LIBRARY)).arg(format!("-Wl,-rpath,{}", directory.display()));
    }
    command.args(way.arguments);
    if let Some(runtime) = env::var_os("KVDS_SANITIZER_RUNTIME") {
        // The library needs all of it too.
        command.arg("-Wl,--whole-archive").arg(runtime).args([
            "-Wl,--no-whole-archive",
            "-Wl,--export-dynamic",
            "-lm",
        ]);
    }
    succeed(command);
    program
}

/// Returns the compiler with the arguments of all programs.
pub fn compiler(way: &Way, directory: &Path) -> Command {
    let target = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let mut build = cc::Build::new();
    build
        .cargo_metadata(false)
        .host(&target)
        .target(&target)
        .out_dir(directory)
        .opt_level(1)
        .debug(true);
    build.cpp(way.cpp).std(if way.cpp { "c++17" } else { "c11" });
    build.warnings(true).extra_warnings(true).warnings_into_errors(true);
    build.flag("-Wpedantic").flag("-pthread").include(directory);
    for include in way.includes {
        build.include(format!("{ROOT}/{include}"));
    }
    if let Some(compiler) = way.compiler {
        build.compiler(compiler);
    }
    if let Ok(sanitizer) = env::var("KVDS_SANITIZER") {
        build.compiler(if way.cpp { "clang++" } else { "clang" });
        // Passed by -Xclang, because the driver would link parts of its own runtime.
        build
            .flag("-Xclang")
            .flag(format!("-fsanitize={sanitizer}"))
            .flag("-fno-omit-frame-pointer");
    }
    if Disk::available().is_err() {
        build.define("KVDS_TEST_NO_DISK", None);
    }
    if Cluster::available().is_err() {
        build.define("KVDS_TEST_NO_CLUSTER", None);
    }
    if cfg!(debug_assertions) && env::var_os("KVDS_LIBRARY").is_none() {
        build.define("KVDS_TEST_UNOPTIMIZED", None);
    }
    build.get_compiler().to_command()
}

fn under_valgrind(program: &Path) -> Command {
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["-q", "--error-exitcode=99", "--fair-sched=yes", "--trace-children=no"])
        // A forked child leaks what it inherited, on purpose.
        .arg(if FORKING.iter().any(|name| program.ends_with(name)) {
            "--leak-check=no"
        } else {
            "--leak-check=full"
        })
        .args(["--show-leak-kinds=definite,possible", "--errors-for-leak-kinds=definite,possible"])
        .arg(format!("--suppressions={ROOT}/ctests/valgrind.supp"))
        .arg(program)
        .env("KVDS_TEST_SCALE", VALGRIND_SCALE);
    valgrind
}

/// Runs a command, and panics with its output if it fails.
pub fn succeed(mut command: Command) {
    let output = command.output().unwrap_or_else(|cause| panic!("cannot run {command:?}: {cause}"));
    let words: Vec<_> = iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect();
    assert!(
        output.status.success(),
        "{}: {}\n{}{}",
        words.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Returns the sorted names of the files in a directory of the repository with this extension,
/// without it.
pub fn sources(directory: &str, extension: &str) -> Vec<String> {
    let entries = fs::read_dir(Path::new(ROOT).join(directory))
        .unwrap_or_else(|cause| panic!("{directory}: {cause}"));
    let paths = entries.map(|entry| entry.expect("the directory can be read").path());
    let programs = paths.filter(|path| path.extension().is_some_and(|found| found == extension));
    let mut names: Vec<_> =
        programs.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort_unstable();
    names
}

/// Returns the names of the functions that `include/kvds.h` declares.
pub fn declared_functions() -> Vec<String> {
    let text =
        fs::read_to_string(format!("{ROOT}/abi/api.json")).expect("abi/api.json can be read");
    let api: serde_json::Value = serde_json::from_str(&text).expect("abi/api.json is JSON");
    let sections = api["sections"].as_array().expect("the interface has sections");
    let items = sections
        .iter()
        .flat_map(|section| section["items"].as_array().expect("a section has items"));
    let functions =
        items.filter(|item| item["kind"] == "function").filter_map(|item| item["name"].as_str());
    functions.map(str::to_owned).collect()
}
