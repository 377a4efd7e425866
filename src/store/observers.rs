//! Observers of the deaths of stores.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex};

use super::identity::Backend;
use crate::sys::reentrancy;

/// The end of a store, as its observers are told of it.
#[derive(Clone, Copy, Debug)]
pub struct Death<'a> {
    /// The store's tag.
    pub tag: u64,
    /// The store's id.
    pub id: &'a CStr,
    /// The store's backend.
    pub backend: Backend,
}

type OnDeath = dyn Fn(Death<'_>) + Send + Sync;

/// Those who want to know of deaths.
#[derive(Default)]
pub struct Observers {
    next: AtomicU64,
    list: Mutex<BTreeMap<u64, Arc<Observer>>>,
}

struct Observer {
    state: Mutex<Attendance>,
    idle: Condvar,
}

struct Attendance {
    /// Taken out when the observer is removed; whoever holds the last share of it drops it, and
    /// with it the host's data.
    on_death: Option<Arc<OnDeath>>,
    calls: usize,
}

impl Observers {
    /// Adds an observer; the number returned takes it away again.
    ///
    /// `on_death` runs with no lock held. What it owns is dropped once, when it will never run
    /// again.
    pub fn add(&self, on_death: impl Fn(Death<'_>) + Send + Sync + 'static) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let state = Mutex::new(Attendance { on_death: Some(Arc::new(on_death)), calls: 0 });
        self.list.lock().insert(number, Arc::new(Observer { state, idle: Condvar::new() }));
        number
    }

    /// Takes an observer away. When this returns, no call of it is running or will come; only from
    /// inside a callback, calls that are still running on other threads or further down this one
    /// are not waited for. Returns whether there was such an observer.
    pub fn remove(&self, number: u64) -> bool {
        // It stays in the list until its calls are done, so that a second caller waits for them
        // too.
        let Some(observer) = self.list.lock().get(&number).cloned() else { return false };
        let mut state = observer.state.lock();
        let on_death = state.on_death.take();
        // No call begins any more, as there is nothing to call; those that run are the host's own
        // functions.
        while state.calls > 0 && !reentrancy::running() {
            observer.idle.wait(&mut state);
        }
        if state.calls == 0 {
            self.list.lock().remove(&number);
        }
        drop(state);
        on_death.is_some()
    }

    /// Calls all observers. Skips an observer that is removed before its call begins.
    pub fn notify(&self, death: Death<'_>) {
        let observers: Vec<_> =
            self.list.lock().iter().map(|(number, observer)| (*number, observer.clone())).collect();
        for (number, observer) in observers {
            if observer.notify(death) {
                self.list.lock().remove(&number);
            }
        }
    }
}

impl Observer {
    /// Calls the observer. Returns whether it was removed meanwhile and this was its last call.
    fn notify(&self, death: Death<'_>) -> bool {
        let mut state = self.state.lock();
        let Some(on_death) = state.on_death.clone() else { return false };
        state.calls += 1;
        drop(state);

        struct Done<'a>(&'a Observer);
        impl Drop for Done<'_> {
            fn drop(&mut self) {
                self.0.state.lock().calls -= 1;
                self.0.idle.notify_all();
            }
        }
        let done = Done(self);
        reentrancy::run(|| on_death(death));
        // The share goes before the call counts as done, so that the one who waits for it drops the
        // last share.
        drop(on_death);
        drop(done);
        let state = self.state.lock();
        state.on_death.is_none() && state.calls == 0
    }
}
