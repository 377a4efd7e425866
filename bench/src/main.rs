//! kvds beside other stores, through the C functions that hosts call. README.md says what is
//! measured and how to read it.
//!
//! It judges nothing by the clock: a machine may be slow.

mod alternatives;
mod boundary;
mod contest;
mod cost;
mod data;
mod load;
mod machine;
mod peer;
mod peers;
mod plan;
mod plots;
mod progress;
mod report;
mod run;
mod scratch;
mod targets;
mod work;
mod worker;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::peer::Medium;

/// Measures kvds beside other stores.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = false)]
struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    run: Choices,
}

/// What is run, and where.
#[derive(clap::Args)]
pub struct Choices {
    /// Everything, with more time for each line: an hour or two instead of about five minutes a
    /// medium
    #[arg(long)]
    full: bool,
    /// One medium alone
    #[arg(long, value_name = "memory|disk", value_parser = medium)]
    only: Option<Medium>,
    /// Lines alone whose name has this in it
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// These peers alone (kvds always takes part)
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    peers: Option<Vec<String>>,
    /// Where JSON and plots are written
    #[arg(long, value_name = "DIRECTORY", default_value = "bench/results")]
    out: PathBuf,
    /// Where stores on disk are while they are measured
    #[arg(long, value_name = "DIRECTORY", env = "KVDS_BENCH_DIR", default_value = "target/bench")]
    directory: PathBuf,
    /// The library to measure; else the one beside this program
    #[arg(long, value_name = "FILE")]
    library: Option<PathBuf>,
}

#[derive(Subcommand)]
enum What {
    /// How much memory a load of MIB into a disk store takes
    Load {
        #[arg(default_value_t = 1024)]
        mib: u64,
    },
    /// Two ways of doing the same: keys at once or one by one, prefixes or keys removed
    Alternatives,
    #[command(hide = true)]
    Child(cost::Child),
}

fn medium(text: &str) -> Result<Medium, String> {
    match text {
        "memory" => Ok(Medium::Memory),
        "disk" => Ok(Medium::Disk),
        _ => Err("it is memory or disk".to_owned()),
    }
}

impl Choices {
    fn library(&self) -> Result<PathBuf> {
        let program = std::env::current_exe()?;
        let path = self.library.clone().unwrap_or_else(|| program.with_file_name("libkvds.so"));
        path.canonicalize()
            .with_context(|| format!("there is no {}: build it with `make build`", path.display()))
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let library = arguments.run.library()?;
    peers::kvds::load(&library)?;
    match arguments.what {
        None => run::run(&arguments.run, &library),
        Some(What::Load { mib }) => load::run(mib << 20),
        Some(What::Alternatives) => alternatives::run(),
        Some(What::Child(child)) => child.run(),
    }
}
