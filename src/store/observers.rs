//! Death observers: callbacks that run when a store is destroyed.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex};

use super::identity::Backend;
use crate::sys::reentrancy;

/// A store that was destroyed.
#[derive(Clone, Copy, Debug)]
pub struct Death<'a> {
    /// The tag.
    pub tag: u64,
    /// The id.
    pub id: &'a CStr,
    /// The backend.
    pub backend: Backend,
}

type OnDeath = dyn Fn(Death<'_>) + Send + Sync;

/// The observers of a distributor.
#[derive(Default)]
pub struct Observers {
    next_id: AtomicU64,
    list: Mutex<BTreeMap<u64, Arc<Observer>>>,
}

struct Observer {
    state: Mutex<ObserverState>,
    idle: Condvar,
}

struct ObserverState {
    /// `None` after the observer was removed. The last owner drops the callback and its data.
    on_death: Option<Arc<OnDeath>>,
    running_calls: usize,
}

impl Observers {
    /// Adds an observer and returns its id for [`Observers::remove`].
    ///
    /// `on_death` runs without locks. It is dropped once, after its last run.
    pub fn add(&self, on_death: impl Fn(Death<'_>) + Send + Sync + 'static) -> u64 {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let on_death: Arc<OnDeath> = Arc::new(on_death);
        let state = Mutex::new(ObserverState { on_death: Some(on_death), running_calls: 0 });
        self.list.lock().insert(id, Arc::new(Observer { state, idle: Condvar::new() }));
        id
    }

    /// Removes an observer. Returns whether it existed.
    ///
    /// Waits for its running calls, and no call follows. Inside a callback it does not wait.
    pub fn remove(&self, id: u64) -> bool {
        // It stays in the list until its calls end, so that a second caller waits for them too.
        let Some(observer) = self.list.lock().get(&id).cloned() else { return false };
        let mut state = observer.state.lock();
        let on_death = state.on_death.take();
        // No call begins from here on. The running calls are callbacks of the program.
        while state.running_calls > 0 && !reentrancy::running() {
            observer.idle.wait(&mut state);
        }
        if state.running_calls == 0 {
            self.list.lock().remove(&id);
        }
        drop(state);
        on_death.is_some()
    }

    /// Calls all observers. Skips an observer that is removed before its call begins.
    pub fn notify(&self, death: Death<'_>) {
        let observers: Vec<_> =
            self.list.lock().iter().map(|(id, observer)| (*id, observer.clone())).collect();
        for (id, observer) in observers {
            if observer.call(death) {
                self.list.lock().remove(&id);
            }
        }
    }
}

impl Observer {
    /// Calls the observer. Returns whether it was removed meanwhile and this was its last call.
    fn call(&self, death: Death<'_>) -> bool {
        let mut state = self.state.lock();
        let Some(on_death) = state.on_death.clone() else { return false };
        state.running_calls += 1;
        drop(state);

        struct Done<'a>(&'a Observer);
        impl Drop for Done<'_> {
            fn drop(&mut self) {
                self.0.state.lock().running_calls -= 1;
                self.0.idle.notify_all();
            }
        }
        let done = Done(self);
        reentrancy::run(|| on_death(death));
        // Dropped before the call counts as ended, so that a thread that waits for the call is the
        // last owner.
        drop(on_death);
        drop(done);
        let state = self.state.lock();
        state.on_death.is_none() && state.running_calls == 0
    }
}
