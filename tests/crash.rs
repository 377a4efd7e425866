//! Kills processes that write, and checks that every acknowledged write is in their stores.
//!
//! The program starts itself again as a child process. The child opens the stores of the previous
//! child and writes to them from several threads, with every write call. It reports each write
//! before and after the call, and is killed at a random time. Then the parent checks the stores.
//! `make crash` repeats this many times.
#![cfg(feature = "disk")]

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use kvds::testing::Durability;
use testkit::workload::Writer;
use testkit::workload::child::{Orders, copies};
use testkit::workload::expected::{Event, Expected, Report};

const WRITERS: u64 = 4;

/// How many children are killed at each durability, unless `KVDS_CRASH_ROUNDS` says so.
const ROUNDS: u64 = 5;

#[test]
#[ignore = "the process that dies, in the tests below"]
fn child_process_to_kill() -> testkit::Result {
    let Some(orders) = Orders::received() else { return Ok(()) };
    let reports = OpenOptions::new().append(true).open(reports(&orders.base))?;
    // A report has 32 bytes and is written by one call, so it is never torn.
    orders.follow(&|event| {
        (&reports).write_all(&event.report()).expect("the reports can be written")
    });
    Ok(())
}

fn reports(base: &Path) -> std::path::PathBuf {
    base.with_file_name("reports")
}

fn read(reports: &Path) -> Vec<(u64, Event)> {
    let bytes = fs::read(reports).expect("the reports can be read");
    let reports = bytes.chunks_exact(size_of::<Report>());
    reports
        .enumerate()
        .map(|(at, report)| (at as u64, Event::read(report.try_into().expect("its size"))))
        .collect()
}

/// Kills one child after the other. Each opens the stores of the previous one.
fn kill_repeatedly(durability: Durability) {
    let rounds = testkit::number_from_env("KVDS_CRASH_ROUNDS", 2 * ROUNDS).div_ceil(2);
    let seed = testkit::number_from_env("KVDS_CRASH_SEED", fastrand::u64(..1 << 32));
    let mut random = Rng::with_seed(seed);
    let mut directory = testkit::temporary_directory().expect("a directory can be made");
    directory.disable_cleanup(true);
    let base = directory.path().join("base");
    let mut writers: Vec<_> = (0..WRITERS).map(|id| Writer::new(seed, id)).collect();
    let mut orders =
        Orders { base, durability, seed, numbers: Vec::new(), first: 1, limit: u64::MAX };
    let mut writes = 0;
    for round in 1..=rounds {
        let place = format!(
            "round {round} at {durability:?}, with KVDS_CRASH_SEED={seed}; what is left is in {}",
            directory.path().display()
        );
        orders.numbers = writers.iter().map(|writer| writer.number).collect();
        let reports = reports(&orders.base);
        File::create(&reports).expect("the reports can be written");
        let mut child =
            orders.command("child_process_to_kill").spawn().expect("the child can be started");
        // Most are killed while they write, some while they open the stores.
        if random.u8(..8) != 0 {
            while fs::metadata(&reports).expect("they are there").len() == 0 {
                assert!(
                    child.try_wait().expect("it can be asked").is_none(),
                    "the child fails: {place}"
                );
                thread::sleep(Duration::from_millis(1));
            }
        }
        thread::sleep(Duration::from_micros(random.u64(..300_000)));
        assert!(child.try_wait().expect("it can be asked").is_none(), "the child fails: {place}");
        child.kill().expect("the child can be killed");
        child.wait().expect("the child is dead");

        let events = read(&reports);
        let expected = Expected::from(&events, &orders.numbers, u64::MAX);
        expected
            .check(&orders.base, &orders.options(), seed, &mut writers)
            .unwrap_or_else(|wrong| panic!("{wrong}\n{place}"));
        writes += events.iter().filter(|(_, event)| matches!(event, Event::Done(..))).count();
        orders.first += 1000;
        for store in expected.others.keys() {
            let _ = fs::remove_dir_all(orders.base.join(store.id()));
        }
        let _ = fs::remove_dir_all(copies(&orders.base));
        if round % 10 == 0 || round == rounds {
            eprintln!(
                "{durability:?}: {round} of {rounds} children killed, {writes} acknowledged \
                 writes (seed {seed})"
            );
        }
    }
    assert!(writes > 0, "nothing was written in any round");
    directory.disable_cleanup(false);
}

#[test]
fn a_killed_process_loses_no_acknowledged_write_at_durability_process() {
    kill_repeatedly(Durability::Process);
}

#[test]
fn a_killed_process_loses_no_acknowledged_write_at_durability_sync() {
    kill_repeatedly(Durability::Sync);
}
