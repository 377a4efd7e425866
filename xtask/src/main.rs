//! Chores of this repository. `cargo xtask --help` lists them; make calls them.

mod abi;
mod api;
mod bindings;
mod debian;
mod declarations;
#[cfg(feature = "source")]
mod header;
mod install;
mod man;
#[cfg(feature = "source")]
mod parse;
mod project;
mod runpath;
mod static_library;
mod test_packages;
mod uninstalled;
mod words;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::api::Api;
use crate::install::Directories;
use crate::project::Project;

#[derive(Parser)]
#[command(about, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Generates include/kvds.h, abi/api.json and the declarations from src/ffi
    #[cfg(feature = "source")]
    Header {
        /// Write nothing, and fail if a committed file differs
        #[arg(long)]
        check: bool,
    },
    /// Writes the man pages of the C interface to a directory
    Man { directory: PathBuf },
    /// Compares the binary interface of include/kvds.h with abi/kvds.abi (libabigail)
    Abi {
        /// Regenerate abi/kvds.abi instead
        #[arg(long)]
        update: bool,
    },
    /// Generates the declarations of the bindings, and the enums of include/kvds.hpp
    Declarations {
        /// Write nothing, and fail if a committed file differs
        #[arg(long)]
        check: bool,
    },
    /// Prints the names of all functions of the C interface, sorted
    Functions,
    /// Builds the installed static library from cargo's (GNU binutils)
    ///
    /// Only the functions of the header are global in the result.
    StaticLibrary { source: PathBuf, result: PathBuf },
    /// Lets programs use the libkvds.so in a directory without installing it
    ///
    /// Adds the name for the dynamic linker, and files for pkg-config.
    Uninstalled { directory: PathBuf },
    /// Tests the bindings for other languages
    Bindings {
        #[command(subcommand)]
        chore: Bindings,
    },
    /// Installs the files that `make build` built
    Install {
        #[command(flatten)]
        directories: Directories,
    },
    /// Removes the files that were installed to the same directories
    Uninstall {
        #[command(flatten)]
        directories: Directories,
    },
    /// Installs, uses and removes the library in every way
    TestPackages,
    /// Prints the copyright file of the Debian packages
    DebianCopyright,
    /// Checks the length of lines, and the words that docs/STYLE.md lists
    Words,
}

#[derive(Subcommand)]
enum Bindings {
    /// Runs bindings/LANGUAGE/test for each language, on $KVDS_LIBRARY or the release library
    ///
    /// A language is left out if its runtime is missing, or if its test exits with 77, which means
    /// that something else is missing.
    Test {
        /// Install missing runtimes first, and fail if a language is left out
        #[arg(long)]
        all: bool,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // `{:?}` would add a backtrace if RUST_BACKTRACE is set.
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> Result<()> {
    let project = Project::find()?;
    let root = &project.root;
    match chore {
        #[cfg(feature = "source")]
        Chore::Header { check } => {
            generated::header(root, check)?;
            declarations::run(root, check)
        }
        Chore::Man { directory } => man::write(&Api::load(root)?, &directory, &date(&project)?),
        Chore::Abi { update } => abi::run(root, update),
        Chore::Declarations { check } => declarations::run(root, check),
        Chore::Functions => {
            let api = Api::load(root)?;
            let names: BTreeSet<_> = api.functions().collect();
            names.into_iter().for_each(|name| println!("{name}"));
            Ok(())
        }
        Chore::StaticLibrary { source, result } => {
            static_library::make(&Api::load(root)?, &source, &result)
        }
        Chore::Uninstalled { directory } => uninstalled::write(&project, &directory),
        Chore::Bindings { chore: Bindings::Test { all } } => bindings::test(&project, all),
        Chore::Install { directories } => install::install(&project, &directories),
        Chore::Uninstall { directories } => install::uninstall(&directories),
        Chore::TestPackages => test_packages::run(&project),
        Chore::DebianCopyright => debian::print_copyright(&project),
        Chore::Words => words::check(&project),
    }
}

/// Returns the date of SOURCE_DATE_EPOCH, for reproducible builds, or else of the header.
fn date(project: &Project) -> Result<String> {
    let day = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(seconds) => SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.parse()?),
        Err(_) => std::fs::metadata(project.root.join("include/kvds.h"))?.modified()?,
    };
    Ok(humantime::format_rfc3339_seconds(day).to_string()[..10].to_owned())
}

#[cfg(feature = "source")]
mod generated {
    use std::fs;
    use std::path::Path;

    use anyhow::{Result, ensure};

    use crate::{header, parse};

    /// Writes the files that are generated from the source, or with `check` compares them.
    pub fn header(root: &Path, check: bool) -> Result<()> {
        let header = header::compose(root)?;
        let api = serde_json::to_string_pretty(&parse::api(&header)?)? + "\n";
        for (name, text) in [("include/kvds.h", &header), ("abi/api.json", &api)] {
            let path = root.join(name);
            if !check {
                fs::write(&path, text)?;
            } else {
                let same = fs::read_to_string(&path).is_ok_and(|committed| committed == *text);
                ensure!(
                    same,
                    "{name} differs from the source: run `make header` and commit the result"
                );
            }
        }
        Ok(())
    }
}

#[cfg(all(test, feature = "source"))]
mod tests {
    use super::*;

    #[test]
    fn the_committed_header_is_the_generated_one() -> Result<()> {
        generated::header(&Project::find()?.root, true)
    }

    #[test]
    fn the_committed_declarations_are_the_generated_ones() -> Result<()> {
        declarations::run(&Project::find()?.root, true)
    }
}
