//! Snapshots: the epoch, the live snapshots, and the old versions that are kept for them.
//!
//! Taking a snapshot advances the epoch. All that is written between two snapshots has one epoch. A
//! writer reads the epoch while it holds the locks of all shards that it writes. A snapshot waits
//! for these locks when it reads, so it sees all of a batch or nothing.
//!
//! A write keeps the old version of a key only if a live snapshot sees it. The newest such snapshot
//! holds the version. When that snapshot is dropped, an older one takes the version over if it sees
//! it; otherwise `Snapshot::drop` frees it. So without snapshots there are no old versions.

use std::collections::VecDeque;
use std::sync::Arc;

use super::copy_or_share;
use super::cursor::MemoryCursor;
use super::keyspace::Keyspace;
use super::node::{Node, ValueRef};
use super::shard_set::{ShardSet, shard_of};
use crate::engine::{Cursor, Range, Reader, TimeLeft, Value};
use crate::error::Result;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};

/// The epoch and the live snapshots.
#[derive(Default)]
pub struct Snapshots {
    now: AtomicU64,
    /// One more than the epoch of the newest live snapshot; 0 if there is none.
    newest_open: AtomicU64,
    /// Sorted by epoch.
    open: Mutex<VecDeque<OpenSnapshot>>,
}

/// The live snapshots of one epoch.
struct OpenSnapshot {
    epoch: u64,
    references: usize,
    /// The nodes that keep a version which these snapshots see and no newer one does.
    nodes: Vec<Node>,
}

/// Returns the index of the first snapshot that is not older than `epoch`.
fn index_of(open: &VecDeque<OpenSnapshot>, epoch: u64) -> usize {
    open.partition_point(|snapshot| snapshot.epoch < epoch)
}

impl Snapshots {
    /// Returns the current epoch.
    #[inline]
    pub fn now(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }

    /// Ends the current epoch without a snapshot, and returns it. Later writes are newer.
    pub fn advance(&self) -> u64 {
        let _open = self.open.lock();
        self.now.fetch_add(1, Ordering::SeqCst)
    }

    /// Opens a snapshot and returns its epoch. It sees the entries up to this epoch.
    pub fn open(&self) -> u64 {
        let mut open = self.open.lock();
        let epoch = self.now.load(Ordering::SeqCst);
        open.push_back(OpenSnapshot { epoch, references: 1, nodes: Vec::new() });
        // Before the epoch advances: a writer of the next epoch must know that a snapshot sees this
        // one.
        self.newest_open.store(epoch + 1, Ordering::SeqCst);
        self.now.store(epoch + 1, Ordering::SeqCst);
        epoch
    }

    /// Adds a reference to the live snapshot at `epoch`.
    pub fn retain(&self, epoch: u64) {
        let mut open = self.open.lock();
        let index = index_of(&open, epoch);
        open[index].references += 1;
    }

    /// Releases a reference to a snapshot. After the last one, returns the nodes that keep a
    /// version for it.
    fn close(&self, epoch: u64) -> Vec<Node> {
        let mut open = self.open.lock();
        let index = index_of(&open, epoch);
        open[index].references -= 1;
        if open[index].references > 0 {
            return Vec::new();
        }
        let nodes = open.remove(index).map(|closed| closed.nodes).unwrap_or_default();
        let newest_open = open.back().map_or(0, |newest| newest.epoch + 1);
        self.newest_open.store(newest_open, Ordering::SeqCst);
        nodes
    }

    /// Returns whether a live snapshot may see a value that was written at the epoch `created_at`.
    #[inline]
    pub fn may_see(&self, created_at: u64) -> bool {
        created_at < self.newest_open.load(Ordering::SeqCst)
    }

    /// Records that `node` keeps the version of the epochs from `created_at` to before `end`, for
    /// the newest snapshot that sees it. Returns false if no snapshot does.
    ///
    /// A snapshot at `end` itself does not count: if it was taken during the write, it has the
    /// epoch of the write and sees the new value.
    pub fn keep(&self, node: &Node, created_at: u64, end: u64) -> bool {
        let mut open = self.open.lock();
        let Some(index) = index_of(&open, end).checked_sub(1) else { return false };
        let snapshot = &mut open[index];
        if snapshot.epoch < created_at {
            return false;
        }
        snapshot.nodes.push(node.clone());
        true
    }

    /// Returns the number of epochs with a live snapshot.
    #[cfg(test)]
    pub fn epochs(&self) -> usize {
        self.open.lock().len()
    }
}

/// The keyspace at one epoch.
pub struct Snapshot {
    pub keyspace: Arc<Keyspace>,
    pub epoch: u64,
}

impl Snapshot {
    fn find<R>(&self, key: &[u8], see: impl FnOnce(ValueRef<'_>) -> R) -> Option<R> {
        let hash = self.keyspace.hash(key);
        let shard = self.keyspace.read(shard_of(hash));
        shard.count_lookup(shard.get_at(hash, key, self.epoch)).map(see)
    }
}

impl Clone for Snapshot {
    fn clone(&self) -> Snapshot {
        self.keyspace.snapshots.retain(self.epoch);
        Snapshot { keyspace: self.keyspace.clone(), epoch: self.epoch }
    }
}

impl Drop for Snapshot {
    /// Frees the versions that only this snapshot sees.
    fn drop(&mut self) {
        let keyspace = &*self.keyspace;
        let mut needs_sweep = ShardSet::default();
        for node in keyspace.snapshots.close(self.epoch) {
            let mut shard = keyspace.write(node.shard());
            let before = shard.cost();
            let version = shard.release_version(&node, self.epoch, &keyspace.snapshots);
            keyspace.budget.settle(0, before, shard.cost());
            keyspace.mark_pending(&shard);
            shard.needs_sweep().then(|| needs_sweep.insert(shard.index()));
            // The version is freed without the lock.
            drop(shard);
            drop(version);
        }
        keyspace.sweep(needs_sweep);
    }
}

impl Reader for Snapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.find(key, copy_or_share).transpose()
    }

    fn with_value(&self, key: &[u8], read: &mut dyn FnMut(&[u8])) -> Result<bool> {
        Ok(self.find(key, |value| read(value.bytes())).is_some())
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        Ok(self.find(key, |_| ()).is_some())
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    fn time_left(&self, key: &[u8]) -> Result<Option<TimeLeft>> {
        Ok(self.keyspace.time_left(key, self.epoch))
    }

    fn cursor(&self, range: Range) -> Result<Box<dyn Cursor>> {
        self.keyspace.sync_index();
        Ok(Box::new(MemoryCursor::new(self.clone(), range)))
    }
}
