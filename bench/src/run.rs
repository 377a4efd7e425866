//! Runs a plan and reports the results.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use jiff::Zoned;

use crate::Choices;
use crate::boundary::Boundary;
use crate::contest::{self, Row, Settings};
use crate::cost;
use crate::data::{Data, Versions, Zipfian};
use crate::machine::Machine;
use crate::peer::{Field, Medium, Pair, Peer, Store};
use crate::peers;
use crate::plan::{self, Stage};
use crate::plots;
use crate::progress::Progress;
use crate::report::Report;
use crate::scratch::Scratch;
use crate::targets;
use crate::work::{Ground, Work};
use crate::worker::{Choice, Op};
use crate::ycsb;

const ROUNDS: (usize, usize) = (5, 9);

/// Runs the chosen lines, and prints and writes the results.
pub fn run(media: &[Medium], choices: &Choices, library: &Path) -> Result<()> {
    let scratch = Scratch::new(&choices.directory)?;
    for &medium in media {
        let report = on(medium, choices, library, &scratch)?;
        report.print_head();
        report.print_rows();
        report.print_targets();
        let path = report.write(&choices.out)?;
        println!("\nWritten: {}", path.display());
        for path in plots::draw(&report, &choices.out)? {
            println!("Written: {}", path.display());
        }
        println!();
    }
    Ok(())
}

fn on(medium: Medium, choices: &Choices, library: &Path, scratch: &Scratch) -> Result<Report> {
    let start = Instant::now();
    let machine = Machine::here(scratch.root());
    let rounds = if choices.full { ROUNDS.1 } else { ROUNDS.0 };
    let settings = Settings { rounds, filter: choices.filter.as_deref() };
    let stages = plan::stages(medium, choices.full);
    let wanted =
        |stage: &Stage| stage.lines.iter().filter(|line| settings.wants(line.name)).count() as u64;
    let mixes = if medium == Medium::Disk { ycsb::lines(choices.full) } else { 0 };
    let steps = stages.iter().map(wanted).sum::<u64>() + cost::lines(medium) + mixes;
    let progress = Progress::new(steps);

    let mut rows: Vec<Row> = Vec::new();
    let mut taking_part: Vec<Peer> = Vec::new();
    for stage in &stages {
        let field = field(stage, choices)?;
        rows.extend(contest::run(stage, &field, &settings, scratch, &progress)?);
        scratch.clear();
        for peer in field.peers() {
            if !taking_part
                .iter()
                .any(|known| known.name == peer.name && known.durability == peer.durability)
            {
                taking_part.push(peer.clone());
            }
        }
    }
    // The costs hardly vary, so fewer rounds are enough.
    if let Some(stage) = stages.iter().find(|stage| stage.filled && stage.among.is_none()) {
        let (keys, rounds) = match (medium, choices.full) {
            (Medium::Memory, full) => (1_000_000, if full { 3 } else { 1 }),
            (Medium::Disk, true) => (8_000_000, 3),
            (Medium::Disk, false) => (800_000, 1),
        };
        rows.extend(cost::rows(
            &field(stage, choices)?,
            keys,
            rounds,
            &settings,
            library,
            scratch,
            &progress,
        )?);
        if medium == Medium::Disk {
            rows.extend(ycsb::rows(
                &field(stage, choices)?,
                choices.full,
                if choices.full { 3 } else { 1 },
                &settings,
                library,
                scratch,
                &progress,
            )?);
        }
    }
    rows.extend(cost::growth(&rows));

    let program = std::env::current_exe()?.with_file_name("kvds-boundary");
    let boundary = (medium == Medium::Memory && choices.filter.is_none()).then(|| {
        progress.say("counting the instructions of a get");
        Boundary::count(&program, library)
    });
    let mut left_out = peers::left_out().into_iter().map(str::to_owned).collect::<Vec<_>>();
    let boundary = match boundary.transpose() {
        Ok(boundary) => boundary,
        Err(error) => {
            left_out.push(format!("{error:#}"));
            None
        }
    };
    progress.finish();
    eprintln!("{} s", start.elapsed().as_secs());
    Ok(Report {
        date: Zoned::now().strftime("%Y-%m-%d-%H%M%S").to_string(),
        form: if choices.full { "full" } else { "short" },
        medium,
        machine,
        library: library.to_owned(),
        rounds,
        peers: taking_part,
        left_out,
        own_cost_ns: own_cost(),
        boundary,
        targets: targets::verdicts(&rows, boundary),
        rows,
    })
}

/// Returns the peers of a stage.
fn field(stage: &Stage, choices: &Choices) -> Result<Field> {
    let mut field = Field::new(peers::on(stage.medium, stage.durability))?;
    if let Some(among) = stage.among {
        field = field.only(among);
    }
    if let Some(chosen) = &choices.peers {
        field = field.only(&chosen.iter().map(String::as_str).collect::<Vec<_>>());
    }
    Ok(field)
}

/// Measures the cost of a call without a store.
fn own_cost() -> f64 {
    struct Nothing;
    impl Store for Nothing {
        fn get(&self, _: &[u8]) -> Option<u64> {
            None
        }
        fn exists(&self, _: &[u8]) -> bool {
            false
        }
        fn set(&self, _: &[u8], _: &[u8]) {}
        fn del(&self, _: &[u8]) {}
        fn set_batch(&self, _: &[Pair<'_>]) {}
    }
    let data = Data::usual(1_000_000);
    let (zipfian, versions) = (Zipfian::new(data.keys), Versions::new(data.keys));
    let ground = Ground::new(&Nothing, data, &zipfian, &versions);
    let work = Work::Mix(&[(Op::Nothing, 100)], Choice::Uniform);
    let calls = ground.calibrate(work, 1, Duration::from_millis(20));
    let rounds: Vec<_> = (0..5).map(|round| ground.run(work, 1, calls, round)[0]).collect();
    contest::median(&rounds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::Durability;

    #[test]
    fn every_stage_has_data_and_lines() {
        for medium in [Medium::Memory, Medium::Disk] {
            for full in [false, true] {
                for stage in plan::stages(medium, full) {
                    assert!(stage.data.keys > 0 && !stage.lines.is_empty());
                    assert_eq!(stage.durability == Durability::None, medium == Medium::Memory);
                }
            }
        }
    }
}
