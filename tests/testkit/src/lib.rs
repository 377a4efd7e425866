//! What the tests and fuzz targets of kvds share.
//!
//! | module | it has |
//! |---|---|
//! | [`engines`] | the engines that a suite runs on: `for_every_engine!` |
//! | [`etcd`] | real servers for cluster stores |
//! | [`model`] | programs of calls, which run on an engine and on a `BTreeMap` |
//! | [`workload`] | writers whose keys show how many of their writes a store has |
//! | [`simulated_disk`] | what a disk may contain after a power failure |
//! | [`networks`] | hosts of their own, whose network a test breaks |
//! | [`preload`] | the library that records or fails the file calls of a process |
//! | [`c_programs`] | compiles and runs programs in C and C++ |
//! | [`fuzz`] | what the fuzz targets do with an input |

pub mod c_programs;
pub mod engines;
pub mod etcd;
pub mod fuzz;
pub mod model;
pub mod networks;
pub mod preload;
pub mod simulated_disk;
pub mod workload;

use std::path::PathBuf;
use std::{env, fs};

use tempfile::TempDir;

/// What a test returns. An error fails it.
pub type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// The directory of the repository.
pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Returns the number in an environment variable, or `default` without it.
pub fn number_from_env(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |value| value.parse().expect("the variable is a number"))
}

/// Creates a directory that disappears with the result, below `target/tmp`.
pub fn temporary_directory() -> std::io::Result<TempDir> {
    tempfile::tempdir_in(target_tmp()?)
}

/// Returns cargo's directory for files of tests. Cargo names it to tests only, not to this crate,
/// but it is always beside the directory of the profile: `target/debug/deps/test`, `target/tmp`.
fn target_tmp() -> std::io::Result<PathBuf> {
    let executable = env::current_exe()?;
    let target = executable.ancestors().nth(3).unwrap_or(&executable);
    let directory = target.join("tmp");
    fs::create_dir_all(&directory)?;
    Ok(directory)
}
