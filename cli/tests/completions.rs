//! Completions, as the scripts for shells ask for them.

use std::path::Path;
use std::process::Command;

/// Returns the candidates for the last of `words`, each with a line.
fn candidates(dir: &Path, words: &[&str]) -> Vec<String> {
    let index = words.len().to_string();
    let output = Command::new(assert_cmd::cargo::cargo_bin!("kvds"))
        .args(["--", "kvds"])
        .args(words)
        .current_dir(dir)
        .env("LD_LIBRARY_PATH", env!("KVDS_LIB_DIR"))
        .env("KVDS_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", index)
        .env("_CLAP_IFS", "\n")
        .env_remove("KVDS_CLUSTER")
        .env_remove("KVDS_BASE")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Creates a directory "data" with the stores "stars" and "born", and one whose name has a space.
fn base() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for store in ["stars", "born", "a%20b"] {
        let path = dir.path().join("data").join(store);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("CURRENT"), "").unwrap();
    }
    std::fs::create_dir(dir.path().join("data/stray")).unwrap();
    dir
}

#[test]
fn stores_come_before_commands() {
    let dir = base();
    // `stat` and others need a store before them.
    assert_eq!(candidates(dir.path(), &["--base", "data", "st"]), ["stores", "stars"]);
    assert_eq!(candidates(dir.path(), &["--base=data", "-q", "bo"]), ["born"]);
    assert_eq!(candidates(dir.path(), &["--base", "data", "a "]), [""; 0]);
    assert_eq!(candidates(dir.path(), &["da"]), ["data/"]);
    assert_eq!(candidates(dir.path(), &["data/b"]), ["data/born/"]);
}

#[test]
fn commands_come_after_the_store() {
    let dir = base();
    assert_eq!(candidates(dir.path(), &["mystore", "sc"]), ["scan"]);
    // A shell needs no store, but may have one.
    assert_eq!(candidates(dir.path(), &["sh"]), ["shell"]);
    assert_eq!(candidates(dir.path(), &["mystore", "sh"]), ["shell"]);
    assert_eq!(candidates(dir.path(), &["--base", "data", "born", "st"]), ["stat"]);
    assert_eq!(candidates(dir.path(), &["--store", "s", "--base", "data", "ex"]), ["exists"]);
}

#[test]
fn options_of_a_command() {
    let dir = base();
    assert_eq!(candidates(dir.path(), &["born", "scan", "--re"]), ["--reverse"]);
    assert_eq!(candidates(dir.path(), &["born", "dump", "--format", "m"]), ["mdb"]);
    assert_eq!(candidates(dir.path(), &["--ba"]), ["--base", "--base64"]);
    assert_eq!(candidates(dir.path(), &["--base", "d"]), ["data/"]);
    assert_eq!(candidates(dir.path(), &["--base", "data", "born", "diff", "st"]), ["stars"]);
    assert_eq!(candidates(dir.path(), &["born", "load", "d"]), ["data/"]);
}
