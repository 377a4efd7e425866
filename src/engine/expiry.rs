//! Deletes the keys whose time is over.
//!
//! One thread serves all memory and disk stores of the process. Every second it lets each store
//! with deadlines delete what is due, a few keys at a time, in turn. The thread starts with the
//! first deadline and ends with the last store. A program without deadlines has no such thread.
//!
//! Reads do not look at deadlines: a key is there until an ordinary write deletes it. So
//! conditions, snapshots, cursors and watches need no rule of their own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::sys::clock;
use crate::sys::fork::{self, OwnerProcess, PerProcess};
use crate::sys::locks::Mutex;
use crate::sys::signals;

/// The time between two rounds.
const INTERVAL: Duration = Duration::from_secs(1);

/// The keys that a store deletes in one step. Other stores have their turn between two steps, and
/// writers of the store have theirs.
pub const STEP: usize = 256;

/// A store with deadlines.
pub trait Expiring: Send + Sync {
    /// Deletes up to about [`STEP`] keys whose deadline is not after `now`. Returns whether more
    /// may be due.
    ///
    /// It does not wait for locks that a call of the program may hold: what is locked is deleted in
    /// a later round. A process may fork between two steps only, so a child inherits no lock that
    /// this thread holds.
    fn expire(&self, now: u64) -> bool;
}

type Target = Mutex<Option<Weak<dyn Expiring>>>;

/// Lets an engine expire its keys while stores use it.
#[derive(Default)]
pub struct Expiry {
    /// The stores that use the engine.
    stores: AtomicUsize,
    registered: Mutex<Option<(OwnerProcess, Arc<Target>)>>,
}

impl Expiry {
    /// Reports a store that uses the engine. If it has deadlines already, `target` expires them.
    pub fn attach(&self, target: Option<Weak<dyn Expiring>>) {
        self.stores.fetch_add(1, Ordering::SeqCst);
        if let Some(target) = target {
            // The store works without the thread, and tries again with the next deadline.
            let _ = self.start(|| target);
        }
    }

    /// Reports that a store does not use the engine any more. Returns whether it was the last one;
    /// then no step runs, and none follows.
    pub fn detach(&self) -> bool {
        if self.stores.fetch_sub(1, Ordering::SeqCst) > 1 {
            return false;
        }
        let registered = self.registered.lock().take();
        if let Some((_, target)) = registered.filter(|(owner, _)| owner.is_current()) {
            // Waits for a running step, which has an owner of the engine in its hands.
            target.lock().take();
        }
        true
    }

    /// Makes sure that the deadlines of `target` are looked at.
    pub fn start(&self, target: impl FnOnce() -> Weak<dyn Expiring>) -> Result<()> {
        let mut registered = self.registered.lock();
        if registered.as_ref().is_some_and(|(owner, _)| owner.is_current()) {
            return Ok(());
        }
        let target = Arc::new(Target::new(Some(target())));
        SERVICE.get().add(&target)?;
        *registered = Some((OwnerProcess::current(), target));
        Ok(())
    }
}

static SERVICE: PerProcess<Arc<Service>> = PerProcess::new();

#[derive(Default)]
struct Service(Mutex<Targets>);

#[derive(Default)]
struct Targets {
    all: Vec<Arc<Target>>,
    is_running: bool,
}

impl Service {
    fn add(self: &Arc<Service>, target: &Arc<Target>) -> Result<()> {
        let mut targets = self.0.lock();
        if !targets.is_running {
            let running = self.clone();
            let spawn = || {
                let run = move || running.run();
                thread::Builder::new().name("kvds-expiry".to_owned()).spawn(run)
            };
            signals::blocked(spawn).map_err(|cause| {
                Error::io("cannot start the thread that deletes expired keys", cause)
            })?;
            targets.is_running = true;
        }
        targets.all.push(target.clone());
        Ok(())
    }

    fn run(&self) {
        loop {
            thread::sleep(INTERVAL);
            self.round();
            let mut targets = self.0.lock();
            if targets.all.is_empty() {
                targets.is_running = false;
                return;
            }
        }
    }

    /// Lets all stores delete what is due now.
    fn round(&self) {
        // What becomes due later is for the next round, so this ends.
        let now = clock::now();
        let mut due = self.0.lock().all.clone();
        while !due.is_empty() {
            due.retain(|target| step(target, now));
        }
        self.0.lock().all.retain(|target| target.lock().as_ref().is_some_and(is_alive));
    }
}

fn is_alive(target: &Weak<dyn Expiring>) -> bool {
    target.strong_count() > 0
}

/// Runs a step of one store. Returns whether more may be due.
fn step(target: &Target, now: u64) -> bool {
    let target = target.lock();
    // Dropped under the lock: see `Expiry::detach`.
    let engine = target.as_ref().and_then(Weak::upgrade);
    engine.is_some_and(|engine| fork::excluded(|| engine.expire(now)))
}

/// Deletes what is due, as the thread does every second.
#[cfg(feature = "testing")]
pub fn run_once() {
    SERVICE.get().round();
}
