//! The instructions of a get through C, of a store in Rust and of the engine, which `kvds-boundary`
//! counts. Counts have no noise.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail, ensure};
use serde::Serialize;

/// The target: C adds at most so many instructions.
pub const BOUND: f64 = 40.0;

/// Instructions of one get in memory.
#[derive(Clone, Copy, Serialize)]
pub struct Boundary {
    pub through_c: f64,
    /// The same call in Rust, on a store.
    pub store: f64,
    /// The engine alone, without what lets a store be closed at any time.
    pub engine: f64,
}

impl Boundary {
    pub fn added(&self) -> f64 {
        self.through_c - self.store
    }

    /// Has `program`, which is kvds-boundary, count the instructions of `library`.
    pub fn count(program: &Path, library: &Path) -> Result<Boundary> {
        let output = Command::new(program).arg(library).args(["memory", "get"]).output()?;
        ensure!(
            output.status.success(),
            "{}: {}",
            program.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        // "memory get c 245.0 store 234.0 engine 218.0"
        let line = String::from_utf8_lossy(&output.stdout);
        let numbers: Vec<f64> =
            line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [through_c, store, engine] = numbers[..] else {
            bail!("kvds-boundary has printed: {line}");
        };
        Ok(Boundary { through_c, store, engine })
    }
}
