//! Paths of this repository, and facts that its files contain.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// This repository.
pub struct Project {
    pub root: PathBuf,
    /// Cargo's target directory: `$TARGET_DIR`, `$CARGO_TARGET_DIR` or `target`.
    pub target: PathBuf,
}

impl Project {
    /// Finds the repository around the current directory, else the one that xtask was built in.
    ///
    /// The repository may have moved since the build, and `make install` does not build again.
    pub fn find() -> Result<Self> {
        let here = env::current_dir().context("the current directory")?;
        let around =
            here.ancestors().find(|directory| directory.join("xtask/Cargo.toml").is_file());
        let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let root = around.map_or_else(built, Path::to_owned);
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let target = set("TARGET_DIR").or_else(|| set("CARGO_TARGET_DIR")).map(PathBuf::from);
        let target = here.join(target.unwrap_or_else(|| root.join("target")));
        Ok(Self { root, target })
    }

    /// Reads the library's version from `Cargo.toml`.
    pub fn version(&self) -> Result<String> {
        self.between("Cargo.toml", "\nversion = \"", "\"")
    }

    /// Reads the number in the SONAME from `build.rs`.
    pub fn so_version(&self) -> Result<String> {
        self.between("build.rs", "-soname,libkvds.so.", "\"")
    }

    /// Returns the text between the first `start` and the next `end` in a file.
    fn between(&self, file: &str, start: &str, end: &str) -> Result<String> {
        let text = read(&self.root.join(file))?;
        let rest = text.split_once(start).map(|(_, rest)| rest);
        let found = rest.and_then(|rest| rest.split_once(end)).map(|(found, _)| found.to_owned());
        found.with_context(|| format!("{file}: there is no {start:?}"))
    }
}

/// Reads a text file. An error names the file.
pub fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

/// Writes a text file. An error names the file.
pub fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| path.display().to_string())
}

/// Returns whether a program is on the PATH.
pub fn has_program(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| directory.join(name).is_file())
}
