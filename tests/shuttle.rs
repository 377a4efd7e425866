//! Models of the memory engine. Its threads run one step at a time, in orders that shuttle chooses.
//! `make models` runs them; other builds are empty.
#![cfg(shuttle)]

use std::collections::BTreeMap;
use std::env;
use std::sync::Arc;

use kvds::testing::{
    Budget, Engine, Expectation, Memory, Operation, Outcome, Range, Reader, WriteBatch,
};
use shuttle::sync::atomic::{AtomicBool, Ordering::SeqCst};
use shuttle::thread::{self, JoinHandle};

type Content = BTreeMap<Vec<u8>, Vec<u8>>;

/// Runs a model in many orders. Half of them are random, half switch threads rarely, at random
/// points.
fn model(run: impl Fn() + Send + Sync + 'static) {
    let runs = env::var("KVDS_MODEL_RUNS")
        .map_or(100_000, |runs| runs.parse().expect("KVDS_MODEL_RUNS is a number"));
    let run = Arc::new(run);
    let again = run.clone();
    shuttle::check_random(move || run(), runs / 2);
    shuttle::check_pct(move || again(), runs / 2, 3);
}

fn memory() -> Arc<Memory> {
    Arc::new(Memory::new(Arc::new(Budget::new(0)), 1 << 20, Box::new(())))
}

fn everything() -> Range {
    Range::prefix(b"")
}

fn write(engine: &dyn Engine, operations: &[Operation<'_>]) {
    let batch = WriteBatch { expectations: &[], operations };
    assert_eq!(engine.apply(&batch).expect("the write works"), Outcome::Applied);
}

fn set<'a>(key: &'a str, value: &'a str) -> Operation<'a> {
    Operation::Set { key: key.as_bytes(), value: value.as_bytes() }
}

fn delete(key: &str) -> Operation<'_> {
    Operation::Delete { key: key.as_bytes() }
}

const DELETE_ALL: Operation<'_> = Operation::DeleteRange { start: b"", end: None };

/// Returns the pairs that a cursor reads.
fn shown(reader: &dyn Reader) -> Content {
    let mut content = Content::new();
    let mut cursor = reader.cursor(everything()).expect("there is a cursor");
    cursor.first().expect("the cursor works");
    while let Some((key, value)) = cursor.entry() {
        assert!(content.insert(key.to_vec(), value.to_vec()).is_none(), "each key once");
        cursor.next().expect("the cursor works");
    }
    content
}

/// Returns the pairs that reads find.
fn found(reader: &dyn Reader, keys: &[&str]) -> Content {
    let get = |key: &&str| {
        Some((
            key.as_bytes().to_vec(),
            reader.get(key.as_bytes()).expect("the read works")?.to_vec(),
        ))
    };
    keys.iter().filter_map(get).collect()
}

fn content(pairs: &[(&str, &str)]) -> Content {
    pairs.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

fn join<T>(thread: JoinHandle<T>) -> T {
    thread.join().expect("the thread did not panic")
}

/// Checks that the engine has the size of a new engine with the same pairs.
fn assert_like_a_new_engine(memory: &Memory) {
    let fresh = self::memory();
    let content = shown(memory);
    for (key, value) in &content {
        write(&*fresh, &[Operation::Set { key, value }]);
    }
    let cost = |engine: &dyn Engine| {
        engine
            .maintenance()?
            .stats()
            .map(|stats| (stats.keys, stats.bytes, stats.memory_bytes))
            .ok()
    };
    assert_eq!(cost(memory), cost(&*fresh), "{content:?}");
}

/// A cursor shows every key that was written before it, even if the key index does not have it yet.
#[test]
fn a_cursor_finds_what_was_written_before_it() {
    model(|| {
        let memory = memory();
        write(&*memory, &[set("m", "0")]);
        assert_eq!(shown(&*memory), content(&[("m", "0")]));
        let done = Arc::new(AtomicBool::new(false));
        let writer = thread::spawn({
            let (memory, done) = (memory.clone(), done.clone());
            move || {
                write(&*memory, &[set("a", "1")]);
                done.store(true, SeqCst);
                write(&*memory, &[set("m", "1")]);
            }
        });
        let before = done.load(SeqCst);
        let shown = shown(&*memory);
        let has_new = shown.contains_key(&b"a"[..]);
        assert!(has_new || !before, "the write had returned");
        assert!(
            has_new || shown != content(&[("m", "1")]),
            "the later write is there, and the one before is not"
        );
        join(writer);
    });
}

/// Two cursors on one snapshot and its other reads always agree, also about a write that was
/// running when the snapshot was taken.
#[test]
fn all_reads_of_a_snapshot_agree() {
    model(|| {
        let memory = memory();
        write(&*memory, &[set("b", "0")]);
        let writers = [
            thread::spawn({
                let memory = memory.clone();
                move || {
                    write(&*memory, &[set("a", "1")]);
                    write(&*memory, &[delete("b")]);
                }
            }),
            thread::spawn({
                let memory = memory.clone();
                move || write(&*memory, &[set("b", "2"), set("c", "2")])
            }),
        ];
        let snapshot = memory.snapshot().expect("there is a snapshot");
        let first = shown(&*snapshot);
        assert_eq!(found(&*snapshot, &["a", "b", "c"]), first);
        writers.into_iter().for_each(join);
        assert_eq!(shown(&*snapshot), first);
        assert_eq!(found(&*snapshot, &["a", "b", "c"]), first);
        drop(snapshot);
        assert_like_a_new_engine(&memory);
    });
}

/// No cursor, snapshot or read of several keys sees a part of a batch.
#[test]
fn a_batch_is_seen_whole_or_not_at_all() {
    const KEYS: [&str; 3] = ["a", "b", "c"];
    fn assert_whole(content: &Content) {
        let mut values: Vec<_> = KEYS.iter().map(|key| content.get(key.as_bytes())).collect();
        values.dedup();
        assert_eq!(values.len(), 1, "{content:?}");
    }
    model(|| {
        let memory = memory();
        let writer = thread::spawn({
            let memory = memory.clone();
            move || {
                write(&*memory, &KEYS.map(|key| set(key, "1")));
                write(&*memory, &KEYS.map(|key| set(key, "2")));
                write(&*memory, &[DELETE_ALL]);
            }
        });
        let looker = thread::spawn({
            let memory = memory.clone();
            move || {
                let snapshot = memory.snapshot().expect("there is a snapshot");
                let values = memory.get_many(&KEYS.map(str::as_bytes)).expect("the read works");
                let pairs = KEYS.into_iter().zip(values);
                assert_whole(
                    &pairs.filter_map(|(key, value)| Some((key.into(), value?.to_vec()))).collect(),
                );
                assert_whole(&found(&*snapshot, &KEYS));
            }
        });
        assert_whole(&shown(&*memory));
        join(writer);
        join(looker);
        assert_like_a_new_engine(&memory);
    });
}

/// Snapshots are taken and dropped in any order while keys change. Each keeps its versions, and no
/// version lives longer than its snapshots.
#[test]
fn snapshots_keep_their_versions_and_nothing_else() {
    const KEYS: [&str; 2] = ["a", "b"];
    model(|| {
        let memory = memory();
        let writers = ["1", "2"].map(|value| {
            let memory = memory.clone();
            thread::spawn(move || {
                write(&*memory, &[set("a", value)]);
                write(&*memory, &[delete("a"), set("b", value)]);
            })
        });
        let watchers = [0, 1].map(|_| {
            let memory = memory.clone();
            thread::spawn(move || {
                let older = memory.snapshot().expect("there is a snapshot");
                let saw = found(&*older, &KEYS);
                let newer = memory.snapshot().expect("there is a snapshot");
                // A cursor also holds the versions of its snapshot.
                let mut cursor = newer.cursor(everything()).expect("there is a cursor");
                let saw_newer = found(&*newer, &KEYS);
                drop(newer);
                assert_eq!(found(&*older, &KEYS), saw);
                drop(older);
                cursor.first().expect("the cursor works");
                assert_eq!(
                    cursor.entry().map(|(key, _)| key),
                    saw_newer.keys().next().map(Vec::as_slice)
                );
            })
        });
        writers.into_iter().for_each(join);
        watchers.into_iter().for_each(join);
        assert_like_a_new_engine(&memory);
    });
}

/// Nodes of deleted keys are removed while other threads read in order, delete ranges, and set the
/// same keys again.
#[test]
fn deleted_keys_leave_no_nodes() {
    model(|| {
        let memory = memory();
        let come_and_go = [["a", "b"], ["b", "a"]].map(|keys| {
            let memory = memory.clone();
            thread::spawn(move || {
                for key in keys {
                    write(&*memory, &[set(key, "1")]);
                    write(&*memory, &[delete(key)]);
                }
            })
        });
        let sweeper = thread::spawn({
            let memory = memory.clone();
            move || write(&*memory, &[DELETE_ALL])
        });
        shown(&*memory);
        come_and_go.into_iter().for_each(join);
        join(sweeper);
        assert_eq!(shown(&*memory), Content::new());
        assert_like_a_new_engine(&memory);
        // What was taken out of one place and not of the other would be found in the place of what
        // comes.
        write(&*memory, &[set("a", "2"), set("b", "2")]);
        assert_eq!(shown(&*memory), content(&[("a", "2"), ("b", "2")]));
    });
}

/// No write comes between the check of an expectation and the write.
#[test]
fn of_two_equal_conditional_writes_one_succeeds() {
    model(|| {
        let memory = memory();
        let claim = |name: &'static str, also: Option<&'static str>| {
            let memory = memory.clone();
            thread::spawn(move || {
                let operations: Vec<_> =
                    ["key"].into_iter().chain(also).map(|key| set(key, name)).collect();
                let expectations = [Expectation::Absent { key: b"key" }];
                memory
                    .apply(&WriteBatch { expectations: &expectations, operations: &operations })
                    .expect("the write works")
            })
        };
        let outcomes = [claim("one", None), claim("two", Some("other"))].map(join);
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Applied).count(), 1);
        let all = if outcomes[0] == Outcome::Applied {
            content(&[("key", "one")])
        } else {
            content(&[("key", "two"), ("other", "two")])
        };
        assert_eq!(shown(&*memory), all);
    });
}
