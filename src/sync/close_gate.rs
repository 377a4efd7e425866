//! A gate: calls enter until it is closed.
//!
//! A [`Gate`] guards a value that many calls use at once and that one call drops. Closing refuses
//! new calls and waits until the running ones leave. A call that may run inside the gate itself
//! closes without waiting; then the last call to leave drops the value.
//!
//! Every call on a store goes through here, so it costs one increment and one decrement, on a
//! counter that few threads share. Locks instead of the counters took three times as many
//! instructions.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::ops::Deref;

use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::sharded::Sharded;
use crate::sync::{Condvar, Mutex};

/// A value that calls can use until it is closed.
pub struct Gate<T> {
    closed: AtomicBool,
    /// For each shard the number of calls inside, in steps of [`ONE`], and the two flags below.
    shards: Sharded<AtomicUsize>,
    /// The number of shards that may still have a call inside.
    busy: AtomicUsize,
    value: UnsafeCell<Option<T>>,
    is_dropped: Mutex<bool>,
    dropped: Condvar,
}

/// The flag of a shard that refuses calls.
const CLOSED: usize = 1;
/// The flag of a closed shard that was empty and has been subtracted from `busy`.
const EMPTIED: usize = 2;
/// One call inside.
const ONE: usize = 4;

// SAFETY: calls inside share the value, and one call takes it, maybe on another thread, as with a
// reader-writer lock.
unsafe impl<T: Send + Sync> Sync for Gate<T> {}

impl<T> Gate<T> {
    /// Creates an open gate.
    pub fn new(value: T) -> Gate<T> {
        let shards = Sharded::new(|| AtomicUsize::new(0));
        let busy = AtomicUsize::new(shards.iter().count());
        Gate {
            closed: AtomicBool::new(false),
            shards,
            busy,
            value: UnsafeCell::new(Some(value)),
            is_dropped: Mutex::new(false),
            dropped: Condvar::new(),
        }
    }

    pub fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Acquire)
    }

    /// Enters, if the gate is open. The value lives as long as the guard. One thread may be inside
    /// several times.
    #[inline]
    pub fn enter(&self) -> Option<Inside<'_, T>> {
        let shard = self.shards.local();
        let before = shard.fetch_add(ONE, Ordering::Acquire);
        let stay = Stay { gate: self, shard };
        if before & CLOSED != 0 {
            return None;
        }
        // SAFETY: the value is taken after every closed shard was empty once. This shard was open
        // when the call was counted, and the call is counted until the guard is dropped.
        let value = unsafe { &*self.value.get() };
        value.as_ref().map(|value| Inside { value, _stay: stay })
    }

    /// Closes the gate, and returns whether it was open. The value is dropped when no call is
    /// inside; with `wait`, before this returns.
    ///
    /// The wait is bounded by the calls that are inside, because no new one enters. A call that
    /// runs a callback of the program takes as long as the callback; inside a callback, no call
    /// waits.
    pub fn close(&self, wait: bool) -> bool {
        if self.closed.swap(true, Ordering::AcqRel) {
            return false;
        }
        for shard in self.shards.iter() {
            if shard.fetch_or(CLOSED, Ordering::AcqRel) < ONE {
                self.emptied(shard);
            }
        }
        if wait {
            let mut is_dropped = self.is_dropped.lock();
            while !*is_dropped {
                self.dropped.wait(&mut is_dropped);
            }
        }
        true
    }

    /// Called when a closed shard is empty: by the last call to leave, and maybe by calls that only
    /// tried to enter. It counts once per shard. After the last shard, it drops the value.
    #[cold]
    fn emptied(&self, shard: &AtomicUsize) {
        // If another call tries to enter just now, that call does this when it leaves.
        let first = shard
            .compare_exchange(CLOSED, CLOSED | EMPTIED, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok();
        if first && self.busy.fetch_sub(1, Ordering::AcqRel) == 1 {
            // SAFETY: all shards are closed and were empty after that, so no call is inside or will
            // enter. One call only gets here.
            let value = unsafe { (*self.value.get()).take() };
            // Without a lock: this can take long and can call callbacks.
            drop(value);
            *self.is_dropped.lock() = true;
            self.dropped.notify_all();
        }
    }
}

/// A call inside a [`Gate`].
pub struct Inside<'a, T> {
    value: &'a T,
    _stay: Stay<'a, T>,
}

impl<T> Deref for Inside<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.value
    }
}

/// Counts a call until it is dropped.
struct Stay<'a, T> {
    gate: &'a Gate<T>,
    shard: &'a AtomicUsize,
}

impl<T> Drop for Stay<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.shard.fetch_sub(ONE, Ordering::Release) == ONE | CLOSED {
            self.gate.emptied(self.shard);
        }
    }
}
