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
mod key_index;
mod node;
mod shard;
mod snapshots;
mod table;

use std::array;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::ops::Bound;
use std::sync::Arc;

pub use self::budget::Budget;
use self::cursor::MemoryCursor;
use self::key_index::{KeyIndex, PendingIndexOps};
use self::node::{Held, INLINE, New, Node};
use self::shard::{RangeTombstone, Shard, ShardStats};
use self::snapshots::Snapshots;
use super::{Buffer, Cursor, Engine, Lease, Maintenance, Range, Reader, Stats, Value};
use crate::batch::{Expectation, Operation, Outcome, SingleKey, WriteBatch};
use crate::error::{Error, Kind, Result};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// What keys are hashed with. Models have to be the same in each run, so there keys have the same
/// shards.
#[cfg(not(any(loom, shuttle)))]
type Hashing = foldhash::fast::RandomState;
#[cfg(any(loom, shuttle))]
type Hashing = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;

/// How many shards there are: as many as a word has bits. In models, few of everything do.
const SHARDS: usize = if cfg!(shuttle) { 2 } else { 64 };

/// How many entries a cursor reads under one hold of the lock: the least and the most. It begins
/// small, so that a look at the first entry is cheap, and grows as the iteration proves long.
const RUN: (usize, usize) = if cfg!(shuttle) { (1, 4) } else { (32, 256) };

/// To how many nodes a range tombstone is applied at a time.
const CHUNK: usize = if cfg!(shuttle) { 2 } else { 1024 };

/// An ordered store in memory.
pub struct Memory {
    content: Arc<Content>,
}

/// What the engine, its snapshots and its cursors hold together.
struct Content {
    shards: [Alone<RwLock<Shard>>; SHARDS],
    /// Which shards have nodes that wait for a change of the order.
    waiting: AtomicU64,
    /// Held by who brings the order up to date.
    settling: Mutex<()>,
    order: RwLock<KeyIndex>,
    snapshots: Snapshots,
    hashing: Hashing,
    budget: Arc<Budget>,
    /// Dropped last.
    _lease: Lease,
}

/// Alone on its cache lines (two, as processors fetch them in pairs).
#[repr(align(128))]
struct Alone<T>(T);

/// Shards that are locked together.
type Locked<Guard> = [Option<Guard>; SHARDS];

/// The number of the shard of a key. The hash table uses the other bits.
fn number(hash: u64) -> usize {
    (hash >> 48) as usize % SHARDS
}

impl Content {
    fn hash(&self, key: &[u8]) -> u64 {
        self.hashing.hash_one(key)
    }

    fn read(&self, number: usize) -> RwLockReadGuard<'_, Shard> {
        self.shards[number].0.read()
    }

    fn write(&self, number: usize) -> RwLockWriteGuard<'_, Shard> {
        self.shards[number].0.write()
    }

    /// What a key holds now, as `see` sees it.
    fn find<R>(&self, key: &[u8], see: impl FnOnce(Held<'_>) -> R) -> Option<R> {
        let hash = self.hash(key);
        let shard = self.read(number(hash));
        shard.looked(shard.get(hash, key)).map(see)
    }

    /// Locks the shards whose bits are set, in the order of their numbers, so that no two callers
    /// wait for each other.
    fn lock<Guard>(&self, wanted: u64, lock: impl Fn(usize) -> Guard) -> Locked<Guard> {
        array::from_fn(|number| (wanted >> number & 1 == 1).then(|| lock(number)))
    }

    /// Finds the node of a key that is to get a value, or makes one, and has it known that it waits
    /// for its place. That must be known before the clock is read for it: a cursor lets the clock
    /// go on first and then looks what waits, so that it finds every key of its moment.
    fn node(&self, shard: &mut Shard, hash: u64, key: &[u8], len: usize) -> Node {
        let (node, made) = shard.node(hash, key, len, |key| self.hash(key));
        if made {
            self.notice(shard);
        }
        node
    }

    /// Has it known whether nodes of a shard wait for a change of the order.
    fn notice(&self, shard: &Shard) {
        let bit = 1 << shard.number();
        if shard.is_waiting() && self.waiting.load(Ordering::SeqCst) & bit == 0 {
            self.waiting.fetch_or(bit, Ordering::SeqCst);
        }
    }

    /// Brings the order up to date.
    fn sync_index(&self) {
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
    fn sweep(&self, number: usize) {
        if let Some(_settling) = self.settling.try_lock() {
            let waiting = self.write(number).drain(false, |key| self.hash(key));
            self.order.write().change(waiting);
        }
    }

    /// Takes the dead nodes out of the shards whose bits are set.
    fn sweep_all(&self, mut needs_sweep: u64) {
        while needs_sweep != 0 {
            self.sweep(needs_sweep.trailing_zeros() as usize);
            needs_sweep &= needs_sweep - 1;
        }
    }

    fn open_snapshot(self: &Arc<Content>) -> Snapshot {
        Snapshot { content: self.clone(), epoch: self.snapshots.open_snapshot() }
    }

    /// Applies operations on one key, which all the expectations are about.
    fn apply_one(
        &self,
        expectations: &[Expectation<'_>],
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<Outcome> {
        let (new, hash) = (prepared(value)?, self.hash(key));
        let mut shard = self.write(number(hash));
        self.apply_tombstones(&mut shard, hash, key);
        let node = shard.find(hash, key).cloned();
        if !expectations.is_empty() {
            let found = node.as_ref().and_then(|node| shard.now(node));
            let found = found.map(Held::bytes);
            if let Some(conflict) =
                expectations.iter().find_map(|expectation| expectation.conflict(found))
            {
                return Ok(Outcome::Refused(conflict));
            }
        }
        let before = shard.stats.cost;
        let taken =
            self.take(|| shard.growth(hash, key, value.map(<[u8]>::len), &self.snapshots))?;
        let node = match value {
            Some(value) if node.is_none() => Some(self.node(&mut shard, hash, key, value.len())),
            _ => node,
        };
        if let Some(node) = node {
            shard.put(&node, new, self.snapshots.now(), &self.snapshots);
            self.notice(&shard);
        }
        shard.stats.writes += 1;
        self.settle_budget(taken, before, shard.stats.cost);
        let needs_sweep = shard.needs_sweep();
        drop(shard);
        if needs_sweep {
            self.sweep(number(hash));
        }
        Ok(Outcome::Applied)
    }

    /// Applies any batch.
    fn apply_all(&self, batch: &WriteBatch<'_>) -> Result<Outcome> {
        // Long values are copied before the locks are taken, so that writers wait for each other's
        // inserts and not for their copies.
        let news = batch
            .operations
            .iter()
            .map(|operation| prepared(value(operation)))
            .collect::<Result<Vec<_>>>()?;
        let hash = |key: Option<&[u8]>| key.map_or(0, |key| self.hash(key));
        let hashes: Vec<_> =
            batch.operations.iter().map(|operation| hash(operation.key())).collect();
        let expected: Vec<_> =
            batch.expectations.iter().map(|expectation| self.hash(expectation.key())).collect();
        let ranged = batch.operations.iter().any(|operation| operation.key().is_none());
        let wanted =
            hashes.iter().chain(&expected).fold(0u64, |wanted, hash| wanted | 1 << number(*hash));
        let wanted = if ranged { u64::MAX } else { wanted };
        let mut shards = self.lock(wanted, |number| self.write(number));

        let delete_hidden = |shards: &mut Locked<_>| {
            let expected = batch.expectations.iter().map(Expectation::key).zip(&expected);
            let changed = batch.operations.iter().zip(&hashes);
            let changed = changed.filter_map(|(operation, hash)| Some((operation.key()?, hash)));
            for (key, hash) in expected.chain(changed) {
                self.apply_tombstones(shard(shards, *hash), *hash, key);
            }
        };
        delete_hidden(&mut shards);
        let mut each = batch.expectations.iter().zip(&expected);
        let refused = each.find_map(|(expectation, hash)| {
            let found = shard(&mut shards, *hash).get(*hash, expectation.key());
            expectation.conflict(found.map(Held::bytes))
        });
        if let Some(conflict) = refused {
            return Ok(Outcome::Refused(conflict));
        }
        let taken = self.take(|| growth(&mut shards, batch, &hashes, &self.snapshots))?;

        let mut tombstones = Vec::new();
        if ranged {
            let last = self.snapshots.advance();
            tombstones.extend(
                batch.operations.iter().filter_map(|operation| RangeTombstone::of(operation, last)),
            );
            for shard in shards.iter_mut().flatten() {
                tombstones.iter().for_each(|tombstone| shard.add_tombstone(tombstone));
            }
            delete_hidden(&mut shards);
        }
        let sum = |shards: &Locked<_>| {
            shards.iter().flatten().map(|shard: &Writing| shard.stats.cost).sum::<usize>()
        };
        let before = sum(&shards);
        // What a later range of the batch deletes is not written at all.
        let deleted_later = |index: usize, key: &[u8]| {
            ranged
                && batch.operations[index..]
                    .iter()
                    .any(|operation| operation.deletes_range_with(key))
        };
        let survives = |(index, operation): &(usize, &Operation<'_>)| {
            operation.key().is_some_and(|key| !deleted_later(index + 1, key))
        };
        for (index, operation) in batch.operations.iter().enumerate().filter(survives) {
            if let Operation::Set { key, value } = operation {
                self.node(shard(&mut shards, hashes[index]), hashes[index], key, value.len());
            }
        }
        let now = self.snapshots.now();
        for ((index, operation), new) in batch.operations.iter().enumerate().zip(news) {
            let Some(key) = operation.key().filter(|_| survives(&(index, operation))) else {
                continue;
            };
            let hash = hashes[index];
            let shard = shard(&mut shards, hash);
            let node = match operation {
                Operation::Set { key, value } => Some(self.node(shard, hash, key, value.len())),
                _ => shard.find(hash, key).cloned(),
            };
            if let Some(node) = node {
                shard.put(&node, new, now, &self.snapshots);
            }
        }
        self.settle_budget(taken, before, sum(&shards));
        if let Some(shard) = shards.iter_mut().flatten().next() {
            shard.stats.writes += batch.operations.len() as u64;
        }
        let mut needs_sweep = 0u64;
        for shard in shards.iter().flatten() {
            self.notice(shard);
            needs_sweep |= u64::from(shard.needs_sweep()) << shard.number();
        }
        drop(shards);
        self.sweep_all(needs_sweep);
        for tombstone in &tombstones {
            self.apply_to_range(tombstone);
        }
        Ok(Outcome::Applied)
    }

    /// Deletes what a key holds if a range tombstone hides it.
    #[inline]
    fn apply_tombstones(&self, shard: &mut Shard, hash: u64, key: &[u8]) {
        if shard.has_tombstones()
            && let Some(node) = shard.find(hash, key).cloned()
        {
            self.apply_to_node(shard, &node);
            self.notice(shard);
        }
    }

    fn apply_to_node(&self, shard: &mut Shard, node: &Node) {
        let before = shard.stats.cost;
        shard.apply_tombstones(node, &self.snapshots);
        self.settle_budget(0, before, shard.stats.cost);
    }

    /// Applies a range tombstone to all nodes of its range, and removes it. A few nodes at a time,
    /// so that nobody waits for long.
    fn apply_to_range(&self, tombstone: &Arc<RangeTombstone>) {
        // Nodes that are not in the order yet need not be put there first. What is missed, as the
        // queue changes between two chunks, is found in the order.
        for number in 0..SHARDS {
            let chunks = self.read(number).waiting().div_ceil(CHUNK);
            for chunk in 0..chunks {
                let mut shard = self.write(number);
                for index in chunk * CHUNK..(chunk + 1) * CHUNK {
                    let Some(node) = shard.waiting_node(index) else { break };
                    self.apply_to_node(&mut shard, &node);
                }
            }
        }
        self.sync_index();
        let Range { start, end } = &tombstone.range;
        // What comes behind the last key that is there now, is not deleted by the tombstone.
        let last = {
            let order = self.order.read();
            let from = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            order.backward(from, start).next().map(|last| Range::one(last.key()))
        };
        let mut from = Bound::Included(start.clone());
        while let Some(Range { end, .. }) = &last {
            let order = self.order.read();
            let chunk = order.forward(from.as_ref().map(Vec::as_slice), end.as_deref()).take(CHUNK);
            let mut nodes: Vec<_> = chunk.inspect(|node| node.prefetch()).collect();
            let Some(key) = nodes.last().map(|last| last.key().to_vec()) else { break };
            from = Bound::Excluded(key);
            nodes.sort_unstable_by_key(|node| node.shard());
            let mut needs_sweep = 0u64;
            for nodes in nodes.chunk_by(|one, other| one.shard() == other.shard()) {
                let mut shard = self.write(nodes[0].shard().into());
                nodes.iter().for_each(|node| self.apply_to_node(&mut shard, node));
                self.notice(&shard);
                needs_sweep |= u64::from(shard.needs_sweep()) << shard.number();
            }
            drop(nodes);
            drop(order);
            self.sweep_all(needs_sweep);
        }
        for number in 0..SHARDS {
            self.write(number).remove_tombstone(tombstone);
        }
    }

    /// Takes room for what will come, less what will go.
    fn take(&self, growth: impl FnOnce() -> (usize, usize)) -> Result<usize> {
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
    fn settle_budget(&self, taken: usize, before: usize, after: usize) {
        if self.budget.is_limited() {
            match (before + taken).checked_sub(after) {
                Some(unused) => self.budget.give_back(unused),
                // Marks of deletion for snapshots: a little more than planned, and deleting must
                // always be possible.
                None => self.budget.overdraw(after - before - taken),
            }
        }
    }

    fn stats(&self) -> ShardStats {
        (0..SHARDS).fold(ShardStats::default(), |sum, number| sum.and(self.read(number).stats()))
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        self.settle_budget(0, self.stats().cost, 0);
    }
}

type Writing<'a> = RwLockWriteGuard<'a, Shard>;

/// One of the locked shards, by the hash of a key.
fn shard<'a>(shards: &'a mut Locked<Writing<'_>>, hash: u64) -> &'a mut Shard {
    let Some(shard) = &mut shards[number(hash)] else {
        unreachable!("the shards of all the keys are locked")
    };
    shard
}

/// The value that an operation leaves under its key.
fn value<'a>(operation: &Operation<'a>) -> Option<&'a [u8]> {
    match operation {
        Operation::Set { value, .. } => Some(value),
        Operation::Delete { .. } | Operation::DeleteRange { .. } => None,
    }
}

/// A value ready for its node: a long one in memory of its own.
fn prepared(value: Option<&[u8]>) -> Result<New<'_>> {
    let Some(value) = value else { return Ok(New::Nothing) };
    if value.len() <= INLINE {
        return Ok(New::Short(value));
    }
    let mut copy = Vec::new();
    copy.try_reserve_exact(value.len()).map_err(|cause| {
        Error::new(Kind::NoMemory, format!("no memory for a value of {} bytes", value.len()))
            .because(cause)
    })?;
    copy.extend_from_slice(value);
    Ok(New::Long(Arc::new(copy.into_boxed_slice())))
}

/// What a batch will make the cost grow by, and shrink by. What a range removes is left out, so it
/// can shrink more.
fn growth(
    shards: &mut Locked<Writing<'_>>,
    batch: &WriteBatch<'_>,
    hashes: &[u64],
    snapshots: &Snapshots,
) -> (usize, usize) {
    let mut last = HashMap::new();
    for (operation, hash) in batch.operations.iter().zip(hashes) {
        if let Some(key) = operation.key() {
            last.insert(key, (hash, value(operation)));
        }
    }
    last.into_iter().fold((0, 0), |(more, less), (key, (hash, value))| {
        let (comes, goes) =
            shard(shards, *hash).growth(*hash, key, value.map(<[u8]>::len), snapshots);
        (more + comes, less + goes)
    })
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

/// The store as it was at one epoch.
struct Snapshot {
    content: Arc<Content>,
    epoch: u64,
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

#[cfg(test)]
mod tests {
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
