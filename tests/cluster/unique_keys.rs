//! Writers of unique keys while servers fail: the truth is read at the end.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use kvds::testing::{Error, Kind, Outcome, Range, Store, Watch};
use testkit::etcd::Servers;

use crate::open_store;

const WRITERS: usize = 6;

/// What the writer of a key was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Applied,
    NothingChanged,
    Unknown,
}

/// How long a writer may wait while one server of three fails: an election, and an attempt on a
/// server that does not reply. The issue is whether it ever hangs, so this is generous.
const LONGEST: Duration = Duration::from_secs(30);

fn told(result: Result<Outcome, Error>) -> testkit::Result<Told> {
    match result {
        Ok(Outcome::Applied) => Ok(Told::Applied),
        Ok(outcome) => Err(format!("a set without a condition gave {outcome:?}").into()),
        Err(error) => match error.kind() {
            Kind::Busy => Ok(Told::NothingChanged),
            Kind::UnknownOutcome => Ok(Told::Unknown),
            _ => Err(error.into()),
        },
    }
}

/// Runs `fault` while threads write, and compares what they were told with what is there.
pub fn check(
    servers: &Servers,
    name: &str,
    fault: impl FnOnce() -> testkit::Result,
) -> testkit::Result {
    let store = open_store(servers.url(name), 5000)?;
    let ended = AtomicBool::new(false);
    let write = |writer: usize| {
        let mut written = Vec::new();
        let mut longest = Duration::ZERO;
        while !ended.load(Relaxed) {
            let key = format!("{writer}-{}", written.len());
            let began = Instant::now();
            let told = told(store.set(key.as_bytes(), b"value")).map_err(|error| error.to_string());
            longest = longest.max(began.elapsed());
            written.push((key, told));
        }
        (written, longest)
    };
    let truth = OnceLock::new();
    // Before the first write, as a watch returns what is written after it was created.
    let watch = store.watch(Range::prefix(b""), None)?;
    let (fault, written, followed) = thread::scope(|scope| {
        let write = &write;
        let follower = scope.spawn(|| follow(watch, &truth));
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| scope.spawn(move || write(writer))).collect();
        thread::sleep(Duration::from_millis(300));
        let fault = fault().map_err(|error| error.to_string());
        thread::sleep(Duration::from_millis(500));
        ended.store(true, Relaxed);
        let written: Vec<_> =
            writers.into_iter().map(|writer| writer.join().expect("no writer panicked")).collect();
        let fault = fault.and_then(|()| {
            servers
                .wait_until_healthy()
                .and_then(|()| keys(&store))
                .map_err(|error| error.to_string())
        });
        let fault = fault.map(|keys| drop(truth.set(keys)));
        truth.get_or_init(BTreeSet::new);
        (fault, written, follower.join().expect("the follower did not panic"))
    });
    fault?;
    followed?;
    let longest = written.iter().map(|(_, longest)| *longest).max().unwrap_or_default();
    let mut counts = [0; 3];
    for (key, told) in written.into_iter().flat_map(|(written, _)| written) {
        let there = store.exists(key.as_bytes())?;
        match told? {
            Told::Applied => {
                counts[0] += 1;
                assert!(there, "{name}: the acknowledged write of {key} is lost");
            }
            Told::NothingChanged => {
                counts[1] += 1;
                assert!(!there, "{name}: the refused write of {key} appeared");
            }
            Told::Unknown => counts[2] += 1,
        }
    }
    let [applied, refused, unknown] = counts;
    println!(
        "{name}: {applied} applied, {refused} refused, {unknown} unknown, {longest:?} at longest"
    );
    assert!(applied > 0 && longest < LONGEST, "{name}");
    Ok(())
}

fn keys(store: &Store) -> testkit::Result<BTreeSet<Vec<u8>>> {
    let mut keys = BTreeSet::new();
    store.iterate(b"", |key, _| keys.insert(key.to_vec()))?;
    Ok(keys)
}

/// Watches until it has seen the keys that are there at the end. It must see each once.
fn follow(mut watch: Box<dyn Watch>, truth: &OnceLock<BTreeSet<Vec<u8>>>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    let mut settled = None;
    loop {
        match watch.next(Some(Instant::now() + Duration::from_millis(100))) {
            Ok(Some(change)) => {
                let key = String::from_utf8_lossy(change.key).into_owned();
                assert!(seen.insert(change.key.to_vec()), "the watch returned {key} twice");
            }
            // It connects again with the next call.
            Err(error) if error.kind() == Kind::Busy => {}
            Err(error) => return Err(error.to_string()),
            Ok(None) => {}
        }
        let Some(truth) = truth.get() else { continue };
        if seen == *truth {
            return Ok(());
        }
        if settled.get_or_insert_with(Instant::now).elapsed() > LONGEST {
            let missed = truth.difference(&seen).count();
            return Err(format!("the watch missed {missed} of {} keys", truth.len()));
        }
    }
}

#[test]
fn no_acknowledged_write_is_lost_and_no_refused_one_appears() -> testkit::Result {
    let Some(servers) = Servers::start(3)? else { return Ok(()) };
    let pause = || thread::sleep(Duration::from_secs(2));
    check(&servers, "leader-killed", || {
        let leader = servers.leader()?;
        servers.node(leader).kill9();
        pause();
        servers.node(leader).revive()
    })?;
    check(&servers, "leader-frozen", || {
        let leader = servers.leader()?;
        servers.node(leader).stop()?;
        pause();
        servers.node(leader).revive()
    })?;
    check(&servers, "two-frozen", || {
        let leader = servers.leader()?;
        let follower = (leader + 1) % servers.count();
        servers.node(leader).stop()?;
        servers.node(follower).stop()?;
        // Longer than a call may take.
        thread::sleep(Duration::from_secs(6));
        servers.node(leader).revive()?;
        servers.node(follower).revive()
    })?;
    check(&servers, "all-killed", || {
        (0..servers.count()).for_each(|node| servers.node(node).kill9());
        pause();
        thread::scope(|scope| {
            let servers = &servers;
            let revive = |node| servers.node(node).revive().map_err(|error| error.to_string());
            let started: Vec<_> =
                (0..servers.count()).map(|node| scope.spawn(move || revive(node))).collect();
            started.into_iter().try_for_each(|thread| thread.join().expect("no thread panicked"))
        })?;
        servers.wait_until_healthy()
    })
}
