//! The mixes A to F of YCSB on disk. Each runs in a fresh process on a store that another process
//! filled and closed, and gives two figures: `cold` for its first calls, `warm` for calls after
//! others have filled the caches.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::child::{Task, answer, ask};
use crate::contest::{Row, Settings, scores};
use crate::data::{Data, Versions, Zipfian};
use crate::peer::{Field, Peer};
use crate::plan::Group;
use crate::progress::Progress;
use crate::scratch::Scratch;
use crate::work::Ground;
use crate::worker::{Choice, Mix, Op};

/// One of the mixes.
pub struct Workload {
    pub letter: char,
    name: &'static str,
    mix: Mix,
    choice: Choice,
}

const fn workload(letter: char, name: &'static str, mix: Mix, choice: Choice) -> Workload {
    Workload { letter, name, mix, choice }
}

const READ_MODIFY_WRITE: Mix = &[(Op::Get, 50), (Op::ReadModifyWrite, 50)];

/// In the order that YCSB recommends: D and E, which insert, come last.
const WORKLOADS: [Workload; 6] = [
    workload(
        'A',
        "YCSB A: 50 read, 50 update",
        &[(Op::Get, 50), (Op::Update, 50)],
        Choice::Zipfian,
    ),
    workload('B', "YCSB B: 95 read, 5 update", &[(Op::Get, 95), (Op::Update, 5)], Choice::Zipfian),
    workload('C', "YCSB C: read", &[(Op::Get, 100)], Choice::Zipfian),
    workload('F', "YCSB F: 50 read, 50 read-modify-write", READ_MODIFY_WRITE, Choice::Zipfian),
    workload(
        'D',
        "YCSB D: 95 read latest, 5 insert",
        &[(Op::GetLatest, 95), (Op::Insert, 5)],
        Choice::Latest,
    ),
    workload(
        'E',
        "YCSB E: 95 scan, 5 insert",
        &[(Op::ScanUpTo(100), 95), (Op::Insert, 5)],
        Choice::Zipfian,
    ),
];

/// How many calls are cold, of all threads together.
const COLD: u64 = 200_000;

/// A process makes so many calls at a time, until it reaches one of the bounds.
const STEP: u64 = 20_000;

/// Bounds for the cold calls of a very slow store, for the calls that warm up, and for those that
/// are measured warm.
const LONGEST_COLD: Duration = Duration::from_secs(20);
const WARM_UP: (u64, Duration) = (1_000_000, Duration::from_secs(3));
const WARM: (u64, Duration) = (1_000_000, Duration::from_secs(3));

/// The stores and the numbers of threads of a run.
pub fn sizes(full: bool) -> (&'static [u64], &'static [usize]) {
    if full { (&[300_000, 1_000_000], &[1, 2]) } else { (&[300_000], &[2]) }
}

/// Fills a new store one key at a time, in random order, and prints what a call took.
pub fn load(peer: &Peer, data: Data, directory: &Path) -> Result<()> {
    let (zipfian, versions) = (Zipfian::new(data.keys), Versions::new(data.keys));
    let store = (peer.open)(directory)?;
    let start = Instant::now();
    Ground::new(&*store, data, &zipfian, &versions).fill(false);
    println!("load {}", start.elapsed().as_nanos() as f64 / data.keys as f64);
    Ok(())
}

/// Runs a mix on a store that is there, of which `inserted` keys come from earlier mixes.
pub fn run(
    peer: &Peer,
    data: Data,
    directory: &Path,
    letter: char,
    threads: usize,
    inserted: u64,
) -> Result<()> {
    let workload = WORKLOADS.iter().find(|workload| workload.letter == letter);
    let Workload { mix, choice, .. } = workload.with_context(|| format!("there is no {letter}"))?;
    let zipfian = Zipfian::new(data.keys);
    // Every process writes other values than those that are there.
    let versions = Versions::from(data.keys, std::process::id() as u8);
    let store = (peer.open)(directory)?;
    let ground = Ground::new(&*store, data, &zipfian, &versions);
    ground.next.store(data.keys + inserted, Ordering::Relaxed);
    let mut round = 0;
    let mut calls = |count: u64, longest: Duration| {
        let (mut time, mut done) = (Duration::ZERO, 0);
        while done < count && time < longest {
            time += ground.timed(mix, *choice, threads, STEP / threads as u64, round);
            done += STEP;
            round += 1;
        }
        time.as_nanos() as f64 / done as f64
    };
    println!("cold {}", calls(COLD, LONGEST_COLD));
    calls(WARM_UP.0, WARM_UP.1);
    println!("warm {}", calls(WARM.0, WARM.1));
    println!("inserted {}", ground.next.load(Ordering::Relaxed) - data.keys);
    Ok(())
}

/// How many lines [`rows`] makes.
pub fn lines(full: bool) -> u64 {
    let (sizes, threads) = sizes(full);
    (sizes.len() * (1 + 2 * WORKLOADS.len() * threads.len())) as u64
}

/// Measures all peers, `rounds` times: within a round, each mix runs on one peer after the other.
pub fn rows(
    field: &Field,
    full: bool,
    rounds: usize,
    settings: &Settings<'_>,
    library: &Path,
    scratch: &Scratch,
    progress: &Progress,
) -> Result<Vec<Row>> {
    if !settings.wants("YCSB") && !WORKLOADS.iter().any(|workload| settings.wants(workload.name)) {
        return Ok(Vec::new());
    }
    let (sizes, threads) = sizes(full);
    let mut rows = Vec::new();
    for keys in sizes {
        let data = Data::usual(*keys);
        // A figure of every peer for every round, by line and form.
        let mut figures: Vec<Figures> = Vec::new();
        for round in 0..rounds {
            let mut stores = Vec::new();
            for peer in field.peers() {
                progress.say(&format!("YCSB load of {}, {keys} keys", peer.name));
                let path = scratch.directory(peer.name)?;
                let text = ask(Task::Load, peer, *keys, &path, library)?;
                note(&mut figures, "YCSB load", 1, "load", peer, round, answer(&text, "load")?);
                stores.push((peer, path, 0));
            }
            for workload in WORKLOADS.iter().filter(|workload| settings.wants(workload.name)) {
                for threads in threads {
                    for (peer, path, inserted) in &mut stores {
                        progress.say(&format!("{} on {}, {keys} keys", workload.name, peer.name));
                        let task = Task::Ycsb {
                            letter: workload.letter,
                            threads: *threads,
                            inserted: *inserted,
                        };
                        let text = ask(task, peer, *keys, path, library)?;
                        for form in ["cold", "warm"] {
                            let figure = answer(&text, form)?;
                            note(&mut figures, workload.name, *threads, form, peer, round, figure);
                        }
                        *inserted = answer(&text, "inserted")? as u64;
                    }
                }
            }
            for (_, path, _) in &stores {
                scratch.remove(path)?;
            }
        }
        rows.extend(figures.into_iter().map(|line| {
            progress.step();
            Row {
                medium: field.subject().medium,
                durability: field.subject().durability,
                group: Group::Ycsb,
                name: line.name.to_owned(),
                threads: line.threads,
                data,
                metric: line.form,
                unit: "ns",
                scores: scores(line.peers),
            }
        }));
    }
    Ok(rows)
}

/// What came out of one line in one form: for each peer, the figures of its rounds.
struct Figures {
    name: &'static str,
    threads: usize,
    form: &'static str,
    peers: Vec<(&'static str, Vec<f64>)>,
}

/// Adds a figure to its line.
fn note(
    all: &mut Vec<Figures>,
    name: &'static str,
    threads: usize,
    form: &'static str,
    peer: &Peer,
    round: usize,
    figure: f64,
) {
    let line = all
        .iter()
        .position(|line| (line.name, line.threads, line.form) == (name, threads, form))
        .unwrap_or_else(|| {
            all.push(Figures { name, threads, form, peers: Vec::new() });
            all.len() - 1
        });
    if round == 0 {
        all[line].peers.push((peer.name, Vec::new()));
    }
    let of_peer = all[line].peers.iter_mut().find(|(name, _)| *name == peer.name);
    if let Some((_, figures)) = of_peer {
        figures.push(figure);
    }
}
