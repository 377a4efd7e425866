//! Per-thread shards of hot counters.
//!
//! A processor that writes a cache line takes it from the others, and fetching it back takes longer
//! than most calls. So threads are distributed over a few copies of a value, each on cache lines of
//! its own.

#[cfg(not(any(loom, shuttle)))]
use std::{
    cell::Cell,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// The number of shards.
const SHARDS: usize = if cfg!(any(loom, shuttle)) { 2 } else { 8 };

/// A value that shares its cache lines with no other. It has two, because processors fetch them in
/// pairs.
#[derive(Default)]
#[repr(C, align(128))]
pub struct CachePadded<T>(pub T);

/// A value per shard.
#[derive(Default)]
#[repr(transparent)]
pub struct Sharded<T>([CachePadded<T>; SHARDS]);

impl<T> Sharded<T> {
    pub fn new(mut make: impl FnMut() -> T) -> Sharded<T> {
        Sharded(std::array::from_fn(|_| CachePadded(make())))
    }

    /// Returns the value for the calling thread.
    #[inline]
    pub fn local(&self) -> &T {
        &self.0[thread_shard()].0
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|shard| &shard.0)
    }
}

#[cfg(not(any(loom, shuttle)))]
thread_local! {
    static THREAD_SHARD: Cell<usize> = const { Cell::new(usize::MAX) };
}

#[cfg(any(loom, shuttle))]
fn thread_shard() -> usize {
    crate::sync::thread_number() % SHARDS
}

/// Returns the index of the calling thread's shard.
#[cfg(not(any(loom, shuttle)))]
#[inline]
fn thread_shard() -> usize {
    let shard = THREAD_SHARD.get();
    if shard < SHARDS { shard } else { assign_shard() }
}

#[cfg(not(any(loom, shuttle)))]
#[cold]
fn assign_shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let shard = NEXT.fetch_add(1, Relaxed) % SHARDS;
    THREAD_SHARD.set(shard);
    shard
}
