//! Counters of operations.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::engine::Stats;
use crate::sync::sharded::Sharded;

/// Counters of reads and writes.
#[derive(Default)]
pub struct OpCounters(Sharded<Counters>);

#[derive(Default)]
struct Counters {
    reads: AtomicU64,
    hits: AtomicU64,
    writes: AtomicU64,
}

impl OpCounters {
    /// Counts the lookup of a key.
    #[inline]
    pub fn count_read(&self, is_hit: bool) {
        let counters = self.0.local();
        counters.reads.fetch_add(1, Relaxed);
        if is_hit {
            counters.hits.fetch_add(1, Relaxed);
        }
    }

    /// Counts applied operations.
    pub fn count_writes(&self, operations: usize) {
        self.0.local().writes.fetch_add(operations as u64, Relaxed);
    }

    /// Returns statistics with the sums, and zeros elsewhere.
    pub fn stats(&self) -> Stats {
        let sum = |counter: fn(&Counters) -> &AtomicU64| {
            self.0.iter().map(|shard| counter(shard).load(Relaxed)).sum()
        };
        Stats {
            reads: sum(|counters| &counters.reads),
            hits: sum(|counters| &counters.hits),
            writes: sum(|counters| &counters.writes),
            ..Stats::default()
        }
    }
}
