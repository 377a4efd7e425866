//! The locks of loom and shuttle, which are like those of the standard library, in the form of
//! parking_lot's.
//!
//! Two things of parking_lot's are not modelled: that one thread may have a lock for reading
//! several times (these tools take no notice of that, or refuse it), and that a reader queues
//! behind a writer that waits.

use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;

#[cfg(loom)]
use loom::{sync, thread};
#[cfg(all(shuttle, not(loom)))]
use shuttle::{sync, thread};

pub use sync::{RwLockReadGuard, RwLockWriteGuard, atomic};

/// A lock.
#[derive(Default)]
pub struct Mutex<T>(sync::Mutex<T>);

/// Held until this is dropped, and while nobody waits with it.
pub struct MutexGuard<'a, T>(Option<sync::MutexGuard<'a, T>>);

const WAITS: &str = "only waiting takes the lock out, and puts it back";

impl<T> Mutex<T> {
    /// Not locked.
    pub fn new(value: T) -> Mutex<T> {
        Mutex(sync::Mutex::new(value))
    }

    /// Locks.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Locks, if nobody else does.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok().map(|guard| MutexGuard(Some(guard)))
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect(WAITS)
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect(WAITS)
    }
}

/// Something to wait for.
pub struct Condvar(sync::Condvar);

impl Condvar {
    /// Nobody waits.
    pub fn new() -> Condvar {
        Condvar(sync::Condvar::new())
    }

    /// Waits.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.0.take().expect(WAITS);
        guard.0 = Some(self.0.wait(held).unwrap_or_else(PoisonError::into_inner));
    }

    /// Wakes all who wait.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// A lock that readers share.
#[derive(Default)]
pub struct RwLock<T>(sync::RwLock<T>);

impl<T> RwLock<T> {
    /// Not locked.
    pub fn new(value: T) -> RwLock<T> {
        RwLock(sync::RwLock::new(value))
    }

    /// Locks with other readers.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks with other readers.
    pub fn read_recursive(&self) -> RwLockReadGuard<'_, T> {
        self.read()
    }

    /// Locks alone.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks alone, if nobody else locks.
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        self.0.try_write().ok()
    }
}

/// The number of the calling thread, the same in each run of a model. What both tools have of it is
/// a text.
pub fn thread_number() -> usize {
    let text = format!("{:?}", thread::current().id());
    text.bytes()
        .filter(u8::is_ascii_digit)
        .fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))
}
