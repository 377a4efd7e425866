//! Chores of this repository. `cargo xtask --help` lists them; make calls them.

mod abi;
mod api;
mod declarations;
#[cfg(feature = "source")]
mod header;
mod man;
#[cfg(feature = "source")]
mod parse;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::api::Api;

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
    /// Writes the declarations of the bindings, and the enums of include/kvds.hpp, from abi/api.json
    Declarations {
        /// Writes nothing, and fails if a committed file differs
        #[arg(long)]
        check: bool,
    },
    /// Prints the names of all functions of the C interface, sorted
    Functions,
}

fn main() -> Result<()> {
    match Arguments::parse().chore {
        #[cfg(feature = "source")]
        Chore::Header { check } => {
            generated::header(&root(), check)?;
            declarations::run(&root(), check)
        }
        Chore::Man { directory } => man::write(&Api::load(&root())?, &directory, &date()?),
        Chore::Abi { update } => abi::run(&root(), update),
        Chore::Declarations { check } => declarations::run(&root(), check),
        Chore::Functions => {
            let api = Api::load(&root())?;
            let names: BTreeSet<_> = api.functions().collect();
            names.into_iter().for_each(|name| println!("{name}"));
            Ok(())
        }
    }
}

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The day of the header, or the one that a reproducible build goes by (SOURCE_DATE_EPOCH).
fn date() -> Result<String> {
    let day = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(seconds) => SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.parse()?),
        Err(_) => std::fs::metadata(root().join("include/kvds.h"))?.modified()?,
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
                ensure!(same, "{name} is not what the source says: run `make header` and commit the result");
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
        generated::header(&root(), true)
    }

    #[test]
    fn the_committed_declarations_are_the_generated_ones() -> Result<()> {
        declarations::run(&root(), true)
    }
}
