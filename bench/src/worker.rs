//! The calls of one thread: operations and keys.

use std::hint::black_box;
use std::sync::atomic::Ordering;

use crate::data::{Dice, digest, mix};
use crate::work::Ground;

/// One call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// None, to measure the benchmark's own cost.
    Nothing,
    Get,
    /// As get, of a key that may be on its way.
    GetLatest,
    Miss,
    Exists,
    Update,
    Insert,
    Del,
    /// On a present key.
    SetNx,
    Swap,
    ReadModifyWrite,
    /// So many pairs from a key.
    Scan(u64),
    ScanBack(u64),
    /// A random number of pairs, up to this one.
    ScanUpTo(u64),
}

/// The choice of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    Uniform,
    Zipfian,
    /// Zipfian, with the latest key most often.
    Latest,
}

/// Operations, and their share in percent.
pub type Mix = &'static [(Op, u64)];

/// One thread's calls.
pub struct Worker<'a> {
    ground: &'a Ground<'a>,
    choice: Choice,
    dice: Dice,
    value: Vec<u8>,
    expected: Vec<u8>,
    sum: u64,
}

impl<'a> Worker<'a> {
    pub fn new(ground: &'a Ground<'a>, choice: Choice, seed: u64) -> Worker<'a> {
        let dice = Dice::new(seed);
        Worker { ground, choice, dice, value: Vec::new(), expected: Vec::new(), sum: 0 }
    }

    pub fn calls(&mut self, mix: Mix, calls: u64) {
        for _ in 0..calls {
            let mut dart = if mix.len() > 1 { self.dice.below(100) } else { 0 };
            let hit = mix.iter().find(|(_, share)| {
                let hit = dart < *share;
                dart = dart.wrapping_sub(*share);
                hit
            });
            self.call(hit.expect("the shares sum up to 100").0);
        }
        black_box(self.sum);
    }

    fn number(&mut self) -> u64 {
        let keys = self.ground.data.keys;
        match self.choice {
            Choice::Uniform => self.dice.below(keys),
            Choice::Zipfian => {
                // Frequent keys are anywhere in the order.
                mix(self.ground.zipfian.draw(&mut self.dice)) % keys
            }
            Choice::Latest => {
                let next = self.ground.next.load(Ordering::Relaxed);
                next - 1 - self.ground.zipfian.draw(&mut self.dice)
            }
        }
    }

    fn call(&mut self, op: Op) {
        let Ground { store, data, versions, .. } = *self.ground;
        let number = self.number();
        let key = data.key(number);
        match op {
            Op::Nothing => {
                data.value(number, versions.next(number), &mut self.value);
                self.sum ^= digest(&key) ^ digest(&self.value);
            }
            Op::Get => self.sum ^= store.get(&key).expect("the key must exist"),
            Op::GetLatest => {
                let found = store.get(&key);
                // Another thread may still be inserting it.
                assert!(found.is_some() || number >= data.keys, "the key must exist");
                self.sum ^= found.unwrap_or(0);
            }
            Op::Miss => {
                assert!(store.get(&data.missing(number)).is_none(), "the key must not exist")
            }
            Op::Exists => assert!(store.exists(&key), "the key must exist"),
            Op::Update => {
                data.value(number, versions.next(number), &mut self.value);
                store.set(&key, &self.value);
            }
            Op::Insert => {
                let number = self.ground.next.fetch_add(1, Ordering::Relaxed);
                data.value(number, 0, &mut self.value);
                store.set(&data.key(number), &self.value);
            }
            Op::Del => store.del(&data.key(self.ground.gone.fetch_add(1, Ordering::Relaxed))),
            Op::SetNx => {
                data.value(number, 0, &mut self.value);
                assert!(!store.set_nx(&key, &self.value), "the key must exist");
            }
            Op::Swap => {
                data.value(number, versions.now(number), &mut self.expected);
                data.value(number, versions.next(number), &mut self.value);
                assert!(
                    store.compare_and_swap(&key, &self.expected, &self.value),
                    "the value must be unchanged"
                );
            }
            Op::ReadModifyWrite => {
                self.sum ^= store.get(&key).expect("the key must exist");
                data.value(number, versions.next(number), &mut self.value);
                store.set(&key, &self.value);
            }
            Op::Scan(count) => self.scan(&key, count, false),
            Op::ScanBack(count) => self.scan(&key, count, true),
            Op::ScanUpTo(most) => {
                let count = 1 + self.dice.below(most);
                self.scan(&key, count, false);
            }
        }
    }

    fn scan(&mut self, start: &[u8], count: u64, backward: bool) {
        let sum = &mut self.sum;
        let mut visit = |key: &[u8], value: &[u8]| *sum ^= digest(key) ^ digest(value);
        self.ground.store.scan(start, count as usize, backward, &mut visit);
    }
}
