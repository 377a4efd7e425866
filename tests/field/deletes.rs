//! Tests programs that delete many keys.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kvds::testing::{Backend, Distributor, Options, Outcome, Ref, Store};
use tempfile::{TempDir, tempdir};

use super::scale;

fn new_store(backend: Backend) -> (Ref<Store>, TempDir) {
    let base = tempdir().expect("a directory can be made");
    let distributor = Distributor::open(Some(base.path()), &Options::default())
        .expect("a distributor can be made");
    let store =
        distributor.get_or_create(c"store", backend).expect("it opens").expect("it is made");
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

/// Returns the processor time that this thread takes for `work`. The load of the machine hardly
/// changes it, unlike the elapsed time.
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

/// Checks that four times the work takes about four times as long: quadratic time would be 16
/// times. `time` measures one size.
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

/// Each deleted session once left a range tombstone in memory, and each read visited all of them.
/// 20,000 sessions took 335 seconds.
#[test]
fn deleting_sessions_by_prefix_takes_linear_time() {
    let backends = if cfg!(feature = "disk") {
        &[Backend::Disk, Backend::Memory][..]
    } else {
        &[Backend::Memory]
    };
    for &backend in backends {
        assert_linear(scale(2000, 5000), |rounds| {
            let (store, _base) = new_store(backend);
            for user in 0..100 {
                set(&store, &format!("user:{user}"), b"a user");
            }
            cpu_time(|| {
                for round in 0..rounds {
                    // In no order, as names of sessions are.
                    let session =
                        format!("session:{:08x}:", (round as u32).wrapping_mul(0x9E37_79B9));
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

/// Deleting a prefix once visited the whole row cache. With 300,000 values in it, deleting three
/// keys took 48 ms.
#[cfg(feature = "disk")]
#[test]
fn deleting_a_prefix_takes_the_same_time_with_a_full_row_cache() {
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

/// Each search for the first pair of a queue once visited all deleted pairs before it. 20,000 pairs
/// took 37 seconds, and 40,000 took 159.
#[cfg(feature = "disk")]
#[test]
fn emptying_a_queue_takes_linear_time() -> testkit::Result {
    assert_linear(scale(3_000, 20_000), |pairs| {
        let (store, _base) = new_store(Backend::Disk);
        for number in 0..pairs {
            set(
                &store,
                &format!("queue:{number:08}"),
                b"something to do, in a hundred bytes or so",
            );
        }
        cpu_time(|| {
            for number in 0..pairs {
                let mut cursor = store
                    .cursor(kvds::testing::Range::prefix(b"queue:"))
                    .expect("there is a cursor");
                cursor.first().expect("the cursor moves");
                let (key, value) = cursor.entry().expect("a pair is left");
                assert_eq!(key, format!("queue:{number:08}").as_bytes());
                assert_eq!(
                    store.compare_and_delete(key, value).expect("the write works"),
                    Outcome::Applied
                );
            }
        })
    });
    Ok(())
}

/// After everything was deleted, 287 of 300 MB once stayed on disk, because RocksDB had no reason
/// to compact. The statistics showed 30,001 keys.
#[cfg(feature = "disk")]
#[test]
fn disk_space_is_reclaimed_after_deleting() -> testkit::Result {
    let keys = scale(3_000, 30_000);
    for by_prefix in [true, false] {
        let (store, _base) = new_store(Backend::Disk);
        let mut random = fastrand::Rng::with_seed(1);
        for key in 0..keys {
            let value: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(10_000).collect();
            set(&store, &format!("key:{key:08}"), &value);
        }
        store.sync()?;
        let before = store.stats()?.disk_bytes;
        assert!(before as usize > keys * 9_000, "{before} bytes");
        if by_prefix {
            delete_prefix(&store, "key:");
            assert_eq!(store.stats()?.keys, 0);
        } else {
            for key in 0..keys {
                let outcome = store.delete(format!("key:{key:08}").as_bytes())?;
                assert_eq!(outcome, Outcome::Applied);
            }
        }
        let since = Instant::now();
        // No call that writes: the store is idle.
        loop {
            let stats = store.stats()?;
            if stats.disk_bytes < before / 10 {
                eprintln!(
                    "by prefix {by_prefix}: {before} bytes, {} after {:?}",
                    stats.disk_bytes,
                    since.elapsed()
                );
                assert_eq!(stats.keys, 0);
                break;
            }
            assert!(
                since.elapsed() < Duration::from_secs(120),
                "{} of {before} bytes stay",
                stats.disk_bytes
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}

/// Deleting a prefix in memory once held all locks until every key was gone. Other threads waited
/// for seconds, and it took twice as long as deleting key by key.
#[test]
fn deleting_a_large_prefix_in_memory_blocks_no_thread() -> testkit::Result {
    let keys = scale(100_000, 2_000_000);
    let key = |number: usize| format!("gone:{number:08}");
    let filled = || {
        let (store, base) = new_store(Backend::Memory);
        (0..keys).for_each(|number| set(&store, &key(number), b"a value"));
        set(&store, "here", b"a value");
        (store, base)
    };
    let one_by_one = || {
        let (store, _base) = filled();
        cpu_time(|| {
            for number in 0..keys {
                let outcome = store.delete(key(number).as_bytes()).expect("the write works");
                assert_eq!(outcome, Outcome::Applied);
            }
        })
    };
    /// The time of a deletion, its processor time, and the longest time that another thread waited.
    struct AtOnce(Duration, Duration, Duration);
    let at_once = || {
        let (store, _base) = filled();
        let gone = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                let mut longest = Duration::ZERO;
                while !gone.load(Ordering::Relaxed) {
                    let start = Instant::now();
                    assert!(get(&store, "here").is_some());
                    set(&store, "here", b"another");
                    longest = longest.max(start.elapsed());
                }
                longest
            });
            let start = Instant::now();
            let cpu_time = cpu_time(|| delete_prefix(&store, "gone:"));
            let time = start.elapsed();
            assert_eq!(store.stats().expect("there are figures").keys, 1);
            gone.store(true, Ordering::Relaxed);
            AtOnce(time, cpu_time, other.join().expect("the other thread ends"))
        })
    };
    let (mut slower, mut blocked) = (f64::MAX, f64::MAX);
    for _ in 0..5 {
        let (one_by_one, AtOnce(time, cpu_time, longest)) = (one_by_one(), at_once());
        eprintln!(
            "{keys} keys: one by one {one_by_one:?}, at once {cpu_time:?}; another thread waits \
             {longest:?} of {time:?}"
        );
        slower = slower.min(cpu_time.as_secs_f64() / one_by_one.as_secs_f64());
        blocked = blocked.min(longest.as_secs_f64() / time.as_secs_f64());
        if slower < 1.3 && blocked < 0.2 {
            return Ok(());
        }
    }
    panic!(
        "at once takes {slower:.1} times as long as one by one, and another thread waits \
         {blocked:.2} of the time"
    )
}
