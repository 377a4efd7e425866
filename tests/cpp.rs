//! The C++ tests and examples: each is compiled by two compilers and run, and once more with AddressSanitizer and
//! UndefinedBehaviorSanitizer. Under `make memcheck` they run under valgrind.

mod programs;

use std::fs;
use std::process::Command;

use programs::{ROOT, Way, declared_functions, in_valgrind, sources};

macro_rules! programs {
    ($($name:ident: $directory:literal, $include:literal;)*) => {
        $(#[test] fn $name() { compile_and_run(concat!($directory, "/", stringify!($name), ".cpp"), $include) })*

        #[test]
        fn every_program_is_run() {
            let listed = [$(($directory, stringify!($name))),*];
            for directory in ["ctests", "examples/cpp", "examples/compat"] {
                let mut here: Vec<_> = listed.iter().filter(|(listed, _)| *listed == directory).map(|(_, name)| *name).collect();
                here.sort_unstable();
                assert_eq!(here, sources(directory, "cpp"), "the programs here and the files of {directory} differ");
            }
        }
    };
}

programs! {
    facade: "ctests", "include";
    sharing: "ctests", "include";
}

/// What finds bad memory and undefined behaviour in the program itself.
const SANITIZED: &[&str] = &["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"];

fn compile_and_run(source: &str, include: &str) {
    let way = Way { cpp: true, includes: &[include], ..Way::default() };
    programs::compile_and_run(source, &way, |_| ());
    if in_valgrind() {
        return;
    }
    programs::compile_and_run(source, &Way { compiler: Some("clang++"), ..way }, |_| ());
    programs::compile_and_run(source, &Way { arguments: SANITIZED, ..way }, |_| ());
}

/// The facade's doc comments name the C functions, each the one that it stands for.
#[test]
fn every_function_of_the_c_header_has_its_cpp_form() {
    let facade = fs::read_to_string(format!("{ROOT}/include/kvds.hpp")).expect("the facade can be read");
    let declared = declared_functions();
    for function in &declared {
        assert!(facade.contains(&format!("`{function}`")), "{function} has no C++ form");
    }
    let named = facade.split('`').skip(1).step_by(2).filter(|name| name.starts_with("kvds_"));
    let header = fs::read_to_string(format!("{ROOT}/include/kvds.h")).expect("the header can be read");
    for name in named {
        let is_type = header.contains(&format!(" {name};"));
        assert!(is_type || declared.iter().any(|function| function == name), "the C header has no {name}");
    }
}

/// A function of a class that nobody calls is not compiled into a program: what the test program refers to is what it
/// calls of the facade.
#[test]
fn every_function_of_the_facade_is_tested() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory can be made");
    let way = Way { cpp: true, includes: &["include"], ..Way::default() };
    let program = programs::compile("ctests/facade.cpp", &way, directory.path());
    let listed = Command::new("nm").args(["-D", "--undefined-only"]).arg(program).output().expect("nm can be run");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8_lossy(&listed.stdout);
    let called: Vec<_> = listed.split_whitespace().collect();
    for function in declared_functions() {
        // The constructor calls kvds_distributor_open, which has a status to tell.
        if function != "kvds_distributor_new" {
            assert!(
                called.contains(&function.as_str()),
                "what stands for {function} is not called by ctests/facade.cpp"
            );
        }
    }
}
