//! Measures kvds beside other stores, through its C functions. README.md describes the lines and
//! how to read them.
//!
//! It never fails because something is slow.

mod alternatives;
mod boundary;
mod child;
mod cluster;
mod contest;
mod cost;
mod data;
mod etcd;
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
mod ycsb;

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

#[derive(clap::Args)]
pub struct Choices {
    /// Run everything, with more time per line: hours instead of about five minutes per medium
    #[arg(long)]
    full: bool,
    /// Run one medium alone; a cluster is measured only if it is named
    #[arg(long, value_name = "memory|disk|cluster", value_parser = part)]
    only: Option<Part>,
    /// The servers to measure, without TLS and login [default: an etcd of this program]
    #[arg(long, value_name = "etcd://HOST,.../NAMESPACE")]
    cluster: Option<String>,
    /// Run only lines whose name contains this text
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Run only these peers, and kvds
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    peers: Option<Vec<String>>,
    /// The directory for JSON and plots
    #[arg(long, value_name = "DIRECTORY", default_value = "bench/results")]
    out: PathBuf,
    /// The directory for disk stores, on the disk to measure
    #[arg(long, value_name = "DIRECTORY", env = "KVDS_BENCH_DIR", default_value = "target/bench")]
    directory: PathBuf,
    /// The library to measure [default: libkvds.so beside this program]
    #[arg(long, value_name = "FILE")]
    library: Option<PathBuf>,
}

#[derive(Subcommand)]
enum What {
    /// Measures the memory of a load of MIB into a disk store
    Load {
        #[arg(default_value_t = 1024)]
        mib: u64,
    },
    /// Measures alternatives: reads at once or one by one, deletions by prefix or by key
    Alternatives,
    #[command(hide = true)]
    Child(child::Child),
}

/// What a run measures.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Stores(Medium),
    Cluster,
}

fn part(text: &str) -> Result<Part, String> {
    match text {
        "memory" => Ok(Part::Stores(Medium::Memory)),
        "disk" => Ok(Part::Stores(Medium::Disk)),
        "cluster" => Ok(Part::Cluster),
        _ => Err("expected memory, disk or cluster".to_owned()),
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
        None => match arguments.run.only {
            Some(Part::Cluster) => cluster::run(&arguments.run, &library),
            Some(Part::Stores(medium)) => run::run(&[medium], &arguments.run, &library),
            None => run::run(&[Medium::Memory, Medium::Disk], &arguments.run, &library),
        },
        Some(What::Load { mib }) => load::run(mib << 20),
        Some(What::Alternatives) => alternatives::run(),
        Some(What::Child(child)) => child.run(),
    }
}
