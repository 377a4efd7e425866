//! What kvds is to reach. A line that misses is shown as such; nothing fails for it.

use serde::Serialize;

use crate::boundary::{BOUND, Boundary};
use crate::contest::Row;
use crate::data::Data;
use crate::peer::Medium;
use crate::peers::{ORIGINAL, PAPAYA};
use crate::plan::Group;

/// A line, and how many times as much as kvds something else is to need at least.
struct Target {
    name: &'static str,
    threads: usize,
    metric: &'static str,
    against: Against,
    at_least: f64,
}

enum Against {
    Peer(&'static str),
    /// kvds itself, in another line.
    Line(&'static str),
}

const fn original(name: &'static str, threads: usize, metric: &'static str, at_least: f64) -> Target {
    Target { name, threads, metric, against: Against::Peer(ORIGINAL), at_least }
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
    Target { name: "get, hit", threads: 1, metric: "per call", against: Against::Peer(PAPAYA), at_least: 1.0 / 1.3 },
    Target {
        name: "set, during iterations",
        threads: 1,
        metric: "p99",
        against: Against::Line("set, alone"),
        at_least: 0.5,
    },
];

/// How large the store of most targets is, and the one where nothing may be slower than the original.
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
        let same = |row: &&Row| row.name == name && row.threads == target.threads && row.metric == target.metric;
        rows.iter().filter(same).find(|row| row.medium == Medium::Memory && row.data == Data::usual(LARGE))
    };
    let row = find(target.name)?;
    let line = label(row);
    Some(match target.against {
        Against::Peer(peer) => verdict(line, peer, target.at_least, row.score(peer)?.times),
        Against::Line(other) => {
            verdict(line, other, target.at_least, find(other)?.subject().median / row.subject().median)
        }
    })
}

/// A line in words.
pub fn label(row: &Row) -> String {
    let threads = if row.threads > 1 { format!(", {} threads", row.threads) } else { String::new() };
    let quantile = if row.metric.starts_with('p') && !row.metric.starts_with("per") { row.metric } else { "" };
    let quantile = if quantile.is_empty() { String::new() } else { format!(", {quantile}") };
    format!("{}{threads}{quantile}", row.name)
}

/// What was found of each target that was measured.
pub fn verdicts(rows: &[Row], boundary: Option<Boundary>) -> Vec<Verdict> {
    let mut verdicts: Vec<_> = IN_MEMORY.iter().filter_map(|target| judge(target, rows)).collect();
    let small = |row: &&Row| row.medium == Medium::Memory && row.data == Data::usual(SMALL) && row.group != Group::Cost;
    let small = rows.iter().filter(small);
    verdicts.extend(small.filter_map(|row| {
        Some(verdict(format!("{}, {SMALL} keys", label(row)), ORIGINAL, 1.0, row.score(ORIGINAL)?.times))
    }));
    verdicts.extend(boundary.map(|boundary| {
        let added = boundary.added();
        let reached = if added > 0.0 { BOUND / added } else { f64::MAX };
        verdict(format!("instructions that C adds to a get: {added:.0}"), "fewer than 40", 1.0, reached)
    }));
    verdicts
}
