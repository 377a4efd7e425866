//! Runs sessions: the files in `tests/sessions`, and the examples of `README.md` and `docs/cli.md`.
//!
//! A line that begins with `$ ` is a command for the shell, and the lines after it are all that it
//! writes, to both streams. `[N]` is its exit code, if that is not 0. `...` stands for any text in
//! a line. Each file runs in a temporary directory of its own.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::Etcd;

/// A command and what it writes.
struct Step {
    line: usize,
    command: String,
    output: Vec<String>,
}

/// Where the stores of most sessions are.
const BASE: (&str, &str) = ("KVDS_BASE", "data");

#[test]
fn sessions() {
    let mut files: Vec<PathBuf> = fs::read_dir(manifest().join("tests/sessions"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    let mut failures = String::new();
    for file in &files {
        failures += &run(file, &steps(&fs::read_to_string(file).unwrap()), BASE);
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn sessions_of_the_pages() {
    let mut failures = String::new();
    for (name, at_least) in [("README.md", 3), ("docs/cli.md", 10)] {
        let file = manifest().join("..").join(name);
        let steps = steps(&console_blocks(&fs::read_to_string(&file).unwrap()));
        assert!(steps.len() >= at_least, "{name} has sessions");
        failures += &run(&file, &steps, BASE);
    }
    assert!(failures.is_empty(), "{failures}");
}

/// Returns a page with empty lines outside of its `console` blocks, which keep their line numbers.
fn console_blocks(page: &str) -> String {
    let mut inside = false;
    let mut text = String::new();
    for line in page.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if inside {
            text += line;
        }
        text.push('\n');
    }
    text
}

/// Runs with one etcd server of its own; without etcd it shows nothing.
#[test]
fn sessions_with_a_cluster() {
    let Some(server) = Etcd::start() else { return };
    let file = manifest().join("tests/cluster.txt");
    let steps = steps(&fs::read_to_string(&file).unwrap());
    let failures = run(&file, &steps, ("KVDS_CLUSTER", &server.url()));
    assert!(failures.is_empty(), "{failures}");
}

fn manifest() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { line: at + 1, command: command.to_owned(), output: Vec::new() });
        } else if let (Some(step), false) =
            (steps.last_mut(), line.is_empty() || line.starts_with('#'))
        {
            step.output.push(line.to_owned());
        }
    }
    steps
}

/// Runs the steps, and returns what differs.
fn run(file: &Path, steps: &[Step], place: (&str, &str)) -> String {
    let dir = tempfile::tempdir().unwrap();
    let program = assert_cmd::cargo::cargo_bin!("kvds");
    let path =
        format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut failures = String::new();
    for step in steps {
        let output = Command::new("bash")
            .args(["-c", &format!("exec 2>&1\n{}", step.command)])
            .current_dir(dir.path())
            .env("PATH", &path)
            .env("LD_LIBRARY_PATH", env!("KVDS_LIB_DIR"))
            .env_remove("KVDS_BASE")
            .env_remove("KVDS_CLUSTER")
            .env(place.0, place.1)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut actual: Vec<String> =
            text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
        match output.status.code() {
            Some(0) => {}
            code => actual.push(format!("[{}]", code.unwrap_or(-1))),
        }
        let equal = actual.len() == step.output.len()
            && actual.iter().zip(&step.output).all(|(actual, expected)| matches(actual, expected));
        if !equal {
            failures += &format!(
                "{}:{}: $ {}\nexpected:\n{}\nactual:\n{}\n\n",
                file.display(),
                step.line,
                step.command,
                step.output.join("\n"),
                actual.join("\n"),
            );
        }
    }
    failures
}

/// Returns whether `text` is `pattern`, where `...` is any text.
fn matches(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split("...");
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = Some(part);
    }
    rest.is_empty() || last.is_some_and(|last| text.ends_with(last))
}
