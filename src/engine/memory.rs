//! The engine in memory: an ordered map whose entries keep the versions that somebody can still see.
//!
//! A write happens at one tick of a clock, under the write lock, batch and all. A snapshot is a tick: reading at it means
//! reading, of each key, the newest version that is not younger. Overwriting keeps the old version only if a live snapshot
//! can see it; the newest such snapshot then knows about it, and hands it to its predecessor or frees it when it goes. So
//! without snapshots there are no old versions, and with them exactly those that are needed.
//!
//! Cursors read a run of entries under the read lock and stand on copies of their references, so that no lock is held
//! between two calls.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::RwLock;

use super::{Cursor, Engine, Lease, Range, Reader, Value};
use crate::batch::{Operation, Outcome, WriteBatch};
use crate::error::{Error, Kind, Result};

/// How many entries a cursor looks at under one hold of the lock: the least and the most. It begins small, so that a look at
/// the first entry is cheap, and doubles as the iteration proves long.
const RUN: (usize, usize) = (8, 256);

type Key = Arc<[u8]>;
type Bytes = Arc<Box<[u8]>>;

/// An ordered store in memory.
pub struct Memory {
    tree: Arc<RwLock<Tree>>,
}

#[derive(Default)]
struct Tree {
    entries: BTreeMap<Key, Entry>,
    /// The tick of the last write.
    now: u64,
    snapshots: BTreeMap<u64, Watch>,
    /// Dropped last, with the last of the engine, its snapshots and its cursors.
    _lease: Option<Lease>,
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
        let watch = self.snapshots.last_entry();
        let Some(entry) = self.entries.get_mut(key) else {
            if value.is_some() {
                self.entries.insert(key.into(), Entry { newest: Version { born, value }, older: Vec::new() });
            }
            return;
        };
        let before = std::mem::replace(&mut entry.newest, Version { born, value });
        // A deletion is a version too, unless there is nothing older that it hides.
        if let Some(mut watch) = watch
            && before.born <= *watch.key()
            && (before.value.is_some() || !entry.older.is_empty())
        {
            entry.older.push(before);
            watch.get_mut().kept.push(key.into());
        }
        self.prune(key);
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
        }
    }

    /// Ends one snapshot at `tick`, and with the last of them the versions that only they could see.
    fn unwatch(&mut self, tick: u64) {
        let Some(watch) = self.snapshots.get_mut(&tick) else { return };
        watch.holders -= 1;
        if watch.holders > 0 {
            return;
        }
        let kept = self.snapshots.remove(&tick).map(|watch| watch.kept).unwrap_or_default();
        for key in kept {
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            let Some(index) = entry.older.iter().rposition(|version| version.born <= tick) else { continue };
            match self.snapshots.range_mut(..tick).next_back() {
                Some((before, watch)) if entry.older[index].born <= *before => watch.kept.push(key),
                _ => {
                    entry.older.remove(index);
                    self.prune(&key);
                }
            }
        }
    }
}

impl Memory {
    /// An empty store. `lease` is dropped when its last cursor and snapshot are gone too.
    pub fn new(lease: Lease) -> Memory {
        Memory { tree: Arc::new(RwLock::new(Tree { _lease: Some(lease), ..Tree::default() })) }
    }

    fn watch(&self) -> Snapshot {
        let mut tree = self.tree.write();
        let tick = tree.now;
        tree.snapshots.entry(tick).or_default().holders += 1;
        Snapshot { tree: self.tree.clone(), tick }
    }
}

impl Reader for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        Ok(self.tree.read().newest(key).cloned().map(Value::Shared))
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        Ok(self.tree.read().newest(key).is_some())
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        let tree = self.tree.read();
        Ok(keys.iter().map(|key| tree.newest(key).cloned().map(Value::Shared)).collect())
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
        let mut tree = self.tree.write();
        for expectation in batch.expectations {
            let found = tree.newest(expectation.key()).map(|value| &***value);
            if let Some(refusal) = expectation.refusal(found) {
                return Ok(Outcome::Refused(refusal));
            }
        }
        tree.now += 1;
        for (operation, value) in batch.operations.iter().zip(values) {
            match operation {
                Operation::Set { key, .. } | Operation::Delete { key } => tree.put(key, value),
                Operation::DeleteRange { start, end } => tree.clear(start, *end),
            }
        }
        Ok(Outcome::Applied)
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

/// The store as it was at one tick.
struct Snapshot {
    tree: Arc<RwLock<Tree>>,
    tick: u64,
}

impl Snapshot {
    fn find(&self, key: &[u8]) -> Option<Bytes> {
        self.tree.read().entries.get(key).and_then(|entry| entry.at(self.tick)).cloned()
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.tree.write().unwatch(self.tick);
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
        let mut tree = self.tree.write();
        tree.snapshots.entry(self.tick).or_default().holders += 1;
        let snapshot = Snapshot { tree: self.tree.clone(), tick: self.tick };
        Ok(Box::new(Position::new(Arc::new(snapshot), range)))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Forward,
    Backward,
}

/// A cursor. The current entry is the front of `run`; behind it lie the entries that follow it in the direction of `way`.
struct Position {
    snapshot: Arc<Snapshot>,
    range: Range,
    way: Way,
    run: VecDeque<(Key, Bytes)>,
    /// How many entries the next fill may look at.
    ahead: usize,
    /// Whether `run` holds all that is left in its direction.
    complete: bool,
}

impl Position {
    fn new(snapshot: Arc<Snapshot>, range: Range) -> Position {
        Position { snapshot, range, way: Way::Forward, run: VecDeque::new(), ahead: RUN.0, complete: true }
    }

    /// Starts anew with the entries from `from` on.
    fn go(&mut self, way: Way, from: Bound<&[u8]>) {
        self.run.clear();
        self.way = way;
        self.ahead = RUN.0;
        self.fill(from);
    }

    /// Adds entries behind the run, from `from` on, until one was found or there are no more.
    fn fill(&mut self, from: Bound<&[u8]>) {
        self.complete = true;
        let start = Bound::Included(&self.range.start[..]);
        let end = self.range.end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut resume: Option<Key> = None;
        while self.run.is_empty() {
            let from = resume.as_deref().map_or(from, Bound::Excluded);
            let bounds = match self.way {
                Way::Forward => (from, end),
                Way::Backward => (start, from),
            };
            if crosses(bounds) {
                return;
            }
            let tree = self.snapshot.tree.read();
            let mut entries = tree.entries.range::<[u8], _>(bounds);
            let mut looked = 0;
            let last = loop {
                let entry = match self.way {
                    Way::Forward => entries.next(),
                    Way::Backward => entries.next_back(),
                };
                let Some((key, entry)) = entry else { return };
                if let Some(value) = entry.at(self.snapshot.tick) {
                    self.run.push_back((key.clone(), value.clone()));
                }
                looked += 1;
                if looked >= self.ahead {
                    break key.clone();
                }
            };
            drop(tree);
            self.ahead = (self.ahead * 2).min(RUN.1);
            resume = Some(last);
        }
        self.complete = false;
    }

    fn advance(&mut self, way: Way) {
        let Some((key, _)) = self.run.front().cloned() else { return };
        if way != self.way {
            self.go(way, Bound::Excluded(&key));
            return;
        }
        self.run.pop_front();
        if self.run.is_empty() && !self.complete {
            self.fill(Bound::Excluded(&key));
        }
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

impl Cursor for Position {
    fn first(&mut self) -> Result<()> {
        let start = self.range.start.clone();
        self.go(Way::Forward, Bound::Included(&start));
        Ok(())
    }

    fn last(&mut self) -> Result<()> {
        let end = self.range.end.clone();
        self.go(Way::Backward, end.as_deref().map_or(Bound::Unbounded, Bound::Excluded));
        Ok(())
    }

    fn seek(&mut self, key: &[u8]) -> Result<()> {
        let start = key.max(&self.range.start).to_vec();
        self.go(Way::Forward, Bound::Included(&start));
        Ok(())
    }

    fn next(&mut self) -> Result<()> {
        self.advance(Way::Forward);
        Ok(())
    }

    fn prev(&mut self) -> Result<()> {
        self.advance(Way::Backward);
        Ok(())
    }

    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.run.front().map(|(key, value)| (&**key, &***value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Old versions must go when nobody can see them any more, in whatever order the snapshots go: what stays is what a
    /// store without snapshots would hold.
    #[test]
    fn old_versions_go_with_their_last_snapshot() {
        let memory = Memory::new(Box::new(()));
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
                2 => memory.tree.write().put_at_once(&key, None),
                _ => memory.tree.write().put_at_once(&key, Some(Arc::new(key.as_slice().into()))),
            }
            let tree = memory.tree.read();
            let moments = tree.snapshots.len();
            assert!(tree.entries.values().all(|entry| entry.older.len() <= moments), "a version for a moment at most");
        }
        drop(snapshots);
        let tree = memory.tree.read();
        assert!(tree.snapshots.is_empty());
        assert!(tree.entries.values().all(|entry| entry.older.is_empty() && entry.newest.value.is_some()));
    }

    impl Tree {
        fn put_at_once(&mut self, key: &[u8], value: Option<Bytes>) {
            self.now += 1;
            self.put(key, value);
        }
    }
}
