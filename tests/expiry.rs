//! Tests keys that expire, on all engines and on scopes of them.
//!
//! Time is skipped on memory and disk stores. A cluster has its own clock, so there the tests wait.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use kvds::testing::{
    ChangeKind, Conflict, Cursor, Expectation, Operation, Outcome, Range, TimeLeft, WriteBatch,
    expire, skip_time,
};
use testkit::engines::{Make, TestEngine, delete, get, no_lease, set, write};

testkit::for_every_engine! {
    a_key_lives_for_its_time_and_is_deleted_once
    every_write_without_a_time_ends_it
    the_time_can_be_replaced
    operations_of_a_batch_apply_in_order
    only_the_owner_of_a_lock_renews_it
    deleting_a_range_ends_the_times_of_its_keys
    snapshots_and_cursors_keep_what_expires
    a_random_program_agrees_with_a_map
}

/// The clock is one for all tests of the process, except for those on a cluster.
static CLOCK: Mutex<()> = Mutex::new(());

fn alone(bench: &TestEngine) -> Option<MutexGuard<'static, ()>> {
    (!bench.is_remote).then(|| CLOCK.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The unit of time: as short as a cluster's leases can be, and elsewhere longer than any test.
fn unit(bench: &TestEngine) -> Duration {
    if bench.is_remote { Duration::from_secs(2) } else { Duration::from_secs(1000) }
}

/// Lets some units pass, and half a one.
fn pass(bench: &TestEngine, units: u32) {
    let time = unit(bench) * units + unit(bench) / 2;
    if bench.is_remote {
        thread::sleep(time);
    } else {
        skip_time(time);
        expire();
    }
}

fn set_ttl<'a>(key: &'a str, value: &'a str, ttl: Duration) -> Operation<'a> {
    Operation::SetTtl { key: key.as_bytes(), value: value.as_bytes(), ttl }
}

fn renew(key: &str, ttl: Option<Duration>) -> Operation<'_> {
    Operation::Expire { key: key.as_bytes(), ttl }
}

fn is_there(bench: &TestEngine, key: &str) -> bool {
    get(&*bench.engine, key.as_bytes()).is_some()
}

/// Waits until a key is gone: the servers of a cluster look for ended leases by and by.
fn is_gone(bench: &TestEngine, key: &str) -> bool {
    let end = Instant::now() + Duration::from_secs(if bench.is_remote { 60 } else { 0 });
    while is_there(bench, key) {
        if Instant::now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(50));
    }
    true
}

fn is_forever(bench: &TestEngine, key: &str) -> bool {
    bench.engine.time_left(key.as_bytes()).expect("it works") == Some(TimeLeft::Forever)
}

fn a_key_lives_for_its_time_and_is_deleted_once(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    let _alone = alone(&bench);
    let mut watch = bench.engine.watch(Range::prefix(b""), None)?;
    let ttl = unit(&bench);
    write(&*bench.engine, &[set_ttl("session", "value", ttl), set("other", "value")]);
    let Some(TimeLeft::AtLeast(left)) = bench.engine.time_left(b"session")? else {
        panic!("it has a time")
    };
    // The servers of a cluster count seconds, and the lease is a tenth longer.
    assert!(left <= ttl + Duration::from_secs(2) && left > ttl / 4, "{left:?}");
    assert!(is_forever(&bench, "other"));
    assert_eq!(bench.engine.time_left(b"absent")?, None);
    assert!(is_there(&bench, "session"));
    pass(&bench, 1);
    assert!(is_gone(&bench, "session") && is_there(&bench, "other"));
    assert_eq!(bench.engine.time_left(b"session")?, None);
    // Nothing of it is left: the key is new.
    let create = WriteBatch {
        expectations: &[Expectation::Absent { key: b"session" }],
        operations: &[set("session", "new")],
    };
    assert_eq!(bench.engine.apply(&create)?, Outcome::Applied);
    pass(&bench, 2);
    assert!(is_there(&bench, "session") && is_forever(&bench, "session"));

    let mut seen = Vec::new();
    while let Some(change) = watch.next(Some(Instant::now() + Duration::from_millis(300)))? {
        let key = String::from_utf8_lossy(change.key).into_owned();
        seen.push((key, matches!(change.kind, ChangeKind::Delete)));
    }
    seen.retain(|(key, _)| key == "session");
    let expected = [false, true, false].map(|is_delete| ("session".to_owned(), is_delete));
    assert_eq!(seen, expected);
    Ok(())
}

fn every_write_without_a_time_ends_it(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    let _alone = alone(&bench);
    let ttl = unit(&bench);
    let keys = ["set", "swapped", "batch", "deleted", "ended"];
    write(&*bench.engine, &keys.map(|key| set_ttl(key, "1", ttl)));
    write(&*bench.engine, &[set("set", "2")]);
    let swap = WriteBatch {
        expectations: &[Expectation::Equals { key: b"swapped", value: b"1" }],
        operations: &[set("swapped", "2")],
    };
    assert_eq!(bench.engine.apply(&swap)?, Outcome::Applied);
    write(&*bench.engine, &[set("batch", "2"), set("more", "2")]);
    write(&*bench.engine, &[delete("deleted")]);
    write(&*bench.engine, &[set("deleted", "2")]);
    write(&*bench.engine, &[renew("ended", None)]);
    assert!(keys.iter().all(|key| is_forever(&bench, key)));
    pass(&bench, 2);
    assert!(keys.iter().all(|key| is_there(&bench, key)));
    Ok(())
}

fn the_time_can_be_replaced(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    let _alone = alone(&bench);
    let ttl = unit(&bench);
    write(
        &*bench.engine,
        &[set_ttl("longer", "", ttl), set_ttl("shorter", "", 9 * ttl), set("begun", "kept")],
    );
    write(&*bench.engine, &[renew("longer", Some(9 * ttl)), renew("shorter", Some(ttl))]);
    let begin = WriteBatch {
        expectations: &[Expectation::Present { key: b"begun" }],
        operations: &[renew("begun", Some(ttl))],
    };
    assert_eq!(bench.engine.apply(&begin)?, Outcome::Applied);
    assert_eq!(get(&*bench.engine, b"begun").as_deref(), Some(&b"kept"[..]));
    let absent = WriteBatch {
        expectations: &[Expectation::Present { key: b"absent" }],
        operations: &[renew("absent", Some(ttl))],
    };
    assert_eq!(bench.engine.apply(&absent)?, Outcome::Refused(Conflict::NotFound));
    pass(&bench, 1);
    assert!(is_gone(&bench, "shorter") && is_gone(&bench, "begun") && is_there(&bench, "longer"));
    Ok(())
}

fn operations_of_a_batch_apply_in_order(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    let _alone = alone(&bench);
    let ttl = unit(&bench);
    write(&*bench.engine, &[set("old", ""), set("range1", ""), set("range2", "")]);
    let range = Operation::DeleteRange { start: b"range", end: Some(b"rangf") };
    let operations = [
        set("a", ""),
        renew("a", Some(ttl)),
        set_ttl("b", "", ttl),
        renew("b", None),
        set_ttl("c", "", ttl),
        set("c", ""),
        delete("old"),
        renew("old", Some(ttl)),
        renew("absent", Some(ttl)),
        range,
        renew("range1", Some(ttl)),
        set_ttl("range2", "", ttl),
        set_ttl("d", "", 9 * ttl),
        set_ttl("d", "", ttl),
    ];
    write(&*bench.engine, &operations);
    let left = |key: &str| bench.engine.time_left(key.as_bytes()).expect("it works");
    for key in ["a", "range2", "d"] {
        assert!(matches!(left(key), Some(TimeLeft::AtLeast(_))), "{key}");
    }
    for key in ["b", "c"] {
        assert_eq!(left(key), Some(TimeLeft::Forever), "{key}");
    }
    for key in ["old", "absent", "range1"] {
        assert_eq!(left(key), None, "{key}");
    }
    pass(&bench, 1);
    for key in ["a", "range2", "d"] {
        assert!(is_gone(&bench, key), "{key}");
    }
    assert!(is_there(&bench, "b") && is_there(&bench, "c"));
    Ok(())
}

fn only_the_owner_of_a_lock_renews_it(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    let _alone = alone(&bench);
    let ttl = 3 * unit(&bench);
    let take = |owner| {
        let operations = [set_ttl("lock", owner, ttl)];
        let expectations = &[Expectation::Absent { key: b"lock" }];
        bench.engine.apply(&WriteBatch { expectations, operations: &operations })
    };
    let renew_as = |owner: &str| {
        let operations = [renew("lock", Some(ttl))];
        let expectations = &[Expectation::Equals { key: b"lock", value: owner.as_bytes() }];
        bench.engine.apply(&WriteBatch { expectations, operations: &operations })
    };
    assert_eq!(take("one")?, Outcome::Applied);
    assert_eq!(take("two")?, Outcome::Refused(Conflict::Exists));
    for _ in 0..2 {
        pass(&bench, 1);
        assert_eq!(renew_as("one")?, Outcome::Applied);
        assert_eq!(renew_as("two")?, Outcome::Refused(Conflict::Mismatch));
    }
    pass(&bench, 1);
    assert!(is_there(&bench, "lock"), "it was renewed");
    pass(&bench, 2);
    assert!(is_gone(&bench, "lock"), "it was not renewed");
    assert_eq!(take("two")?, Outcome::Applied);
    assert_eq!(renew_as("one")?, Outcome::Refused(Conflict::Mismatch));
    Ok(())
}

/// A deadline that outlives its key would delete the next value of the key.
fn deleting_a_range_ends_the_times_of_its_keys(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    let _alone = alone(&bench);
    let ttl = unit(&bench);
    // Few keys are deleted one by one on disk, many as a range.
    let count = if bench.is_remote { 20 } else { 3000 };
    let keys: Vec<_> = (0..count).map(|number| format!("range{number:04}")).collect();
    let operations: Vec<_> = keys.iter().map(|key| set_ttl(key, "1", ttl)).collect();
    for delete_some in [true, false] {
        write(&*bench.engine, &operations);
        let end: &[u8] = if delete_some { b"range0005" } else { b"rangf" };
        let range = Operation::DeleteRange { start: b"range", end: Some(end) };
        write(&*bench.engine, &[range]);
        assert!(!is_there(&bench, "range0000"));
        write(&*bench.engine, &[set("range0000", "2"), set("range0001", "2")]);
        pass(&bench, 1);
        assert!(is_gone(&bench, "range0010"));
        assert!(is_there(&bench, "range0000") && is_there(&bench, "range0001"));
    }
    Ok(())
}

fn snapshots_and_cursors_keep_what_expires(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    let _alone = alone(&bench);
    let ttl = unit(&bench);
    write(&*bench.engine, &[set_ttl("a", "1", ttl), set("b", "1")]);
    let snapshot = bench.engine.snapshot()?;
    let mut cursor: Box<dyn Cursor> = bench.engine.cursor(Range::prefix(b""))?;
    write(&*bench.engine, &[set_ttl("b", "2", ttl)]);
    assert_eq!(snapshot.time_left(b"b")?, Some(TimeLeft::Forever));
    pass(&bench, 1);
    assert!(is_gone(&bench, "a") && is_gone(&bench, "b"));
    assert_eq!(get(&*snapshot, b"a").as_deref(), Some(&b"1"[..]));
    assert_eq!(get(&*snapshot, b"b").as_deref(), Some(&b"1"[..]));
    assert!(matches!(snapshot.time_left(b"a")?, Some(TimeLeft::AtLeast(Duration::ZERO))));
    cursor.first()?;
    assert_eq!(cursor.entry(), Some((&b"a"[..], &b"1"[..])));
    assert!(matches!(cursor.time_left()?, TimeLeft::AtLeast(Duration::ZERO)));
    cursor.next()?;
    assert_eq!(cursor.entry(), Some((&b"b"[..], &b"1"[..])));
    Ok(())
}

/// Values with the unit of time at which they expire.
type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<u32>)>;

fn a_random_program_agrees_with_a_map(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    let _alone = alone(&bench);
    let mut model = Model::new();
    let mut random: u32 = 7;
    let mut next = |below: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) % below
    };
    let mut now = 0;
    let rounds = if bench.is_remote { 2 } else { 300 };
    let mut watch = bench.engine.watch(Range::prefix(b""), None)?;
    let mut copy: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for _ in 0..rounds {
        for _ in 0..next(20) {
            let mut operations = Vec::new();
            let count = 1 + next(4);
            let arguments: Vec<_> = (0..count)
                .map(|_| (next(10), format!("{}", next(30)), format!("{}", next(30)), 1 + next(5)))
                .collect();
            for (what, key, other, units) in &arguments {
                // Half a unit less, so that nothing is due when the two are compared.
                let ttl = unit(&bench) * *units - unit(&bench) / 2;
                let (bytes, until) = (key.clone().into_bytes(), now + units);
                match what {
                    0..=2 => {
                        operations.push(set(key, other));
                        model.insert(bytes, (other.clone().into_bytes(), None));
                    }
                    3..=5 => {
                        operations.push(set_ttl(key, other, ttl));
                        model.insert(bytes, (other.clone().into_bytes(), Some(until)));
                    }
                    6 => {
                        operations.push(delete(key));
                        model.remove(&bytes);
                    }
                    7 => {
                        operations.push(renew(key, Some(ttl)));
                        model.entry(bytes).and_modify(|(_, old)| *old = Some(until));
                    }
                    8 => {
                        operations.push(renew(key, None));
                        model.entry(bytes).and_modify(|(_, old)| *old = None);
                    }
                    _ => {
                        let (start, end) = (key.as_bytes(), Some(other.as_bytes()));
                        operations.push(Operation::DeleteRange { start, end });
                        model.retain(|key, _| {
                            **key < *start || end.is_some_and(|end| **key >= *end)
                        });
                    }
                }
            }
            write(&*bench.engine, &operations);
        }
        let units = next(3);
        now += units + 1;
        if bench.is_remote {
            // Its clock cannot be skipped: everything expires, or nothing.
            thread::sleep(Duration::from_secs(20));
            now += 100;
        } else {
            skip_time(unit(&bench) * (units + 1));
            expire();
        }
        model.retain(|_, (_, until)| until.is_none_or(|until| until > now));
        let mut found = BTreeMap::new();
        bench.engine.scan(Range::prefix(b""), &mut |key, value| {
            found.insert(key.to_vec(), value.to_vec());
            true
        })?;
        let expected: BTreeMap<_, _> =
            model.iter().map(|(key, (value, _))| (key.clone(), value.clone())).collect();
        assert_eq!(found, expected);
        for (key, (_, until)) in &model {
            let left = bench.engine.time_left(key)?.expect("it is there");
            assert_eq!(matches!(left, TimeLeft::AtLeast(_)), until.is_some());
        }
        let patience = Duration::from_millis(if bench.is_remote { 1000 } else { 0 });
        while let Some(change) = watch.next(Some(Instant::now() + patience))? {
            match change.kind {
                ChangeKind::Set(value) => {
                    copy.insert(change.key.to_vec(), value.to_vec());
                }
                ChangeKind::Delete => {
                    copy.remove(change.key);
                }
                ChangeKind::DeleteRange { end } => copy
                    .retain(|key, _| **key < *change.key || end.is_some_and(|end| **key >= *end)),
            }
        }
        assert_eq!(copy, expected, "the watch told everything");
    }
    Ok(())
}
