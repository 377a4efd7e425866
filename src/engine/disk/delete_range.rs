//! Deletes a small range key by key.
//!
//! A range tombstone is written in no time, whatever it covers. But every later read searches for
//! it: after each new one, RocksDB sorts all range tombstones of the memtable. A program that
//! deletes many small ranges, such as sessions, would pay for all of them with each read. And the
//! row cache does not know which keys a range contains. So the keys of a small range are listed and
//! deleted one by one. See docs/decisions/0004-removing-a-prefix.md.

use rocksdb::{DB, ReadOptions};

use crate::batch::Operation;
use crate::engine::MAX_KEY_LEN;

/// The most keys of a range that are deleted one by one.
const MAX_KEYS: usize = 1000;

/// The most bytes of keys and values that are read to list a range.
const MAX_BYTES: usize = 1 << 20;

/// The most deleted entries that the search for the next key skips.
const MAX_SKIPPED: u64 = 1000;

/// The end of a range without an end, which RocksDB does not have: it is longer than any key.
pub static BEHIND_ALL: [u8; MAX_KEY_LEN + 1] = [0xFF; MAX_KEY_LEN + 1];

/// For each operation of a batch: the keys of its range, if that is a small one.
pub struct ListedRanges(Vec<Option<Vec<Box<[u8]>>>>);

/// Lists the keys of the small ranges. The caller has locked the ranges.
pub fn list(db: &DB, operations: &[Operation<'_>]) -> ListedRanges {
    let keys = |operation: &Operation<'_>| match operation {
        Operation::DeleteRange { start, end } => keys(db, start, *end),
        _ => None,
    };
    ListedRanges(operations.iter().map(keys).collect())
}

/// Returns the keys of a range, or `None` if they are many or cannot be read.
fn keys(db: &DB, start: &[u8], end: Option<&[u8]>) -> Option<Vec<Box<[u8]>>> {
    let mut keys = Vec::new();
    let end = end.unwrap_or(&BEHIND_ALL);
    if start >= end {
        return Some(keys);
    }
    let mut options = ReadOptions::default();
    options.set_iterate_upper_bound(end);
    options.set_max_skippable_internal_keys(MAX_SKIPPED);
    let mut iterator = db.raw_iterator_opt(options);
    iterator.seek(start);
    let mut bytes = 0;
    while let Some((key, value)) = iterator.item() {
        bytes += key.len() + value.len();
        if keys.len() == MAX_KEYS || bytes > MAX_BYTES {
            return None;
        }
        keys.push(key.into());
        iterator.next();
    }
    iterator.status().ok().map(|()| keys)
}

impl ListedRanges {
    /// Returns the operations, with each listed range replaced by deletions of its keys.
    pub fn operations<'a>(&'a self, operations: &[Operation<'a>]) -> Vec<Operation<'a>> {
        let mut replaced = Vec::with_capacity(operations.len());
        for (operation, keys) in operations.iter().zip(&self.0) {
            match (operation, keys) {
                (Operation::DeleteRange { start, end }, Some(keys)) => {
                    // The range also deletes what the batch sets before it.
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
