//! What memory stores may hold together.

use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How much all memory stores of a distributor may hold, old versions for snapshots included.
pub struct Budget {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    /// Room for so many bytes; 0 for no limit.
    pub fn new(limit: u64) -> Budget {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Budget { limit: if limit == 0 { usize::MAX } else { limit }, used: AtomicUsize::new(0) }
    }

    /// Whether there is a limit. If there is none, nothing needs to be counted.
    pub fn is_limited(&self) -> bool {
        self.limit < usize::MAX
    }

    /// Takes room, unless there is not enough. Taking none is always possible, also when marks of
    /// deletion went beyond.
    pub fn take(&self, bytes: usize) -> bool {
        let more = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.limit);
        bytes == 0 || self.used.fetch_update(Relaxed, Relaxed, more).is_ok()
    }

    /// Gives room back.
    pub fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Relaxed);
    }

    /// Takes room that there may not be, for what must be possible.
    pub fn overdraw(&self, bytes: usize) {
        self.used.fetch_add(bytes, Relaxed);
    }

    /// How much may be held.
    pub fn limit(&self) -> usize {
        self.limit
    }
}
