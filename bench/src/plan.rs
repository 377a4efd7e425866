//! The lines to measure, in stages that share their data and peers.

use std::time::Duration;

use serde::Serialize;

use crate::data::{Data, LONG_KEY, SHORT_KEY};
use crate::peer::{Durability, Medium};
use crate::peers::{LEVELDB, ORIGINAL, PAPAYA, TRANSACTION_DB};
use crate::work::Work;
use crate::worker::{Choice, Mix, Op};

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Line {
    pub group: Group,
    pub name: &'static str,
    pub work: Work,
    pub threads: usize,
    /// The names of the peers, or None for all.
    pub among: Option<&'static [&'static str]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    Point,
    Range,
    Batch,
    Threads,
    Ycsb,
    While,
    Cost,
    Sync,
}

impl Group {
    pub fn name(self) -> &'static str {
        match self {
            Group::Point => "point",
            Group::Range => "range",
            Group::Batch => "batch",
            Group::Threads => "threads",
            Group::Ycsb => "ycsb",
            Group::While => "while",
            Group::Cost => "cost",
            Group::Sync => "sync",
        }
    }
}

/// Lines on one set of data.
pub struct Stage {
    pub medium: Medium,
    pub durability: Durability,
    pub data: Data,
    /// The names of the peers, or None for all.
    pub among: Option<&'static [&'static str]>,
    /// Whether the stores are filled before the lines run.
    pub filled: bool,
    pub lines: Vec<Line>,
    /// The approximate time of one run of a line.
    pub budget: Duration,
}

const fn one(op: Op) -> Mix {
    match op {
        Op::Get => &[(Op::Get, 100)],
        Op::Miss => &[(Op::Miss, 100)],
        Op::Exists => &[(Op::Exists, 100)],
        Op::Update => &[(Op::Update, 100)],
        Op::Insert => &[(Op::Insert, 100)],
        Op::Del => &[(Op::Del, 100)],
        Op::SetNx => &[(Op::SetNx, 100)],
        Op::Swap => &[(Op::Swap, 100)],
        Op::Scan(_) => &[(Op::Scan(100), 100)],
        Op::ScanBack(_) => &[(Op::ScanBack(100), 100)],
        _ => &[(Op::Nothing, 100)],
    }
}

const READ: Mix = one(Op::Get);
const MOSTLY_READ: Mix = &[(Op::Get, 95), (Op::Update, 5)];
const HALF_READ: Mix = &[(Op::Get, 50), (Op::Update, 50)];
const SCAN: Mix = &[(Op::ScanUpTo(100), 95), (Op::Insert, 5)];
const MODIFY: Mix = &[(Op::Get, 50), (Op::ReadModifyWrite, 50)];

/// The peers in the targets of a load. Others take too long for the short form.
const LOADED: &[&str] = &[ORIGINAL, LEVELDB];

fn line(group: Group, name: &'static str, work: Work) -> Line {
    Line { group, name, work, threads: 1, among: None }
}

fn uniform(name: &'static str, op: Op) -> Line {
    line(Group::Point, name, Work::Mix(one(op), Choice::Uniform))
}

/// Reads come first, so that they find the filled data.
fn points() -> Vec<Line> {
    vec![
        uniform("get, hit", Op::Get),
        line(Group::Point, "get, hit, zipfian", Work::Mix(READ, Choice::Zipfian)),
        uniform("get, miss", Op::Miss),
        uniform("exists", Op::Exists),
        uniform("set_nx, key is there", Op::SetNx),
        uniform("update", Op::Update),
        uniform("compare_and_swap", Op::Swap),
        uniform("insert", Op::Insert),
        uniform("del", Op::Del),
    ]
}

fn ranges() -> Vec<Line> {
    vec![
        line(Group::Range, "iterate a prefix", Work::Prefix),
        line(Group::Range, "iterate everything", Work::All),
        line(Group::Range, "cursor, 100 forward", Work::Mix(one(Op::Scan(100)), Choice::Uniform)),
        line(
            Group::Range,
            "cursor, 100 backward",
            Work::Mix(one(Op::ScanBack(100)), Choice::Uniform),
        ),
    ]
}

fn batches(full: bool) -> Vec<Line> {
    let mut lines = vec![
        line(Group::Batch, "set_batch of 10", Work::Batch(10)),
        line(Group::Batch, "set_batch of 1,000", Work::Batch(1000)),
    ];
    if full {
        lines.push(line(Group::Batch, "set_batch of 100,000", Work::Batch(100_000)));
    }
    lines
}

fn threads(counts: &[usize]) -> Vec<Line> {
    let mixes: [(&str, Mix); 5] = [
        ("get", READ),
        ("95:5", MOSTLY_READ),
        ("50:50", HALF_READ),
        ("scan + insert", SCAN),
        ("read-modify-write", MODIFY),
    ];
    let with = |(name, mix): (&'static str, Mix), threads| Line {
        threads,
        ..line(Group::Threads, name, Work::Mix(mix, Choice::Uniform))
    };
    mixes
        .into_iter()
        .flat_map(|mix| counts.iter().map(move |threads| with(mix, *threads)))
        .collect()
}

fn whiles() -> Vec<Line> {
    vec![
        line(Group::While, "set, alone", Work::SetWhile { iterating: false }),
        line(Group::While, "set, during iterations", Work::SetWhile { iterating: true }),
        line(Group::While, "get, alone", Work::GetWhile { loading: false }),
        line(Group::While, "get, during a bulk load", Work::GetWhile { loading: true }),
    ]
}

fn loads() -> Vec<Line> {
    vec![
        line(Group::Point, "load, random order", Work::Load { sorted: false }),
        line(Group::Point, "load, sorted", Work::Load { sorted: true }),
    ]
}

/// Returns all stages of a medium.
pub fn stages(medium: Medium, full: bool) -> Vec<Stage> {
    let milliseconds = |short, long| Duration::from_millis(if full { long } else { short });
    let durability =
        if medium == Medium::Memory { Durability::None } else { Durability::ProcessCrash };
    let stage = |data, filled, lines: Vec<Line>, among| Stage {
        medium,
        durability,
        data,
        among: if full { None } else { among },
        filled,
        lines,
        budget: milliseconds(40, 250),
    };
    let usual = Data::usual(1_000_000);
    let counts: &[usize] = if full { &[1, 2, 4] } else { &[1, 2] };
    let main = |extra: Vec<Line>| [points(), ranges(), batches(full), extra].concat();

    let mut stages = Vec::new();
    if medium == Medium::Memory {
        stages.push(stage(
            Data::usual(10_000),
            true,
            main(threads(&[2])),
            Some(&[ORIGINAL, PAPAYA]),
        ));
        stages.push(stage(usual, false, loads(), Some(LOADED)));
        let extra = [threads(if full { counts } else { &[2, 4] }), whiles()].concat();
        stages.push(stage(usual, true, main(extra), None));
    } else {
        stages.push(stage(
            Data::usual(if full { 1_000_000 } else { 100_000 }),
            false,
            loads(),
            Some(LOADED),
        ));
        let extra = [threads(&[2]), whiles()].concat();
        let extra = extra
            .into_iter()
            .filter(|line| full || line.threads == 1 || ["get", "50:50"].contains(&line.name));
        stages.push(stage(usual, true, main(extra.collect()), None));
        stages.push(Stage {
            durability: Durability::PowerCut,
            budget: milliseconds(150, 1000),
            ..stage(Data::usual(1000), false, syncs(), None)
        });
    }
    if full {
        // Growth, and other sizes of keys and values, for the peers in the targets.
        let huge = Stage {
            among: Some(&[ORIGINAL, PAPAYA, LEVELDB, TRANSACTION_DB]),
            ..stage(Data::usual(10_000_000), true, [points(), ranges()].concat(), None)
        };
        stages.push(huge);
        if medium == Medium::Disk {
            stages.push(stage(Data::usual(10_000), true, [points(), ranges()].concat(), None));
        }
        for (keys, key_len, value_len) in
            [(1_000_000, SHORT_KEY, 100), (200_000, LONG_KEY, 1 << 10), (4_000, LONG_KEY, 64 << 10)]
        {
            let lines = points()
                .into_iter()
                .filter(|line| ["get, hit", "update", "insert"].contains(&line.name));
            let lines = lines.chain([line(Group::Range, "iterate everything", Work::All)]);
            stages.push(stage(Data { keys, key_len, value_len }, true, lines.collect(), None));
        }
    }
    stages
}

fn syncs() -> Vec<Line> {
    let set = |threads| Line {
        threads,
        ..line(Group::Sync, "set, synced", Work::Mix(one(Op::Update), Choice::Uniform))
    };
    vec![set(1), set(2), set(4)]
}
