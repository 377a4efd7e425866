//! The memory limit of a distributor's memory stores.

use crate::error::{Error, Kind, Result};
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Limits how much all memory stores of a distributor hold, old versions for snapshots included.
pub struct Budget {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    /// Creates a budget of `limit` bytes; 0 for no limit.
    pub fn new(limit: u64) -> Budget {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Budget { limit: if limit == 0 { usize::MAX } else { limit }, used: AtomicUsize::new(0) }
    }

    /// Without a limit, nothing needs to be counted.
    fn is_limited(&self) -> bool {
        self.limit < usize::MAX
    }

    /// Takes the room that a write needs, and returns it. `growth` returns by how much the write
    /// raises and lowers the cost of a store.
    ///
    /// A write that needs no room always succeeds, even if deletions have exceeded the limit.
    #[inline]
    pub fn take(&self, growth: impl FnOnce() -> (usize, usize)) -> Result<usize> {
        if !self.is_limited() {
            return Ok(0);
        }
        let (more, less) = growth();
        let bytes = more.saturating_sub(less);
        let grown = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.limit);
        if bytes == 0 || self.used.fetch_update(Relaxed, Relaxed, grown).is_ok() {
            return Ok(bytes);
        }
        let limit = self.limit;
        let text = format!("the memory stores have reached memory_limit_bytes ({limit})");
        Err(Error::new(Kind::NoMemory, text))
    }

    /// Replaces the `taken` estimate by the real change of a store's cost.
    #[inline]
    pub fn settle(&self, taken: usize, cost_before: usize, cost_after: usize) {
        if !self.is_limited() {
            return;
        }
        match (cost_before + taken).checked_sub(cost_after) {
            Some(unused) => self.used.fetch_sub(unused, Relaxed),
            // Deletions that a snapshot keeps as versions may exceed the limit, because deleting
            // must always be possible.
            None => self.used.fetch_add(cost_after - cost_before - taken, Relaxed),
        };
    }
}
