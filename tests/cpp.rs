//! The C++ tests and examples: each is compiled by two compilers and run, and once more with
//! AddressSanitizer and UndefinedBehaviorSanitizer. Under `make memcheck` they run under valgrind.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use tempfile::TempDir;

use testkit::ROOT;
use testkit::c_programs::{self, Way, declared_functions, in_valgrind, sources};

macro_rules! programs {
    ($($name:ident: $directory:literal, $include:literal;)*) => {
        $(#[test] fn $name() {
            let source = concat!($directory, "/", stringify!($name), ".cpp");
            compile_and_run(source, $include)
        })*

        #[test]
        fn every_program_is_run() {
            let listed = [$(($directory, stringify!($name))),*];
            for directory in ["ctests", "examples/cpp", "examples/compat"] {
                let here = listed.iter().filter(|(listed, _)| *listed == directory);
                let mut here: Vec<_> = here.map(|(_, name)| *name).collect();
                here.sort_unstable();
                assert_eq!(here, sources(directory, "cpp"), "the list differs from {directory}");
            }
        }
    };
}

programs! {
    compat: "ctests", "include/compat";
    compat_references: "ctests", "include/compat";
    cpp_expiry_watch: "ctests", "include";
    cpp_header: "ctests", "include";
    cpp_references: "ctests", "include";
    records: "examples/compat", "include/compat";
    scan: "examples/cpp", "include";
    sessions: "examples/cpp", "include";
}

/// Detects invalid memory accesses and undefined behavior in the program itself.
const SANITIZED: &[&str] =
    &["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"];

/// Returns whether programs run under valgrind or with a sanitized library. Then one compilation of
/// each is enough.
fn is_watched() -> bool {
    in_valgrind() || env::var_os("KVDS_SANITIZER").is_some()
}

fn compile_and_run(source: &str, include: &str) {
    // A program may have a second file.
    let second = Path::new(ROOT)
        .join("ctests/parts")
        .join(Path::new(source).file_name().expect("it has a name"));
    let arguments: Vec<_> = second.to_str().filter(|_| second.exists()).into_iter().collect();
    let way = Way { cpp: true, includes: &[include], arguments: &arguments, ..Way::default() };
    c_programs::compile_and_run(source, &way, |_| ());
    if in_valgrind() {
        return;
    }
    c_programs::compile_and_run(source, &Way { compiler: Some("clang++"), ..way }, |_| ());
    c_programs::compile_and_run(
        source,
        &Way { arguments: &[&arguments, SANITIZED].concat(), ..way },
        |_| (),
    );
}

/// The original counted its references, and has used `std::shared_ptr` since late 2025. Programs of
/// both times compile.
#[test]
fn the_drop_in_has_both_kinds_of_references() {
    if is_watched() {
        return;
    }
    let run = |source: &str, compiler, arguments: &[&str]| {
        let way = Way {
            cpp: true,
            compiler: Some(compiler),
            includes: &["include/compat"],
            arguments,
            ..Way::default()
        };
        c_programs::compile_and_run(source, &way, |_| ());
    };
    let second = format!("{ROOT}/ctests/parts/compat_references.cpp");
    run("ctests/compat_references.cpp", "g++", &[&second, "-std=c++20"]);
    run(
        "ctests/compat_references.cpp",
        "clang++",
        &[&second, "-std=c++20", "-DKVDS_COMPAT_SHARED_PTR"],
    );
    run(
        "ctests/compat_references.cpp",
        "g++",
        &[&[second.as_str(), "-DKVDS_COMPAT_SHARED_PTR"], SANITIZED].concat(),
    );
    run("ctests/compat.cpp", "g++", &["-DKVDS_COMPAT_SHARED_PTR"]);
    run("examples/compat/records.cpp", "g++", &["-DKVDS_COMPAT_SHARED_PTR"]);
}

/// Links files of both kinds to one program, with a compiler that compares their declarations.
#[test]
fn files_with_both_kinds_of_references_make_one_program() {
    if is_watched() {
        return;
    }
    let other = format!("{ROOT}/ctests/parts/compat_references.cpp");
    let arguments = [&other, "-flto", "-Wodr", "-Wlto-type-mismatch"];
    let way = Way {
        cpp: true,
        compiler: Some("g++"),
        includes: &["include/compat"],
        arguments: &arguments,
        ..Way::default()
    };
    c_programs::compile_and_run("ctests/compat_references.cpp", &way, |_| ());
}

/// Every C++ header, and the directory where a program finds it.
const HEADERS: &[(&str, &str)] = &[
    ("include", "kvds.hpp"),
    ("include/compat", "kvds/kvds.hpp"),
    ("include/compat", "kvds/memstore.hpp"),
    ("include/compat", "kvds/datastore.hpp"),
    ("include/compat", "kvds/order.hpp"),
    ("include/compat", "types/lifetime.hpp"),
    ("include/compat", "types/shared_obj.hpp"),
];

/// Warnings that strict programs enable.
const STRICT: &[&str] = &[
    "-Wconversion",
    "-Wsign-conversion",
    "-Wshadow",
    "-Wold-style-cast",
    "-Woverloaded-virtual",
    "-Wnon-virtual-dtor",
];

/// Compiles a program from its text in a new directory, and returns both.
fn compile_text(text: &str, way: &Way) -> (PathBuf, TempDir) {
    let directory = testkit::temporary_directory().expect("a directory can be made");
    let source = directory.path().join("program.cpp");
    fs::write(&source, text).expect("a program can be written");
    let program =
        c_programs::compile(source.to_str().expect("the path is text"), way, directory.path());
    (program, directory)
}

/// A program may include any header first, or alone.
#[test]
fn each_header_compiles_alone() {
    for (include, header) in HEADERS {
        compile_strictly(&format!("#include <{header}>\n"), include, "-std=c++17");
    }
}

/// A program may use any standard, and disable exceptions and run-time types.
#[test]
fn the_headers_compile_in_every_dialect() {
    let all = HEADERS.iter().filter(|(include, _)| *include == "include/compat");
    let all: String = all.map(|(_, header)| format!("#include <{header}>\n")).collect();
    for references in ["", "#define KVDS_COMPAT_SHARED_PTR\n"] {
        for dialect in ["-std=c++20", "-fno-exceptions", "-fno-rtti"] {
            compile_strictly(&format!("{references}{all}"), "include/compat", dialect);
        }
    }
}

fn compile_strictly(text: &str, include: &str, dialect: &str) {
    for compiler in [None, Some("clang++")] {
        let arguments = [STRICT, &["-fsyntax-only", dialect]].concat();
        compile_text(
            text,
            &Way {
                cpp: true,
                compiler,
                includes: &[include],
                arguments: &arguments,
                unlinked: true,
                ..Way::default()
            },
        );
    }
}

/// The templates of the headers are compiled where they are used.
#[test]
fn the_examples_compile_strictly() -> testkit::Result {
    for (directory, include) in [("examples/cpp", "include"), ("examples/compat", "include/compat")]
    {
        for name in sources(directory, "cpp") {
            let temporary = testkit::temporary_directory()?;
            let way = Way { cpp: true, includes: &[include], arguments: STRICT, ..Way::default() };
            c_programs::compile(&format!("{directory}/{name}.cpp"), &way, temporary.path());
        }
    }
    Ok(())
}

/// The record manager prints the same each time and leaves no files.
#[test]
fn the_record_manager_prints_the_expected_text() -> testkit::Result {
    let directory = testkit::temporary_directory()?;
    let way = Way { cpp: true, includes: &["include/compat"], ..Way::default() };
    let program = c_programs::compile("examples/compat/records.cpp", &way, directory.path());
    let temporary = directory.path().join("temporary");
    fs::create_dir(&temporary)?;
    let output = Command::new(program).env("TMPDIR", &temporary).output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8_lossy(&output.stdout);
    let place = if cfg!(feature = "disk") {
        "records on disk"
    } else {
        "records in memory, as there is no disk engine"
    };
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
    assert_eq!(fs::read_dir(temporary)?.count(), 0, "it cleans up after itself");
    Ok(())
}

/// Compiles and runs the code in the documents. Each piece is the body of a function with a store
/// and its distributor. One with an include is a whole program.
#[test]
fn the_code_in_the_documents_works() -> testkit::Result {
    for (document, include) in [
        ("docs/cpp.md", "include"),
        ("docs/migrating.md", "include/compat"),
        ("README.md", "include"),
    ] {
        let text = fs::read_to_string(format!("{ROOT}/{document}"))?;
        let blocks: Vec<_> =
            text.split("```cpp\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert!(!blocks.is_empty(), "{document} shows code");
        let (whole, pieces): (Vec<&str>, Vec<&str>) =
            blocks.into_iter().partition(|block| block.contains("#include"));
        let mut programs: Vec<_> = whole.into_iter().map(str::to_owned).collect();
        if !pieces.is_empty() {
            let shown = pieces.iter().enumerate().map(|(number, piece)| {
                format!(
                    "static void shown_{number}(kvds::distributor_c &distributor, \
                     kvds::store_c &store)\n{{\n(void)distributor, (void)store;\n{piece}}}\n"
                )
            });
            let calls =
                (0..pieces.len()).map(|number| format!("shown_{number}(distributor, **store);\n"));
            programs.push(format!(
                "#include <cassert>\n#include <iostream>\n#include <stdexcept>\n\
                 #include <kvds.hpp>\n{}\
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
            c_programs::succeed(command);
        }
    }
    Ok(())
}

/// The doc comments of the C++ header name the C functions that its methods call.
#[test]
fn every_function_of_the_c_header_has_its_cpp_form() -> testkit::Result {
    let facade = fs::read_to_string(format!("{ROOT}/include/kvds.hpp"))?;
    let declared = declared_functions();
    for function in &declared {
        assert!(facade.contains(&format!("`{function}`")), "{function} has no C++ form");
    }
    let named = facade.split('`').skip(1).step_by(2).filter(|name| name.starts_with("kvds_"));
    let header = fs::read_to_string(format!("{ROOT}/include/kvds.h"))?;
    for name in named {
        let is_type = header.contains(&format!(" {name};"));
        assert!(
            is_type || declared.iter().any(|function| function == name),
            "the C header has no {name}"
        );
    }
    Ok(())
}

/// Compilers omit methods that no code calls, so the undefined symbols of the test program show
/// which methods it calls.
#[test]
fn every_function_of_the_cpp_header_is_tested() -> testkit::Result {
    let directory = testkit::temporary_directory()?;
    let way = Way { cpp: true, includes: &["include"], ..Way::default() };
    let program = c_programs::compile("ctests/cpp_header.cpp", &way, directory.path());
    let listed = Command::new("nm").args(["-D", "--undefined-only"]).arg(program).output()?;
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8_lossy(&listed.stdout);
    let called: Vec<_> = listed.split_whitespace().collect();
    for function in declared_functions() {
        // The constructor calls kvds_distributor_open, which has a status to tell.
        if function != "kvds_distributor_new" {
            assert!(
                called.contains(&function.as_str()),
                "what stands for {function} is not called by ctests/cpp_header.cpp"
            );
        }
    }
    Ok(())
}

/// The headers of the original, as far as these tests need them.
const ORIGINAL: &[(&str, &str)] = &[
    (
        "types/lifetime.hpp",
        "namespace pkg::types { class lifetime_c {}; class lifetime_tagged_c {}; }",
    ),
    (
        "types/shared_obj.hpp",
        "namespace pkg::types { class shared_c {}; template <class T> class shared_obj_c {}; }",
    ),
    ("types/view.hpp", "namespace pkg::types { class view_c {}; }"),
    ("types/monotonic_counter.hpp", "namespace pkg::types { class monotonic_counter_c {}; }"),
    (
        "kvds/kvds.hpp",
        "#include \"types/lifetime.hpp\"\n#include \"types/shared_obj.hpp\"\n\
         namespace kvds { class kv_stat {}; class kv_c : public kv_stat {}; \
         class kv_c_distributor_c {}; \
         pkg::types::lifetime_tagged_c shown(pkg::types::shared_obj_c<kv_c>); }",
    ),
    (
        "kvds/memstore.hpp",
        "#include \"kvds/kvds.hpp\"\nnamespace kvds { class memstore_c : public kv_c {}; }",
    ),
    (
        "kvds/datastore.hpp",
        "#include \"kvds/kvds.hpp\"\nnamespace kvds { class datastore_c : public kv_c {}; }",
    ),
];

/// Writes an include directory with the original's headers that begin with one of `parts`.
fn old_directory(parent: &Path, name: &str, parts: &[&str]) -> String {
    let directory = parent.join(name);
    for (header, text) in
        ORIGINAL.iter().filter(|(header, _)| parts.iter().any(|part| header.starts_with(part)))
    {
        let path = directory.join(header);
        fs::create_dir_all(path.parent().expect("it is in a directory"))
            .expect("a directory can be made");
        fs::write(path, format!("#pragma once\n{text}\n")).expect("a header can be written");
    }
    format!("-I{}", directory.display())
}

/// Returns the first error of each compiler, or `None` from one that compiles the program.
fn complaints(program: &str, arguments: &[&str]) -> Vec<Option<String>> {
    let directory = testkit::temporary_directory().expect("a directory can be made");
    let source = directory.path().join("program.cpp");
    fs::write(&source, program).expect("a program can be written");
    let complaint = |compiler| {
        let way = Way { cpp: true, compiler: Some(compiler), ..Way::default() };
        let mut command = c_programs::compiler(&way, directory.path());
        let output = command
            .arg("-fsyntax-only")
            .args(arguments)
            .arg(&source)
            .output()
            .expect("it can be run");
        let said = String::from_utf8_lossy(&output.stderr);
        let first = said.lines().find(|line| line.contains("error:")).map(str::to_owned);
        assert_eq!(output.status.success(), first.is_none(), "{command:?}: {said}");
        first
    };
    vec![complaint("g++"), complaint("clang++")]
}

/// A program that still uses `types/view.hpp` also has the original's include directory. If that
/// came first, the program got the original's headers, and the linker missed the original's
/// functions.
#[test]
fn the_wrong_order_of_include_directories_is_an_error() -> testkit::Result {
    let temporary = testkit::temporary_directory()?;
    let old = |name, parts: &[&str]| old_directory(temporary.path(), name, parts);
    let (whole, types, kvds) =
        (old("whole", &["types", "kvds"]), old("types", &["types"]), old("kvds", &["kvds"]));
    let rest = old("rest", &["types/view", "types/monotonic"]);
    let ours = format!("-I{ROOT}/include/compat");
    let check = ["-include", "kvds/order.hpp"];
    let all = "#include <types/view.hpp>\n#include <kvds/datastore.hpp>\n\
               #include <kvds/memstore.hpp>\n\
               #include <kvds/kvds.hpp>\n#include <types/shared_obj.hpp>\n\
               #include <types/lifetime.hpp>\n\
               #include <types/monotonic_counter.hpp>\n\
               pkg::types::view_c view;\npkg::types::monotonic_counter_c counter;\n\
               kvds::memstore_c store;\n";
    for right in [[&ours, &whole, "-std=c++17"], [&rest, &ours, "-std=c++17"]] {
        assert_eq!(complaints(all, &right), [None, None]);
    }
    assert_eq!(complaints(all, &[&ours, &whole, check[0], check[1], "-std=c++20"]), [None, None]);
    // A program that names the headers by path has no order.
    let by_path = format!("#include \"{ROOT}/include/compat/kvds/kvds.hpp\"\nkvds::kv_c *store;\n");
    assert_eq!(complaints(&by_path, &[]), [None, None]);

    let wrong: &[(&str, &[&str])] = &[
        (all, &[&types, &ours]),
        (all, &[&types, &ours, &kvds]),
        (all, &[&kvds, &ours, &types]),
        (all, &[&whole, &ours, check[0], check[1]]),
        ("#include <kvds/kvds.hpp>\n", &[&types, &ours]),
        ("#include <kvds/kvds.hpp>\n", &[&kvds, &ours]),
        ("#include <kvds/datastore.hpp>\n", &[&kvds, &ours]),
        ("#include <kvds/memstore.hpp>\n", &[&types, &ours]),
        ("#include <types/lifetime.hpp>\n", &[&kvds, &ours]),
        ("#include <types/shared_obj.hpp>\n", &[&kvds, &ours]),
        ("#include <types/lifetime.hpp>\n#include <kvds/kvds.hpp>\n", &[&types, &ours]),
        ("int main() {}\n", &[&whole, &ours, check[0], check[1]]),
    ];
    for (program, arguments) in wrong {
        for complaint in complaints(program, arguments) {
            let complaint =
                complaint.unwrap_or_else(|| panic!("{arguments:?} is right for {program}"));
            assert!(
                complaint.contains("put include/compat (kvds-compat) first"),
                "{arguments:?}: {complaint}"
            );
        }
    }
    Ok(())
}

/// A program that would behave differently from the original must not compile.
#[test]
fn unsupported_programs_fail_to_compile_with_a_reason() -> testkit::Result {
    let ours = format!("-I{ROOT}/include/compat");
    let refused = [
        (
            "#include <types/shared_obj.hpp>\n#include <kvds/kvds.hpp>\n\
             #define KVDS_COMPAT_SHARED_PTR\n#include <kvds/memstore.hpp>\n",
            "define KVDS_COMPAT_SHARED_PTR before the first include",
        ),
        (
            "#include <kvds/kvds.hpp>\nauto made = kvds::kv_c_distributor_c(\"\")\
             .get_or_create_kv_c(\"\", kvds::kv_c_distributor_c::kv_c_backend_e::MEMORY);\n\
             int number = *made;\n",
            "int",
        ),
    ];
    for (program, reason) in refused {
        for complaint in complaints(program, &[&ours]) {
            let complaint = complaint.expect("it is refused");
            assert!(complaint.contains(reason), "{complaint}");
        }
    }
    // Large programs declare classes themselves. The names in pkg::types are aliases here.
    let declared = "namespace pkg::types { class lifetime_c; }\n#include <types/lifetime.hpp>\n";
    assert!(complaints(declared, &[&ours]).iter().all(Option::is_some));
    let named = "#include <kvds/kvds.hpp>\nusing namespace kvds;\n\
                 namespace program { enum class status { fine }; }\n\
                 program::status own = program::status::fine;\nstatus theirs = status::ok;\n";
    assert_eq!(complaints(named, &[&ours]), [None, None]);
    let declared = "namespace kvds { class kv_c; class kv_c_distributor_c; class memstore_c; \
                    class datastore_c; }\n\
                    #include <kvds/kvds.hpp>\n#include <kvds/memstore.hpp>\n\
                    #include <kvds/datastore.hpp>\n\
                    kvds::kv_c_distributor_c *distributor;\nkvds::memstore_c *store;\n";
    for references in ["-DNONE", "-DKVDS_COMPAT_SHARED_PTR"] {
        assert_eq!(complaints(declared, &[&ours, references]), [None, None]);
    }
    Ok(())
}
