//! The C++ tests and examples: each is compiled by two compilers and run, and once more with AddressSanitizer and
//! UndefinedBehaviorSanitizer. Under `make memcheck` they run under valgrind.

mod programs;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

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
    compat: "ctests", "include/compat";
    facade: "ctests", "include";
    sharing: "ctests", "include";
    records: "examples/compat", "include/compat";
    scan: "examples/cpp", "include";
    sessions: "examples/cpp", "include";
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

/// Every header for C++, with the directory that a program finds it by.
const HEADERS: &[(&str, &str)] = &[
    ("include", "kvds.hpp"),
    ("include/compat", "kvds/kvds.hpp"),
    ("include/compat", "kvds/memstore.hpp"),
    ("include/compat", "kvds/datastore.hpp"),
    ("include/compat", "types/lifetime.hpp"),
    ("include/compat", "types/shared_obj.hpp"),
];

/// The warnings of programs that are stricter than ours.
const STRICT: &[&str] = &[
    "-Wconversion",
    "-Wsign-conversion",
    "-Wshadow",
    "-Wold-style-cast",
    "-Woverloaded-virtual",
    "-Wnon-virtual-dtor",
];

/// Compiles a program that is given as text, in a directory of its own, and answers it with that directory.
fn compile_text(text: &str, way: &Way) -> (PathBuf, TempDir) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory can be made");
    let source = directory.path().join("program.cpp");
    fs::write(&source, text).expect("a program can be written");
    let program = programs::compile(source.to_str().expect("the path is text"), way, directory.path());
    (program, directory)
}

/// A program may include any of the headers first, or alone.
#[test]
fn each_header_compiles_alone() {
    for (include, header) in HEADERS {
        compile_strictly(&format!("#include <{header}>\n"), include, "-std=c++17");
    }
}

/// A program may choose its standard, and to have no exceptions and no run-time types.
#[test]
fn the_headers_compile_in_every_dialect() {
    let all = HEADERS.iter().filter(|(include, _)| *include == "include/compat");
    let all: String = all.map(|(_, header)| format!("#include <{header}>\n")).collect();
    for dialect in ["-std=c++20", "-fno-exceptions", "-fno-rtti"] {
        compile_strictly(&all, "include/compat", dialect);
    }
}

fn compile_strictly(text: &str, include: &str, dialect: &str) {
    for compiler in [None, Some("clang++")] {
        let arguments = [STRICT, &["-fsyntax-only", dialect]].concat();
        compile_text(text, &Way { cpp: true, compiler, includes: &[include], arguments: &arguments, unlinked: true });
    }
}

/// The templates of the headers are compiled where they are used.
#[test]
fn the_examples_compile_strictly() {
    for (directory, include) in [("examples/cpp", "include"), ("examples/compat", "include/compat")] {
        for name in sources(directory, "cpp") {
            let temporary = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory can be made");
            let way = Way { cpp: true, includes: &[include], arguments: STRICT, ..Way::default() };
            programs::compile(&format!("{directory}/{name}.cpp"), &way, temporary.path());
        }
    }
}

/// The record manager prints the same each time, and leaves nothing behind.
#[test]
fn the_record_manager_tells_its_story() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory can be made");
    let way = Way { cpp: true, includes: &["include/compat"], ..Way::default() };
    let program = programs::compile("examples/compat/records.cpp", &way, directory.path());
    let temporary = directory.path().join("temporary");
    fs::create_dir(&temporary).expect("a directory can be made");
    let output = Command::new(program).env("TMPDIR", &temporary).output().expect("the program can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8_lossy(&output.stdout);
    let place =
        if cfg!(feature = "disk") { "records on disk" } else { "records in memory, as there is no disk engine" };
    let expected = [
        place,
        "refused: author: born is a number, and not \"June\"",
        "book 3 is gone",
        "author",
        "  1",
        "    name: Ada Lovelace",
        "    born: 1815",
        "  2",
        "    name: Mary Shelley",
        "    born: 1798",
        "book",
        "  1",
        "    title: Notes",
        "    author: 1",
        "    loans: 200",
        "  2",
        "    title: Frankenstein",
        "    author: 2",
        "    loans: 0",
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
    assert_eq!(fs::read_dir(temporary).expect("the directory can be read").count(), 0, "it cleans up after itself");
}

/// The pieces of code that the documents show compile, and what they check holds. Each is the body of a function that is
/// given a store and its distributor; one that includes something is a program of its own.
#[test]
fn what_the_documents_show_works() {
    for (document, include) in
        [("docs/cpp.md", "include"), ("docs/migrating.md", "include/compat"), ("README.md", "include")]
    {
        let text = fs::read_to_string(format!("{ROOT}/{document}")).expect("the document can be read");
        let blocks: Vec<_> = text.split("```cpp\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert!(!blocks.is_empty(), "{document} shows code");
        let (whole, pieces): (Vec<&str>, Vec<&str>) = blocks.into_iter().partition(|block| block.contains("#include"));
        let mut programs: Vec<_> = whole.into_iter().map(str::to_owned).collect();
        if !pieces.is_empty() {
            let shown = pieces.iter().enumerate().map(|(number, piece)| {
                format!("static void shown_{number}(kvds::distributor_c &distributor, kvds::store_c &store)\n{{\n(void)distributor, (void)store;\n{piece}}}\n")
            });
            let calls = (0..pieces.len()).map(|number| format!("shown_{number}(distributor, **store);\n"));
            programs.push(format!(
                "#include <cassert>\n#include <iostream>\n#include <stdexcept>\n#include <kvds.hpp>\n{}\
                 int main()\n{{\nkvds::distributor_c distributor;\n\
                 auto store = distributor.get_or_create(\"shown\", kvds::backend::memory);\n{}}}\n",
                shown.collect::<String>(),
                calls.collect::<String>()
            ));
        }
        for program in programs {
            let (program, directory) =
                compile_text(&program, &Way { cpp: true, includes: &[include], ..Way::default() });
            let mut command = Command::new(program);
            command.current_dir(directory.path());
            programs::succeed(command);
        }
    }
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
