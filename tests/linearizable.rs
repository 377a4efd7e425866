//! Checks that concurrent calls on a store are linearizable: one order of atomic steps explains all
//! results.
//!
//! Threads call a store and record when each call began and ended. The checker is Wing and Gong's
//! search with Lowe's memoization, from `todc-utils`. It searches for an order that gives the same
//! results. The whole store is one object, so that the search covers batches and iterations, which
//! touch several keys.

use std::sync::Arc;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use kvds::testing::{
    Backend, Conflict, Expectation, Identity, Kind, Operation, Outcome, Ref, SnapshotView, Store,
    WriteBatch, open_view,
};
#[cfg(feature = "cluster")]
use kvds::testing::{Client, Cluster, Options};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use testkit::engines::{Make, no_lease};
#[cfg(feature = "cluster")]
use testkit::etcd::Servers;
use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::{Action, History};
use todc_utils::specifications::Specification;

testkit::for_every_engine! { histories_are_linearizable }

const KEYS: usize = 3;
const THREADS: usize = 4;
const CALLS: usize = 12;
const ROUNDS: usize = 1000;
/// The number of the first thread that lets a key expire: behind those of calls of unknown outcome.
/// The checker has a list for each number.
const EXPIRING: usize = THREADS * 100;
/// More calls, so that the fault comes while they are made.
#[cfg(feature = "cluster")]
const CALLS_WITH_FAULT: usize = 60;

/// The value of each key, which is one byte.
type Content = [Option<u8>; KEYS];

/// The value of each key, and the number of the call that lets it expire; 0 for none.
type State = [Option<(u8, u16)>; KEYS];

#[derive(Clone, Copy, Debug)]
enum Call {
    Get(usize),
    Exists(usize),
    Iterate,
    Set(usize, u8),
    /// Sets a key that expires. The number is of this call alone.
    SetTtl(usize, u8, u16),
    /// The store deletes the key if it still has what the call of this number has set. That may
    /// happen at any time after the call began, or never.
    Expire(usize, u16),
    /// Ends the time to live.
    Persist(usize),
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
    /// The call may have happened or not. It may also happen later, so its response is at the end
    /// of the history. There it makes no difference whether it happened.
    Unknown,
}

/// A call, and its result once it has returned.
type Event = (Call, Option<CallResult>);

struct Sequential;

impl Specification for Sequential {
    type State = State;
    type Operation = Event;

    fn init() -> State {
        [None; KEYS]
    }

    fn apply((call, result): &Event, state: &State) -> (bool, State) {
        let content: Content = state.map(|entry| entry.map(|(value, _)| value));
        let forever = |value| Some((value, 0));
        let mut after = *state;
        let right = match *call {
            Call::Get(key) => CallResult::Value(content[key]),
            Call::Exists(key) => CallResult::There(content[key].is_some()),
            Call::Iterate | Call::MultiGet | Call::Snapshot => CallResult::Content(content),
            Call::Set(key, value) => {
                after[key] = forever(value);
                CallResult::Write(Outcome::Applied)
            }
            Call::SetTtl(key, value, number) => {
                after[key] = Some((value, number));
                CallResult::Write(Outcome::Applied)
            }
            Call::Expire(key, number) => {
                after[key] = after[key].filter(|(_, expires)| *expires != number);
                CallResult::Unknown
            }
            Call::Persist(key) => CallResult::Write(match content[key] {
                None => Outcome::Refused(Conflict::NotFound),
                Some(value) => {
                    after[key] = forever(value);
                    Outcome::Applied
                }
            }),
            Call::Delete(key) => CallResult::Write(match after[key].take() {
                Some(_) => Outcome::Applied,
                None => Outcome::Refused(Conflict::NotFound),
            }),
            Call::SetNx(key, value) => CallResult::Write(match content[key] {
                Some(_) => Outcome::Refused(Conflict::Exists),
                None => {
                    after[key] = forever(value);
                    Outcome::Applied
                }
            }),
            Call::CompareAndSwap(key, expected, value) => CallResult::Write(match content[key] {
                None => Outcome::Refused(Conflict::NotFound),
                Some(found) if found != expected => Outcome::Refused(Conflict::Mismatch),
                Some(_) => {
                    after[key] = forever(value);
                    Outcome::Applied
                }
            }),
            Call::SetAll(value) => {
                after = [forever(value); KEYS];
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
                    after[from] = forever(value);
                    after[to] = forever(value);
                    Outcome::Applied
                }
            }),
            Call::DeleteAll | Call::DeletePrefix => {
                after = [None; KEYS];
                CallResult::Write(Outcome::Applied)
            }
        };
        (*result == Some(right) || *result == Some(CallResult::Unknown), after)
    }
}

fn name(key: usize) -> [u8; 1] {
    [b'a' + key as u8]
}

type Performed = kvds::testing::Result<CallResult>;

fn content(store: &Store) -> kvds::testing::Result<Content> {
    let mut content = [None; KEYS];
    let complete = store.iterate(b"", |key, value| {
        content[usize::from(key[0] - b'a')] = Some(value[0]);
        true
    });
    assert!(complete?);
    Ok(content)
}

fn perform(store: &Ref<Store>, call: Call) -> Performed {
    let names: [_; KEYS] = std::array::from_fn(name);
    let batch = |operations: [Operation<'_>; KEYS]| {
        store.write(&WriteBatch { expectations: &[], operations: &operations })
    };
    Ok(match call {
        Call::Get(key) => CallResult::Value(store.get(&name(key))?.map(|value| value[0])),
        Call::Exists(key) => CallResult::There(store.exists(&name(key))?),
        Call::Iterate => CallResult::Content(content(store)?),
        Call::Snapshot => {
            let snapshot = open_view(store, |engine| Ok(Arc::new(SnapshotView::new(engine)?)))?;
            std::thread::yield_now();
            CallResult::Content(content(&snapshot)?)
        }
        Call::MultiGet => {
            let values = store.multi_get(&names.each_ref().map(|name| &name[..]))?;
            let mut values = values.into_iter().map(|value| value.map(|value| value[0]));
            CallResult::Content(std::array::from_fn(|_| {
                values.next().expect("as many values as keys")
            }))
        }
        Call::CompareAndDelete(key, expected) => {
            CallResult::Write(store.compare_and_delete(&name(key), &[expected])?)
        }
        Call::Move(from, to, expected, value) => {
            let (from, to, value) = (name(from), name(to), [value]);
            CallResult::Write(store.write(&WriteBatch {
                expectations: &[Expectation::Equals { key: &from, value: &[expected] }],
                operations: &[
                    Operation::Set { key: &from, value: &value },
                    Operation::Set { key: &to, value: &value },
                ],
            })?)
        }
        Call::DeletePrefix => CallResult::Write(store.delete_prefix(b"")?),
        Call::Set(key, value) => CallResult::Write(store.set(&name(key), &[value])?),
        Call::SetTtl(key, value, _) => {
            CallResult::Write(store.set_ttl(&name(key), &[value], Duration::from_millis(1))?)
        }
        Call::Persist(key) => CallResult::Write(store.expire(&name(key), None)?),
        Call::Expire(..) => unreachable!("the store does that"),
        Call::Delete(key) => CallResult::Write(store.delete(&name(key))?),
        Call::SetNx(key, value) => CallResult::Write(store.set_nx(&name(key), &[value])?),
        Call::CompareAndSwap(key, expected, value) => {
            CallResult::Write(store.compare_and_swap(&name(key), &[expected], &[value])?)
        }
        Call::SetAll(value) => CallResult::Write(batch(
            names
                .each_ref()
                .map(|key| Operation::Set { key, value: &[0, 1, 2][usize::from(value)..][..1] }),
        )?),
        Call::DeleteAll => {
            CallResult::Write(batch(names.each_ref().map(|key| Operation::Delete { key }))?)
        }
    })
}

/// Calls of which some let keys expire.
fn call_with_ttl() -> impl Strategy<Value = Call> {
    let (key, value) = (0..KEYS, 0..3u8);
    prop_oneof![
        // Few: each may end at any time later, which multiplies the orders to search.
        40 => call(),
        // Its number is given later.
        2 => (key.clone(), value).prop_map(|(key, value)| Call::SetTtl(key, value, 0)),
        1 => key.prop_map(Call::Persist),
    ]
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
    let is_done = AtomicBool::new(false);
    let mut history: Vec<_> = std::thread::scope(|scope| {
        // Whatever may expire on a memory or disk store expires at once.
        scope.spawn(|| {
            while !is_done.load(Ordering::SeqCst) {
                kvds::testing::skip_time(Duration::from_secs(1));
                kvds::testing::expire();
                std::thread::sleep(Duration::from_micros(100));
            }
        });
        let run = |(thread, program): (usize, Vec<Call>)| {
            let (clock, barrier) = (&clock, &barrier);
            scope.spawn(move || {
                let mut events = Vec::new();
                barrier.wait();
                for (number, mut call) in program.into_iter().enumerate() {
                    let began = clock.fetch_add(1, Ordering::SeqCst);
                    if let Call::SetTtl(key, _, ttl_number) = &mut call {
                        *ttl_number = (1 + thread + THREADS * number) as u16;
                        // Beside all calls that follow, like a call of unknown outcome.
                        let (other, expire) = (EXPIRING + began, Call::Expire(*key, *ttl_number));
                        events.push((began, other, Action::Call((expire, None))));
                        let response = (expire, Some(CallResult::Unknown));
                        events.push((usize::MAX, other, Action::Response(response)));
                    }
                    let result = perform(store, call);
                    let ended = clock.fetch_add(1, Ordering::SeqCst);
                    // A call of unknown outcome continues beside those that the thread makes next,
                    // so it counts as one of another thread.
                    let (thread, ended, result) = match result {
                        Ok(result) => (thread, ended, result),
                        Err(error) if error.kind() == Kind::UnknownOutcome => {
                            let other = THREADS * (1 + number) + thread;
                            (other, usize::MAX, CallResult::Unknown)
                        }
                        // It was not made.
                        Err(error) if error.kind() == Kind::Busy => continue,
                        Err(error) => panic!("{call:?}: {error}"),
                    };
                    events.push((began, thread, Action::Call((call, None))));
                    events.push((ended, thread, Action::Response((call, Some(result)))));
                }
                events
            })
        };
        let threads: Vec<_> = programs.into_iter().enumerate().map(run).collect();
        let joined: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        is_done.store(true, Ordering::SeqCst);
        joined.into_iter().flat_map(|events| events.expect("no thread panicked")).collect()
    });
    history.sort_by_key(|(time, ..)| *time);
    history.into_iter().map(|(_, thread, action)| (thread, action)).collect()
}

fn histories_are_linearizable(make: Make) -> testkit::Result {
    let mut runner = TestRunner::default();
    let program = proptest::collection::vec(call_with_ttl(), CALLS);
    let bench = make(no_lease());
    let identity = Identity { tag: 0, id: c"store".to_owned(), backend: Backend::Memory };
    let store = Store::on(bench.engine.clone(), identity, Arc::default());
    // Each call on a cluster takes a round trip.
    let rounds = if bench.is_remote { ROUNDS / 5 } else { ROUNDS };
    for round in 0..rounds {
        perform(&store, Call::DeleteAll)?;
        let programs: Vec<_> = (0..THREADS)
            .map(|_| program.new_tree(&mut runner).expect("a program can be made").current())
            .collect();
        check(record(&store, programs), &format!("round {round}"));
    }
    Ok(())
}

/// Panics if no order of the calls explains their results.
fn check(history: Vec<(usize, Action<Event>)>, what: &str) {
    if !WGLChecker::<Sequential>::is_linearizable(History::from_actions(history.clone())) {
        for (thread, action) in history {
            eprintln!("{thread}: {action:?}");
        }
        panic!("{what}: no order of atomic steps explains this history");
    }
}

/// What happens to servers, of which one is the leader.
#[cfg(feature = "cluster")]
type Fault = fn(&Servers, usize) -> testkit::Result;

#[cfg(feature = "cluster")]
const FAULTS: [(&str, Fault); 6] = [
    ("the leader is killed", |servers, leader| {
        servers.node(leader).kill9();
        Ok(())
    }),
    ("the leader is stopped properly", |servers, leader| servers.node(leader).terminate()),
    ("the leader is frozen", |servers, leader| servers.node(leader).stop()),
    ("a follower is frozen", |servers, leader| servers.node((leader + 1) % 3).stop()),
    ("a follower is killed", |servers, leader| {
        servers.node((leader + 1) % 3).kill9();
        Ok(())
    }),
    ("the quorum is lost", |servers, leader| {
        servers.node(leader).stop()?;
        servers.node((leader + 2) % 3).stop()
    }),
];

/// Nothing acknowledged is lost, and nothing refused appears, whatever happens to the servers.
/// `make cluster-faults` runs a hundred rounds.
#[test]
#[cfg(feature = "cluster")]
fn histories_on_a_cluster_are_linearizable_whatever_fails() -> testkit::Result {
    let Some(servers) = Servers::start(3)? else { return Ok(()) };
    let rounds = testkit::number_from_env("KVDS_FAULT_ROUNDS", FAULTS.len() as u64);
    let mut runner = TestRunner::default();
    let program = proptest::collection::vec(call(), CALLS_WITH_FAULT);
    for round in 0..rounds {
        let (fault, begin) = FAULTS[round as usize % FAULTS.len()];
        let url = servers.url(&format!("round{round}"));
        let options =
            Options { cluster: url.into(), cluster_timeout_ms: 4000, ..Options::default() };
        let client = Client::new(&options)?;
        let engine = Cluster::open(&client, b"store", &options, no_lease())?.ok_or("no store")?;
        let identity = Identity { tag: 0, id: c"store".to_owned(), backend: Backend::Cluster };
        let store = Store::on(engine, identity, Arc::default());
        let programs: Vec<_> = (0..THREADS)
            .map(|_| program.new_tree(&mut runner).expect("a program can be made").current())
            .collect();
        let leader = servers.leader()?;
        let (history, ended) = std::thread::scope(|scope| {
            let recording = scope.spawn(|| record(&store, programs));
            std::thread::sleep(Duration::from_millis(20));
            let begun = begin(&servers, leader);
            std::thread::sleep(Duration::from_millis(2500));
            let ended = begun.and_then(|()| heal(&servers));
            (recording.join().expect("no thread panicked"), ended)
        });
        ended?;
        let unknown = history
            .iter()
            .filter(|(_, action)| {
                matches!(action, Action::Response((_, Some(CallResult::Unknown))))
            })
            .count();
        println!("{fault}: {} events, {unknown} of unknown outcome", history.len());
        check(history, fault);
    }
    Ok(())
}

/// Lets all servers run again.
#[cfg(feature = "cluster")]
fn heal(servers: &Servers) -> testkit::Result {
    for node in 0..servers.count() {
        servers.node(node).revive()?;
    }
    servers.wait_until_healthy()
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

/// A key may vanish once it may expire, and not before, and not after a plain set.
#[test]
fn the_checker_knows_expiry() {
    let applied = Some(CallResult::Write(Outcome::Applied));
    let gone = (Call::Get(0), Some(CallResult::Value(None)));
    let set_ttl = (Call::SetTtl(0, 1, 1), applied);
    let set = (Call::Set(0, 2), applied);
    let expire = (Call::Expire(0, 1), Some(CallResult::Unknown));
    let history = |calls: &[Event]| {
        let mut history = vec![(9, Action::Call((expire.0, None)))];
        for call in calls {
            history.push((0, Action::Call((call.0, None))));
            history.push((0, Action::Response(*call)));
        }
        history.push((9, Action::Response(expire)));
        WGLChecker::<Sequential>::is_linearizable(History::from_actions(history))
    };
    assert!(history(&[set_ttl, gone]));
    assert!(!history(&[set_ttl, set, gone]));
    assert!(!history(&[set, gone]));
}
