//! Letting calls in until something is closed.
//!
//! A [`Gate`] guards a value that many calls use at once and that one call takes away. Closing lets nobody in any more and
//! waits until those inside are out. Who must not wait, because it may be inside itself, closes without: then the last one
//! out takes the value away.
//!
//! There is a copy of the value for each lane, behind a lock of its own, so that going in and out is cheap for many threads;
//! closing goes through all lanes.

use std::ops::Deref;
use std::sync::atomic::compiler_fence;

use crate::lanes::Lanes;
use crate::sync::atomic::{AtomicBool, Ordering, fence};
use crate::sync::{RwLock, RwLockReadGuard};

/// A value that can be used until it is closed.
pub struct Gate<T> {
    closed: AtomicBool,
    lanes: Lanes<RwLock<Option<T>>>,
}

impl<T: Clone> Gate<T> {
    /// An open gate.
    pub fn new(value: T) -> Gate<T> {
        Gate { closed: AtomicBool::new(false), lanes: Lanes::new(|| RwLock::new(Some(value.clone()))) }
    }
}

impl<T> Gate<T> {
    /// Whether calls are let in.
    #[inline]
    pub fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Acquire)
    }

    /// Goes in, if the gate is open. The value stays for as long as the guard lives. One thread may be inside several times.
    #[inline]
    pub fn enter(&self) -> Option<Inside<'_, T>> {
        if !self.is_open() {
            return None;
        }
        let lane = self.lanes.mine();
        // Recursive: a second entry by a thread that is inside must not queue behind a closing that waits for that thread.
        let value = lane.read_recursive();
        value.is_some().then_some(Inside { value, _out: Out { closed: &self.closed, lane } })
    }

    /// Closes the gate. The value is dropped when nobody is inside any more: before this returns if it is to `wait`.
    /// Returns whether the gate was open.
    pub fn close(&self, wait: bool) -> bool {
        if self.closed.swap(true, Ordering::SeqCst) {
            return false;
        }
        fence(Ordering::SeqCst);
        for lane in self.lanes.iter() {
            if wait {
                let value = lane.write().take();
                drop(value);
            } else {
                clear(lane);
            }
        }
        true
    }
}

/// Drops a lane's copy of the value unless somebody is inside, who will do it then.
#[cold]
fn clear<T>(lane: &RwLock<Option<T>>) {
    // The lock is free again before the value is dropped: that can take long and can call back.
    let value = lane.try_write().and_then(|mut value| value.take());
    drop(value);
}

/// A stay inside a [`Gate`].
pub struct Inside<'a, T> {
    // Dropped in this order.
    value: RwLockReadGuard<'a, Option<T>>,
    _out: Out<'a, T>,
}

impl<T> Deref for Inside<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        let Some(value) = &*self.value else { unreachable!("a gate with someone inside keeps its value") };
        value
    }
}

/// What happens when someone has gone out.
struct Out<'a, T> {
    closed: &'a AtomicBool,
    lane: &'a RwLock<Option<T>>,
}

impl<T> Drop for Out<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // The fences here and in `close`: either this load sees the closing, or the closing's `try_write` sees the lock free.
        // On this processor the instruction that frees the lock is such a fence already, and it is an expensive one.
        if cfg!(all(target_arch = "x86_64", not(loom))) {
            compiler_fence(Ordering::SeqCst);
        } else {
            fence(Ordering::SeqCst);
        }
        if self.closed.load(Ordering::SeqCst) {
            clear(self.lane);
        }
    }
}
