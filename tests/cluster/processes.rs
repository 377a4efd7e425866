//! Many processes add to one counter while the leader is killed.

use std::env;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use kvds::testing::{Error, Kind, Outcome, Store};
use testkit::etcd::Servers;

use crate::open_store;

const PROCESSES: u64 = 8;
const THREADS: u64 = 4;

/// How often each thread adds, unless `KVDS_ADDITIONS` says so.
const ADDITIONS: u64 = 40;

const URL: &str = "KVDS_TEST_COUNTER_URL";
const COUNTER: &[u8] = b"counter";

/// Adds 1 by compare_and_swap.
fn swap(store: &Store) -> Result<(), Error> {
    loop {
        let found = store.get(COUNTER)?;
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let number: u64 = found.as_deref().map_or(0, |value| text(value).parse().unwrap_or(0));
        let next = (number + 1).to_string();
        let outcome = match &found {
            Some(value) => store.compare_and_swap(COUNTER, value, next.as_bytes())?,
            None => store.set_nx(COUNTER, next.as_bytes())?,
        };
        if outcome == Outcome::Applied {
            return Ok(());
        }
    }
}

/// Adds `times` times, and returns how many of these may not have happened.
fn count(store: &Store, times: u64) -> Result<u64, Error> {
    let mut unknown = 0;
    for time in 0..times {
        // Busy says that nothing was changed, so it is the one result after which to try again.
        loop {
            let added = if time % 2 == 0 { swap(store) } else { store.add(COUNTER, 1).map(drop) };
            match added {
                Ok(()) => break,
                Err(error) if error.kind() == Kind::UnknownOutcome => {
                    unknown += 1;
                    break;
                }
                Err(error) if error.kind() == Kind::Busy => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(unknown)
}

#[test]
#[ignore = "a process that the test below starts"]
fn child_process_that_adds() -> testkit::Result {
    let Ok(url) = env::var(URL) else { return Ok(()) };
    let store = open_store(url, 10_000)?;
    let times = testkit::number_from_env("KVDS_ADDITIONS", ADDITIONS);
    let unknown: Result<Vec<u64>, Error> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| count(&store, times))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panicked")).collect()
    });
    println!("\nunknown {}", unknown?.into_iter().sum::<u64>());
    Ok(())
}

#[test]
fn a_counter_counts_every_addition_once() -> testkit::Result {
    let Some(servers) = Servers::start(3)? else { return Ok(()) };
    let times = testkit::number_from_env("KVDS_ADDITIONS", ADDITIONS);
    let url = servers.url("counter");
    // Exists before the processes do, so that none of them has to create it.
    let store = open_store(url.clone(), 10_000)?;
    let start = || {
        Command::new(env::current_exe()?)
            .args(["--ignored", "--exact", "--nocapture", "processes::child_process_that_adds"])
            .env(URL, &url)
            .stdout(Stdio::piped())
            .spawn()
    };
    let children: Vec<Child> = (0..PROCESSES).map(|_| start()).collect::<Result<_, _>>()?;
    thread::sleep(Duration::from_millis(500));
    let leader = servers.leader()?;
    servers.node(leader).kill9();
    thread::sleep(Duration::from_secs(2));
    servers.node(leader).revive()?;
    let mut unknown = 0;
    for child in children {
        let output = child.wait_with_output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}");
        let line = text.lines().find_map(|line| line.strip_prefix("unknown "));
        unknown += line.ok_or("the child says how many are unknown")?.parse::<u64>()?;
    }
    servers.wait_until_healthy()?;
    let found = store.get(COUNTER)?.ok_or("the counter exists")?;
    let found: u64 = String::from_utf8_lossy(&found).parse()?;
    let most = PROCESSES * THREADS * times;
    println!("{found} of {most}, {unknown} of unknown outcome");
    assert!((most - unknown..=most).contains(&found), "{found} of {most}, {unknown} unknown");
    Ok(())
}
