//! Tests what the shared library exports to the dynamic linker.

use std::path::PathBuf;
use std::process::Command;

/// Returns the library that `KVDS_LIBRARY` names, or that of this build, which is beside the test.
fn library() -> PathBuf {
    let beside = || {
        std::env::current_exe().expect("a test knows its executable").with_file_name("libkvds.so")
    };
    std::env::var_os("KVDS_LIBRARY").map_or_else(beside, PathBuf::from)
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).arg(library()).output();
    let output =
        output.unwrap_or_else(|error| panic!("{program} (of binutils) cannot be run: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("its output is text")
}

/// A program may contain its own RocksDB, LZ4 or C++ library. Ours must not replace their symbols.
#[test]
fn the_library_exports_exactly_the_functions_of_the_header() {
    let listing = output("nm", &["-D", "--defined-only"]);
    let mut exported: Vec<_> =
        listing.lines().filter_map(|line| line.split_whitespace().last()).collect();
    let mut declared = testkit::c_programs::declared_functions();
    exported.sort_unstable();
    declared.sort_unstable();
    assert!(declared.len() > 25, "the header was read");
    assert_eq!(exported, declared);
}

#[test]
fn the_library_has_its_soname_and_is_never_unloaded() {
    let dynamic = output("readelf", &["-d", "-W"]);
    assert!(dynamic.contains("Library soname: [libkvds.so.0]"), "{dynamic}");
    assert!(
        dynamic.contains("NODELETE"),
        "a dlclose must not unmap code that threads still run: {dynamic}"
    );
}

/// RocksDB's static destructors would destroy objects that threads, exit handlers and static
/// objects of the program still use.
#[test]
fn the_library_registers_no_exit_handler() {
    let undefined = output("nm", &["-D", "--undefined-only"]);
    assert!(!undefined.contains("__cxa_atexit"), "{undefined}");
    assert!(!undefined.lines().any(|line| line.ends_with(" atexit")), "{undefined}");
}

/// `make test` runs this on the release library, which is stripped. A debug build is not.
#[test]
fn the_release_library_is_stripped() {
    let sections = output("readelf", &["-S", "-W"]);
    let stripped = !sections.contains(".symtab") && !sections.contains(".debug_info");
    assert_eq!(stripped, std::env::var_os("KVDS_LIBRARY").is_some(), "{sections}");
}
