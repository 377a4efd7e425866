//! Tests that THIRD-PARTY names all third-party code in the libraries and in the program kvds, with
//! the license texts that must be shipped.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs, process};

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The C and C++ libraries inside crates: the crate, the library, its license, and the files with
/// the text.
const BUNDLED: &[(&str, &str, &str, &[&str])] = &[
    (
        "librocksdb-sys",
        "RocksDB",
        "Apache-2.0 AND BSD-3-Clause",
        &["rocksdb/LICENSE.Apache", "rocksdb/LICENSE.leveldb"],
    ),
    ("libz-sys", "zlib", "Zlib", &["src/zlib/LICENSE"]),
    ("librocksdb-sys", "Snappy", "BSD-3-Clause", &["snappy/COPYING"]),
    ("librocksdb-sys", "xxHash, in RocksDB", "BSD-2-Clause", &["rocksdb/util/xxhash.h"]),
    (
        "librocksdb-sys",
        "PerconaFT's locktree, in RocksDB",
        "Apache-2.0",
        &["rocksdb/utilities/transactions/lock/range/range_tree/lib/COPYING.APACHEv2"],
    ),
    ("lz4-sys", "LZ4", "BSD-2-Clause", &["liblz4/lib/LICENSE"]),
    ("zstd-sys", "Zstandard", "BSD-3-Clause", &["zstd/LICENSE"]),
];

const START: &str = "\
Third-party code in the kvds libraries and in the program kvds, and its licenses.

Where several licenses are offered (OR), you may choose. Where all apply (AND), all texts are below.
They also contain the standard library of the Rust version that built them. It is under MIT
OR Apache-2.0, with parts under similar licenses. Its notices are in COPYRIGHT-library.html, which
comes with Rust and is installed beside this file.

`make third-party` generates this file from the sources of the code that it lists.
";

struct Package {
    name: String,
    version: String,
    license: String,
    directory: PathBuf,
}

/// The same crates are linked on all systems that kvds supports.
const TARGET: &str = "x86_64-unknown-linux-gnu";

fn cargo(arguments: &[&str]) -> String {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = process::Command::new(cargo)
        .args(arguments)
        .current_dir(ROOT)
        .output()
        .expect("cargo can be run");
    assert!(
        output.status.success(),
        "cargo {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("cargo writes text")
}

/// Returns the crates that are linked into the libraries or the program, by name.
fn linked() -> Vec<Package> {
    let metadata =
        cargo(&["metadata", "--format-version=1", "--locked", "--filter-platform", TARGET]);
    let metadata: Value = serde_json::from_str(&metadata).expect("the metadata is JSON");
    let known = metadata["packages"].as_array().expect("there are packages");
    let directory = |name: &str, version: &str| {
        let package =
            known.iter().find(|package| package["name"] == name && package["version"] == version);
        let manifest = package.and_then(|package| package["manifest_path"].as_str()).map(Path::new);
        manifest
            .and_then(Path::parent)
            .unwrap_or_else(|| panic!("{name} {version} has a directory"))
            .to_owned()
    };

    // The metadata also lists crates that no feature enables. The tree lists what is built.
    let format = ["--prefix=none", "--no-dedupe", "--format={p}|{l}"];
    let tree = cargo(
        &[
            &[
                "tree",
                "--locked",
                "--package=kvds",
                "--package=kvds-cli",
                "--edges=normal,no-proc-macro",
                "--target",
                TARGET,
            ][..],
            &format,
        ]
        .concat(),
    );
    let ours = ["kvds ", "kvds-cli ", "kvds-rocksdb "];
    let is_ours = |line: &str| ours.iter().any(|own| line.starts_with(own));
    // An empty line separates the trees.
    let listed = tree.lines().filter(|line| !line.is_empty() && !is_ours(line));
    let lines: BTreeSet<_> = listed.collect();
    let packages = lines.into_iter().map(|line| {
        let (package, license) = line.split_once('|').expect("a line has two parts");
        let mut words = package.split_whitespace();
        let (Some(name), Some(version)) = (words.next(), words.next()) else {
            panic!("{package} has a version")
        };
        let version = version.trim_start_matches('v');
        let directory = directory(name, version);
        Package {
            name: name.to_owned(),
            version: version.to_owned(),
            license: license.to_owned(),
            directory,
        }
    });
    packages.collect()
}

/// Returns a license text, without the comment around it in a source file.
fn license_text(path: &Path) -> String {
    let text =
        fs::read_to_string(path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()));
    let lines: Vec<_> = if path.extension().is_some_and(|extension| extension == "h") {
        let (_, comment) = text.split_once("\n/*\n").expect("it begins with a comment");
        let (comment, _) = comment.split_once("*/").expect("the comment ends");
        comment.lines().map(|line| line.trim_start().trim_start_matches('*').trim_end()).collect()
    } else {
        text.lines().map(str::trim_end).collect()
    };
    lines.join("\n").trim_matches('\n').to_owned()
}

/// Returns the license files in a crate's directory.
fn license_files(directory: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(directory).unwrap_or_else(|cause| panic!("{}: {cause}", directory.display()));
    let paths = entries.map(|entry| entry.expect("the directory can be read").path());
    let mut files: Vec<_> = paths
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
            path.is_file()
                && ["LICEN", "COPYING", "COPYRIGHT", "NOTICE"]
                    .iter()
                    .any(|start| name.starts_with(start))
        })
        .collect();
    files.sort();
    files
}

fn generated() -> String {
    let mut table = Vec::new();
    // Each text once: what says the same words is the same text, and goes with all that it is for.
    let mut texts: Vec<(String, String, Vec<String>)> = Vec::new();
    let mut add = |path: &Path, component: &str| {
        let text = license_text(path);
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        match texts.iter_mut().find(|(known, ..)| *known == words) {
            Some((_, _, components)) if components.iter().any(|known| known == component) => {}
            Some((_, _, components)) => components.push(component.to_owned()),
            None => texts.push((words, text, vec![component.to_owned()])),
        }
    };
    for package in linked() {
        let component = format!("{} {}", package.name, package.version);
        let bundled: Vec<_> =
            BUNDLED.iter().filter(|(inside, ..)| *inside == package.name).collect();
        let own = license_files(&package.directory);
        own.iter().for_each(|path| add(path, &component));
        table.push((component.clone(), package.license));
        for (_, name, license, files) in &bundled {
            files.iter().for_each(|file| add(&package.directory.join(file), name));
            table.push((format!("  {name}"), (*license).to_owned()));
        }
        assert!(!own.is_empty() || !bundled.is_empty(), "{component} has no license text");
    }

    let mut result = START.to_owned() + "\n";
    for (component, license) in table {
        result += &format!("{component:<40} {license}\n");
    }
    for (_, text, components) in texts {
        result += &format!("\n{}\n{}\n\n{text}\n", "=".repeat(80), components.join(", "));
    }
    result
}

/// Writes the file for `make third-party`, and compares it otherwise.
#[test]
fn third_party_is_up_to_date() -> testkit::Result {
    let path = format!("{ROOT}/THIRD-PARTY");
    let generated = generated();
    if env::var_os("KVDS_WRITE_THIRD_PARTY").is_some() {
        fs::write(&path, generated)?;
        return Ok(());
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated,
        "THIRD-PARTY is not what the sources say: run `make third-party` and commit the result"
    );
    Ok(())
}
