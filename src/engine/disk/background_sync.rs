//! Background sync: makes writes survive a power failure within a second.
//!
//! A thread looks at all stores of the process every half second. It hands those with unsynced
//! writes to helper threads, which sync them at the same time: a disk takes as long for many syncs
//! at once as for a few. So the delay does not grow with the number of stores, and a store on a
//! hanging disk does not delay the others.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::sys::fork::PerProcess;
use crate::sys::locks::{Condvar, Mutex, MutexGuard};
use crate::sys::log::{self, Level};
use crate::sys::signals;

/// The time between two rounds. With the time of the syncs, no write waits longer than a second on
/// a disk that is not overloaded.
const INTERVAL: Duration = Duration::from_millis(500);

/// The stores that one helper syncs in a round: half an interval on a rotating disk, at 15 ms each.
const STORES_PER_HELPER: usize = 16;

/// The helpers that work at the same time. More are started only while some hang,
const HELPERS: usize = 32;

/// up to this many.
const MAX_HELPERS: usize = 64;

/// The time after which an idle helper ends.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

const HELPER_NAME: &str = "kvds-sync-help";

type Sync = Box<dyn Fn() -> Result<()> + Send>;

/// Keeps a store synced. Dropping it syncs the store a last time if it is dirty, and waits for a
/// running sync. That is one sync at most, because a helper unlocks the slot after each.
pub struct SyncHandle {
    slot: Arc<SyncSlot>,
    service: Arc<SyncService>,
}

struct SyncSlot {
    /// Set by a write, cleared by the next sync.
    dirty: AtomicBool,
    /// In the queue or with a helper.
    queued: AtomicBool,
    sync: Mutex<Option<Sync>>,
}

/// Starts a thread of the service.
type Spawn = fn(&'static str, Box<dyn FnOnce() + Send>) -> io::Result<()>;

struct SyncService {
    slots: Mutex<Slots>,
    round: Mutex<Round>,
    /// Signaled when the queue grows.
    more: Condvar,
    /// Signaled when the last store of the queue is synced.
    done: Condvar,
    /// Set while there are too few helpers: each writer then syncs what it wrote.
    behind: AtomicBool,
    spawn: Spawn,
}

#[derive(Default)]
struct Slots {
    all: Vec<Arc<SyncSlot>>,
    /// Whether the thread runs that looks at them.
    is_running: bool,
}

#[derive(Default)]
struct Round {
    queue: VecDeque<Arc<SyncSlot>>,
    /// The slots in the queue or with a helper.
    unfinished: usize,
    helpers: usize,
    idle_helpers: usize,
}

static SERVICE: PerProcess<Arc<SyncService>> = PerProcess::new();

impl Default for SyncService {
    fn default() -> SyncService {
        SyncService::new(|name, run| {
            signals::blocked(|| thread::Builder::new().name(name.to_owned()).spawn(run)).map(drop)
        })
    }
}

impl SyncHandle {
    /// Calls `sync` within a second after [`SyncHandle::mark_dirty`].
    pub fn new(sync: impl Fn() -> Result<()> + Send + 'static) -> Result<SyncHandle> {
        SyncHandle::with_service(SERVICE.get(), sync)
    }

    fn with_service(
        service: &Arc<SyncService>,
        sync: impl Fn() -> Result<()> + Send + 'static,
    ) -> Result<SyncHandle> {
        let slot = Arc::new(SyncSlot {
            dirty: AtomicBool::new(false),
            queued: AtomicBool::new(false),
            sync: Mutex::new(Some(Box::new(sync))),
        });
        let mut slots = service.slots.lock();
        if !slots.is_running {
            let running = service.clone();
            (service.spawn)("kvds-sync", Box::new(move || running.run()))
                .map_err(|cause| Error::io("cannot start the thread for background sync", cause))?;
            slots.is_running = true;
        }
        slots.all.push(slot.clone());
        drop(slots);
        Ok(SyncHandle { slot, service: service.clone() })
    }

    /// Reports a write. The calling thread syncs it if there are too few helpers.
    pub fn mark_dirty(&self) {
        self.slot.dirty.store(true, Ordering::Release);
        if self.service.behind.load(Ordering::Relaxed) {
            self.slot.sync("cannot sync");
        }
    }
}

impl Drop for SyncHandle {
    fn drop(&mut self) {
        self.slot.sync("cannot sync before closing");
        self.slot.sync.lock().take();
        self.service.slots.lock().all.retain(|slot| !Arc::ptr_eq(slot, &self.slot));
    }
}

impl SyncSlot {
    fn sync(&self, what: &str) {
        // Locked before the flag is cleared, so a thread that closes the store meanwhile finds it
        // either synced or dirty.
        let sync = self.sync.lock();
        if let Some(sync) = &*sync
            && self.dirty.swap(false, Ordering::Acquire)
            && let Err(error) = sync()
        {
            log::line(Level::Error, || format!("{what}: {error}"));
            self.dirty.store(true, Ordering::Relaxed);
        }
    }
}

impl SyncService {
    fn new(spawn: Spawn) -> SyncService {
        SyncService {
            slots: Mutex::default(),
            round: Mutex::default(),
            more: Condvar::new(),
            done: Condvar::new(),
            behind: AtomicBool::new(false),
            spawn,
        }
    }

    fn run(self: Arc<SyncService>) {
        let mut pause = INTERVAL;
        loop {
            // Only after everything is synced: tests/powercut.rs takes the pause for the end of a
            // round.
            thread::sleep(pause);
            let mut start = Instant::now();
            loop {
                let mut slots = self.slots.lock();
                if slots.all.is_empty() {
                    slots.is_running = false;
                    return;
                }
                drop(slots);
                self.queue_dirty();
                if self.wait_until_done(start + INTERVAL) {
                    break;
                }
                start = Instant::now();
            }
            pause = INTERVAL.saturating_sub(start.elapsed()).max(Duration::from_millis(1));
        }
    }

    /// Queues the dirty stores and starts the helpers that are missing.
    fn queue_dirty(self: &Arc<SyncService>) {
        let take = |slot: &&Arc<SyncSlot>| {
            slot.dirty.load(Ordering::Relaxed) && !slot.queued.swap(true, Ordering::Relaxed)
        };
        let due: Vec<_> = self.slots.lock().all.iter().filter(take).cloned().collect();
        let mut round = self.round.lock();
        round.unfinished += due.len();
        round.queue.extend(due);
        let wanted = round.queue.len().div_ceil(STORES_PER_HELPER).min(HELPERS);
        let missing = wanted
            .saturating_sub(round.idle_helpers)
            .min(MAX_HELPERS.saturating_sub(round.helpers));
        let mut behind = false;
        for started in 0..missing {
            let running = self.clone();
            if let Err(cause) = (self.spawn)(HELPER_NAME, Box::new(move || running.help())) {
                log::line(Level::Warn, || {
                    format!("cannot start a helper thread for background sync: {cause}")
                });
                // The running helpers, or this thread alone, may be enough.
                behind =
                    round.queue.len() > STORES_PER_HELPER * (round.idle_helpers + started).max(1);
                break;
            }
            round.helpers += 1;
        }
        self.behind.store(behind, Ordering::Relaxed);
        self.more.notify_all();
        if round.helpers == 0 {
            while self.sync_next(&mut round) {}
        }
    }

    /// Waits until all queued stores are synced, or until `end`. Returns whether they are.
    fn wait_until_done(&self, end: Instant) -> bool {
        let mut round = self.round.lock();
        let late =
            self.done.wait_while_until(&mut round, |round| round.unfinished != 0, end).timed_out();
        // A sync that hangs is not in the queue, so it does not make the writers of other stores
        // sync.
        if !round.queue.is_empty() {
            self.behind.store(true, Ordering::Relaxed);
        }
        !late
    }

    fn help(&self) {
        let mut round = self.round.lock();
        loop {
            while self.sync_next(&mut round) {}
            round.idle_helpers += 1;
            let waited =
                self.more.wait_while_for(&mut round, |round| round.queue.is_empty(), IDLE_TIMEOUT);
            round.idle_helpers -= 1;
            if waited.timed_out() && round.queue.is_empty() {
                round.helpers -= 1;
                return;
            }
        }
    }

    /// Syncs the first store of the queue. Returns false if the queue is empty.
    fn sync_next(&self, round: &mut MutexGuard<'_, Round>) -> bool {
        let Some(slot) = round.queue.pop_front() else { return false };
        MutexGuard::unlocked(round, || {
            slot.sync("cannot sync in the background");
            slot.queued.store(false, Ordering::Relaxed);
        });
        round.unfinished -= 1;
        if round.unfinished == 0 {
            self.done.notify_all();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;

    use super::*;

    /// Longer than any machine needs.
    const TIMEOUT: Duration = Duration::from_secs(60);

    fn wait_for(what: &str, condition: impl Fn() -> bool) {
        let since = Instant::now();
        while !condition() {
            assert!(since.elapsed() < TIMEOUT, "{what}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Starts helpers, but not the thread that looks at the stores: the test does its work.
    fn start_helpers(name: &'static str, run: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        if name == HELPER_NAME { (SyncService::default().spawn)(name, run) } else { Ok(()) }
    }

    /// Starts the first `SOME` threads and fails from then on.
    fn start_some<const SOME: usize>(
        name: &'static str,
        run: Box<dyn FnOnce() + Send>,
    ) -> io::Result<()> {
        static STARTED: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];
        if STARTED[SOME].fetch_add(1, Ordering::Relaxed) >= SOME {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        (SyncService::default().spawn)(name, run)
    }

    /// One thread once synced all stores in turn. With 300 stores and 4 ms per sync, a write was
    /// still unsynced after 2.6 seconds; with 1,000 stores, after 4.3. In this test each sync ends
    /// only after many others have started.
    #[test]
    fn many_stores_are_synced_at_the_same_time() {
        const STORES: usize = 300;
        const TOGETHER: usize = STORES.div_ceil(STORES_PER_HELPER);
        let service = Arc::new(SyncService::new(start_helpers));
        let started: Arc<(Mutex<usize>, Condvar)> = Arc::default();
        let stores: Vec<_> = (0..STORES)
            .map(|_| {
                let started = started.clone();
                let sync = move || {
                    let (count, more) = &*started;
                    let mut count = count.lock();
                    *count += 1;
                    more.notify_all();
                    assert!(
                        !more
                            .wait_while_for(&mut count, |count| *count < TOGETHER, TIMEOUT)
                            .timed_out(),
                        "{} of {TOGETHER} syncs at the same time",
                        *count
                    );
                    Ok(())
                };
                SyncHandle::with_service(&service, sync).expect("the thread starts")
            })
            .collect();
        stores.iter().for_each(SyncHandle::mark_dirty);
        service.queue_dirty();
        assert!(service.wait_until_done(Instant::now() + TIMEOUT) && *started.0.lock() == STORES);
        assert!(!service.behind.load(Ordering::Relaxed));
    }

    /// A hanging disk once delayed the syncs of all stores, also on other disks.
    #[test]
    fn a_hanging_sync_delays_no_other_store() {
        let service = Arc::new(SyncService::default());
        let (go_on, hanging) = mpsc::channel::<()>();
        let hanging = Mutex::new(hanging);
        let hangs = Arc::new(AtomicBool::new(false));
        let seen = hangs.clone();
        let stuck = SyncHandle::with_service(&service, move || {
            seen.store(true, Ordering::Relaxed);
            let _ = hanging.lock().recv_timeout(TIMEOUT);
            Ok(())
        });
        let stuck = stuck.expect("the thread starts");
        stuck.mark_dirty();
        wait_for("it hangs", || hangs.load(Ordering::Relaxed));
        let synced = Arc::new(AtomicUsize::new(0));
        let others: Vec<_> = (0..2 * STORES_PER_HELPER)
            .map(|_| {
                let synced = synced.clone();
                SyncHandle::with_service(&service, move || {
                    synced.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                })
                .expect("the thread runs")
            })
            .collect();
        for round in 1..=2 {
            stuck.mark_dirty();
            others.iter().for_each(SyncHandle::mark_dirty);
            wait_for("the others are synced", || {
                synced.load(Ordering::Relaxed) == round * others.len()
            });
        }
        assert!(!service.behind.load(Ordering::Relaxed), "their writers need not sync");
        drop(go_on);
    }

    /// If the system starts no more threads, the running ones continue alone. If they are too few,
    /// the writers sync. A store that no thread would sync is not opened.
    #[test]
    fn without_threads_the_writers_sync() {
        let tester = thread::current().id();
        let open_stores = |service: &Arc<SyncService>, count: usize| {
            let counts: [Arc<AtomicUsize>; 2] = Default::default();
            let open = |_| {
                let [by_service, by_writer] = counts.clone();
                SyncHandle::with_service(service, move || {
                    let count =
                        if thread::current().id() == tester { &by_writer } else { &by_service };
                    count.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                })
            };
            (
                (0..count).map(open).collect::<Result<Vec<_>>>().expect("the thread runs"),
                counts.clone(),
            )
        };
        let none = Arc::new(SyncService::new(start_some::<0>));
        assert!(SyncHandle::with_service(&none, || Ok(())).is_err());

        for service in [SyncService::new(start_some::<1>), SyncService::new(start_some::<2>)] {
            let service = Arc::new(service);
            let (few, [by_service, by_writer]) = open_stores(&service, STORES_PER_HELPER);
            few.iter().for_each(SyncHandle::mark_dirty);
            wait_for("few are synced", || by_service.load(Ordering::Relaxed) == few.len());
            assert_eq!(by_writer.load(Ordering::Relaxed), 0);

            let (many, [_, by_writer]) = open_stores(&service, 5 * STORES_PER_HELPER);
            wait_for("writers sync", || {
                many.iter().for_each(SyncHandle::mark_dirty);
                by_writer.load(Ordering::Relaxed) != 0
            });
            wait_for("the rest is synced", || {
                !many.iter().any(|store| store.slot.dirty.load(Ordering::Relaxed))
            });
            wait_for("writers need not sync any more", || {
                few[0].mark_dirty();
                !service.behind.load(Ordering::Relaxed)
            });
        }
    }
}
