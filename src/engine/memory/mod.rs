//! The memory engine.
//!
//! The hash of a key says which shard holds it (`shard.rs`). A shard is a hash table
//! (`hash_table.rs`) behind a lock, so calls on different keys seldom wait for each other. A key
//! and its values are in one block of memory (`node.rs`), where they are read and overwritten.
//! Iterations use a sorted index of the keys (`key_index.rs`), which is brought up to date when a
//! cursor needs it (`cursor.rs`). A snapshot is an epoch (`snapshots.rs`): overwriting keeps the
//! old version only if a live snapshot sees it. Writes are in `write.rs`, and those of ranges in
//! `delete_range.rs`. Keys that expire are in the order of their deadlines too (`deadlines.rs`).
//!
//! Locks are taken in this order: `index_sync`, `key_index`, the shards by their indexes, the
//! snapshots. No lock is held between two calls of a cursor.

mod budget;
mod cursor;
mod deadlines;
mod delete_range;
mod hash_table;
mod key_index;
mod keyspace;
mod node;
mod shard;
mod shard_set;
mod snapshots;
mod write;

use std::sync::{Arc, Weak};

pub use self::budget::Budget;
use self::cursor::MemoryCursor;
use self::keyspace::Keyspace;
use self::node::ValueRef;
use self::shard::ShardStats;
use self::shard_set::{SHARDS, ShardSet, shard_of};
use super::expiry::Expiring;
use super::{
    Buffer, Cursor, Engine, Lease, Maintenance, Range, Reader, Stats, TimeLeft, Value, Watch,
};
use crate::batch::{Outcome, WriteBatch};
use crate::error::Result;

/// An ordered store in memory.
pub struct Memory {
    keyspace: Arc<Keyspace>,
}

impl Memory {
    /// Creates an empty store, whose data counts against `budget`. `lease` is dropped after the
    /// store and its last cursor and snapshot.
    ///
    /// Not inlined: the shards are built on the stack, where a caller that opens a disk store has
    /// no space for them (the header promises that 80 KiB are enough).
    #[inline(never)]
    pub fn new(budget: Arc<Budget>, watch_buffer: u64, lease: Lease) -> Memory {
        Memory { keyspace: Arc::new(Keyspace::new(budget, watch_buffer, lease)) }
    }

    fn expiring(&self) -> Weak<dyn Expiring> {
        Arc::downgrade(&self.keyspace) as Weak<dyn Expiring>
    }

    fn memory_cursor(&self, range: Range) -> MemoryCursor {
        let snapshot = self.keyspace.open_snapshot();
        self.keyspace.sync_index();
        MemoryCursor::new(snapshot, range)
    }
}

/// Returns a value that outlives the lock of its shard: copies an inline one, shares a long one.
#[inline]
fn copy_or_share(value: ValueRef<'_>) -> Result<Value> {
    match value {
        ValueRef::Inline(bytes) => Ok(Value::Owned(Buffer::of(bytes)?)),
        ValueRef::Shared(bytes) => Ok(Value::Shared(bytes.clone())),
    }
}

impl Reader for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.keyspace.find(key, copy_or_share).transpose()
    }

    fn with_value(&self, key: &[u8], read: &mut dyn FnMut(&[u8])) -> Result<bool> {
        Ok(self.keyspace.find(key, |value| read(value.bytes())).is_some())
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        Ok(self.keyspace.find(key, |_| ()).is_some())
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        let hashes: Vec<_> = keys.iter().map(|key| self.keyspace.hash(key)).collect();
        let set = ShardSet::of_hashes(&hashes);
        // All shards are locked before the first is read, so the values are of one state.
        let shards = self.keyspace.lock(set, |index| self.keyspace.read(index));
        let find = |(key, hash): (&&[u8], u64)| {
            let shard = shards[shard_of(hash)].as_ref()?;
            shard.count_lookup(shard.get(hash, key))
        };
        let found = keys.iter().zip(hashes).map(find);
        found.map(|value| value.map(copy_or_share).transpose()).collect()
    }

    fn time_left(&self, key: &[u8]) -> Result<Option<TimeLeft>> {
        Ok(self.keyspace.time_left(key, u64::MAX))
    }

    fn cursor(&self, range: Range) -> Result<Box<dyn Cursor>> {
        Ok(Box::new(self.memory_cursor(range)))
    }

    fn scan(&self, range: Range, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<bool> {
        self.memory_cursor(range).scan(visit)
    }
}

impl Engine for Memory {
    fn apply(&self, batch: &WriteBatch<'_>) -> Result<Outcome> {
        match batch.as_single() {
            Some(write) => self.keyspace.apply_single(write),
            None => {
                if batch.has_ttl() {
                    self.keyspace.expiry.start(|| self.expiring())?;
                }
                self.keyspace.apply_batch(batch)
            }
        }
    }

    fn snapshot(&self) -> Result<Arc<dyn Reader>> {
        Ok(Arc::new(self.keyspace.open_snapshot()))
    }

    fn watch(&self, range: Range, after: Option<u64>) -> Result<Box<dyn Watch>> {
        let feed = &self.keyspace.feed;
        let watch = feed.watch(range, after)?;
        // Also waits for the writers that have not seen the watch.
        (0..SHARDS).for_each(|index| self.keyspace.write(index).publish_to(feed));
        Ok(Box::new(watch))
    }

    fn attach(&self) {
        self.keyspace.expiry.attach(None);
    }

    fn detach(&self) {
        if self.keyspace.expiry.detach() {
            self.keyspace.feed.close();
        }
    }

    fn maintenance(&self) -> Option<&dyn Maintenance> {
        Some(self)
    }
}

impl Maintenance for Memory {
    fn stats(&self) -> Result<Stats> {
        let ShardStats { reads, hits, writes, keys, bytes, cost } = self.keyspace.stats();
        let (keys, bytes, memory_bytes) = (keys as u64, bytes as u64, cost as u64);
        Ok(Stats { keys, bytes, memory_bytes, reads, hits, writes, disk_bytes: 0 })
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Bound;

    use super::node::Node;
    use super::shard::{OVERHEAD, Shard};
    use super::snapshots::Snapshot;
    use super::*;
    use crate::batch::SingleKey;

    fn store() -> Memory {
        Memory::new(Arc::new(Budget::new(0)), 0, Box::new(()))
    }

    fn write(keyspace: &Keyspace, key: &[u8], value: Option<&[u8]>) {
        let outcome = keyspace.apply_single(SingleKey { key, value, expectations: &[] });
        assert_eq!(outcome.expect("there is memory"), Outcome::Applied);
    }

    /// Snapshots end in any order. Afterwards the store holds what a store without snapshots would
    /// hold, and deleted keys have left the tables and the index.
    #[test]
    fn old_versions_are_freed_with_their_last_snapshot() {
        let memory = store();
        let keyspace = &memory.keyspace;
        let mut snapshots: Vec<Snapshot> = Vec::new();
        let mut random: u32 = 1;
        let mut next = |below: usize| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) as usize % below
        };
        let for_each_node = |check: &mut dyn FnMut(&Shard, &Node)| {
            keyspace.sync_index();
            for node in keyspace.key_index.read().forward(Bound::Unbounded, None) {
                check(&keyspace.read(node.shard()), node);
            }
        };
        for _ in 0..20_000 {
            let key = [b'a' + next(5) as u8];
            match next(8) {
                0 => snapshots.push(keyspace.open_snapshot()),
                1 if !snapshots.is_empty() => drop(snapshots.swap_remove(next(snapshots.len()))),
                2 => write(keyspace, &key, None),
                _ => write(keyspace, &key, Some(&key)),
            }
            let epochs = keyspace.snapshots.epochs();
            for_each_node(&mut |shard, node| {
                assert!(shard.versions(node) <= epochs, "at most one version for each epoch")
            });
        }
        drop(snapshots);
        assert_eq!(keyspace.snapshots.epochs(), 0);
        let mut keys = 0;
        for_each_node(&mut |shard, node| {
            assert!(shard.versions(node) == 0 && shard.value_at(node, u64::MAX).is_some());
            keys += 1;
        });
        let ShardStats { keys: counted, bytes, cost, .. } = keyspace.stats();
        assert_eq!((counted, bytes, cost), (keys, keys * 2, keys * (2 + OVERHEAD)));
    }

    /// With and without syncs of the index in between.
    #[test]
    fn deleted_keys_leave_no_nodes() {
        let memory = store();
        let keyspace = &memory.keyspace;
        for sync in [false, true] {
            for number in 0..100_000u32 {
                let key = number.to_be_bytes();
                write(keyspace, &key, Some(b"value"));
                if sync && number % 1000 == 0 {
                    keyspace.sync_index();
                }
                write(keyspace, &key, None);
            }
            let nodes: usize = (0..SHARDS).map(|index| keyspace.read(index).nodes()).sum();
            assert!(nodes <= SHARDS * 50, "{nodes} nodes for no key");
            let indexed = keyspace.key_index.read().forward(Bound::Unbounded, None).count();
            assert!(indexed <= nodes, "{indexed} indexed of {nodes}");
        }
    }
}
