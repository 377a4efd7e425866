//! Letting calls in until something is closed.
//!
//! A [`Gate`] guards a value that many calls use at once and that one call takes away. Closing lets nobody in any more and
//! waits until those inside are out. Who must not wait, because it may be inside itself, closes without: then the last one
//! out takes the value away.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use parking_lot::{RwLock, RwLockReadGuard};

/// A value that can be used until it is closed.
pub struct Gate<T> {
    closed: AtomicBool,
    value: RwLock<Option<T>>,
}

impl<T> Gate<T> {
    /// An open gate.
    pub fn new(value: T) -> Gate<T> {
        Gate { closed: AtomicBool::new(false), value: RwLock::new(Some(value)) }
    }

    /// Whether calls are let in.
    pub fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Acquire)
    }

    /// Goes in, if the gate is open. The value stays for as long as the guard lives. One thread may be inside several times.
    pub fn enter(&self) -> Option<Inside<'_, T>> {
        if !self.is_open() {
            return None;
        }
        // Recursive: a second entry by a thread that is inside must not queue behind a closing that waits for that thread.
        let value = self.value.read_recursive();
        value.is_some().then_some(Inside { gate: self, value: Some(value) })
    }

    /// Closes the gate. The value is dropped when nobody is inside any more: before this returns if it is to `wait`.
    /// Returns whether the gate was open.
    pub fn close(&self, wait: bool) -> bool {
        if self.closed.swap(true, Ordering::SeqCst) {
            return false;
        }
        fence(Ordering::SeqCst);
        if wait {
            let value = self.value.write().take();
            drop(value);
        } else {
            self.clear();
        }
        true
    }

    /// Drops the value unless somebody is inside, who will do it then.
    fn clear(&self) {
        // The lock is free again before the value is dropped: that can take long and can call back.
        let value = self.value.try_write().and_then(|mut value| value.take());
        drop(value);
    }
}

/// A stay inside a [`Gate`].
pub struct Inside<'a, T> {
    gate: &'a Gate<T>,
    value: Option<RwLockReadGuard<'a, Option<T>>>,
}

impl<T> Deref for Inside<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        let Some(value) = self.value.as_deref().and_then(Option::as_ref) else {
            unreachable!("a gate with someone inside keeps its value")
        };
        value
    }
}

impl<T> Drop for Inside<'_, T> {
    fn drop(&mut self) {
        drop(self.value.take());
        // The fences here and in `close`: either this load sees the closing, or the closing's `try_write` sees the lock free.
        fence(Ordering::SeqCst);
        if self.gate.closed.load(Ordering::SeqCst) {
            self.gate.clear();
        }
    }
}
