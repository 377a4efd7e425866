//! Compiles the C++ peers whose libraries are installed, and generates bindings of include/kvds.h.

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, fs};

/// The system's libraries that peers use: the name in probe.cpp, and the libraries to link.
const LIBRARIES: &[(&str, &[&str])] =
    &[("rocksdb", &["rocksdb"]), ("leveldb", &["leveldb"]), ("tkrzw", &["tkrzw"])];

/// The crates whose versions are in the results.
const CRATES: &[&str] = &[
    "artmap",
    "crossbeam-skiplist",
    "etcd-client",
    "fjall",
    "papaya",
    "parking_lot",
    "redb",
    "scc",
];

fn cpp() -> cc::Build {
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").opt_level(3).warnings(true).extra_warnings(true).include("peers");
    build
}

fn main() {
    println!("cargo:rerun-if-changed=peers");
    println!("cargo:rerun-if-changed=../include/kvds.h");
    println!("cargo:rerun-if-changed=../Cargo.lock");
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");

    let there = String::from_utf8_lossy(&cpp().file("peers/probe.cpp").expand()).into_owned();
    let mut build = cpp();
    build.file("peers/peer.cpp").file("peers/original_memory.cpp");
    for (library, _) in LIBRARIES {
        println!("cargo:rustc-check-cfg=cfg({library})");
        if there.contains(&format!("there: {library}")) {
            println!("cargo:rustc-cfg={library}");
            build.file(format!("peers/{library}.cpp"));
        }
    }
    build.compile("peers");
    for (_, links) in
        LIBRARIES.iter().filter(|(library, _)| there.contains(&format!("there: {library}")))
    {
        links.iter().for_each(|link| println!("cargo:rustc-link-lib={link}"));
    }

    bindgen::Builder::default()
        .header("../include/kvds.h")
        .allowlist_item("(kvds|KVDS)_.*")
        .dynamic_library_name("Functions")
        .dynamic_link_require_all(true)
        .wrap_unsafe_ops(true)
        .layout_tests(false)
        .generate_comments(false)
        .generate()
        .expect("bindgen cannot read kvds.h")
        .write_to_file(Path::new(&out).join("kvds.rs"))
        .expect("cannot write to OUT_DIR");

    let lock = fs::read_to_string("../Cargo.lock").unwrap_or_default();
    let field = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
        line.map(|value| value.trim_matches('"').to_owned())
    };
    let versions: BTreeMap<_, _> = lock
        .split("[[package]]")
        .filter_map(|block| Some((field(block, "name")?, field(block, "version")?)))
        .filter(|(name, _)| CRATES.contains(&name.as_str()))
        .collect();
    for name in CRATES {
        let version = versions.get(*name).map_or("of unknown version", String::as_str);
        println!("cargo:rustc-env=VERSION_{}={version}", name.replace('-', "_").to_uppercase());
    }
}
