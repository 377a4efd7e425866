//! Sharded: several copies of something that all threads use, so that they don't get in each
//! other's way.
//!
//! What one processor has just written, another has to fetch, and that takes longer than most
//! calls. So threads are dealt out among a few copies.

#[cfg(not(any(loom, shuttle)))]
use std::{
    cell::Cell,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// How many copies there are.
const SHARDS: usize = if cfg!(any(loom, shuttle)) { 2 } else { 8 };

/// The copies.
#[derive(Default)]
pub struct Sharded<T>([Shard<T>; SHARDS]);

/// Alone on its cache lines (two, as processors fetch them in pairs).
#[derive(Default)]
#[repr(align(128))]
struct Shard<T>(T);

impl<T> Sharded<T> {
    /// Copies as `make` makes them.
    pub fn new(mut make: impl FnMut() -> T) -> Sharded<T> {
        Sharded(std::array::from_fn(|_| Shard(make())))
    }

    /// The copy for the calling thread.
    #[inline]
    pub fn local(&self) -> &T {
        &self.0[number()].0
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|shard| &shard.0)
    }
}

#[cfg(not(any(loom, shuttle)))]
thread_local! {
    static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// The number of the calling thread's shard.
#[cfg(any(loom, shuttle))]
fn number() -> usize {
    crate::sync::thread_number() % SHARDS
}

/// The number of the calling thread's shard.
#[cfg(not(any(loom, shuttle)))]
#[inline]
fn number() -> usize {
    let number = NUMBER.get();
    if number < SHARDS { number } else { deal() }
}

/// Gives the calling thread a shard.
#[cfg(not(any(loom, shuttle)))]
#[cold]
fn deal() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Relaxed) % SHARDS;
    NUMBER.set(number);
    number
}
