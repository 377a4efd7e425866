//! Moments: the clock, and the snapshots that look at the past.
//!
//! The clock goes on when a snapshot is taken, and only then: what was written between two
//! snapshots has one epoch. A writer reads the clock while it holds the locks of all it writes, so
//! a snapshot, which waits for these locks when it reads, sees of a batch all or nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use super::cursor::MemoryCursor;
use super::given;
use super::keyspace::{Content, number};
use super::node::{Held, Node};
use crate::engine::{Cursor, Range, Reader, Value};
use crate::error::Result;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};

/// The clock and the live snapshots.
#[derive(Default)]
pub struct Snapshots {
    now: AtomicU64,
    /// One more than the epoch of the newest live snapshot; 0 if there is none.
    newest_open: AtomicU64,
    /// By their epochs.
    snapshots: Mutex<VecDeque<OpenSnapshot>>,
}

/// The snapshots at one epoch, and the nodes in which an older version is kept that no younger
/// snapshot sees.
struct OpenSnapshot {
    epoch: u64,
    holders: usize,
    kept: Vec<Node>,
}

/// How many of the snapshots are before a epoch.
fn before(snapshots: &VecDeque<OpenSnapshot>, epoch: u64) -> usize {
    snapshots.partition_point(|watch| watch.epoch < epoch)
}

impl Snapshots {
    /// The epoch of what is written now.
    pub fn now(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }

    /// Ends the current epoch, without a snapshot at it. Returns it: what is written from now on is
    /// younger.
    pub fn advance(&self) -> u64 {
        let _snapshots = self.snapshots.lock();
        self.now.fetch_add(1, Ordering::SeqCst)
    }

    /// A new snapshot: of all that was written up to the epoch that this answers, and of nothing
    /// that is written later.
    pub fn open_snapshot(&self) -> u64 {
        let mut snapshots = self.snapshots.lock();
        let epoch = self.now.load(Ordering::SeqCst);
        snapshots.push_back(OpenSnapshot { epoch, holders: 1, kept: Vec::new() });
        // Before the clock goes on: who writes at the next epoch must know that this one is looked
        // at.
        self.newest_open.store(epoch + 1, Ordering::SeqCst);
        self.now.store(epoch + 1, Ordering::SeqCst);
        epoch
    }

    /// One snapshot more at the epoch of a live one.
    pub fn reopen_snapshot(&self, epoch: u64) {
        let mut snapshots = self.snapshots.lock();
        let index = before(&snapshots, epoch);
        snapshots[index].holders += 1;
    }

    /// Ends a snapshot. If it was the last one at its epoch, the nodes that have a version for it
    /// are to be looked through.
    pub fn close_snapshot(&self, epoch: u64) -> Vec<Node> {
        let mut snapshots = self.snapshots.lock();
        let index = before(&snapshots, epoch);
        snapshots[index].holders -= 1;
        if snapshots[index].holders > 0 {
            return Vec::new();
        }
        let kept = snapshots.remove(index).map(|watch| watch.kept).unwrap_or_default();
        let newest = snapshots.back().map_or(0, |newest| newest.epoch + 1);
        self.newest_open.store(newest, Ordering::SeqCst);
        kept
    }

    /// Whether a live snapshot may see what a node holds since the epoch `created_at`.
    pub fn sees(&self, created_at: u64) -> bool {
        created_at < self.newest_open.load(Ordering::SeqCst)
    }

    /// Puts down that `node` keeps what it held from the epoch `created_at` to before `end`, for
    /// the newest snapshot of that time. Returns whether there is one. It must not be a younger
    /// one: a snapshot that was taken while a write was on its way has the epoch of the write, and
    /// sees what was written.
    pub fn keep(&self, node: &Node, created_at: u64, end: u64) -> bool {
        let mut snapshots = self.snapshots.lock();
        let Some(index) = before(&snapshots, end).checked_sub(1) else { return false };
        let watch = &mut snapshots[index];
        if watch.epoch < created_at {
            return false;
        }
        watch.kept.push(node.clone());
        true
    }

    /// How many moments live snapshots look at.
    #[cfg(test)]
    pub fn moments(&self) -> usize {
        self.snapshots.lock().len()
    }
}

/// The store as it was at one epoch.
pub struct Snapshot {
    pub content: Arc<Content>,
    pub epoch: u64,
}

impl Snapshot {
    fn find<R>(&self, key: &[u8], see: impl FnOnce(Held<'_>) -> R) -> Option<R> {
        let hash = self.content.hash(key);
        let shard = self.content.read(number(hash));
        shard.looked(shard.find(hash, key).and_then(|node| shard.at(node, self.epoch))).map(see)
    }
}

impl Clone for Snapshot {
    fn clone(&self) -> Snapshot {
        self.content.snapshots.reopen_snapshot(self.epoch);
        Snapshot { content: self.content.clone(), epoch: self.epoch }
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        let content = &*self.content;
        let mut needs_sweep = 0u64;
        for node in content.snapshots.close_snapshot(self.epoch) {
            let mut shard = content.write(node.shard().into());
            let before = shard.stats.cost;
            let version = shard.forget(&node, self.epoch, &content.snapshots);
            content.settle_budget(0, before, shard.stats.cost);
            content.notice(&shard);
            needs_sweep |= u64::from(shard.needs_sweep()) << node.shard();
            // Freed without the lock.
            drop(shard);
            drop(version);
        }
        content.sweep_all(needs_sweep);
    }
}

impl Reader for Snapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.find(key, given).transpose()
    }

    fn look(&self, key: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<bool> {
        Ok(self.find(key, |held| see(held.bytes())).is_some())
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        Ok(self.find(key, |_| ()).is_some())
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    fn cursor(&self, range: Range) -> Result<Box<dyn Cursor>> {
        self.content.sync_index();
        Ok(Box::new(MemoryCursor::new(self.clone(), range)))
    }
}
