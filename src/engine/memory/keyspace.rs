//! The data of a memory store, which the engine, its snapshots and its cursors share.

use std::array;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use super::budget::Budget;
use super::key_index::{KeyIndex, PendingIndexOps};
use super::node::ValueRef;
use super::shard::{Shard, ShardStats};
use super::shard_set::{AtomicShardSet, SHARDS, ShardSet, shard_of};
use super::snapshots::{Snapshot, Snapshots};
use crate::engine::expiry::Expiry;
use crate::engine::feed::Feed;
use crate::engine::{Lease, TimeLeft};
use crate::sync::sharded::CachePadded;
use crate::sync::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Hashes keys. Models must run the same way each time, so there a key always has the same shard.
#[cfg(not(any(loom, shuttle)))]
type KeyHasher = foldhash::fast::RandomState;
#[cfg(any(loom, shuttle))]
type KeyHasher = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;

/// The data of a memory store.
pub struct Keyspace {
    shards: [CachePadded<RwLock<Shard>>; SHARDS],
    /// The shards that have pending index operations.
    pending: AtomicShardSet,
    /// Locked while the key index is brought up to date.
    index_sync: Mutex<()>,
    pub key_index: RwLock<KeyIndex>,
    pub snapshots: Snapshots,
    hasher: KeyHasher,
    pub budget: Arc<Budget>,
    pub expiry: Expiry,
    pub feed: Arc<Feed>,
    // Dropped last.
    _lease: Lease,
}

/// The guards of several shards, by their indexes.
pub type ShardGuards<Guard> = [Option<Guard>; SHARDS];

impl Keyspace {
    pub fn new(budget: Arc<Budget>, watch_buffer: u64, lease: Lease) -> Keyspace {
        Keyspace {
            shards: array::from_fn(|index| CachePadded(RwLock::new(Shard::new(index as u8)))),
            pending: AtomicShardSet::default(),
            index_sync: Mutex::new(()),
            key_index: RwLock::default(),
            snapshots: Snapshots::default(),
            hasher: KeyHasher::default(),
            budget,
            expiry: Expiry::default(),
            feed: Feed::new(watch_buffer),
            _lease: lease,
        }
    }

    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key);
        hasher.finish()
    }

    #[inline]
    pub fn read(&self, index: usize) -> RwLockReadGuard<'_, Shard> {
        self.shards[index].0.read()
    }

    #[inline]
    pub fn write(&self, index: usize) -> RwLockWriteGuard<'_, Shard> {
        self.shards[index].0.write()
    }

    /// Locks a shard, unless that would wait.
    pub fn try_write(&self, index: usize) -> Option<RwLockWriteGuard<'_, Shard>> {
        self.shards[index].0.try_write()
    }

    /// Locks the shards of `set` with `lock`. They are locked in ascending order, so two callers
    /// never wait for each other.
    pub fn lock<Guard>(&self, set: ShardSet, lock: impl Fn(usize) -> Guard) -> ShardGuards<Guard> {
        array::from_fn(|index| set.contains(index).then(|| lock(index)))
    }

    /// Calls `see` with the current value of `key`, if it has one.
    #[inline]
    pub fn find<R>(&self, key: &[u8], see: impl FnOnce(ValueRef<'_>) -> R) -> Option<R> {
        let hash = self.hash(key);
        let shard = self.read(shard_of(hash));
        shard.count_lookup(shard.get(hash, key)).map(see)
    }

    /// Returns how long a key lives that has a value at an epoch.
    pub fn time_left(&self, key: &[u8], epoch: u64) -> Option<TimeLeft> {
        let hash = self.hash(key);
        let shard = self.read(shard_of(hash));
        shard.deadline_at(hash, key, epoch).map(TimeLeft::until)
    }

    /// Publishes that `shard` has pending index operations.
    ///
    /// For a new node this comes before the writer reads the epoch. A cursor advances the epoch
    /// before it looks for pending operations, so it finds every node that its epoch shows.
    #[inline]
    pub fn mark_pending(&self, shard: &Shard) {
        if shard.has_pending() {
            self.pending.insert(shard.index());
        }
    }

    /// Brings the key index up to date.
    pub fn sync_index(&self) {
        let _index_sync = self.index_sync.lock();
        let pending = self.pending.load();
        if pending == ShardSet::default() {
            return;
        }
        let mut ops = PendingIndexOps::default();
        for index in pending.iter() {
            let mut shard = self.write(index);
            ops.append(shard.take_pending(true, |key| self.hash(key)));
            self.pending.remove(index);
        }
        self.key_index.write().apply(ops);
    }

    /// Removes the garbage of these shards, except while another thread syncs the index.
    pub fn sweep(&self, shards: ShardSet) {
        for index in shards.iter() {
            if let Some(_index_sync) = self.index_sync.try_lock() {
                let ops = self.write(index).take_pending(false, |key| self.hash(key));
                self.key_index.write().apply(ops);
            }
        }
    }

    pub fn open_snapshot(self: &Arc<Keyspace>) -> Snapshot {
        Snapshot { keyspace: self.clone(), epoch: self.snapshots.open() }
    }

    pub fn stats(&self) -> ShardStats {
        (0..SHARDS).fold(ShardStats::default(), |sum, index| sum.plus(self.read(index).stats()))
    }
}

impl Drop for Keyspace {
    fn drop(&mut self) {
        self.budget.settle(0, self.stats().cost, 0);
    }
}
