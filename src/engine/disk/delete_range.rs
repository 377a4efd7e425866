//! Deleting a range that has few keys key by key.
//!
//! A range tombstone is written in no time, whatever it covers, but each read that follows looks
//! for it: RocksDB sorts the range tombstones of a memtable anew after each new one. A program that
//! deletes one small range after the other, sessions for example, pays for all of them with each
//! read. And the row cache does not know which of its keys are in a range. So the keys of a small
//! range are listed and deleted one by one. See docs/decisions/0004-removing-a-prefix.md.

use rocksdb::{DB, ReadOptions};

use crate::batch::Operation;
use crate::engine::MAX_KEY_LEN;

/// The most keys of a range that are deleted one by one.
const KEYS: usize = 1000;

/// The most bytes of keys and values that are read to list a range.
const BYTES: usize = 1 << 20;

/// The most deleted entries that are passed on the way to the next key of a range.
const TOMBSTONES: u64 = 1000;

/// RocksDB wants a range to have an end: the first key that is too long to be one.
pub static BEHIND_ALL: [u8; MAX_KEY_LEN + 1] = [0xFF; MAX_KEY_LEN + 1];

/// For each operation of a batch the keys that it deletes, if it deletes a range of few keys.
pub struct Listed(Vec<Option<Vec<Box<[u8]>>>>);

/// Lists the keys of the ranges. They are locked: see [`crate::engine::disk::key_locks`].
pub fn list(db: &DB, operations: &[Operation<'_>]) -> Listed {
    let keys = |operation: &Operation<'_>| match operation {
        Operation::DeleteRange { start, end } => keys(db, start, *end),
        _ => None,
    };
    Listed(operations.iter().map(keys).collect())
}

/// The keys from `start` on and before `end`, if they are few and can be read.
fn keys(db: &DB, start: &[u8], end: Option<&[u8]>) -> Option<Vec<Box<[u8]>>> {
    let mut keys = Vec::new();
    let end = end.unwrap_or(&BEHIND_ALL);
    if start >= end {
        return Some(keys);
    }
    let mut how = ReadOptions::default();
    how.set_iterate_upper_bound(end);
    how.set_max_skippable_internal_keys(TOMBSTONES);
    let mut iterator = db.raw_iterator_opt(how);
    iterator.seek(start);
    let mut bytes = 0;
    while let Some((key, value)) = iterator.item() {
        bytes += key.len() + value.len();
        if keys.len() == KEYS || bytes > BYTES {
            return None;
        }
        keys.push(key.into());
        iterator.next();
    }
    iterator.status().ok().map(|()| keys)
}

impl Listed {
    /// The operations, with those on ranges replaced that were listed.
    pub fn operations<'a>(&'a self, operations: &[Operation<'a>]) -> Vec<Operation<'a>> {
        let mut replaced = Vec::with_capacity(operations.len());
        for (operation, keys) in operations.iter().zip(&self.0) {
            match (operation, keys) {
                (Operation::DeleteRange { start, end }, Some(keys)) => {
                    // What the batch itself has set before is deleted too.
                    let inside = |key: &&[u8]| start <= key && end.is_none_or(|end| *key < end);
                    let set: Vec<_> =
                        replaced.iter().filter_map(Operation::key).filter(inside).collect();
                    replaced.extend(set.into_iter().map(|key| Operation::Delete { key }));
                    replaced.extend(keys.iter().map(|key| Operation::Delete { key }));
                }
                _ => replaced.push(*operation),
            }
        }
        replaced
    }
}
