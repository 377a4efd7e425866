//! Writers whose keys show exactly which of their writes a store has.
//!
//! Each writer has its own keys and numbers its writes. The n-th write follows from the seed, the
//! writer and its earlier writes. So its keys must have the content after some number of writes. A
//! missing write, a part of a batch, or an unknown value matches no number.

pub mod child;
pub mod expected;

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use kvds::testing::{Expectation, Operation, Outcome, Result, Store, WriteBatch};

/// The counter that all writers of a store add to.
pub const SHARED: &[u8] = b"shared";

/// The values of keys that expire begin with this.
pub const EXPIRES: &[u8] = b"expires: ";

const DAY: Duration = Duration::from_secs(24 * 3600);

const GROUPS: usize = 4;
const KEYS: usize = 12;

type Pair = (Vec<u8>, Vec<u8>);

/// A writer: the state of its keys.
#[derive(Clone)]
pub struct Writer {
    pub id: u64,
    /// How many writes it has done.
    pub number: u64,
    /// The content of its keys.
    pub content: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What it has added to the shared counter.
    pub added: i64,
    seed: u64,
}

/// Every write call of the API.
#[derive(Debug)]
pub enum Write {
    Set(Pair),
    /// Sets a key that expires in a day. Its value says so.
    SetTtl(Pair),
    /// Sets a key that has expired when the store is opened next, and one that stays.
    SetBrief {
        brief: Vec<u8>,
        pair: Pair,
    },
    Delete(Vec<u8>),
    SetBatch(Vec<Pair>),
    DeleteBatch(Vec<Vec<u8>>),
    SetNx(Pair),
    CompareAndSwap {
        pair: Pair,
        expected: Vec<u8>,
    },
    CompareAndDelete(Pair),
    Conditional {
        expect: Pair,
        absent: Vec<u8>,
        set: Vec<Pair>,
        delete: Vec<u8>,
    },
    DeletePrefix(Vec<u8>),
    Add {
        key: Vec<u8>,
        delta: i64,
    },
    AddShared(i64),
}

impl Writer {
    pub fn new(seed: u64, id: u64) -> Writer {
        Writer { id, number: 0, content: BTreeMap::new(), added: 0, seed }
    }

    /// Returns the prefix of its keys.
    pub fn prefix(&self) -> Vec<u8> {
        format!("w{}/", self.id).into_bytes()
    }

    /// Returns the next write, which always changes something.
    pub fn next(&self) -> Write {
        let number = self.number + 1;
        let mut random = Rng::with_seed(
            self.seed ^ (self.id << 48) ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15),
        );
        let counter = [&self.prefix()[..], b"counter"].concat();
        let all: Vec<Vec<u8>> =
            (0..GROUPS * KEYS).map(|at| self.key(at / KEYS, at % KEYS)).collect();
        let (mut there, mut absent): (Vec<_>, Vec<_>) =
            all.iter().cloned().partition(|key| self.content.contains_key(key));
        random.shuffle(&mut there);
        random.shuffle(&mut absent);
        let mut value = |key: &[u8]| {
            let mut value = format!("{number} of {}: ", String::from_utf8_lossy(key)).into_bytes();
            let long = if random.u8(..) == 0 { 20_000 } else { random.usize(..2_000) };
            let word = random.u64(..).to_le_bytes();
            value.extend(word.iter().cycle().take(long));
            value
        };
        let mut pair = |key: &Vec<u8>| (key.clone(), value(key));
        let held = |key: &Vec<u8>| (key.clone(), self.content[key].clone());
        let kind = Rng::with_seed(self.seed ^ number ^ (self.id << 32)).u8(..12);
        match (kind, &there[..], &absent[..]) {
            (0, [key, ..], _) => Write::Delete(key.clone()),
            (1, ..) => {
                Write::SetBatch(all.iter().step_by(1 + number as usize % 9).map(pair).collect())
            }
            (2, [one, two, ..], [none, ..]) => {
                Write::DeleteBatch(vec![one.clone(), none.clone(), two.clone()])
            }
            (3, _, [key, ..]) => Write::SetNx(pair(key)),
            (4, [key, ..], _) => Write::CompareAndSwap { pair: pair(key), expected: held(key).1 },
            (5, [key, ..], _) => Write::CompareAndDelete(held(key)),
            (6, [one, two, three, ..], [none, ..]) => Write::Conditional {
                expect: held(one),
                absent: none.clone(),
                set: vec![pair(one), pair(two), pair(none)],
                delete: three.clone(),
            },
            (7, [key, ..], _) if number.is_multiple_of(3) => {
                // The prefix of a group of keys.
                let end = key.len()
                    - key.iter().rev().position(|byte| *byte == b'/').expect("a key has parts");
                Write::DeletePrefix(key[..end].to_vec())
            }
            (10, _, [key, ..]) | (10, [key, ..], []) => {
                let (key, value) = pair(key);
                Write::SetTtl((key, [EXPIRES, &value].concat()))
            }
            (11, [key, ..], _) => Write::SetBrief {
                brief: format!("brief{}/{number}", self.id).into_bytes(),
                pair: pair(key),
            },
            (8, ..) => Write::Add { key: counter, delta: 1 + number as i64 % 100 },
            (9, ..) => Write::AddShared(1),
            (_, [key, ..], _) | (_, [], [key, ..]) => Write::Set(pair(key)),
            (_, [], []) => unreachable!("a key is there or not"),
        }
    }

    fn key(&self, group: usize, number: usize) -> Vec<u8> {
        format!("w{}/{group}/{number}", self.id).into_bytes()
    }

    /// Applies a write to the content.
    pub fn done(&mut self, write: Write) {
        self.number += 1;
        let content = &mut self.content;
        match write {
            Write::Set((key, value))
            | Write::SetTtl((key, value))
            | Write::SetBrief { pair: (key, value), .. }
            | Write::SetNx((key, value))
            | Write::CompareAndSwap { pair: (key, value), .. } => {
                content.insert(key, value);
            }
            Write::Delete(key) | Write::CompareAndDelete((key, _)) => {
                content.remove(&key);
            }
            Write::SetBatch(pairs) => content.extend(pairs),
            Write::DeleteBatch(keys) => content.retain(|key, _| !keys.contains(key)),
            Write::Conditional { set, delete, .. } => {
                content.extend(set);
                content.remove(&delete);
            }
            Write::DeletePrefix(prefix) => content.retain(|key, _| !key.starts_with(&prefix)),
            Write::Add { key, delta } => {
                let number = content.get(&key).map_or(0, |value| number_in(value));
                content.insert(key, (number + delta).to_string().into_bytes());
            }
            Write::AddShared(delta) => self.added += delta,
        }
    }
}

impl Write {
    /// Makes the write. It must be applied, as no other writer touches the keys that it expects.
    pub fn perform(&self, store: &Store) -> Result<()> {
        let batch = |expectations: &[Expectation<'_>], operations: &[Operation<'_>]| {
            store.write(&WriteBatch { expectations, operations })
        };
        let outcome = match self {
            Write::Set((key, value)) => store.set(key, value),
            Write::SetTtl((key, value)) => store.set_ttl(key, value, DAY),
            Write::SetBrief { brief: key, pair } => {
                let ttl = Duration::from_millis(1);
                batch(&[], &[Operation::SetTtl { key, value: b"brief", ttl }, set(pair)])
            }
            Write::Delete(key) => store.delete(key),
            Write::SetBatch(pairs) => batch(&[], &pairs.iter().map(set).collect::<Vec<_>>()),
            Write::DeleteBatch(keys) => {
                batch(&[], &keys.iter().map(|key| Operation::Delete { key }).collect::<Vec<_>>())
            }
            Write::SetNx((key, value)) => store.set_nx(key, value),
            Write::CompareAndSwap { pair: (key, value), expected } => {
                store.compare_and_swap(key, expected, value)
            }
            Write::CompareAndDelete((key, expected)) => store.compare_and_delete(key, expected),
            Write::Conditional { expect: (key, value), absent, set: pairs, delete } => {
                let mut operations: Vec<_> = pairs.iter().map(set).collect();
                operations.push(Operation::Delete { key: delete });
                batch(
                    &[Expectation::Equals { key, value }, Expectation::Absent { key: absent }],
                    &operations,
                )
            }
            Write::DeletePrefix(prefix) => store.delete_prefix(prefix),
            Write::Add { key, delta } => store.add(key, *delta).map(|_| Outcome::Applied),
            Write::AddShared(delta) => store.add(SHARED, *delta).map(|_| Outcome::Applied),
        };
        outcome.map(|outcome| assert_eq!(outcome, Outcome::Applied, "{self:?}"))
    }
}

fn set((key, value): &Pair) -> Operation<'_> {
    Operation::Set { key, value }
}

/// Parses the value of a counter.
pub fn number_in(value: &[u8]) -> i64 {
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .expect("a counter has a number")
}
