//! The benchmark as its own child: what a peer does in a fresh process, so that memory, writes and
//! caches of one peer are not taken for those of another.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Subcommand;

use crate::data::Data;
use crate::peer::{Durability, Medium, Peer};
use crate::{cost, peers, ycsb};

/// What a child does.
#[derive(Clone, Copy, Subcommand)]
pub enum Task {
    /// Fills a store, and prints its costs.
    Fill,
    /// Opens a store and reads a key.
    Open,
    /// Fills a store one key at a time.
    Load,
    /// Runs a mix of YCSB.
    Ycsb { letter: char, threads: usize, inserted: u64 },
}

impl Task {
    fn arguments(self) -> Vec<String> {
        match self {
            Task::Fill => vec!["fill".to_owned()],
            Task::Open => vec!["open".to_owned()],
            Task::Load => vec!["load".to_owned()],
            Task::Ycsb { letter, threads, inserted } => {
                vec![
                    "ycsb".to_owned(),
                    letter.to_string(),
                    threads.to_string(),
                    inserted.to_string(),
                ]
            }
        }
    }
}

/// The arguments of a child.
#[derive(clap::Args)]
pub struct Child {
    peer: String,
    keys: u64,
    directory: PathBuf,
    #[arg(long)]
    disk: bool,
    #[command(subcommand)]
    task: Task,
}

impl Child {
    /// Does the task, and prints its figures, one in a line.
    pub fn run(&self) -> Result<()> {
        let (medium, durability) = if self.disk {
            (Medium::Disk, Durability::ProcessCrash)
        } else {
            (Medium::Memory, Durability::None)
        };
        let peer = peers::on(medium, durability).into_iter().find(|peer| peer.name == self.peer);
        let peer = peer.with_context(|| format!("there is no peer {}", self.peer))?;
        let (data, directory) = (Data::usual(self.keys), &self.directory);
        match self.task {
            Task::Fill => cost::fill(&peer, data, directory),
            Task::Open => cost::open(&peer, data, directory),
            Task::Load => ycsb::load(&peer, data, directory),
            Task::Ycsb { letter, threads, inserted } => {
                ycsb::run(&peer, data, directory, letter, threads, inserted)
            }
        }
    }
}

/// Runs a child; returns what it printed.
pub fn ask(task: Task, peer: &Peer, keys: u64, directory: &Path, library: &Path) -> Result<String> {
    // This name refers to the running program, even if it was rebuilt.
    let mut command = Command::new("/proc/self/exe");
    command
        .arg("--library")
        .arg(library)
        .args(["child", peer.name, &keys.to_string()])
        .arg(directory);
    if peer.medium == Medium::Disk {
        command.arg("--disk");
    }
    let output = command.args(task.arguments()).stderr(Stdio::inherit()).output()?;
    ensure!(
        output.status.success(),
        "{} failed to {}: {}",
        peer.name,
        task.arguments().join(" "),
        output.status
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// A figure that a child printed.
pub fn answer(text: &str, name: &str) -> Result<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|number| number.trim().parse().ok())
        .with_context(|| format!("a child did not print {name}"))
}
