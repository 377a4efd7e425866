//! Locks that the library's own threads wait for.
//!
//! parking_lot has one table of all threads of the process that wait. A forked child inherits the
//! table with the threads that it does not have, and its own threads may begin on their stacks:
//! then one thread is in the table twice, and a search there never ends. The library's own threads
//! wait at any time, also when the program forks. So they wait for locks of the standard library,
//! which keep nothing outside of themselves. These have the interface of parking_lot's.

use std::ops::{Deref, DerefMut};
use std::sync::WaitTimeoutResult;
use std::sync::{self, PoisonError, RwLockReadGuard, RwLockWriteGuard, TryLockError};
use std::time::{Duration, Instant};

/// A lock that one thread has.
#[derive(Default)]
pub struct Mutex<T>(sync::Mutex<T>);

/// Its lock is held, but while a [`Condvar`] waits or in [`MutexGuard::unlocked`].
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    held: Option<sync::MutexGuard<'a, T>>,
}

/// A lock that one thread has for writing, or several for reading.
#[derive(Default)]
pub struct RwLock<T>(sync::RwLock<T>);

/// A condition that threads wait for.
#[derive(Default)]
pub struct Condvar(sync::Condvar);

impl<T> Mutex<T> {
    /// A lock that nobody has.
    pub const fn new(value: T) -> Mutex<T> {
        Mutex(sync::Mutex::new(value))
    }

    /// Waits for the lock. A thread that panicked with it has left the value as it was.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard { mutex: self, held: Some(self.locked()) }
    }

    fn locked(&self) -> sync::MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> RwLock<T> {
    /// Waits for the lock, for reading.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock for reading, unless that takes waiting.
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        match self.0.try_read() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Waits for the lock, for writing.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> MutexGuard<'_, T> {
    /// Calls `run` without the lock.
    pub fn unlocked<R>(guard: &mut Self, run: impl FnOnce() -> R) -> R {
        guard.held = None;
        let result = run();
        guard.held = Some(guard.mutex.locked());
        result
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        let Some(guard) = &self.held else { unreachable!("nobody waits") };
        guard
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        let Some(guard) = &mut self.held else { unreachable!("nobody waits") };
        guard
    }
}

impl Condvar {
    /// A condition that nobody waits for.
    pub const fn new() -> Condvar {
        Condvar(sync::Condvar::new())
    }

    /// Wakes all who wait.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }

    /// Waits without the lock until it is woken, for no reason at times.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let Some(inner) = guard.held.take() else { unreachable!("nobody waits") };
        guard.held = Some(self.0.wait(inner).unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits while `condition` holds, no longer than `time`.
    pub fn wait_while_for<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        condition: impl FnMut(&mut T) -> bool,
        time: Duration,
    ) -> WaitTimeoutResult {
        let Some(inner) = guard.held.take() else { unreachable!("nobody waits") };
        let waited = self.0.wait_timeout_while(inner, time, condition);
        let (inner, result) = waited.unwrap_or_else(PoisonError::into_inner);
        guard.held = Some(inner);
        result
    }

    /// Waits while `condition` holds, until `end` at the latest.
    pub fn wait_while_until<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        condition: impl FnMut(&mut T) -> bool,
        end: Instant,
    ) -> WaitTimeoutResult {
        self.wait_while_for(guard, condition, end.saturating_duration_since(Instant::now()))
    }
}
