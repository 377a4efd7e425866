//! Counting what is done, without the counting threads getting in each other's way.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::Stats;

/// How many counters there are of each kind; threads are dealt out among them.
const LANES: usize = 8;

/// Counters of reads and writes.
#[derive(Default)]
pub struct Tally([Lane; LANES]);

/// Alone on its cache lines (two, as processors fetch them in pairs).
#[derive(Default)]
#[repr(align(128))]
struct Lane {
    reads: AtomicU64,
    hits: AtomicU64,
    writes: AtomicU64,
}

thread_local! {
    static LANE: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn lane() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let mut lane = LANE.get();
    if lane == usize::MAX {
        lane = NEXT.fetch_add(1, Relaxed) % LANES;
        LANE.set(lane);
    }
    lane
}

impl Tally {
    /// Counts a look for a key, and passes on whether it was there.
    pub fn read<T>(&self, found: Option<T>) -> Option<T> {
        let lane = &self.0[lane()];
        lane.reads.fetch_add(1, Relaxed);
        lane.hits.fetch_add(found.is_some().into(), Relaxed);
        found
    }

    /// Counts operations that were applied.
    pub fn wrote(&self, operations: usize) {
        self.0[lane()].writes.fetch_add(operations as u64, Relaxed);
    }

    /// The sums, in otherwise empty figures.
    pub fn stats(&self) -> Stats {
        let sum = |counter: fn(&Lane) -> &AtomicU64| self.0.iter().map(|lane| counter(lane).load(Relaxed)).sum();
        Stats {
            reads: sum(|lane| &lane.reads),
            hits: sum(|lane| &lane.hits),
            writes: sum(|lane| &lane.writes),
            ..Stats::default()
        }
    }
}
