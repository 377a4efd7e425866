//! The results of a run: tables to read, and JSON for programs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::boundary::Boundary;
use crate::contest::Row;
use crate::data::Data;
use crate::machine::Machine;
use crate::peer::{Durability, Medium, Peer};
use crate::targets::{Verdict, label};

/// The results of one medium.
#[derive(Serialize)]
pub struct Report {
    pub date: String,
    pub form: &'static str,
    pub medium: Medium,
    pub machine: Machine,
    pub library: PathBuf,
    pub rounds: usize,
    pub peers: Vec<Peer>,
    pub left_out: Vec<String>,
    /// The benchmark's own nanoseconds per call: it chooses a key, generates it and a value, and
    /// reads both.
    pub own_cost_ns: f64,
    pub boundary: Option<Boundary>,
    pub targets: Vec<Verdict>,
    pub rows: Vec<Row>,
}

/// Returns a number with three significant digits.
pub fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

pub fn table(header: Vec<String>, left: usize) -> Table {
    let columns = header.len();
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    for index in left..columns {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Returns a description of the data.
pub fn data_text(data: Data) -> String {
    format!("{} keys of {} bytes with values of {} bytes", data.keys, data.key_len, data.value_len)
}

impl Report {
    /// Prints the machine, the peers and their settings.
    pub fn print_head(&self) {
        println!("{} form, {} rounds, {}", self.form, self.rounds, self.date);
        println!("{}", self.machine.text());
        println!("kvds: {}", self.library.display());
        println!();
        let mut peers =
            table(["", "version", "a write survives", "settings"].map(str::to_owned).to_vec(), 4);
        for peer in &self.peers {
            let durability = peer.durability.to_string();
            peers.add_row([peer.name, &peer.version, &durability, peer.settings]);
        }
        println!("{peers}");
        self.left_out.iter().for_each(|text| println!("{text}"));
        println!();
        println!(
            "The benchmark's own cost per call, included in all figures: {:.0} ns.",
            self.own_cost_ns
        );
    }

    /// Prints the rows: a table per level of durability and set of data.
    pub fn print_rows(&self) {
        let mut kinds: Vec<(Durability, Data)> = Vec::new();
        for row in &self.rows {
            if !kinds.contains(&(row.durability, row.data)) {
                kinds.push((row.durability, row.data));
            }
        }
        for (durability, data) in kinds {
            let rows: Vec<_> = self
                .rows
                .iter()
                .filter(|row| row.durability == durability && row.data == data)
                .collect();
            let mut peers: Vec<&str> = Vec::new();
            for score in rows.iter().flat_map(|row| &row.scores[1..]) {
                if !peers.contains(&score.peer) {
                    peers.push(score.peer);
                }
            }
            println!(
                "\n{}. A write survives {durability}. Peers: how many times as much as kvds.\n",
                data_text(data)
            );
            let header = ["", "", "threads", "kvds", ""].into_iter().chain(peers.iter().copied());
            let mut table = table(header.map(str::to_owned).collect(), 2);
            for row in rows {
                let fixed = [
                    row.group.name().to_owned(),
                    label(&Row { threads: 1, ..row.clone() }),
                    row.threads.to_string(),
                    figure(row.subject().median),
                    format!(
                        "{} {}",
                        row.unit,
                        if row.metric.starts_with("per") { row.metric } else { "" }
                    ),
                ];
                let times = peers.iter().map(|peer| {
                    row.score(peer).map_or_else(|| "-".to_owned(), |score| figure(score.times))
                });
                table.add_row(fixed.into_iter().chain(times));
            }
            println!("{table}");
        }
    }

    pub fn print_targets(&self) {
        if let Some(boundary) = &self.boundary {
            let Boundary { through_c, store, engine } = boundary;
            println!(
                "\nInstructions of a get: {through_c:.0} through C, {store:.0} of a store in Rust, \
                 {engine:.0} of the engine."
            );
        }
        if self.targets.is_empty() {
            return;
        }
        println!("\nTargets: how many times as much as kvds the peer needs.\n");
        let mut table =
            table(["", "against", "at least", "reached", ""].map(str::to_owned).to_vec(), 2);
        for target in &self.targets {
            let met = if target.met { "met" } else { "NOT MET" };
            table.add_row([
                &target.line,
                &target.against,
                &figure(target.at_least),
                &figure(target.reached),
                met,
            ]);
        }
        println!("{table}");
        let met = self.targets.iter().filter(|target| target.met).count();
        println!("\n{met} of {} are met.", self.targets.len());
    }

    /// Returns the name of the files, without extension.
    pub fn stem(&self) -> String {
        let medium = if self.medium == Medium::Memory { "memory" } else { "disk" };
        format!("{}-{}-{medium}", self.date, self.form)
    }

    pub fn write(&self, directory: &Path) -> Result<PathBuf> {
        fs::create_dir_all(directory)?;
        let path = directory.join(self.stem() + ".json");
        fs::write(&path, serde_json::to_string_pretty(self)? + "\n")?;
        Ok(path)
    }
}
