//! Runs programs of writes, snapshots, cursors and scans on an engine and on a `BTreeMap`, which
//! must agree at every step.
//!
//! `tests/model.rs` generates random programs; the fuzz target `operations` reads them from its
//! input.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use kvds::testing::{Conflict, Cursor, Expectation, Operation, Outcome, Range, Reader, WriteBatch};

use crate::engines::{TestEngine, get};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// The number of an object, modulo how many there are.
pub type Pick = usize;

#[derive(Clone, Debug)]
pub enum Step {
    Write(Vec<Expect>, Vec<Change>),
    /// Compacts.
    Compact,
    Snapshot,
    DropSnapshot(Pick),
    Get(Pick, Vec<u8>),
    Scan(Pick, Vec<u8>),
    Cursor(Pick, Vec<u8>, Option<Vec<u8>>),
    DropCursor(Pick),
    Move(Pick, Move),
}

#[derive(Clone, Debug)]
pub enum Expect {
    Present(Vec<u8>),
    Absent(Vec<u8>),
    Equals(Vec<u8>, Vec<u8>),
}

#[derive(Clone, Debug)]
pub enum Change {
    Set(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    DeleteRange(Vec<u8>, Option<Vec<u8>>),
}

#[derive(Clone, Debug)]
pub enum Move {
    First,
    Last,
    Next,
    Prev,
    Seek(Vec<u8>),
}

/// A cursor and its expected position.
struct Track {
    cursor: Box<dyn Cursor>,
    map: Map,
    range: Range,
    at: Option<Vec<u8>>,
}

impl Track {
    fn go(&mut self, go: &Move) {
        let inside = |key: &Vec<u8>| {
            *key >= self.range.start && self.range.end.as_ref().is_none_or(|end| key < end)
        };
        let mut keys = self.map.keys().filter(|key| inside(key));
        let moved = match go {
            Move::First => {
                self.at = keys.next().cloned();
                self.cursor.first()
            }
            Move::Last => {
                self.at = keys.next_back().cloned();
                self.cursor.last()
            }
            Move::Seek(target) => {
                self.at = keys.find(|key| *key >= target).cloned();
                self.cursor.seek(target)
            }
            Move::Next => {
                self.at = self.at.as_ref().and_then(|at| keys.find(|key| *key > at)).cloned();
                self.cursor.next()
            }
            Move::Prev => {
                self.at = self.at.as_ref().and_then(|at| keys.rfind(|key| *key < at)).cloned();
                self.cursor.prev()
            }
        };
        moved.expect("the move works");
        let expected = self.at.as_ref().map(|key| (key.as_slice(), self.map[key].as_slice()));
        assert_eq!(self.cursor.entry(), expected, "after {go:?} in {:?}", self.range);
    }
}

fn write(map: &mut Map, expects: &[Expect], changes: &[Change]) -> Outcome {
    for expect in expects {
        let conflict = match expect {
            Expect::Present(key) => (!map.contains_key(key)).then_some(Conflict::NotFound),
            Expect::Absent(key) => map.contains_key(key).then_some(Conflict::Exists),
            Expect::Equals(key, value) => match map.get(key) {
                None => Some(Conflict::NotFound),
                Some(found) => (found != value).then_some(Conflict::Mismatch),
            },
        };
        if let Some(conflict) = conflict {
            return Outcome::Refused(conflict);
        }
    }
    for change in changes {
        match change {
            Change::Set(key, value) => drop(map.insert(key.clone(), value.clone())),
            Change::Delete(key) => drop(map.remove(key)),
            Change::DeleteRange(start, end) => {
                map.retain(|key, _| key < start || end.as_ref().is_some_and(|end| key >= end));
            }
        }
    }
    Outcome::Applied
}

/// Runs a program on a new engine.
pub fn run(bench: &TestEngine, steps: &[Step]) {
    let mut now = Map::new();
    let mut snapshots: Vec<(Arc<dyn Reader>, Map)> = Vec::new();
    let mut cursors: Vec<Track> = Vec::new();
    for step in steps {
        // 0 is the engine, another number a snapshot.
        let pick = |index: &Pick| -> (&dyn Reader, &Map) {
            match index % (snapshots.len() + 1) {
                0 => (&*bench.engine, &now),
                number => (&*snapshots[number - 1].0, &snapshots[number - 1].1),
            }
        };
        match step {
            Step::Write(expects, changes) => {
                let expectations: Vec<_> = expects
                    .iter()
                    .map(|expect| match expect {
                        Expect::Present(key) => Expectation::Present { key },
                        Expect::Absent(key) => Expectation::Absent { key },
                        Expect::Equals(key, value) => Expectation::Equals { key, value },
                    })
                    .collect();
                let operations: Vec<_> = changes
                    .iter()
                    .map(|change| match change {
                        Change::Set(key, value) => Operation::Set { key, value },
                        Change::Delete(key) => Operation::Delete { key },
                        Change::DeleteRange(start, end) => {
                            Operation::DeleteRange { start, end: end.as_deref() }
                        }
                    })
                    .collect();
                let batch = WriteBatch { expectations: &expectations, operations: &operations };
                assert_eq!(
                    bench.engine.apply(&batch).expect("the write works"),
                    write(&mut now, expects, changes)
                );
            }
            Step::Compact => bench.maintenance().compact().expect("the engine can be compacted"),
            Step::Snapshot => {
                snapshots
                    .push((bench.engine.snapshot().expect("a snapshot can be taken"), now.clone()));
            }
            Step::DropSnapshot(index) => {
                if !snapshots.is_empty() {
                    snapshots.swap_remove(index % snapshots.len());
                }
            }
            Step::Get(index, key) => {
                let (reader, map) = pick(index);
                assert_eq!(get(reader, key).as_ref(), map.get(key));
            }
            Step::Scan(index, prefix) => {
                let (reader, map) = pick(index);
                let mut expected = map
                    .range::<Vec<u8>, _>((Bound::Included(prefix), Bound::Unbounded))
                    .take_while(|(key, _)| key.starts_with(prefix));
                let complete = reader.scan(Range::prefix(prefix), &mut |key, value| {
                    assert_eq!(expected.next(), Some((&key.to_vec(), &value.to_vec())));
                    true
                });
                assert!(complete.expect("the scan works"));
                assert_eq!(expected.next(), None);
            }
            Step::Cursor(index, start, end) => {
                let (reader, map) = pick(index);
                let range = Range { start: start.clone(), end: end.clone() };
                let cursor = reader.cursor(range.clone()).expect("a cursor can be made");
                cursors.push(Track { cursor, map: map.clone(), range, at: None });
            }
            Step::DropCursor(index) => {
                if !cursors.is_empty() {
                    cursors.swap_remove(index % cursors.len());
                }
            }
            Step::Move(index, go) => {
                if !cursors.is_empty() {
                    let index = index % cursors.len();
                    cursors[index].go(go);
                }
            }
        }
    }
    for (reader, map) in snapshots {
        for key in now.keys().chain(map.keys()) {
            assert_eq!(get(&*reader, key).as_ref(), map.get(key));
        }
    }
}
