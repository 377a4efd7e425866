//! Locks for the library's own threads.
//!
//! parking_lot keeps all waiting threads of the process in one table. A forked child inherits the
//! table, but not the threads. Its own threads may get their stacks, and then one thread is in the
//! table twice and a search there never ends. The library's own threads may wait while the program
//! forks. So they use locks of the standard library, which have no such table. The interface is
//! parking_lot's.

use std::ops::{Deref, DerefMut};
use std::sync::WaitTimeoutResult;
use std::sync::{self, PoisonError, RwLockReadGuard, RwLockWriteGuard, TryLockError};
use std::time::{Duration, Instant};

#[derive(Default)]
pub struct Mutex<T>(sync::Mutex<T>);

/// Holds the lock, except in [`Condvar::wait`] and in [`MutexGuard::unlocked`].
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    held: Option<sync::MutexGuard<'a, T>>,
}

#[derive(Default)]
pub struct RwLock<T>(sync::RwLock<T>);

#[derive(Default)]
pub struct Condvar(sync::Condvar);

impl<T> Mutex<T> {
    pub const fn new(value: T) -> Mutex<T> {
        Mutex(sync::Mutex::new(value))
    }

    /// Locks. A panic of another holder does not poison the lock: it has left the value consistent.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard { mutex: self, held: Some(self.locked()) }
    }

    fn locked(&self) -> sync::MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> RwLock<T> {
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks for reading, unless that would wait.
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        match self.0.try_read() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> MutexGuard<'_, T> {
    /// Runs `run` without the lock.
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
        let Some(guard) = &self.held else { unreachable!("the guard is only empty during a wait") };
        guard
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        let Some(guard) = &mut self.held else {
            unreachable!("the guard is only empty during a wait")
        };
        guard
    }
}

impl Condvar {
    pub const fn new() -> Condvar {
        Condvar(sync::Condvar::new())
    }

    pub fn notify_all(&self) {
        self.0.notify_all();
    }

    /// Releases the lock, waits, and locks again. Spurious wakeups happen.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let Some(inner) = guard.held.take() else {
            unreachable!("the guard is only empty during a wait")
        };
        guard.held = Some(self.0.wait(inner).unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits while `condition` holds, at most for `time`.
    pub fn wait_while_for<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        condition: impl FnMut(&mut T) -> bool,
        time: Duration,
    ) -> WaitTimeoutResult {
        let Some(inner) = guard.held.take() else {
            unreachable!("the guard is only empty during a wait")
        };
        let waited = self.0.wait_timeout_while(inner, time, condition);
        let (inner, result) = waited.unwrap_or_else(PoisonError::into_inner);
        guard.held = Some(inner);
        result
    }

    /// Waits while `condition` holds, at most until `end`.
    pub fn wait_while_until<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        condition: impl FnMut(&mut T) -> bool,
        end: Instant,
    ) -> WaitTimeoutResult {
        self.wait_while_for(guard, condition, end.saturating_duration_since(Instant::now()))
    }
}
