//! What the engine, its snapshots and its cursors hold together.

use std::array;
use std::hash::BuildHasher;
use std::sync::Arc;

use super::budget::Budget;
use super::key_index::{KeyIndex, PendingIndexOps};
use super::node::{Held, Node};
use super::shard::{Shard, ShardStats};
use super::snapshots::{Snapshot, Snapshots};
use crate::engine::Lease;
use crate::error::{Error, Kind, Result};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// What keys are hashed with. Models have to be the same in each run, so there keys have the same
/// shards.
#[cfg(not(any(loom, shuttle)))]
pub type Hashing = foldhash::fast::RandomState;
#[cfg(any(loom, shuttle))]
pub type Hashing = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;

/// How many shards there are: as many as a word has bits. In models, few of everything do.
pub const SHARDS: usize = if cfg!(shuttle) { 2 } else { 64 };

/// What the engine, its snapshots and its cursors hold together.
pub struct Content {
    pub shards: [Alone<RwLock<Shard>>; SHARDS],
    /// Which shards have nodes that wait for a change of the order.
    pub waiting: AtomicU64,
    /// Held by who brings the order up to date.
    pub settling: Mutex<()>,
    pub order: RwLock<KeyIndex>,
    pub snapshots: Snapshots,
    pub hashing: Hashing,
    pub budget: Arc<Budget>,
    /// Dropped last.
    pub _lease: Lease,
}

/// Alone on its cache lines (two, as processors fetch them in pairs).
#[repr(align(128))]
pub struct Alone<T>(pub T);

/// Shards that are locked together.
pub type Locked<Guard> = [Option<Guard>; SHARDS];

/// The number of the shard of a key. The hash table uses the other bits.
pub fn number(hash: u64) -> usize {
    (hash >> 48) as usize % SHARDS
}

impl Content {
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.hashing.hash_one(key)
    }

    pub fn read(&self, number: usize) -> RwLockReadGuard<'_, Shard> {
        self.shards[number].0.read()
    }

    pub fn write(&self, number: usize) -> RwLockWriteGuard<'_, Shard> {
        self.shards[number].0.write()
    }

    /// What a key holds now, as `see` sees it.
    pub fn find<R>(&self, key: &[u8], see: impl FnOnce(Held<'_>) -> R) -> Option<R> {
        let hash = self.hash(key);
        let shard = self.read(number(hash));
        shard.looked(shard.get(hash, key)).map(see)
    }

    /// Locks the shards whose bits are set, in the order of their numbers, so that no two callers
    /// wait for each other.
    pub fn lock<Guard>(&self, wanted: u64, lock: impl Fn(usize) -> Guard) -> Locked<Guard> {
        array::from_fn(|number| (wanted >> number & 1 == 1).then(|| lock(number)))
    }

    /// Finds the node of a key that is to get a value, or makes one, and has it known that it waits
    /// for its place. That must be known before the clock is read for it: a cursor lets the clock
    /// go on first and then looks what waits, so that it finds every key of its moment.
    pub fn node(&self, shard: &mut Shard, hash: u64, key: &[u8], len: usize) -> Node {
        let (node, made) = shard.node(hash, key, len, |key| self.hash(key));
        if made {
            self.notice(shard);
        }
        node
    }

    /// Has it known whether nodes of a shard wait for a change of the order.
    pub fn notice(&self, shard: &Shard) {
        let bit = 1 << shard.number();
        if shard.is_waiting() && self.waiting.load(Ordering::SeqCst) & bit == 0 {
            self.waiting.fetch_or(bit, Ordering::SeqCst);
        }
    }

    /// Brings the order up to date.
    pub fn sync_index(&self) {
        let _settling = self.settling.lock();
        let waiting = self.waiting.load(Ordering::SeqCst);
        if waiting == 0 {
            return;
        }
        let mut all = PendingIndexOps::default();
        for number in (0..SHARDS).filter(|number| waiting >> number & 1 == 1) {
            let mut shard = self.write(number);
            all.and(shard.drain(true, |key| self.hash(key)));
            self.waiting.fetch_and(!(1 << number), Ordering::SeqCst);
        }
        self.order.write().change(all);
    }

    /// Takes the dead nodes out of a shard, if nobody else is busy with the order.
    pub fn sweep(&self, number: usize) {
        if let Some(_settling) = self.settling.try_lock() {
            let waiting = self.write(number).drain(false, |key| self.hash(key));
            self.order.write().change(waiting);
        }
    }

    /// Takes the dead nodes out of the shards whose bits are set.
    pub fn sweep_all(&self, mut needs_sweep: u64) {
        while needs_sweep != 0 {
            self.sweep(needs_sweep.trailing_zeros() as usize);
            needs_sweep &= needs_sweep - 1;
        }
    }

    pub fn open_snapshot(self: &Arc<Content>) -> Snapshot {
        Snapshot { content: self.clone(), epoch: self.snapshots.open_snapshot() }
    }

    /// Takes room for what will come, less what will go.
    pub fn take(&self, growth: impl FnOnce() -> (usize, usize)) -> Result<usize> {
        if !self.budget.is_limited() {
            return Ok(0);
        }
        let (more, less) = growth();
        let growth = more.saturating_sub(less);
        if self.budget.take(growth) {
            return Ok(growth);
        }
        let text = format!(
            "the memory stores hold what they may, memory_limit_bytes ({})",
            self.budget.limit()
        );
        Err(Error::new(Kind::NoMemory, text))
    }

    /// Sets what was taken against what the costs have really become.
    pub fn settle_budget(&self, taken: usize, before: usize, after: usize) {
        if self.budget.is_limited() {
            match (before + taken).checked_sub(after) {
                Some(unused) => self.budget.give_back(unused),
                // Marks of deletion for snapshots: a little more than planned, and deleting must
                // always be possible.
                None => self.budget.overdraw(after - before - taken),
            }
        }
    }

    pub fn stats(&self) -> ShardStats {
        (0..SHARDS).fold(ShardStats::default(), |sum, number| sum.and(self.read(number).stats()))
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        self.settle_budget(0, self.stats().cost, 0);
    }
}
