//! What one call through C adds to a get: instructions, counted by callgrind, so that no noise is
//! in it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

/// At most so many, says the target.
pub const BOUND: f64 = 40.0;

const READS: u64 = 20_000;

/// Instructions of one get.
#[derive(Clone, Copy, Serialize)]
pub struct Boundary {
    pub through_c: f64,
    /// The same call in Rust, on a store.
    pub store: f64,
    /// Of the engine alone: without what lets a store be closed at any time.
    pub engine: f64,
}

impl Boundary {
    pub fn added(&self) -> f64 {
        self.through_c - self.store
    }

    /// From two runs each, of which one reads twice as often: what they differ by is reads and
    /// nothing else.
    pub fn count(program: &Path, library: &Path, scratch: &Path) -> Result<Boundary> {
        let each = |way: &str| -> Result<f64> {
            let few = instructions(program, library, scratch, way, READS)?;
            let many = instructions(program, library, scratch, way, 2 * READS)?;
            Ok((many as f64 - few as f64) / READS as f64)
        };
        Ok(Boundary { through_c: each("c")?, store: each("store")?, engine: each("engine")? })
    }
}

fn instructions(
    program: &Path,
    library: &Path,
    scratch: &Path,
    way: &str,
    reads: u64,
) -> Result<u64> {
    let out = scratch.join("callgrind");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .arg(library)
        .args([way, &reads.to_string()])
        .output()
        .context("valgrind is missing: the instructions of the boundary are not counted")?;
    ensure!(
        output.status.success(),
        "{}: {}",
        program.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    let text = std::fs::read_to_string(&out)?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("summary:").or_else(|| line.strip_prefix("totals:")));
    line.and_then(|line| line.trim().parse().ok()).context("callgrind tells no sum")
}
