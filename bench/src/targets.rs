//! The targets of kvds. The report shows which ones are missed; no run fails for that.

use serde::Serialize;

use crate::boundary::{BOUND, Boundary};
use crate::contest::Row;
use crate::data::Data;
use crate::peer::Medium;
use crate::peers::{LEVELDB, LMDB, ORIGINAL, PAPAYA, RAW_LOG, ROCKSDB, TRANSACTION_DB};
use crate::plan::Group;

/// A line, and the least number of times as much as kvds that another needs.
struct Target {
    name: &'static str,
    threads: usize,
    metric: &'static str,
    against: Against,
    at_least: f64,
}

enum Against {
    Peer(&'static str),
    /// The fastest of these peers.
    Best(&'static [&'static str]),
    /// kvds itself, in another line.
    Line(&'static str),
}

const fn target(
    name: &'static str,
    threads: usize,
    metric: &'static str,
    against: Against,
    at_least: f64,
) -> Target {
    Target { name, threads, metric, against, at_least }
}

const fn original(
    name: &'static str,
    threads: usize,
    metric: &'static str,
    at_least: f64,
) -> Target {
    target(name, threads, metric, Against::Peer(ORIGINAL), at_least)
}

/// In memory, with a million keys.
const IN_MEMORY: &[Target] = &[
    original("get, hit", 1, "per call", 4.0),
    original("exists", 1, "per call", 4.0),
    original("get, miss", 1, "per call", 4.0),
    original("update", 1, "per call", 3.5),
    original("compare_and_swap", 1, "per call", 3.5),
    original("set_nx, key is there", 1, "per call", 3.5),
    original("load, random order", 1, "per call", 1.5),
    original("iterate a prefix", 1, "per pair", 1.5),
    original("iterate everything", 1, "per pair", 2.0),
    original("get", 2, "per call", 12.0),
    original("50:50", 2, "per call", 10.0),
    original("resident memory, per key", 1, "", 1.0),
    target("get, hit", 1, "per call", Against::Peer(PAPAYA), 1.0 / 1.3),
    target("set, during iterations", 1, "p99", Against::Line("set, alone"), 0.5),
];

/// On disk, with a million keys; synced lines have fewer.
const ON_DISK: &[Target] = &[
    original("get, hit", 1, "per call", 2.7),
    target("get, hit, zipfian", 1, "per call", Against::Peer(LMDB), 1.0),
    original("get, miss", 1, "per call", 4.0),
    original("load, random order", 1, "per call", 1.4),
    original("update", 1, "per call", 1.4),
    target("update", 1, "per call", Against::Peer(LEVELDB), 0.8),
    target("compare_and_swap", 1, "per call", Against::Peer(TRANSACTION_DB), 1.5),
    original("set_batch of 1,000", 1, "per key", 1.3),
    original("iterate a prefix", 1, "per pair", 1.5),
    original("iterate everything", 1, "per pair", 1.5),
    original("set, synced", 4, "per call", 1.0),
    target("set, synced", 4, "per call", Against::Peer(RAW_LOG), 1.0 / 1.3),
    target("YCSB A: 50 read, 50 update", 2, "warm", BEST, 1.0),
    target("YCSB B: 95 read, 5 update", 2, "warm", BEST, 1.0),
    target("YCSB C: read", 2, "warm", BEST, 0.8),
    target("YCSB D: 95 read latest, 5 insert", 2, "warm", BEST, 1.0),
    target("YCSB F: 50 read, 50 read-modify-write", 2, "warm", BEST, 1.0),
    target("YCSB A: 50 read, 50 update", 2, "cold", BEST, 0.6),
    target("YCSB B: 95 read, 5 update", 2, "cold", BEST, 0.6),
    target("YCSB C: read", 2, "cold", BEST, 0.6),
    target("YCSB D: 95 read latest, 5 insert", 2, "cold", BEST, 0.6),
    target("YCSB F: 50 read, 50 read-modify-write", 2, "cold", BEST, 0.6),
    target("YCSB E: 95 scan, 5 insert", 2, "warm", Against::Peer(LEVELDB), 0.8),
    target("YCSB E: 95 scan, 5 insert", 2, "warm", Against::Peer(LMDB), 1.0),
    original("disk space, per key", 1, "", 1.0),
    original("open and read a key", 1, "", 1.0),
];

/// The fastest of the stores that a user would choose from.
const BEST: Against = Against::Best(&[ROCKSDB, LEVELDB, LMDB, "redb", "fjall", "SQLite"]);

/// The number of keys of most targets, and of the store where nothing may be slower than the
/// original.
const LARGE: u64 = 1_000_000;
const SMALL: u64 = 10_000;

#[derive(Clone, Serialize)]
pub struct Verdict {
    pub line: String,
    pub against: String,
    pub at_least: f64,
    pub reached: f64,
    pub met: bool,
}

fn verdict(line: String, against: &str, at_least: f64, reached: f64) -> Verdict {
    Verdict { line, against: against.to_owned(), at_least, reached, met: reached >= at_least }
}

fn judge(target: &Target, rows: &[Row]) -> Option<Verdict> {
    let find = |name: &str| {
        let same = |row: &&Row| {
            row.name == name && row.threads == target.threads && row.metric == target.metric
        };
        let same = || rows.iter().filter(same).filter(|row| row.data == Data::usual(row.data.keys));
        // In the short form, loads and costs on disk have other numbers of keys.
        same()
            .find(|row| row.data.keys == LARGE)
            .or_else(|| same().find(|row| row.medium == Medium::Disk))
    };
    let row = find(target.name)?;
    let line = label(row);
    let score = |peer: &&str| row.score(peer);
    Some(match target.against {
        Against::Peer(peer) => verdict(line, peer, target.at_least, score(&peer)?.times),
        Against::Best(peers) => {
            let best = peers
                .iter()
                .filter_map(score)
                .min_by(|one, other| one.times.total_cmp(&other.times))?;
            verdict(line, &format!("the best, {}", best.peer), target.at_least, best.times)
        }
        Against::Line(other) => verdict(
            line,
            other,
            target.at_least,
            find(other)?.subject().median / row.subject().median,
        ),
    })
}

/// Returns the name of a line with threads and quantile.
pub fn label(row: &Row) -> String {
    let threads =
        if row.threads > 1 { format!(", {} threads", row.threads) } else { String::new() };
    let quantile =
        if row.metric.starts_with('p') && !row.metric.starts_with("per") { row.metric } else { "" };
    let quantile = if quantile.is_empty() { String::new() } else { format!(", {quantile}") };
    format!("{}{threads}{quantile}", row.name)
}

/// Judges each target that was measured.
pub fn verdicts(rows: &[Row], boundary: Option<Boundary>) -> Vec<Verdict> {
    let targets =
        if rows.iter().all(|row| row.medium == Medium::Memory) { IN_MEMORY } else { ON_DISK };
    let mut verdicts: Vec<_> = targets.iter().filter_map(|target| judge(target, rows)).collect();
    let small = |row: &&Row| {
        row.medium == Medium::Memory && row.data == Data::usual(SMALL) && row.group != Group::Cost
    };
    let small = rows.iter().filter(small);
    verdicts.extend(small.filter_map(|row| {
        Some(verdict(
            format!("{}, {SMALL} keys", label(row)),
            ORIGINAL,
            1.0,
            row.score(ORIGINAL)?.times,
        ))
    }));
    verdicts.extend(boundary.map(|boundary| {
        let added = boundary.added();
        let reached = if added > 0.0 { BOUND / added } else { f64::MAX };
        verdict(
            format!("instructions that C adds to a get: {added:.0}"),
            "fewer than 40",
            1.0,
            reached,
        )
    }));
    verdicts
}
