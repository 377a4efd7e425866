//! The header is what the source says, and it is good C and C++.

use std::path::{Path, PathBuf};
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn generated() -> String {
    let config = cbindgen::Config::from_file(format!("{ROOT}/cbindgen.toml")).expect("cbindgen.toml is good");
    let mut text = Vec::new();
    cbindgen::Builder::new()
        .with_config(config)
        .with_src(format!("{ROOT}/src/lib.rs"))
        .generate()
        .expect("the header can be generated")
        .write(&mut text);
    String::from_utf8(text).expect("the header is text")
}

/// Writes the header when `make header` asks for it, else compares.
#[test]
fn the_committed_header_is_the_generated_one() {
    let path = format!("{ROOT}/include/kvds.h");
    let generated = generated();
    if std::env::var_os("KVDS_WRITE_HEADER").is_some() {
        std::fs::write(&path, generated).expect("the header can be written");
        return;
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated,
        "include/kvds.h is not what the source says: run `make header` and commit the result"
    );
}
