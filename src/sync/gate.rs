//! Letting calls in until something is closed.
//!
//! A [`Gate`] guards a value that many calls use at once and that one call takes away. Closing lets
//! nobody in any more and waits until those inside are out. Who must not wait, because it may be
//! inside itself, closes without: then the last one out takes the value away.
//!
//! Every call on a store goes through here, so it is as little as it can be: one count up and one
//! down, and for each shard a count of its own, so that threads don't get in each other's way.
//! Locks in place of the counts took three times as many instructions.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::ops::Deref;

use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::sharded::Sharded;
use crate::sync::{Condvar, Mutex};

/// A value that can be used until it is closed.
pub struct Gate<T> {
    closed: AtomicBool,
    /// For each shard, how many are inside, in steps of [`ONE`], and the two marks below.
    shards: Sharded<AtomicUsize>,
    /// How many shards there may still be somebody in.
    busy: AtomicUsize,
    value: UnsafeCell<Option<T>>,
    /// Whether the value is gone.
    ended: Mutex<bool>,
    end: Condvar,
}

/// The mark of a shard that lets nobody in.
const CLOSED: usize = 1;
/// The mark of a closed shard that was found empty and has been counted as such.
const EMPTIED: usize = 2;
/// One that is inside.
const ONE: usize = 4;

// SAFETY: those inside share the value, and one takes it, maybe on another thread: as with a
// reader-writer lock.
unsafe impl<T: Send + Sync> Sync for Gate<T> {}

impl<T> Gate<T> {
    /// An open gate.
    pub fn new(value: T) -> Gate<T> {
        let shards = Sharded::new(|| AtomicUsize::new(0));
        let busy = AtomicUsize::new(shards.iter().count());
        Gate {
            closed: AtomicBool::new(false),
            shards,
            busy,
            value: UnsafeCell::new(Some(value)),
            ended: Mutex::new(false),
            end: Condvar::new(),
        }
    }

    /// Whether calls are let in.
    pub fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Acquire)
    }

    /// Goes in, if the gate is open. The value stays for as long as the guard lives. One thread may
    /// be inside several times.
    #[inline]
    pub fn enter(&self) -> Option<Inside<'_, T>> {
        let shard = self.shards.local();
        let before = shard.fetch_add(ONE, Ordering::Acquire);
        let stay = Stay { gate: self, shard };
        if before & CLOSED != 0 {
            return None;
        }
        // SAFETY: the value is taken when all shards were found empty after they were closed. This
        // one was open when the stay was counted, and it is counted until the guard is dropped.
        let value = unsafe { &*self.value.get() };
        value.as_ref().map(|value| Inside { value, _stay: stay })
    }

    /// Closes the gate. The value is dropped when nobody is inside any more: before this returns if
    /// it is to `wait`. Nobody comes in after it is closed, so the wait ends when the calls that
    /// are inside do. Only a call that runs a callback of the host's can take as long as it likes,
    /// and from inside a callback nobody waits. Returns whether the gate was open.
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
            let mut ended = self.ended.lock();
            while !*ended {
                self.end.wait(&mut ended);
            }
        }
        true
    }

    /// A closed shard is empty. That is noticed by the last one to go out, and maybe by others who
    /// only tried to come in; it counts once. The last shard takes the value along.
    #[cold]
    fn emptied(&self, shard: &AtomicUsize) {
        // If somebody tries to come in just now, this is left to him.
        let first = shard
            .compare_exchange(CLOSED, CLOSED | EMPTIED, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok();
        if first && self.busy.fetch_sub(1, Ordering::AcqRel) == 1 {
            // SAFETY: all shards are closed and were empty after that, so nobody is inside or will
            // be. Only one comes here.
            let value = unsafe { (*self.value.get()).take() };
            // No lock is held meanwhile: this can take long and can call back.
            drop(value);
            *self.ended.lock() = true;
            self.end.notify_all();
        }
    }
}

/// A stay inside a [`Gate`].
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

/// What is counted, and counted back when it ends.
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
