//! Locks by key, so that a check and the write that depends on it are one step.
//!
//! A key belongs to the stripe that its hash says. Whoever writes a key without a condition shares the key's stripe with
//! others like it; whoever checks a key before writing has the stripe alone. So a plain write cannot slip between a check
//! and its write, plain writes never wait for each other, and unrelated checks seldom do.

use std::hash::{DefaultHasher, Hasher};

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::batch::{Operation, WriteBatch};

const STRIPES: usize = 256;

/// The locks.
pub struct Stripes([RwLock<()>; STRIPES]);

/// A lock that is held until this is dropped.
#[must_use = "it unlocks when it is dropped"]
pub enum Held<'a> {
    /// With other plain writers.
    Shared(#[allow(dead_code, reason = "held")] RwLockReadGuard<'a, ()>),
    /// Alone.
    Alone(#[allow(dead_code, reason = "held")] RwLockWriteGuard<'a, ()>),
    /// Several stripes.
    Several(#[allow(dead_code, reason = "held")] Vec<Held<'a>>),
}

impl Stripes {
    /// None held.
    pub fn new() -> Stripes {
        Stripes([const { RwLock::new(()) }; STRIPES])
    }

    /// Locks what `batch` checks and writes.
    pub fn lock(&self, batch: &WriteBatch<'_>) -> Held<'_> {
        match (batch.expectations, batch.operations) {
            ([], [Operation::Set { key, .. } | Operation::Delete { key }]) => self.share(stripe(key)),
            ([expectation], [operation]) if operation.key() == Some(expectation.key()) => {
                self.take(stripe(expectation.key()))
            }
            (expectations, operations) => {
                #[derive(Clone, Copy, PartialEq, Eq)]
                enum Want {
                    Nothing,
                    Share,
                    Take,
                }
                let mut wants = [Want::Nothing; STRIPES];
                for operation in operations {
                    match operation.key() {
                        Some(key) => wants[stripe(key)] = Want::Share,
                        None => wants = [Want::Share; STRIPES],
                    }
                }
                for expectation in expectations {
                    wants[stripe(expectation.key())] = Want::Take;
                }
                // Always in the order of their numbers, so that no two writers wait for each other.
                let held = wants.iter().enumerate().filter_map(|(index, want)| match want {
                    Want::Nothing => None,
                    Want::Share => Some(self.share(index)),
                    Want::Take => Some(self.take(index)),
                });
                Held::Several(held.collect())
            }
        }
    }

    fn share(&self, index: usize) -> Held<'_> {
        Held::Shared(self.0[index].read())
    }

    fn take(&self, index: usize) -> Held<'_> {
        Held::Alone(self.0[index].write())
    }
}

fn stripe(key: &[u8]) -> usize {
    let mut hasher = DefaultHasher::new();
    hasher.write(key);
    hasher.finish() as usize % STRIPES
}
