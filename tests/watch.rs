//! Tests watches, on all engines and on scopes of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kvds::testing::{
    ChangeKind, Engine, Expectation, Kind, Operation, Outcome, Range, Watch, WriteBatch,
};
use testkit::engines::{Make, TestEngine, delete, no_lease, set, write};

testkit::for_every_engine! {
    a_watch_tells_every_write_in_order
    a_watch_tells_batches_as_a_whole
    a_watch_tells_its_range_only
    a_refused_write_is_not_told
    a_watch_continues_after_another_one
    a_watch_waits_and_wakes_up
    the_descriptor_is_readable_when_there_is_a_change
    a_copy_follows_four_writers
}

/// What a test waits for at most.
const LONG: Duration = Duration::from_secs(60);

/// The time after which a cluster has told what was acknowledged: it does so on its own.
fn soon(bench: &TestEngine) -> Instant {
    Instant::now() + if bench.is_remote { Duration::from_secs(2) } else { Duration::ZERO }
}

/// A change as text: the key and the value, or "-" and the key, or "-" and a range.
fn shown(watch: &mut dyn Watch, until: Instant) -> Option<(String, u64, bool)> {
    let change = watch.next(Some(until)).expect("the watch works")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let key = text(change.key);
    let what = match change.kind {
        ChangeKind::Set(value) => format!("{key}={}", text(value)),
        ChangeKind::Delete => format!("-{key}"),
        ChangeKind::DeleteRange { end } => {
            format!("-{key}..{}", end.map(text).unwrap_or_default())
        }
    };
    Some((what, change.sequence, change.is_last))
}

/// Returns the changes until there is none.
fn all(watch: &mut dyn Watch, bench: &TestEngine) -> Vec<(String, u64, bool)> {
    std::iter::from_fn(|| shown(watch, soon(bench))).collect()
}

fn texts(changes: &[(String, u64, bool)]) -> Vec<&str> {
    changes.iter().map(|(what, ..)| what.as_str()).collect()
}

fn everything() -> Range {
    Range::prefix(b"")
}

fn a_watch_tells_every_write_in_order(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    write(&*bench.engine, &[set("before", "")]);
    let mut watch = bench.engine.watch(everything(), None)?;
    for number in 0..20 {
        let value = number.to_string();
        write(&*bench.engine, &[set("a", &value)]);
        if number % 5 == 0 {
            write(&*bench.engine, &[delete("a")]);
        }
    }
    let changes = all(&mut *watch, &bench);
    let mut expected = Vec::new();
    for number in 0..20 {
        expected.push(format!("a={number}"));
        if number % 5 == 0 {
            expected.push("-a".to_owned());
        }
    }
    assert_eq!(texts(&changes), expected);
    assert!(changes.iter().all(|(_, _, is_last)| *is_last));
    assert!(changes.windows(2).all(|two| two[0].1 < two[1].1), "numbers increase");
    Ok(())
}

fn a_watch_tells_batches_as_a_whole(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    write(&*bench.engine, &[set("c", "")]);
    let mut watch = bench.engine.watch(everything(), None)?;
    write(&*bench.engine, &[set("a", "1"), set("b", "1"), delete("c")]);
    write(&*bench.engine, &[set("d", "1")]);
    let changes = all(&mut *watch, &bench);
    let mut batch = texts(&changes[..3]);
    // A cluster tells the changes of a write in an order of its own.
    batch.sort_unstable();
    assert_eq!(batch, ["-c", "a=1", "b=1"]);
    let last: Vec<_> = changes.iter().map(|(_, _, is_last)| *is_last).collect();
    assert_eq!(last, [false, false, true, true]);
    assert!(changes[0].1 == changes[2].1 && changes[2].1 < changes[3].1);
    Ok(())
}

fn a_watch_tells_its_range_only(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    let keys = ["a", "b1", "b2", "c"];
    write(&*bench.engine, &keys.map(|key| set(key, "0")));
    let mut watch = bench.engine.watch(Range::prefix(b"b"), None)?;
    let mut nothing =
        bench.engine.watch(Range { start: b"z".into(), end: Some(b"y".into()) }, None)?;
    write(&*bench.engine, &keys.map(|key| set(key, "1")));
    write(&*bench.engine, &[set("a", "2"), set("b1", "2"), set("c", "2")]);
    write(&*bench.engine, &[set("c", "3")]);
    let changes = all(&mut *watch, &bench);
    assert_eq!(texts(&changes), ["b1=1", "b2=1", "b1=2"]);
    let last: Vec<_> = changes.iter().map(|(_, _, is_last)| *is_last).collect();
    assert_eq!(last, [false, true, true]);
    write(&*bench.engine, &[Operation::DeleteRange { start: b"a5", end: None }]);
    let changes = all(&mut *watch, &bench);
    if bench.is_remote || texts(&changes) == ["-b1", "-b2"] {
        // A range that is listed becomes one deletion for each key.
        assert_eq!(texts(&changes), ["-b1", "-b2"]);
    } else {
        assert_eq!(texts(&changes), ["-b..c"]);
    }
    assert_eq!(all(&mut *nothing, &bench), []);
    Ok(())
}

fn a_refused_write_is_not_told(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    let mut watch = bench.engine.watch(everything(), None)?;
    let refused = WriteBatch {
        expectations: &[Expectation::Present { key: b"absent" }],
        operations: &[set("a", "1")],
    };
    assert!(matches!(bench.engine.apply(&refused)?, Outcome::Refused(_)));
    assert_eq!(all(&mut *watch, &bench), []);
    Ok(())
}

fn a_watch_continues_after_another_one(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    let mut first = bench.engine.watch(everything(), None)?;
    for number in 0..10 {
        write(&*bench.engine, &[set(&number.to_string(), "")]);
    }
    let changes = all(&mut *first, &bench);
    let mut second = bench.engine.watch(everything(), Some(changes[3].1))?;
    assert_eq!(all(&mut *second, &bench), changes[4..]);
    let mut none = bench.engine.watch(everything(), Some(changes[9].1))?;
    assert_eq!(all(&mut *none, &bench), []);
    let future = bench.engine.watch(everything(), Some(u64::MAX / 4));
    assert_eq!(future.err().map(|error| error.kind()), Some(Kind::Expired));
    let ancient = bench.engine.watch(everything(), Some(0));
    assert_eq!(ancient.err().map(|error| error.kind()), Some(Kind::Expired));
    Ok(())
}

fn a_watch_waits_and_wakes_up(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    let mut watch = bench.engine.watch(everything(), None)?;
    let start = Instant::now();
    assert!(watch.next(Some(start + Duration::from_millis(50)))?.is_none());
    assert!(start.elapsed() >= Duration::from_millis(50));
    thread::scope(|scope| {
        let waiting = scope.spawn(move || shown(&mut *watch, Instant::now() + LONG));
        thread::sleep(Duration::from_millis(50));
        write(&*bench.engine, &[set("a", "1")]);
        let found = waiting.join().expect("the thread does not panic");
        assert_eq!(found.map(|(what, ..)| what).as_deref(), Some("a=1"));
    });
    Ok(())
}

fn the_descriptor_is_readable_when_there_is_a_change(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    let mut watch = bench.engine.watch(everything(), None)?;
    let descriptor = watch.descriptor()?;
    let is_readable = |timeout: i32| {
        let mut polled = libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
        // SAFETY: it is given one entry.
        unsafe { libc::poll(&raw mut polled, 1, timeout) == 1 }
    };
    while shown(&mut *watch, Instant::now()).is_some() {}
    // A cluster's is readable now and then, to look after the connection.
    assert!(bench.is_remote || !is_readable(0));
    for number in ["1", "2"] {
        write(&*bench.engine, &[set("a", number)]);
        assert!(is_readable(60_000));
        let end = Instant::now() + LONG;
        let found = std::iter::repeat_with(|| shown(&mut *watch, Instant::now()))
            .take_while(|_| Instant::now() < end)
            .find_map(|found| found);
        assert_eq!(found.map(|(what, ..)| what), Some(format!("a={number}")));
        while shown(&mut *watch, Instant::now()).is_some() {}
        assert!(bench.is_remote || !is_readable(0));
    }
    Ok(())
}

/// Copies what the engine has.
fn content(engine: &dyn Engine) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut content = BTreeMap::new();
    let complete = engine.scan(everything(), &mut |key, value| {
        content.insert(key.to_vec(), value.to_vec());
        true
    });
    assert!(complete.expect("the scan works"));
    content
}

/// The copy is read while others write, and then follows the watch.
fn a_copy_follows_four_writers(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    let rounds = if bench.is_remote { 60 } else { 3000 };
    let engine: Arc<dyn Engine> = bench.engine.clone();
    let is_remote = bench.is_remote;
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| -> testkit::Result {
        let writers: Vec<_> = (0..4u32)
            .map(|writer| {
                let engine = engine.clone();
                scope.spawn(move || {
                    let mut random = writer + 1;
                    let mut next = |below: u32| {
                        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        (random >> 8) % below
                    };
                    for round in 0..rounds {
                        let [key, other] = [next(50), next(50)].map(|key| format!("{key:02}"));
                        let value = format!("{writer}-{round}");
                        // A cluster's would end at any time, also while the two are compared.
                        let is_brief = !is_remote && next(2) == 0;
                        let ttl = Duration::from_millis(if is_brief { 1 } else { 3_600_000 });
                        match next(8) {
                            0..=3 => write(&*engine, &[set(&key, &value)]),
                            4 => write(&*engine, &[delete(&key)]),
                            5 => write(&*engine, &[set(&key, &value), set(&other, &value)]),
                            6 => {
                                let (key, value) = (key.as_bytes(), value.as_bytes());
                                let set = Operation::SetTtl { key, value, ttl };
                                let key = other.as_bytes();
                                write(&*engine, &[set, Operation::Expire { key, ttl: Some(ttl) }]);
                            }
                            _ => {
                                let (start, end) = (key.as_bytes(), Some(other.as_bytes()));
                                write(&*engine, &[Operation::DeleteRange { start, end }]);
                            }
                        }
                    }
                })
            })
            .collect();
        let follower = scope.spawn(|| -> kvds::testing::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
            let mut watch = engine.watch(everything(), None)?;
            let mut copy = content(&*engine);
            loop {
                let was_done = is_done.load(Ordering::SeqCst);
                match watch.next(Some(Instant::now() + Duration::from_millis(50))) {
                    Ok(Some(change)) => match change.kind {
                        ChangeKind::Set(value) => {
                            copy.insert(change.key.to_vec(), value.to_vec());
                        }
                        ChangeKind::Delete => {
                            copy.remove(change.key);
                        }
                        ChangeKind::DeleteRange { end } => copy.retain(|key, _| {
                            **key < *change.key || end.is_some_and(|end| **key >= *end)
                        }),
                    },
                    Ok(None) if was_done && !bench.is_remote => return Ok(copy),
                    Ok(None) if was_done && copy == content(&*engine) => return Ok(copy),
                    Ok(None) => {}
                    Err(error) if error.kind() == Kind::Expired => copy = content(&*engine),
                    Err(error) => return Err(error),
                }
            }
        });
        while writers.iter().any(|writer| !writer.is_finished()) {
            kvds::testing::expire();
            thread::sleep(Duration::from_millis(1));
        }
        for writer in writers {
            writer.join().expect("no writer panics");
        }
        // What may expire is gone before the two are compared.
        thread::sleep(Duration::from_millis(10));
        kvds::testing::expire();
        is_done.store(true, Ordering::SeqCst);
        let copy = follower.join().expect("the follower does not panic")?;
        assert_eq!(copy, content(&*engine));
        Ok(())
    })
}

/// The engines whose history is in the process.
fn local_engines() -> &'static [Make] {
    let all: &[Make] = &[testkit::engines::memory, testkit::engines::disk];
    if cfg!(feature = "disk") { all } else { &all[..1] }
}

/// A watch that falls behind what the store keeps says so once, and then continues.
#[test]
fn a_slow_watch_is_told_that_it_has_missed_changes() -> testkit::Result {
    for make in local_engines() {
        let bench = make(no_lease());
        let mut slow = bench.engine.watch(everything(), None)?;
        let mut narrow = bench.engine.watch(Range::prefix(b"rare"), None)?;
        let mut quick = bench.engine.watch(everything(), None)?;
        let value = [0; 1000];
        let mut told = 0;
        for number in 0..20_000u32 {
            write(&*bench.engine, &[set(&number.to_be_bytes(), &value)]);
            told += usize::from(quick.next(Some(Instant::now()))?.is_some());
        }
        assert_eq!(told, 20_000, "one that keeps up misses nothing");
        write(&*bench.engine, &[set("rare", "1")]);
        let found = shown(&mut *narrow, Instant::now()).map(|(what, ..)| what);
        assert_eq!(found.as_deref(), Some("rare=1"), "nothing of its range was missed");
        let error = slow.next(Some(Instant::now())).err().map(|error| error.kind());
        assert_eq!(error, Some(Kind::Expired));
        assert!(slow.next(Some(Instant::now()))?.is_none(), "it says so once");
        write(&*bench.engine, &[set("a", "1")]);
        let found = shown(&mut *slow, Instant::now()).map(|(what, ..)| what);
        assert_eq!(found.as_deref(), Some("a=1"));
    }
    Ok(())
}

/// No history is kept without a watch. A number must not be mistaken for a later one.
#[test]
fn a_watch_does_not_continue_where_history_was_not_kept() -> testkit::Result {
    for make in local_engines() {
        let bench = make(no_lease());
        let mut watch = bench.engine.watch(everything(), None)?;
        write(&*bench.engine, &[set("a", "1")]);
        let (_, sequence, _) = shown(&mut *watch, Instant::now()).expect("there is a change");
        drop(watch);
        write(&*bench.engine, &[set("a", "2")]);
        let again = bench.engine.watch(everything(), Some(sequence));
        assert_eq!(again.err().map(|error| error.kind()), Some(Kind::Expired));
    }
    Ok(())
}
