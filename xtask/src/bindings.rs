//! Tests the bindings for other languages: runs `bindings/LANGUAGE/test` for each.

use std::env;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::project::{self, Project};
use crate::uninstalled;

/// The exit status of a test that cannot run here. Its last line says why.
const LEFT_OUT: i32 = 77;

/// Tests all languages, and prints the result of each at the end.
///
/// A language whose runtime is missing is left out. With `all`, missing runtimes are installed
/// first, and leaving one out is a failure.
pub fn test(project: &Project, all: bool) -> Result<()> {
    let library = library(project)?;
    if all {
        let setup = Command::new(project.root.join("scripts/setup")).arg("bindings").status();
        ensure!(setup.context("scripts/setup")?.success(), "scripts/setup bindings failed");
    }
    let mut summary = Vec::new();
    let mut failed = Vec::new();
    for language in languages(project)? {
        eprintln!("bindings: testing {language}");
        let build = project.target.join("bindings").join(&language);
        fs::create_dir_all(&build).with_context(|| build.display().to_string())?;
        let log = build.with_extension("log");
        let runtime = runtime(&language);
        let status = if project::has_program(runtime) {
            let output = File::create(&log).with_context(|| log.display().to_string())?;
            let test = project.root.join("bindings").join(&language).join("test");
            let mut command = Command::new(&test);
            command.env("KVDS_LIBRARY", &library).env("KVDS_BUILD", &build).stdin(Stdio::null());
            command.stdout(output.try_clone()?).stderr(output);
            command.status().with_context(|| test.display().to_string())?.code()
        } else {
            project::write(&log, &format!("there is no {runtime}\n"))?;
            Some(LEFT_OUT)
        };
        let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        let reason = text.lines().last().unwrap_or("it gave no reason");
        let outcome = match status {
            Some(0) => "passed".to_owned(),
            Some(LEFT_OUT) if !all => format!("left out: {reason}"),
            Some(LEFT_OUT) => format!("failed: {reason}"),
            _ => {
                eprint!("{text}");
                format!("failed: see {}", log.display())
            }
        };
        if outcome.starts_with("failed") {
            failed.push(language.clone());
        }
        summary.push(format!("bindings: {language:<7} {outcome}"));
    }
    println!("{}", summary.join("\n"));
    ensure!(failed.is_empty(), "the tests of these bindings failed: {}", failed.join(", "));
    Ok(())
}

/// Returns the library to test: `$KVDS_LIBRARY` or the release library.
///
/// The release library gets a link libkvds.so.0 beside it.
fn library(project: &Project) -> Result<PathBuf> {
    let chosen = env::var_os("KVDS_LIBRARY").filter(|path| !path.is_empty()).map(PathBuf::from);
    let library = match chosen {
        Some(library) => library,
        None => {
            let release = project.target.join("release");
            let library = release.join("libkvds.so");
            ensure!(library.is_file(), "there is no {}: run `make build`", library.display());
            uninstalled::write(project, &release)?;
            library
        }
    };
    library.canonicalize().with_context(|| library.display().to_string())
}

/// Returns the names of the directories in `bindings` that contain a program `test`.
fn languages(project: &Project) -> Result<Vec<String>> {
    let directory = project.root.join("bindings");
    let mut languages = Vec::new();
    for entry in fs::read_dir(&directory).with_context(|| directory.display().to_string())? {
        let entry = entry?;
        if entry.path().join("test").is_file() {
            languages.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    languages.sort();
    Ok(languages)
}

/// Returns the program that a language needs.
fn runtime(language: &str) -> &str {
    match language {
        "python" => "python3",
        "node" => "npm",
        language => language,
    }
}
