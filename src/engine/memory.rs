//! The engine in memory: an ordered map whose entries keep the versions that somebody can still see.
//!
//! A write happens at one tick of a clock, under the write lock, batch and all. A snapshot is a tick: reading at it means
//! reading, of each key, the newest version that is not younger. Overwriting keeps the old version only if a live snapshot
//! can see it; the newest such snapshot then knows about it, and hands it to its predecessor or frees it when it goes. So
//! without snapshots there are no old versions, and with them exactly those that are needed.
//!
//! Cursors read a run of entries under the read lock and stand on copies of their references, so that no lock is held
//! between two calls.

mod budget;
mod position;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::RwLock;

pub use self::budget::Budget;
use self::position::Position;
use super::tally::Tally;
use super::{Cursor, Engine, Lease, Range, Reader, Stats, Value};
use crate::batch::{Operation, Outcome, WriteBatch};
use crate::error::{Error, Kind, Result};

/// How many entries a cursor looks at under one hold of the lock: the least and the most. It begins small, so that a look at
/// the first entry is cheap, and doubles as the iteration proves long.
const RUN: (usize, usize) = (8, 256);

type Key = Arc<[u8]>;
type Bytes = Arc<Box<[u8]>>;

/// An ordered store in memory.
pub struct Memory {
    held: Arc<Held>,
}

/// What the engine, its snapshots and its cursors hold together.
struct Held {
    tree: RwLock<Tree>,
    tally: Tally,
    /// Dropped last.
    _lease: Lease,
}

struct Tree {
    entries: BTreeMap<Key, Entry>,
    /// The tick of the last write.
    now: u64,
    snapshots: BTreeMap<u64, Watch>,
    /// How many keys there are now, and how many bytes they and their values have.
    keys: usize,
    bytes: usize,
    /// What all versions cost, by the rules of `Budget`.
    cost: usize,
    budget: Arc<Budget>,
}

/// What an entry costs beside its key and its newest value, and a further version beside its value: roughly what the
/// structures and the allocator take for it.
const COST: usize = 96;

/// What a version costs.
fn cost(value: Option<&Bytes>) -> usize {
    COST + value.map_or(0, |value| value.len())
}

/// One key: what it holds now, and what it held at the moments that live snapshots look at, oldest first.
struct Entry {
    newest: Version,
    older: Vec<Version>,
}

/// What a key held from a tick on; `None` for "it was deleted".
struct Version {
    born: u64,
    value: Option<Bytes>,
}

/// The snapshots at one tick, and the keys of which an older version is kept that no younger snapshot sees.
#[derive(Default)]
struct Watch {
    holders: usize,
    kept: Vec<Key>,
}

impl Entry {
    fn at(&self, tick: u64) -> Option<&Bytes> {
        let version = if self.newest.born <= tick {
            Some(&self.newest)
        } else {
            self.older.iter().rev().find(|version| version.born <= tick)
        };
        version.and_then(|version| version.value.as_ref())
    }
}

impl Tree {
    fn newest(&self, key: &[u8]) -> Option<&Bytes> {
        self.entries.get(key).and_then(|entry| entry.newest.value.as_ref())
    }

    /// Gives `key` a new newest version, keeping the one before if a snapshot can see it.
    fn put(&mut self, key: &[u8], value: Option<Bytes>) {
        let born = self.now;
        let new_cost = cost(value.as_ref());
        let new_len = value.as_ref().map(|value| value.len());
        let watch = self.snapshots.last_entry();
        let Some(entry) = self.entries.get_mut(key) else {
            if let Some(len) = new_len {
                self.entries.insert(key.into(), Entry { newest: Version { born, value }, older: Vec::new() });
                self.keys += 1;
                self.bytes += key.len() + len;
                self.cost += key.len() + new_cost;
            }
            return;
        };
        let before = std::mem::replace(&mut entry.newest, Version { born, value });
        if let Some(value) = &before.value {
            self.keys -= 1;
            self.bytes -= key.len() + value.len();
        }
        if let Some(len) = new_len {
            self.keys += 1;
            self.bytes += key.len() + len;
        }
        self.cost += new_cost;
        // A deletion is a version too, unless there is nothing older that it hides.
        if let Some(mut watch) = watch
            && before.born <= *watch.key()
            && (before.value.is_some() || !entry.older.is_empty())
        {
            entry.older.push(before);
            watch.get_mut().kept.push(key.into());
        } else {
            self.cost -= cost(before.value.as_ref());
        }
        self.prune(key);
    }

    /// What `batch` will make the cost grow by. What a range removes is left out, so it can be less.
    fn growth(&self, batch: &WriteBatch<'_>) -> usize {
        let mut last: BTreeMap<&[u8], Option<&[u8]>> = BTreeMap::new();
        for operation in batch.operations.iter().rev() {
            match *operation {
                Operation::Set { key, value } => drop(last.entry(key).or_insert(Some(value))),
                Operation::Delete { key } => drop(last.entry(key).or_insert(None)),
                Operation::DeleteRange { .. } => {}
            }
        }
        let (mut more, mut less) = (0, 0);
        for (key, value) in last {
            let entry = self.entries.get(key);
            let seen =
                |entry: &Entry| self.snapshots.last_key_value().is_some_and(|(tick, _)| entry.newest.born <= *tick);
            match (entry, value) {
                (None, None) => {}
                (None, Some(value)) => more += key.len() + COST + value.len(),
                (Some(entry), None) if !seen(entry) && entry.older.is_empty() => {
                    less += key.len() + cost(entry.newest.value.as_ref());
                }
                (Some(entry), value) => {
                    more += COST + value.map_or(0, <[u8]>::len);
                    if !seen(entry) {
                        less += cost(entry.newest.value.as_ref());
                    }
                }
            }
        }
        more.saturating_sub(less)
    }

    /// Deletes every key from `start` on, and before `end`.
    fn clear(&mut self, start: &[u8], end: Option<&[u8]>) {
        let bounds = (Bound::Included(start), end.map_or(Bound::Unbounded, Bound::Excluded));
        if crosses(bounds) {
            return;
        }
        let keys: Vec<_> = self.entries.range::<[u8], _>(bounds).map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.put(&key, None);
        }
    }

    /// Forgets a key that is deleted at every moment anyone can see.
    fn prune(&mut self, key: &[u8]) {
        if self.entries.get(key).is_some_and(|entry| entry.newest.value.is_none() && entry.older.is_empty()) {
            self.entries.remove(key);
            self.cost -= key.len() + cost(None);
        }
    }

    /// Ends one snapshot at `tick`. If it was the last one there, its list of kept versions is to be looked through.
    fn unwatch(&mut self, tick: u64) -> Vec<Key> {
        let Some(watch) = self.snapshots.get_mut(&tick) else { return Vec::new() };
        watch.holders -= 1;
        if watch.holders > 0 {
            return Vec::new();
        }
        self.snapshots.remove(&tick).map(|watch| watch.kept).unwrap_or_default()
    }

    /// Takes out the versions of `keys` that were kept for `tick` and that no older snapshot can see, which from now on
    /// answers for the others.
    fn forget(&mut self, tick: u64, keys: impl Iterator<Item = Key>) -> Vec<Version> {
        let before = self.cost;
        let mut forgotten = Vec::new();
        for key in keys {
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            let Some(index) = entry.older.iter().rposition(|version| version.born <= tick) else { continue };
            match self.snapshots.range_mut(..tick).next_back() {
                Some((before, watch)) if entry.older[index].born <= *before => watch.kept.push(key),
                _ => {
                    let version = entry.older.remove(index);
                    self.cost -= cost(version.value.as_ref());
                    forgotten.push(version);
                    self.prune(&key);
                }
            }
        }
        self.budget.give_back(before - self.cost);
        forgotten
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        self.budget.give_back(self.cost);
    }
}

impl Memory {
    /// An empty store, whose content comes out of `budget`. `lease` is dropped when its last cursor and snapshot are gone
    /// too.
    pub fn new(budget: Arc<Budget>, lease: Lease) -> Memory {
        let (entries, snapshots) = (BTreeMap::new(), BTreeMap::new());
        let tree = Tree { entries, now: 0, snapshots, keys: 0, bytes: 0, cost: 0, budget };
        Memory { held: Arc::new(Held { tree: RwLock::new(tree), tally: Tally::default(), _lease: lease }) }
    }

    fn watch(&self) -> Snapshot {
        let mut tree = self.held.tree.write();
        let tick = tree.now;
        tree.snapshots.entry(tick).or_default().holders += 1;
        Snapshot { held: self.held.clone(), tick }
    }
}

impl Reader for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        let found = self.held.tree.read().newest(key).cloned();
        Ok(self.held.tally.read(found).map(Value::Shared))
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        let found = self.held.tree.read().newest(key).map(|_| ());
        Ok(self.held.tally.read(found).is_some())
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        let tree = self.held.tree.read();
        Ok(keys.iter().map(|key| self.held.tally.read(tree.newest(key).cloned()).map(Value::Shared)).collect())
    }

    fn cursor(&self, range: Range) -> Result<Box<dyn Cursor>> {
        Ok(Box::new(Position::new(Arc::new(self.watch()), range)))
    }
}

impl Engine for Memory {
    fn apply(&self, batch: &WriteBatch<'_>) -> Result<Outcome> {
        // The values are copied before the lock is taken, so that writers wait for each other's inserts and not for their
        // copies.
        let values = batch.operations.iter().map(copied).collect::<Result<Vec<_>>>()?;
        let mut tree = self.held.tree.write();
        for expectation in batch.expectations {
            let found = tree.newest(expectation.key()).map(|value| &***value);
            if let Some(refusal) = expectation.refusal(found) {
                return Ok(Outcome::Refused(refusal));
            }
        }
        // Room for all that is new is taken first and what is not needed given back. Only close to the limit it is worth
        // finding out what the batch will free.
        let budget = tree.budget.clone();
        let most: usize =
            batch.operations.iter().zip(&values).map(|(operation, value)| most_cost(operation, value)).sum();
        let taken = if budget.take(most) {
            most
        } else {
            let growth = tree.growth(batch);
            if !budget.take(growth) {
                let text = format!("the memory stores hold what they may, memory_limit_bytes ({})", budget.limit());
                return Err(Error::new(Kind::NoMemory, text));
            }
            growth
        };
        let before = tree.cost;
        tree.now += 1;
        for (operation, value) in batch.operations.iter().zip(values) {
            match operation {
                Operation::Set { key, .. } | Operation::Delete { key } => tree.put(key, value),
                Operation::DeleteRange { start, end } => tree.clear(start, *end),
            }
        }
        match (before + taken).checked_sub(tree.cost) {
            Some(unused) => budget.give_back(unused),
            // Marks of deletion for snapshots: a little more than planned, and deleting must always be possible.
            None => budget.overdraw(tree.cost - before - taken),
        }
        self.held.tally.wrote(batch.operations.len());
        Ok(Outcome::Applied)
    }

    fn stats(&self) -> Result<Stats> {
        let tree = self.held.tree.read();
        let (keys, bytes, memory_bytes) = (tree.keys as u64, tree.bytes as u64, tree.cost as u64);
        Ok(Stats { keys, bytes, memory_bytes, ..self.held.tally.stats() })
    }

    fn snapshot(&self) -> Result<Arc<dyn Reader>> {
        Ok(Arc::new(self.watch()))
    }
}

/// The value that an operation leaves under its key, in memory of its own.
fn copied(operation: &Operation<'_>) -> Result<Option<Bytes>> {
    let Operation::Set { value, .. } = operation else { return Ok(None) };
    let mut copy = Vec::new();
    copy.try_reserve_exact(value.len()).map_err(|cause| {
        Error::new(Kind::NoMemory, format!("no memory for a value of {} bytes", value.len())).because(cause)
    })?;
    copy.extend_from_slice(value);
    Ok(Some(Arc::new(copy.into_boxed_slice())))
}

/// What an operation can cost at most.
fn most_cost(operation: &Operation<'_>, value: &Option<Bytes>) -> usize {
    match operation {
        Operation::Set { key, .. } => key.len() + cost(value.as_ref()),
        Operation::Delete { .. } | Operation::DeleteRange { .. } => 0,
    }
}

/// The store as it was at one tick.
struct Snapshot {
    held: Arc<Held>,
    tick: u64,
}

impl Snapshot {
    fn find(&self, key: &[u8]) -> Option<Bytes> {
        let found = self.held.tree.read().entries.get(key).and_then(|entry| entry.at(self.tick)).cloned();
        self.held.tally.read(found)
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        let mut kept = self.held.tree.write().unwatch(self.tick);
        // In steps, and dropped without the lock, so that no writer waits for all of it.
        while !kept.is_empty() {
            let step = kept.drain(kept.len().saturating_sub(RUN.1)..);
            let forgotten = self.held.tree.write().forget(self.tick, step);
            drop(forgotten);
        }
    }
}

impl Reader for Snapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        Ok(self.find(key).map(Value::Shared))
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        Ok(self.find(key).is_some())
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        Ok(keys.iter().map(|key| self.find(key).map(Value::Shared)).collect())
    }

    fn cursor(&self, range: Range) -> Result<Box<dyn Cursor>> {
        self.held.tree.write().snapshots.entry(self.tick).or_default().holders += 1;
        let snapshot = Snapshot { held: self.held.clone(), tick: self.tick };
        Ok(Box::new(Position::new(Arc::new(snapshot), range)))
    }
}

/// Whether nothing can lie between the bounds, which a `BTreeMap` answers with a panic for some of them.
fn crosses(bounds: (Bound<&[u8]>, Bound<&[u8]>)) -> bool {
    match bounds {
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (Bound::Included(start) | Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => start >= end,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Old versions must go when nobody can see them any more, in whatever order the snapshots go: what stays is what a
    /// store without snapshots would hold.
    #[test]
    fn old_versions_go_with_their_last_snapshot() {
        let memory = Memory::new(Arc::new(Budget::new(0)), Box::new(()));
        let mut snapshots: Vec<Snapshot> = Vec::new();
        let mut random: u32 = 1;
        let mut next = |below: usize| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) as usize % below
        };
        for _ in 0..20_000 {
            let key = [b'a' + next(5) as u8];
            match next(8) {
                0 => snapshots.push(memory.watch()),
                1 if !snapshots.is_empty() => drop(snapshots.swap_remove(next(snapshots.len()))),
                2 => memory.held.tree.write().put_at_once(&key, None),
                _ => memory.held.tree.write().put_at_once(&key, Some(Arc::new(key.as_slice().into()))),
            }
            let tree = memory.held.tree.read();
            let moments = tree.snapshots.len();
            assert!(tree.entries.values().all(|entry| entry.older.len() <= moments), "a version for a moment at most");
        }
        drop(snapshots);
        let tree = memory.held.tree.read();
        assert!(tree.snapshots.is_empty());
        assert!(tree.entries.values().all(|entry| entry.older.is_empty() && entry.newest.value.is_some()));
        let costs = tree.entries.iter().map(|(key, entry)| key.len() + cost(entry.newest.value.as_ref()));
        assert_eq!(tree.cost, costs.sum::<usize>());
        assert_eq!((tree.keys, tree.bytes), (tree.entries.len(), tree.entries.len() * 2));
    }

    impl Tree {
        fn put_at_once(&mut self, key: &[u8], value: Option<Bytes>) {
            self.now += 1;
            self.put(key, value);
        }
    }
}
