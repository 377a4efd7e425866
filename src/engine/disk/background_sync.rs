//! Syncing in the background, for what must survive a power cut after at most a second.
//!
//! A thread looks at all stores of the process every half second and hands those that were written
//! to since to helpers, which sync them at the same time: a disk takes as long for many syncs at
//! once as for a few. So the time until a write is synced does not grow with the number of stores,
//! and a store whose disk hangs holds up no other.

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

/// How often. With the time that a round of syncs takes, no write waits longer than a second on a
/// disk that is not overwhelmed.
const EVERY: Duration = Duration::from_millis(500);

/// How many stores one helper syncs in a round: at 15 ms for a sync, as on a rotating disk, that is
/// half of the time there is.
const EACH: usize = 16;

/// How many helpers work at the same time. More are started only beside some that hang, ...
const HELPERS: usize = 32;

/// ... and not more than this many in all.
const MOST_HELPERS: usize = 64;

/// How long a helper waits for work before it ends.
const IDLE: Duration = Duration::from_secs(5);

/// The name of their threads.
const HELPER: &str = "kvds-sync-help";

type Sync = Box<dyn Fn() -> Result<()> + Send>;

/// A store's slot with the service. Dropping it ends the service, and waits for a sync that is
/// running: one, as a helper lets go of the lock after each.
pub struct SyncHandle {
    slot: Arc<SyncSlot>,
    service: Arc<Service>,
}

struct SyncSlot {
    /// Whether there is something to sync.
    written: AtomicBool,
    /// Whether a helper has it, or will.
    taken: AtomicBool,
    sync: Mutex<Option<Sync>>,
}

/// How a thread of the service is started.
type Start = fn(&'static str, Box<dyn FnOnce() + Send>) -> io::Result<()>;

struct Service {
    slots: Mutex<Places>,
    round: Mutex<Round>,
    /// Something was put into the queue.
    more: Condvar,
    /// The last store of the queue has been synced.
    done: Condvar,
    /// Whether the helpers are too few: then each writer syncs what it wrote.
    behind: AtomicBool,
    start: Start,
}

#[derive(Default)]
struct Places {
    all: Vec<Arc<SyncSlot>>,
    /// Whether the thread that looks at them runs.
    runs: bool,
}

#[derive(Default)]
struct Round {
    queue: VecDeque<Arc<SyncSlot>>,
    /// How many slots are in the queue or with a helper.
    unfinished: usize,
    helpers: usize,
    /// How many helpers wait for work.
    idle: usize,
}

static SERVICE: PerProcess<Arc<Service>> = PerProcess::new();

impl Default for Service {
    fn default() -> Service {
        Service::with(|name, run| {
            signals::blocked(|| thread::Builder::new().name(name.to_owned()).spawn(run)).map(drop)
        })
    }
}

impl SyncHandle {
    /// Has `sync` called within a second after [`SyncHandle::written`].
    pub fn new(sync: impl Fn() -> Result<()> + Send + 'static) -> Result<SyncHandle> {
        SyncHandle::by(SERVICE.get(), sync)
    }

    fn by(
        service: &Arc<Service>,
        sync: impl Fn() -> Result<()> + Send + 'static,
    ) -> Result<SyncHandle> {
        let slot = Arc::new(SyncSlot {
            written: AtomicBool::new(false),
            taken: AtomicBool::new(false),
            sync: Mutex::new(Some(Box::new(sync))),
        });
        let mut slots = service.slots.lock();
        if !slots.runs {
            let running = service.clone();
            (service.start)("kvds-sync", Box::new(move || running.run()))
                .map_err(|cause| Error::io("cannot start the thread that syncs", cause))?;
            slots.runs = true;
        }
        slots.all.push(slot.clone());
        drop(slots);
        Ok(SyncHandle { slot, service: service.clone() })
    }

    /// Something was written.
    pub fn written(&self) {
        self.slot.written.store(true, Ordering::Release);
        if self.service.behind.load(Ordering::Relaxed) {
            self.slot.sync("cannot sync");
        }
    }
}

impl Drop for SyncHandle {
    fn drop(&mut self) {
        // What was written since the last sync is synced now: nobody else will do it.
        self.slot.sync("cannot sync before closing");
        self.slot.sync.lock().take();
        self.service.slots.lock().all.retain(|slot| !Arc::ptr_eq(slot, &self.slot));
    }
}

impl SyncSlot {
    fn sync(&self, what: &str) {
        // Under the lock: who closes the store meanwhile either finds it synced, or finds that it
        // has to.
        let sync = self.sync.lock();
        if let Some(sync) = &*sync
            && self.written.swap(false, Ordering::Acquire)
            && let Err(error) = sync()
        {
            log::line(Level::Error, || format!("{what}: {error}"));
            self.written.store(true, Ordering::Relaxed);
        }
    }
}

impl Service {
    fn with(start: Start) -> Service {
        Service {
            slots: Mutex::default(),
            round: Mutex::default(),
            more: Condvar::new(),
            done: Condvar::new(),
            behind: AtomicBool::new(false),
            start,
        }
    }

    fn run(self: Arc<Service>) {
        let mut pause = EVERY;
        loop {
            // Only when nothing is left to sync: tests/powercut.rs takes the pause for the end of a
            // round.
            thread::sleep(pause);
            let mut began = Instant::now();
            loop {
                let mut slots = self.slots.lock();
                if slots.all.is_empty() {
                    slots.runs = false;
                    return;
                }
                drop(slots);
                self.hand_out_due();
                if self.is_done_by(began + EVERY) {
                    break;
                }
                began = Instant::now();
            }
            pause = EVERY.saturating_sub(began.elapsed()).max(Duration::from_millis(1));
        }
    }

    /// Hands the stores that were written to to the helpers.
    fn hand_out_due(self: &Arc<Service>) {
        let take = |slot: &&Arc<SyncSlot>| {
            slot.written.load(Ordering::Relaxed) && !slot.taken.swap(true, Ordering::Relaxed)
        };
        let due: Vec<_> = self.slots.lock().all.iter().filter(take).cloned().collect();
        let mut round = self.round.lock();
        round.unfinished += due.len();
        round.queue.extend(due);
        let wanted = round.queue.len().div_ceil(EACH).min(HELPERS);
        let missing =
            wanted.saturating_sub(round.idle).min(MOST_HELPERS.saturating_sub(round.helpers));
        let mut behind = false;
        for started in 0..missing {
            let running = self.clone();
            if let Err(cause) = (self.start)(HELPER, Box::new(move || running.help())) {
                log::line(Level::Warn, || {
                    format!("cannot start a thread that helps to sync: {cause}")
                });
                // Those that there are, or this thread alone, may be enough.
                behind = round.queue.len() > EACH * (round.idle + started).max(1);
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

    /// Waits until all that was handed out is synced, or until `end`.
    fn is_done_by(&self, end: Instant) -> bool {
        let mut round = self.round.lock();
        let late =
            self.done.wait_while_until(&mut round, |round| round.unfinished != 0, end).timed_out();
        // What a helper has begun, and a hanging disk does not end, is no reason for the writers of
        // other stores to sync.
        if !round.queue.is_empty() {
            self.behind.store(true, Ordering::Relaxed);
        }
        !late
    }

    fn help(&self) {
        let mut round = self.round.lock();
        loop {
            while self.sync_next(&mut round) {}
            round.idle += 1;
            let waited = self.more.wait_while_for(&mut round, |round| round.queue.is_empty(), IDLE);
            round.idle -= 1;
            if waited.timed_out() && round.queue.is_empty() {
                round.helpers -= 1;
                return;
            }
        }
    }

    /// Syncs the first slot of the queue. Returns whether there was one.
    fn sync_next(&self, round: &mut MutexGuard<'_, Round>) -> bool {
        let Some(slot) = round.queue.pop_front() else { return false };
        MutexGuard::unlocked(round, || {
            slot.sync("cannot sync in the background");
            slot.taken.store(false, Ordering::Relaxed);
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

    /// Longer than any machine needs for what is waited for.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn wait_for(what: &str, is_there: impl Fn() -> bool) {
        let since = Instant::now();
        while !is_there() {
            assert!(since.elapsed() < PATIENCE, "{what}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Starts helpers, and not the thread that looks at the stores: the test does that.
    fn start_helpers(name: &'static str, run: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        if name == HELPER { (Service::default().start)(name, run) } else { Ok(()) }
    }

    /// Starts the first `SOME` threads that it is asked for, and no more.
    fn start_some<const SOME: usize>(
        name: &'static str,
        run: Box<dyn FnOnce() + Send>,
    ) -> io::Result<()> {
        static STARTED: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];
        if STARTED[SOME].fetch_add(1, Ordering::Relaxed) >= SOME {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        (Service::default().start)(name, run)
    }

    /// One thread once synced all stores in turn: with 300 stores and 4 ms for a sync a write was
    /// not on the disk after 2.6 seconds, and with 1,000 not after 4.3. Here each sync ends only
    /// when many others have begun.
    #[test]
    fn many_stores_are_synced_at_the_same_time() {
        const STORES: usize = 300;
        const TOGETHER: usize = STORES.div_ceil(EACH);
        let service = Arc::new(Service::with(start_helpers));
        let begun: Arc<(Mutex<usize>, Condvar)> = Arc::default();
        let stores: Vec<_> = (0..STORES)
            .map(|_| {
                let begun = begun.clone();
                let sync = move || {
                    let (count, more) = &*begun;
                    let mut count = count.lock();
                    *count += 1;
                    more.notify_all();
                    assert!(
                        !more
                            .wait_while_for(&mut count, |count| *count < TOGETHER, PATIENCE)
                            .timed_out(),
                        "{} of {TOGETHER} syncs at the same time",
                        *count
                    );
                    Ok(())
                };
                SyncHandle::by(&service, sync).expect("the thread starts")
            })
            .collect();
        stores.iter().for_each(SyncHandle::written);
        service.hand_out_due();
        assert!(service.is_done_by(Instant::now() + PATIENCE) && *begun.0.lock() == STORES);
        assert!(!service.behind.load(Ordering::Relaxed));
    }

    /// A disk that hangs once held up the syncs of all stores, those on other disks too.
    #[test]
    fn a_store_whose_sync_hangs_holds_up_no_other() {
        let service = Arc::new(Service::default());
        let (go_on, hanging) = mpsc::channel::<()>();
        let hanging = Mutex::new(hanging);
        let hangs = Arc::new(AtomicBool::new(false));
        let seen = hangs.clone();
        let stuck = SyncHandle::by(&service, move || {
            seen.store(true, Ordering::Relaxed);
            let _ = hanging.lock().recv_timeout(PATIENCE);
            Ok(())
        });
        let stuck = stuck.expect("the thread starts");
        stuck.written();
        wait_for("it hangs", || hangs.load(Ordering::Relaxed));
        let synced = Arc::new(AtomicUsize::new(0));
        let others: Vec<_> = (0..2 * EACH)
            .map(|_| {
                let synced = synced.clone();
                SyncHandle::by(&service, move || {
                    synced.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                })
                .expect("the thread runs")
            })
            .collect();
        for round in 1..=2 {
            stuck.written();
            others.iter().for_each(SyncHandle::written);
            wait_for("the others are synced", || {
                synced.load(Ordering::Relaxed) == round * others.len()
            });
        }
        assert!(!service.behind.load(Ordering::Relaxed), "their writers need not sync");
        drop(go_on);
    }

    /// Where the system has no more threads, those that there are go on alone; if they are too few
    /// for all stores, the writers sync. Nothing stays behind, and a store is not opened that
    /// nobody would sync.
    #[test]
    fn without_threads_the_writers_sync() {
        let tester = thread::current().id();
        let serve = |service: &Arc<Service>, count: usize| {
            let counts: [Arc<AtomicUsize>; 2] = Default::default();
            let served = |_| {
                let [by_service, by_writer] = counts.clone();
                SyncHandle::by(service, move || {
                    let count =
                        if thread::current().id() == tester { &by_writer } else { &by_service };
                    count.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                })
            };
            (
                (0..count).map(served).collect::<Result<Vec<_>>>().expect("the thread runs"),
                counts.clone(),
            )
        };
        let none = Arc::new(Service::with(start_some::<0>));
        assert!(SyncHandle::by(&none, || Ok(())).is_err());

        for service in [Service::with(start_some::<1>), Service::with(start_some::<2>)] {
            let service = Arc::new(service);
            let (few, [by_service, by_writer]) = serve(&service, EACH);
            few.iter().for_each(SyncHandle::written);
            wait_for("few are synced", || by_service.load(Ordering::Relaxed) == few.len());
            assert_eq!(by_writer.load(Ordering::Relaxed), 0);

            let (many, [_, by_writer]) = serve(&service, 5 * EACH);
            wait_for("writers sync", || {
                many.iter().for_each(SyncHandle::written);
                by_writer.load(Ordering::Relaxed) != 0
            });
            wait_for("the rest is synced", || {
                !many.iter().any(|store| store.slot.written.load(Ordering::Relaxed))
            });
            wait_for("writers need not sync any more", || {
                few[0].written();
                !service.behind.load(Ordering::Relaxed)
            });
        }
    }
}
