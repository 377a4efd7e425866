//! Simulates power failures, and checks the stores that they leave, at each durability.
//!
//! The program starts itself again as a child process, which writes to stores with every call. The
//! library of `ctests/preload` records the file calls of the child. From the records the test
//! computes what a disk may contain after a power failure at any time. Everything that a sync
//! covered is there, and nothing, all or a random part of the rest. Then it opens the stores and
//! checks them. `make crash` repeats this many times.
#![cfg(feature = "disk")]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use kvds::testing::Durability;
use testkit::simulated_disk::{Before, History, Journal, Kind, Node, Survival, Tree};
use testkit::workload::Writer;
use testkit::workload::child::Orders;
use testkit::workload::expected::{Event, Expected};

const WRITERS: u64 = 3;

/// How many power failures there are at each durability, unless `KVDS_POWERCUT_ROUNDS` says so.
const ROUNDS: u64 = 5;

/// How many power failures are computed from the records of one child.
const CUTS: u64 = 5;

/// The name of the thread that syncs in the background.
const SYNCER: &[u8] = b"kvds-sync";

/// The longest pause of this thread, in nanoseconds. On a disk that takes half a second for a sync,
/// it keeps the promise of one second.
const PAUSE: u64 = 500_000_000;

#[test]
#[ignore = "the process whose files are looked at, in the tests below"]
fn child_process_to_record() {
    let Some(orders) = Orders::received() else { return };
    orders.follow(&|event| testkit::preload::note(&event.report()));
}

/// A directory that stands for a disk, and the journal of its changes.
struct Machine {
    disk: PathBuf,
    journal: PathBuf,
}

impl Machine {
    fn new(directory: &Path, image: &Tree) -> Machine {
        let machine = Machine { disk: directory.join("disk"), journal: directory.join("journal") };
        fs::create_dir_all(&machine.disk).expect("a directory can be made");
        image.write(&machine.disk);
        machine
    }

    /// Returns the base path, below directories that the library creates.
    fn base(disk: &Path) -> PathBuf {
        disk.join("new/base")
    }

    fn child(&self, orders: &Orders) -> Command {
        let mut child = orders.command("child_process_to_record");
        testkit::preload::put_before(&mut child, &self.disk);
        child.env("KVDS_PRELOAD_JOURNAL", &self.journal);
        child
    }
}

fn events(journal: &Journal) -> Vec<(u64, Event)> {
    let notes = journal.records().filter(|record| record.kind == Kind::Note);
    notes.map(|note| (note.at, Event::read(note.bytes.try_into().expect("a report")))).collect()
}

/// Returns the time until which the background thread has synced all acknowledged writes. It is the
/// start of the last round that ended before the power failure.
fn background_synced_until(journal: &Journal, cut: u64) -> u64 {
    let mut woken = HashMap::new();
    let mut kept = 0;
    for record in journal.records().take_while(|record| record.at < cut) {
        match record.kind {
            Kind::Wake if record.bytes == SYNCER => drop(woken.insert(record.thread, record.at)),
            Kind::Pause if record.bytes == SYNCER => {
                assert!(record.a <= PAUSE, "the thread that syncs pauses for {} ns", record.a);
                kept = woken.get(&record.thread).copied().unwrap_or(0).max(kept);
            }
            _ => {}
        }
    }
    kept
}

/// Returns the longest time between an acknowledgment and the end of the round that synced it, in
/// milliseconds.
fn longest_wait(journal: &Journal) -> u64 {
    let (mut since, mut waits, mut longest) = (None, HashMap::new(), 0);
    for record in journal.records() {
        match record.kind {
            Kind::Note
                if matches!(
                    Event::read(record.bytes.try_into().expect("a report")),
                    Event::Done(..)
                ) =>
            {
                since.get_or_insert(record.clock);
            }
            Kind::Wake if record.bytes == SYNCER => drop(waits.insert(record.thread, since.take())),
            Kind::Pause if record.bytes == SYNCER => {
                if let Some(Some(first)) = waits.remove(&record.thread) {
                    longest = longest.max(record.clock - first);
                }
            }
            _ => {}
        }
    }
    longest / 1_000_000
}

/// Returns the image with the main store only. The next child creates other stores and copies of
/// the same names.
fn main_store_of(mut image: Tree) -> Tree {
    let mut place = &mut image;
    for name in ["new", "base"] {
        let Some(Node::Directory(below)) = place.0.get_mut(name) else { return image };
        place = below;
    }
    place.0.retain(|name, _| name == "main");
    image
}

fn fail_power_repeatedly(durability: Durability) {
    let rounds = testkit::number_from_env("KVDS_POWERCUT_ROUNDS", ROUNDS);
    let seed = testkit::number_from_env("KVDS_POWERCUT_SEED", fastrand::u64(..1 << 32));
    let mut random = Rng::with_seed(seed);
    let mut directory = testkit::temporary_directory().expect("a directory can be made");
    directory.disable_cleanup(true);
    let none: Vec<_> = (0..WRITERS).map(|id| Writer::new(seed, id)).collect();
    let (mut image, mut writers) = (Tree::default(), none.clone());
    let (mut writes, mut longest) = (0, 0);
    let mut left = rounds;
    for run in 0.. {
        let place = directory.path().join(format!("run-{run}"));
        let machine = Machine::new(&place, &image);
        let orders = Orders {
            base: Machine::base(&machine.disk),
            durability,
            seed,
            numbers: writers.iter().map(|writer| writer.number).collect(),
            first: 1 + 1000 * run,
            limit: u64::MAX,
        };
        let before = Before::read(&machine.disk);
        let mut child = machine.child(&orders).spawn().expect("the child can be started");
        // Long enough for a background sync.
        thread::sleep(Duration::from_millis(random.u64(1200..2000)));
        assert!(
            child.try_wait().expect("it can be asked").is_none(),
            "the child fails (seed {seed})"
        );
        child.kill().expect("the child can be killed");
        child.wait().expect("the child is dead");

        let journal = Journal::read(&machine.journal);
        let (history, events) = (History::new(before, &journal), events(&journal));
        writes += events.iter().filter(|(_, event)| matches!(event, Event::Done(..))).count();
        longest = longest.max(longest_wait(&journal));
        let times = history.times();
        let mut after = None;
        for cut in 0..CUTS.min(left) {
            // Some are near the beginning, when stores are created.
            let among = if random.u8(..4) == 0 { times.len().min(200) } else { times.len() };
            let time = times[random.usize(..among)];
            let survival = Survival::ALL[(cut as usize + run as usize) % Survival::ALL.len()];
            let tree = history.after_power_failure(time, survival, &mut random);
            let disk = place.join(format!("after-{cut}"));
            fs::create_dir(&disk).expect("a directory can be made");
            tree.write(&disk);
            let kept = match durability {
                Durability::None => 0,
                _ if survival == Survival::Everything => u64::MAX,
                Durability::Sync => u64::MAX,
                Durability::Process => background_synced_until(&journal, time),
            };
            let until: Vec<_> = events.iter().copied().take_while(|(at, _)| *at < time).collect();
            let expected = Expected::from(&until, &orders.numbers, kept);
            let mut found = writers.clone();
            let check = expected.check(&Machine::base(&disk), &orders.options(), seed, &mut found);
            check.unwrap_or_else(|wrong| {
                panic!(
                    "{wrong}\nat {durability:?} with {survival:?} of what was not synced, \
                     power failure at {time} of {}; \
                     the disk was {} (KVDS_POWERCUT_SEED={seed})",
                    machine.journal.display(),
                    disk.display()
                )
            });
            fs::remove_dir_all(&disk).expect("the directory can be removed");
            after = Some((tree, found));
        }
        fs::remove_dir_all(&place).expect("the directory can be removed");
        left -= CUTS.min(left);
        if run % 4 == 3 || left == 0 {
            eprintln!(
                "{durability:?}: {} of {rounds} power failures, {writes} acknowledged writes \
                 (seed {seed})",
                rounds - left
            );
        }
        if left == 0 {
            break;
        }
        // The next child continues from the last power failure, or starts with an empty disk.
        (image, writers) = match after {
            Some((tree, found)) if random.u8(..4) != 0 => (main_store_of(tree), found),
            _ => (Tree::default(), none.clone()),
        };
    }
    assert!(writes > 0, "nothing was written in any round");
    if durability == Durability::Process {
        eprintln!("an acknowledged write waited for its sync for at most {longest} ms");
    }
    directory.disable_cleanup(false);
}

#[test]
fn a_power_failure_loses_no_acknowledged_write_at_durability_sync() {
    fail_power_repeatedly(Durability::Sync);
}

#[test]
fn a_power_failure_loses_no_background_synced_write_at_durability_process() {
    fail_power_repeatedly(Durability::Process);
}

#[test]
fn a_power_failure_loses_no_synced_write_at_durability_none() {
    fail_power_repeatedly(Durability::None);
}

/// If the journal missed a change, the tests above would prove nothing.
#[test]
fn replaying_the_journal_gives_the_same_files() -> testkit::Result {
    for durability in [Durability::Process, Durability::Sync, Durability::None] {
        let directory = testkit::temporary_directory()?;
        let machine = Machine::new(directory.path(), &Tree::default());
        let base = Machine::base(&machine.disk);
        let orders =
            Orders { base, durability, seed: 1, numbers: vec![0; 2], first: 1, limit: 500 };
        let before = Before::read(&machine.disk);
        assert!(machine.child(&orders).status()?.success());
        let history = History::new(before, &Journal::read(&machine.journal));
        let told = history.after_power_failure(u64::MAX, Survival::Everything, &mut Rng::new());
        assert!(
            told == Tree::read(&machine.disk),
            "the journal tells of another disk at {durability:?}"
        );
    }
    Ok(())
}
