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
    /// Composes include/kvds.h from src/ffi, abi/api.json from that, and the declarations from it
    #[cfg(feature = "source")]
    Header {
        /// Writes nothing, and fails if a committed file differs
        #[arg(long)]
        check: bool,
    },
    /// Writes the man pages of the C interface into a directory
    Man { directory: PathBuf },
    /// Compares the binary interface of include/kvds.h with the committed abi/kvds.abi (libabigail)
    Abi {
        /// Writes abi/kvds.abi anew instead
        #[arg(long)]
        update: bool,
    },
    /// Writes the declarations of the bindings, and the enums of include/kvds.hpp, from
    /// abi/api.json
    Declarations {
        /// Writes nothing, and fails if a committed file differs
        #[arg(long)]
        check: bool,
    },
    /// Prints the names of all functions of the C interface, sorted
    Functions,
    /// Makes the static library that is installed from the one that cargo built (GNU binutils)
    ///
    /// Only the functions of the header have global names in the result.
    StaticLibrary { source: PathBuf, result: PathBuf },
    /// Lets programs link with the libkvds.so in a directory, and run, without installing it
    ///
    /// Adds the name that the dynamic linker looks for, and files for pkg-config.
    Uninstalled { directory: PathBuf },
    /// Tests the bindings for other languages
    Bindings {
        #[command(subcommand)]
        chore: Bindings,
    },
    /// Installs what `make build` made
    Install {
        #[command(flatten)]
        directories: Directories,
    },
    /// Removes what was installed to the same directories
    Uninstall {
        #[command(flatten)]
        directories: Directories,
    },
    /// Installs, uses and removes the library by every way there is
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
    /// A language whose runtime is missing is left out, and so is one whose test exits with 77
    /// because it cannot get what it needs.
    Test {
        /// Installs missing runtimes first, and fails if a language is left out
        #[arg(long)]
        all: bool,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without a backtrace, even where RUST_BACKTRACE asks for the one of a panic.
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

/// The day of the header, or the one that a reproducible build goes by (SOURCE_DATE_EPOCH).
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

    /// Writes, or compares, what is generated from the source.
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
                    "{name} is not what the source says: run `make header` and commit the result"
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
