//! Tests that the header compiles everywhere and matches the source.

use std::process::Command;

use kvds::testing::ffi::*;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Compiles the header as C and as C++, alone and included twice, without warnings.
#[test]
fn the_header_compiles_alone_in_every_standard() -> testkit::Result {
    let directory = tempfile::tempdir()?;
    let include = "#include \"kvds.h\"\n";
    let languages = [
        (["gcc", "clang"], "c", &["c99", "c11", "c17"][..]),
        (["g++", "clang++"], "cc", &["c++11", "c++14", "c++17", "c++20"]),
    ];
    for (compilers, extension, standards) in languages {
        for (name, text) in [("once", include.to_owned()), ("twice", include.repeat(2))] {
            let source = directory.path().join(format!("{name}.{extension}"));
            std::fs::write(&source, text)?;
            for (compiler, standard) in
                compilers.iter().flat_map(|c| standards.iter().map(move |s| (c, s)))
            {
                let output = Command::new(compiler)
                    .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"])
                    .arg(format!("-std={standard}"))
                    .arg(format!("-I{ROOT}/include"))
                    .arg(&source)
                    .output();
                let output =
                    output.unwrap_or_else(|error| panic!("{compiler} cannot be run: {error}"));
                let messages = String::from_utf8_lossy(&output.stderr);
                assert!(
                    output.status.success(),
                    "{compiler} -std={standard}, included {name}:\n{messages}"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn the_version_is_that_of_the_package() {
    let macros = format!("{KVDS_VERSION_MAJOR}.{KVDS_VERSION_MINOR}.{KVDS_VERSION_PATCH}");
    assert_eq!(macros, env!("CARGO_PKG_VERSION"));
    // SAFETY: the text is static.
    let running = unsafe { std::ffi::CStr::from_ptr(kvds_version()) };
    assert_eq!(running.to_str(), Ok(env!("CARGO_PKG_VERSION")));
}

/// An option has a name and a setter, and the setter's comment says its default.
#[test]
fn every_option_has_a_setter_that_documents_its_default() -> testkit::Result {
    let header = std::fs::read_to_string(format!("{ROOT}/include/kvds.h"))?;
    for name in kvds::testing::Options::names() {
        // Options that are used together have one setter.
        let setter = match name {
            "cluster_ca" | "cluster_cert" | "cluster_key" => "cluster_tls",
            "cluster_user" | "cluster_password" => "cluster_login",
            name => name,
        };
        let setter = format!("kvds_status kvds_options_set_{setter}(");
        let (before, _) =
            header.split_once(&setter).unwrap_or_else(|| panic!("there is no {setter}"));
        let text = before.rsplit("/**").next().expect("there is a text before it");
        assert!(
            text.to_lowercase().contains("default"),
            "the text of {setter} does not say the default"
        );
        assert!(
            setter.contains(name) || text.contains(&format!("\"{name}\"")),
            "the text of {setter} does not name the option {name}"
        );
    }
    Ok(())
}
