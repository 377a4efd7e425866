//! The engine in memory: hash tables for single keys, a sorted set for their order, and versions
//! for those who look back.
//!
//! Keys are dealt out to shards (`shard.rs`), each a hash table behind a lock, so that calls on
//! different keys seldom meet. What a key holds lies in one block of memory (`node.rs`), where it
//! is read and overwritten. The order of the keys (`order.rs`) is kept beside that and brought up
//! to date when somebody asks for it. A snapshot is a epoch of a clock (`snapshots.rs`):
//! overwriting keeps the old version only if a live snapshot can see it, and the newest such
//! snapshot hands it to its predecessor or frees it when it goes. So without snapshots there are no
//! old versions, and with them exactly those that are needed.
//!
//! A write holds the locks of all shards that it touches, so nobody sees a part of it. Locks are
//! taken in one order: `settling`, `order`, the shards by their numbers, and the snapshots. No lock
//! is held between two calls of a cursor: it reads a run of entries and stands on what the snapshot
//! keeps in its place.

mod budget;
mod cursor;
mod delete_range;
mod key_index;
mod keyspace;
mod node;
mod shard;
mod snapshots;
mod table;
mod write;

use std::array;
use std::sync::Arc;

pub use self::budget::Budget;
use self::cursor::MemoryCursor;
use self::keyspace::{Alone, Content, Hashing, number};
use self::node::Held;
use self::shard::{Shard, ShardStats};
use self::snapshots::Snapshots;
use super::{Buffer, Cursor, Engine, Lease, Maintenance, Range, Reader, Stats, Value};
use crate::batch::{Outcome, SingleKey, WriteBatch};
use crate::error::Result;
use crate::sync::atomic::AtomicU64;
use crate::sync::{Mutex, RwLock};

/// An ordered store in memory.
pub struct Memory {
    content: Arc<Content>,
}

impl Memory {
    /// An empty store, whose content comes out of `budget`. `lease` is dropped when its last cursor
    /// and snapshot are gone too.
    pub fn new(budget: Arc<Budget>, lease: Lease) -> Memory {
        let content = Content {
            shards: array::from_fn(|number| Alone(RwLock::new(Shard::new(number as u8)))),
            waiting: AtomicU64::new(0),
            settling: Mutex::new(()),
            order: RwLock::default(),
            snapshots: Snapshots::default(),
            hashing: Hashing::default(),
            budget,
            _lease: lease,
        };
        Memory { content: Arc::new(content) }
    }

    /// A position in the order of the keys, as of now.
    fn position(&self, range: Range) -> MemoryCursor {
        let snapshot = self.content.open_snapshot();
        self.content.sync_index();
        MemoryCursor::new(snapshot, range)
    }
}

/// What is lent, as what is given: a long value is shared, a short one copied.
fn given(held: Held<'_>) -> Result<Value> {
    match held {
        Held::Short(bytes) => Ok(Value::Owned(Buffer::of(bytes)?)),
        Held::Long(bytes) => Ok(Value::Shared(bytes.clone())),
    }
}

impl Reader for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.content.find(key, given).transpose()
    }

    fn look(&self, key: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<bool> {
        Ok(self.content.find(key, |held| see(held.bytes())).is_some())
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        Ok(self.content.find(key, |_| ()).is_some())
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        let hashes: Vec<_> = keys.iter().map(|key| self.content.hash(key)).collect();
        let wanted = hashes.iter().fold(0u64, |wanted, hash| wanted | 1 << number(*hash));
        let shards = self.content.lock(wanted, |number| self.content.read(number));
        let find = |(key, hash): (&&[u8], u64)| {
            let shard = shards[number(hash)].as_ref();
            shard.and_then(|shard| shard.looked(shard.get(hash, key))).map(given).transpose()
        };
        keys.iter().zip(hashes).map(find).collect()
    }

    fn cursor(&self, range: Range) -> Result<Box<dyn Cursor>> {
        Ok(Box::new(self.position(range)))
    }

    fn scan(&self, range: Range, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<bool> {
        self.position(range).scan(visit)
    }
}

impl Engine for Memory {
    fn apply(&self, batch: &WriteBatch<'_>) -> Result<Outcome> {
        match batch.as_single() {
            Some(SingleKey { key, value, expectations }) => {
                self.content.apply_one(expectations, key, value)
            }
            None => self.content.apply_all(batch),
        }
    }

    fn snapshot(&self) -> Result<Arc<dyn Reader>> {
        Ok(Arc::new(self.content.open_snapshot()))
    }

    fn maintenance(&self) -> Option<&dyn Maintenance> {
        Some(self)
    }
}

impl Maintenance for Memory {
    fn stats(&self) -> Result<Stats> {
        let ShardStats { reads, hits, writes, keys, bytes, cost } = self.content.stats();
        let (keys, bytes, memory_bytes) = (keys as u64, bytes as u64, cost as u64);
        Ok(Stats { keys, bytes, memory_bytes, reads, hits, writes, disk_bytes: 0 })
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Bound;

    use super::keyspace::SHARDS;
    use super::node::Node;
    use super::snapshots::Snapshot;
    use super::*;

    /// Old versions must go when nobody can see them any more, in whatever order the snapshots go:
    /// what stays is what a store without snapshots would hold. And what is deleted must go from
    /// the tables and the order too.
    #[test]
    fn old_versions_go_with_their_last_snapshot() {
        let memory = Memory::new(Arc::new(Budget::new(0)), Box::new(()));
        let content = &memory.content;
        let mut snapshots: Vec<Snapshot> = Vec::new();
        let mut random: u32 = 1;
        let mut next = |below: usize| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) as usize % below
        };
        let each = |check: &mut dyn FnMut(&Shard, &Node)| {
            content.sync_index();
            for node in content.order.read().forward(Bound::Unbounded, None) {
                check(&content.read(node.shard().into()), node);
            }
        };
        for _ in 0..20_000 {
            let key = [b'a' + next(5) as u8];
            match next(8) {
                0 => snapshots.push(content.open_snapshot()),
                1 if !snapshots.is_empty() => drop(snapshots.swap_remove(next(snapshots.len()))),
                2 => drop(content.apply_one(&[], &key, None)),
                _ => drop(content.apply_one(&[], &key, Some(&key))),
            }
            let moments = content.snapshots.moments();
            each(&mut |shard, node| {
                assert!(shard.versions(node) <= moments, "a version for a moment at most")
            });
        }
        drop(snapshots);
        assert_eq!(content.snapshots.moments(), 0);
        let mut keys = 0;
        each(&mut |shard, node| {
            assert!(shard.versions(node) == 0 && shard.now(node).is_some());
            keys += 1;
        });
        let ShardStats { keys: counted, bytes, cost, .. } = content.stats();
        assert_eq!((counted, bytes, cost), (keys, keys * 2, keys * (2 + shard::COST)));
    }

    /// Keys that come and go must not leave nodes behind, whether or not anybody looks at the
    /// order.
    #[test]
    fn deleted_keys_leave_nothing() {
        let memory = Memory::new(Arc::new(Budget::new(0)), Box::new(()));
        let content = &memory.content;
        for look in [false, true] {
            for number in 0..100_000u32 {
                let key = number.to_be_bytes();
                drop(content.apply_one(&[], &key, Some(b"value")));
                if look && number % 1000 == 0 {
                    content.sync_index();
                }
                drop(content.apply_one(&[], &key, None));
            }
            let nodes: usize = (0..SHARDS).map(|number| content.read(number).nodes()).sum();
            assert!(nodes <= SHARDS * 50, "{nodes} nodes for no key");
            let placed = content.order.read().forward(Bound::Unbounded, None).count();
            assert!(placed <= nodes, "{placed} placed of {nodes}");
        }
    }
}
