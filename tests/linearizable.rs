//! Checks that concurrent calls on a store are linearizable: one order of atomic steps explains all
//! results.
//!
//! Threads call a store and record when each call began and ended. The checker is Wing and Gong's
//! search with Lowe's memoization, from `todc-utils`. It searches for an order that gives the same
//! results. The whole store is one object, so that the search covers batches and iterations, which
//! touch several keys.

use std::sync::Arc;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use kvds::testing::{
    Backend, Conflict, Expectation, Identity, Operation, Outcome, Ref, SnapshotView, Store,
    WriteBatch, open_view,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use testkit::engines::{Make, no_lease};
use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::{Action, History};
use todc_utils::specifications::Specification;

testkit::for_every_engine! { histories_are_linearizable }

const KEYS: usize = 3;
const THREADS: usize = 4;
const CALLS: usize = 12;
const ROUNDS: usize = 1000;

/// The value of each key, which is one byte.
type Content = [Option<u8>; KEYS];

#[derive(Clone, Copy, Debug)]
enum Call {
    Get(usize),
    Exists(usize),
    Iterate,
    Set(usize, u8),
    Delete(usize),
    SetNx(usize, u8),
    CompareAndSwap(usize, u8, u8),
    SetAll(u8),
    DeleteAll,
    DeletePrefix,
    MultiGet,
    Snapshot,
    CompareAndDelete(usize, u8),
    /// A conditional batch: if the first key has the first value, both keys get the second value.
    Move(usize, usize, u8, u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallResult {
    Value(Option<u8>),
    There(bool),
    Content(Content),
    Write(Outcome),
}

/// A call, and its result once it has returned.
type Event = (Call, Option<CallResult>);

struct Sequential;

impl Specification for Sequential {
    type State = Content;
    type Operation = Event;

    fn init() -> Content {
        [None; KEYS]
    }

    fn apply((call, result): &Event, content: &Content) -> (bool, Content) {
        let mut after = *content;
        let right = match *call {
            Call::Get(key) => CallResult::Value(content[key]),
            Call::Exists(key) => CallResult::There(content[key].is_some()),
            Call::Iterate | Call::MultiGet | Call::Snapshot => CallResult::Content(*content),
            Call::Set(key, value) => {
                after[key] = Some(value);
                CallResult::Write(Outcome::Applied)
            }
            Call::Delete(key) => CallResult::Write(match after[key].take() {
                Some(_) => Outcome::Applied,
                None => Outcome::Refused(Conflict::NotFound),
            }),
            Call::SetNx(key, value) => CallResult::Write(match content[key] {
                Some(_) => Outcome::Refused(Conflict::Exists),
                None => {
                    after[key] = Some(value);
                    Outcome::Applied
                }
            }),
            Call::CompareAndSwap(key, expected, value) => CallResult::Write(match content[key] {
                None => Outcome::Refused(Conflict::NotFound),
                Some(found) if found != expected => Outcome::Refused(Conflict::Mismatch),
                Some(_) => {
                    after[key] = Some(value);
                    Outcome::Applied
                }
            }),
            Call::SetAll(value) => {
                after = [Some(value); KEYS];
                CallResult::Write(Outcome::Applied)
            }
            Call::CompareAndDelete(key, expected) => CallResult::Write(match content[key] {
                None => Outcome::Refused(Conflict::NotFound),
                Some(found) if found != expected => Outcome::Refused(Conflict::Mismatch),
                Some(_) => {
                    after[key] = None;
                    Outcome::Applied
                }
            }),
            Call::Move(from, to, expected, value) => CallResult::Write(match content[from] {
                None => Outcome::Refused(Conflict::NotFound),
                Some(found) if found != expected => Outcome::Refused(Conflict::Mismatch),
                Some(_) => {
                    after[from] = Some(value);
                    after[to] = Some(value);
                    Outcome::Applied
                }
            }),
            Call::DeleteAll | Call::DeletePrefix => {
                after = [None; KEYS];
                CallResult::Write(Outcome::Applied)
            }
        };
        (*result == Some(right), after)
    }
}

fn name(key: usize) -> [u8; 1] {
    [b'a' + key as u8]
}

fn content(store: &Store) -> Content {
    let mut content = [None; KEYS];
    let complete = store.iterate(b"", |key, value| {
        content[usize::from(key[0] - b'a')] = Some(value[0]);
        true
    });
    assert!(complete.expect("the iteration works"));
    content
}

fn perform(store: &Ref<Store>, call: Call) -> CallResult {
    let names: [_; KEYS] = std::array::from_fn(name);
    let batch = |operations: [Operation<'_>; KEYS]| {
        CallResult::Write(
            store
                .write(&WriteBatch { expectations: &[], operations: &operations })
                .expect("the write works"),
        )
    };
    let write = |result: kvds::testing::Result<Outcome>| {
        CallResult::Write(result.expect("the write works"))
    };
    match call {
        Call::Get(key) => {
            CallResult::Value(store.get(&name(key)).expect("the read works").map(|value| value[0]))
        }
        Call::Exists(key) => CallResult::There(store.exists(&name(key)).expect("the read works")),
        Call::Iterate => CallResult::Content(content(store)),
        Call::Snapshot => {
            let snapshot = open_view(store, |engine| Ok(Arc::new(SnapshotView::new(engine)?)))
                .expect("a snapshot can be taken");
            std::thread::yield_now();
            CallResult::Content(content(&snapshot))
        }
        Call::MultiGet => {
            let values =
                store.multi_get(&names.each_ref().map(|name| &name[..])).expect("the read works");
            let mut values = values.into_iter().map(|value| value.map(|value| value[0]));
            CallResult::Content(std::array::from_fn(|_| {
                values.next().expect("as many values as keys")
            }))
        }
        Call::CompareAndDelete(key, expected) => {
            write(store.compare_and_delete(&name(key), &[expected]))
        }
        Call::Move(from, to, expected, value) => {
            let (from, to, value) = (name(from), name(to), [value]);
            write(store.write(&WriteBatch {
                expectations: &[Expectation::Equals { key: &from, value: &[expected] }],
                operations: &[
                    Operation::Set { key: &from, value: &value },
                    Operation::Set { key: &to, value: &value },
                ],
            }))
        }
        Call::DeletePrefix => write(store.delete_prefix(b"")),
        Call::Set(key, value) => write(store.set(&name(key), &[value])),
        Call::Delete(key) => write(store.delete(&name(key))),
        Call::SetNx(key, value) => write(store.set_nx(&name(key), &[value])),
        Call::CompareAndSwap(key, expected, value) => {
            write(store.compare_and_swap(&name(key), &[expected], &[value]))
        }
        Call::SetAll(value) => batch(
            names
                .each_ref()
                .map(|key| Operation::Set { key, value: &[0, 1, 2][usize::from(value)..][..1] }),
        ),
        Call::DeleteAll => batch(names.each_ref().map(|key| Operation::Delete { key })),
    }
}

fn call() -> impl Strategy<Value = Call> {
    let (key, value) = (0..KEYS, 0..3u8);
    prop_oneof![
        4 => key.clone().prop_map(Call::Get),
        1 => key.clone().prop_map(Call::Exists),
        1 => prop_oneof![Just(Call::Iterate), Just(Call::MultiGet), Just(Call::Snapshot)],
        1 => (key.clone(), value.clone())
            .prop_map(|(key, expected)| Call::CompareAndDelete(key, expected)),
        1 => (key.clone(), key.clone(), value.clone(), value.clone())
            .prop_map(|(from, to, expected, value)| Call::Move(from, to, expected, value)),
        3 => (key.clone(), value.clone()).prop_map(|(key, value)| Call::Set(key, value)),
        2 => key.clone().prop_map(Call::Delete),
        2 => (key.clone(), value.clone()).prop_map(|(key, value)| Call::SetNx(key, value)),
        4 => (key, value.clone(), value.clone())
            .prop_map(|(key, expected, value)| Call::CompareAndSwap(key, expected, value)),
        1 => value.prop_map(Call::SetAll),
        1 => prop_oneof![Just(Call::DeleteAll), Just(Call::DeletePrefix)],
    ]
}

/// Runs the programs concurrently and returns their calls and results, in order of time.
fn record(store: &Ref<Store>, programs: Vec<Vec<Call>>) -> Vec<(usize, Action<Event>)> {
    let clock = AtomicUsize::new(0);
    let barrier = Barrier::new(programs.len());
    let mut history: Vec<_> = std::thread::scope(|scope| {
        let run = |(thread, program): (usize, Vec<Call>)| {
            let (clock, barrier) = (&clock, &barrier);
            scope.spawn(move || {
                let mut events = Vec::new();
                barrier.wait();
                for call in program {
                    let began = clock.fetch_add(1, Ordering::SeqCst);
                    let result = perform(store, call);
                    let ended = clock.fetch_add(1, Ordering::SeqCst);
                    events.push((began, thread, Action::Call((call, None))));
                    events.push((ended, thread, Action::Response((call, Some(result)))));
                }
                events
            })
        };
        let threads: Vec<_> = programs.into_iter().enumerate().map(run).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no thread panicked")).collect()
    });
    history.sort_by_key(|(time, ..)| *time);
    history.into_iter().map(|(_, thread, action)| (thread, action)).collect()
}

fn histories_are_linearizable(make: Make) -> testkit::Result {
    let mut runner = TestRunner::default();
    let program = proptest::collection::vec(call(), CALLS);
    let bench = make(no_lease());
    let identity = Identity { tag: 0, id: c"store".to_owned(), backend: Backend::Memory };
    let store = Store::on(bench.engine.clone(), identity, Arc::default());
    for round in 0..ROUNDS {
        perform(&store, Call::DeleteAll);
        let programs: Vec<_> = (0..THREADS)
            .map(|_| program.new_tree(&mut runner).expect("a program can be made").current())
            .collect();
        let history = record(&store, programs);
        if !WGLChecker::<Sequential>::is_linearizable(History::from_actions(history.clone())) {
            for (thread, action) in history {
                eprintln!("{thread}: {action:?}");
            }
            panic!("round {round}: no order of atomic steps explains this history");
        }
    }
    Ok(())
}

#[test]
fn the_checker_detects_a_lost_update() {
    // Two swaps of the same value cannot both succeed. A store that reads first and writes later
    // would allow it.
    let swap =
        |value| (Call::CompareAndSwap(0, 0, value), Some(CallResult::Write(Outcome::Applied)));
    let set = (Call::Set(0, 0), Some(CallResult::Write(Outcome::Applied)));
    let history = vec![
        (0, Action::Call((set.0, None))),
        (0, Action::Response(set)),
        (0, Action::Call((swap(1).0, None))),
        (1, Action::Call((swap(2).0, None))),
        (0, Action::Response(swap(1))),
        (1, Action::Response(swap(2))),
    ];
    assert!(!WGLChecker::<Sequential>::is_linearizable(History::from_actions(history)));
}
