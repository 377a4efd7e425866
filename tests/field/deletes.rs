//! Programs that delete much.
#![cfg(feature = "disk")]

use std::time::Duration;

use kvds::{Backend, Distributor, Options, Outcome, Ref, Store};
use tempfile::{TempDir, tempdir};

use super::scale;

fn new_store(backend: Backend) -> (Ref<Store>, TempDir) {
    let base = tempdir().expect("a directory can be made");
    let distributor = Distributor::open(Some(base.path()), &Options::default()).expect("a distributor can be made");
    let store = distributor.get_or_create(c"store", backend).expect("it opens").expect("it is made");
    (store, base)
}

fn set(store: &Store, key: &str, value: &[u8]) {
    assert_eq!(store.set(key.as_bytes(), value).expect("the write works"), Outcome::Applied);
}

fn get(store: &Store, key: &str) -> Option<Vec<u8>> {
    store.get(key.as_bytes()).expect("the read works").map(|value| value.to_vec())
}

fn delete_prefix(store: &Store, prefix: &str) {
    assert_eq!(store.delete_prefix(prefix.as_bytes()).expect("the write works"), Outcome::Applied);
}

/// The processor time that this thread takes for `work`: unlike the time on the clock, the load of the machine hardly changes it.
fn cpu_time(work: impl FnOnce()) -> Duration {
    let now = || {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the clock exists on Linux, and `time` is writable.
        assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) }, 0);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    let start = now();
    work();
    now() - start
}

/// Four times the work takes about four times as long: 16 times would be quadratic. `time` measures one size.
fn assert_linear(size: usize, time: impl Fn(usize) -> Duration) {
    let mut least = f64::MAX;
    for _ in 0..3 {
        let (one, four) = (time(size), time(4 * size));
        let ratio = four.as_secs_f64() / one.as_secs_f64();
        eprintln!("{size}: {one:?}, {}: {four:?}, ratio {ratio:.1}", 4 * size);
        least = least.min(ratio);
        if least < 7.0 {
            return;
        }
    }
    panic!("four times the work takes {least:.1} times as long");
}

/// Each deleted session once left a range tombstone in memory, and each read went over all of them: 20,000 sessions took 335
/// seconds.
#[test]
fn sessions_that_come_and_go_take_linear_time() {
    for backend in [Backend::Disk, Backend::Memory] {
        assert_linear(scale(2000, 5000), |rounds| {
            let (store, _base) = new_store(backend);
            for user in 0..100 {
                set(&store, &format!("user:{user}"), b"a user");
            }
            cpu_time(|| {
                for round in 0..rounds {
                    // In no order, as names of sessions are.
                    let session = format!("session:{:08x}:", (round as u32).wrapping_mul(0x9E37_79B9));
                    for field in ["name", "page", "time"] {
                        set(&store, &format!("{session}{field}"), b"a value of a session");
                    }
                    delete_prefix(&store, &session);
                    assert!(get(&store, &format!("user:{}", round % 100)).is_some());
                    assert!(get(&store, &format!("user:none{round}")).is_none());
                }
            })
        });
    }
}

/// Each deletion of a prefix once went over the whole row cache: 48 ms beside 300,000 values, for three keys.
#[test]
fn deleting_a_prefix_does_not_depend_on_what_is_cached() {
    let (store, _base) = new_store(Backend::Disk);
    let delete_sessions = |from: usize| {
        cpu_time(|| {
            for session in from..from + 100 {
                for field in ["name", "page", "time"] {
                    set(&store, &format!("session:{session}:{field}"), b"a value of a session");
                }
                delete_prefix(&store, &format!("session:{session}:"));
            }
        })
    };
    delete_sessions(0);
    let before = delete_sessions(100);
    for user in 0..scale(30_000, 300_000) {
        let key = format!("user:{user}");
        set(&store, &key, b"a user");
        assert!(get(&store, &key).is_some());
    }
    let beside = delete_sessions(200);
    let ratio = beside.as_secs_f64() / before.as_secs_f64();
    eprintln!("{before:?} before, {beside:?} beside cached values, ratio {ratio:.1}");
    assert!(ratio < 10.0, "beside cached values it takes {ratio:.1} times as long");
}
