//! Shards of the keyspace.
//!
//! The hash of a key says which shard it belongs to. A shard finds its nodes by a hash table. The
//! lock of the shard protects the content of its nodes: a thread that holds the lock for reading
//! may read them, and a thread that holds it for writing may write them.
#![allow(unsafe_code)]

use std::sync::Arc;

use super::deadlines::{self, Deadlines};
use super::delete_range::RangeTombstone;
use super::hash_table::{Slot, Table};
use super::key_index::{IndexEntry, PendingIndexOps};
use super::node::{IndexState, NewValue, Node, ValueRef, Version};
use super::snapshots::Snapshots;
use crate::batch::Operation;
use crate::engine::feed::Feed;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The cost of an entry besides its key and its newest value, and of each older version besides its
/// value: about what the structures and the allocator take.
pub const OVERHEAD: usize = 96;

fn version_cost(value_len: Option<usize>) -> usize {
    OVERHEAD + value_len.unwrap_or(0)
}

/// A part of the keyspace.
pub struct Shard {
    table: Table,
    writer: NodeWriter,
    /// The range tombstones that have not been applied to all nodes yet.
    tombstones: Vec<Arc<RangeTombstone>>,
    lookups: LookupCounters,
    /// Of a store that has had watches.
    feed: Option<Arc<Feed>>,
}

/// Writes the nodes of a shard, and keeps what depends on their content up to date.
struct NodeWriter {
    /// The index of the shard.
    shard: u8,
    stats: ShardStats,
    /// The nodes that may have to enter or to leave the key index.
    pending: Vec<IndexEntry>,
    deadlines: Deadlines,
    /// The number of nodes without a value and without a version.
    garbage: usize,
}

/// Counts lookups that hit and lookups that miss. The lock that a lookup takes is next to them, so
/// their cache line is there already.
#[derive(Default)]
struct LookupCounters {
    hits: AtomicU64,
    misses: AtomicU64,
}

/// Statistics of a shard, or of several.
#[derive(Clone, Copy, Default)]
pub struct ShardStats {
    /// Keys that were looked up.
    pub reads: u64,
    /// Lookups that found their key.
    pub hits: u64,
    /// Operations that were applied.
    pub writes: u64,
    /// Keys with a value.
    pub keys: usize,
    /// Bytes of these keys and their values.
    pub bytes: usize,
    /// What all versions take of the budget.
    pub cost: usize,
}

impl ShardStats {
    pub fn plus(self, other: ShardStats) -> ShardStats {
        ShardStats {
            reads: self.reads + other.reads,
            hits: self.hits + other.hits,
            writes: self.writes + other.writes,
            keys: self.keys + other.keys,
            bytes: self.bytes + other.bytes,
            cost: self.cost + other.cost,
        }
    }
}

impl Shard {
    pub fn new(index: u8) -> Shard {
        let (stats, pending) = (ShardStats::default(), Vec::new());
        Shard {
            table: Table::default(),
            writer: NodeWriter {
                shard: index,
                stats,
                pending,
                deadlines: Deadlines::default(),
                garbage: 0,
            },
            tombstones: Vec::new(),
            lookups: LookupCounters::default(),
            feed: None,
        }
    }

    pub fn index(&self) -> usize {
        self.writer.shard.into()
    }

    pub fn stats(&self) -> ShardStats {
        let (hits, misses) = (self.lookups.hits.load(Relaxed), self.lookups.misses.load(Relaxed));
        ShardStats { reads: hits + misses, hits, ..self.writer.stats }
    }

    pub fn cost(&self) -> usize {
        self.writer.stats.cost
    }

    pub fn count_writes(&mut self, operations: u64) {
        self.writer.stats.writes += operations;
    }

    /// Counts a lookup, and returns its result.
    #[inline]
    pub fn count_lookup<T>(&self, found: Option<T>) -> Option<T> {
        let counter = if found.is_some() { &self.lookups.hits } else { &self.lookups.misses };
        counter.fetch_add(1, Relaxed);
        found
    }

    /// Returns the slot of a key, which is valid until a node is inserted or removed.
    #[inline]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<Slot> {
        self.table.find(hash, key)
    }

    #[inline]
    pub fn find_node(&self, hash: u64, key: &[u8]) -> Option<&Node> {
        self.find(hash, key).map(|slot| self.table.node(slot))
    }

    /// Returns the current value of a key.
    #[inline]
    pub fn get(&self, hash: u64, key: &[u8]) -> Option<ValueRef<'_>> {
        self.find(hash, key).and_then(|slot| self.value(slot))
    }

    /// Returns the value of a key at an epoch.
    pub fn get_at(&self, hash: u64, key: &[u8], epoch: u64) -> Option<ValueRef<'_>> {
        self.find_node(hash, key).and_then(|node| self.value_at(node, epoch))
    }

    /// Returns the current value in a slot.
    #[inline]
    pub fn value(&self, slot: Slot) -> Option<ValueRef<'_>> {
        let node = self.table.node(slot);
        if self.is_hidden(node, u64::MAX) {
            return None;
        }
        // SAFETY: it is a node of this shard, which is borrowed as long as the value.
        unsafe { node.value() }
    }

    /// Returns the value of a node of this shard at an epoch.
    pub fn value_at<'a>(&'a self, node: &'a Node, epoch: u64) -> Option<ValueRef<'a>> {
        self.writer.assert_owns(node);
        // SAFETY: it is a node of this shard, which is borrowed as long as the value.
        let (created_at, value) = unsafe { (node.state().created_at, node.value_at(epoch)) };
        value.filter(|_| created_at > epoch || !self.is_hidden(node, epoch))
    }

    /// Returns whether a range tombstone hides the current value of a node from readers at an
    /// epoch.
    #[inline]
    fn is_hidden(&self, node: &Node, epoch: u64) -> bool {
        if self.tombstones.is_empty() {
            return false;
        }
        // SAFETY: it is a node of this shard, which is borrowed.
        let created_at = unsafe { node.state() }.created_at;
        self.tombstones
            .iter()
            .any(|tombstone| tombstone.last < epoch && tombstone.deletes(node, created_at))
    }

    #[inline]
    pub fn has_tombstones(&self) -> bool {
        !self.tombstones.is_empty()
    }

    /// Adds a range tombstone. No value is newer than the last epoch that it deletes.
    pub fn add_tombstone(&mut self, tombstone: &Arc<RangeTombstone>) {
        self.tombstones.push(tombstone.clone());
    }

    /// Removes a range tombstone that was applied to all nodes.
    pub fn remove_tombstone(&mut self, tombstone: &Arc<RangeTombstone>) {
        self.tombstones.retain(|other| !Arc::ptr_eq(tombstone, other));
    }

    /// Deletes the value of a node if a range tombstone hides it.
    ///
    /// This comes before every write to the node: a version that a write keeps for snapshots is not
    /// hidden.
    pub fn apply_tombstones(&mut self, node: &Node, snapshots: &Snapshots) {
        self.writer.assert_owns(node);
        // SAFETY: it is a node of this shard, which is borrowed.
        let created_at = unsafe { node.state() }.created_at;
        let deleting =
            self.tombstones.iter().filter(|tombstone| tombstone.deletes(node, created_at));
        if let Some(last) = deleting.map(|tombstone| tombstone.last).min() {
            self.put_node(node, NewValue::None, last + 1, snapshots);
        }
    }

    /// Inserts a node for `key`, which must not have one. It has room for a value of `len` bytes.
    pub fn insert(
        &mut self,
        hash: u64,
        key: &[u8],
        len: usize,
        rehash: impl Fn(&[u8]) -> u64,
    ) -> Slot {
        let node = Node::new(self.writer.shard, key, len);
        self.writer.garbage += 1;
        self.writer.enqueue(&node);
        self.table.insert(hash, node, rehash)
    }

    /// Returns the node of `key`, or inserts one with room for a value of `len` bytes.
    pub fn find_or_insert(
        &mut self,
        hash: u64,
        key: &[u8],
        len: usize,
        rehash: impl Fn(&[u8]) -> u64,
    ) -> &Node {
        let slot = self.find(hash, key).unwrap_or_else(|| self.insert(hash, key, len, rehash));
        self.table.node(slot)
    }

    /// Writes a value, or none, to the node in a slot, and publishes this if the store has had
    /// watches. See [`Shard::put_node`].
    #[inline]
    pub fn put(&mut self, slot: Slot, value: NewValue<'_>, now: u64, snapshots: &Snapshots) {
        self.writer.put(self.table.node(slot), value, now, snapshots);
        if self.feed.is_some() {
            self.publish(slot);
        }
    }

    /// Publishes the deletion of a key without a node, as that of a node without a value is too.
    pub fn publish_deletion(&self, key: &[u8]) {
        if let Some(feed) = self.feed.as_ref().filter(|feed| feed.is_watched()) {
            feed.publish_one(&Operation::Delete { key });
        }
    }

    /// Publishes writes of single keys from now on.
    pub fn publish_to(&mut self, feed: &Arc<Feed>) {
        self.feed = Some(feed.clone());
    }

    #[cold]
    fn publish(&self, slot: Slot) {
        let Some(feed) = self.feed.as_ref().filter(|feed| feed.is_watched()) else { return };
        let key = self.table.node(slot).key();
        let set = |value: ValueRef<'_>| {
            feed.publish_one(&Operation::Set { key, value: value.bytes() });
        };
        self.value(slot).map_or_else(|| feed.publish_one(&Operation::Delete { key }), set);
    }

    /// Writes a value, or none, to a node of this shard at the epoch `now`. If a snapshot sees the
    /// value before, the node keeps it as a version.
    pub fn put_node(&mut self, node: &Node, value: NewValue<'_>, now: u64, snapshots: &Snapshots) {
        self.writer.put(node, value, now, snapshots);
    }

    /// Replaces the deadline of a node of this shard, if it has a value; 0 for none.
    pub fn set_deadline(&mut self, node: &Node, deadline: u64) {
        if self.has_value(node) {
            self.writer.set_deadline(node, deadline);
        }
    }

    /// Replaces the deadline of a node of this shard, if it has a value; 0 for none. If a snapshot
    /// sees the value, the node keeps it as a version, with the deadline before.
    pub fn replace_deadline(
        &mut self,
        node: &Node,
        deadline: u64,
        now: u64,
        snapshots: &Snapshots,
    ) {
        // SAFETY: it is a node of this shard, which is borrowed.
        let created_at = unsafe { node.state() }.created_at;
        if snapshots.may_see(created_at)
            && let Some(value) = self.value_at(node, u64::MAX).map(ValueRef::share)
        {
            self.put_node(node, NewValue::Shared(value), now, snapshots);
        }
        self.set_deadline(node, deadline);
    }

    /// Returns whether a node of this shard has a current value.
    pub fn has_value(&self, node: &Node) -> bool {
        self.value_at(node, u64::MAX).is_some()
    }

    /// Returns the deadline of the value of a key at an epoch, 0 for never, or `None` if it has no
    /// value.
    pub fn deadline_at(&self, hash: u64, key: &[u8], epoch: u64) -> Option<u64> {
        let node = self.find_node(hash, key)?;
        self.value_at(node, epoch)?;
        // SAFETY: it is a node of this shard, which is borrowed.
        Some(unsafe { node.state() }.deadline_at(epoch))
    }

    pub fn has_deadlines(&self) -> bool {
        !self.writer.deadlines.is_empty()
    }

    /// Returns a node whose deadline is not after `now`.
    pub fn due(&self, now: u64) -> Option<Node> {
        self.writer.deadlines.due(now)
    }

    /// Removes the version of a node that is kept for the snapshot at `epoch`. If an older snapshot
    /// sees the version, it is kept for that one instead.
    pub fn release_version(
        &mut self,
        node: &Node,
        epoch: u64,
        snapshots: &Snapshots,
    ) -> Option<Version> {
        self.writer.release_version(node, epoch, snapshots)
    }

    /// Returns whether there is so much garbage that it should be removed.
    pub fn needs_sweep(&self) -> bool {
        let few = if cfg!(shuttle) { 0 } else { 32 };
        self.writer.garbage > few + self.table.len() / 4
    }

    pub fn has_pending(&self) -> bool {
        !self.writer.pending.is_empty()
    }

    pub fn pending_len(&self) -> usize {
        self.writer.pending.len()
    }

    pub fn pending_node(&self, index: usize) -> Option<Node> {
        self.writer.pending.get(index).map(|entry| entry.node.clone())
    }

    /// Removes the garbage, and returns the index operations that are due for it. With `all`, it
    /// also returns those for new nodes.
    pub fn take_pending(&mut self, all: bool, rehash: impl Fn(&[u8]) -> u64) -> PendingIndexOps {
        let mut ops = PendingIndexOps::default();
        for entry in std::mem::take(&mut self.writer.pending) {
            // SAFETY: it is a node of this shard, which is borrowed mutably.
            let state = unsafe { entry.node.state_mut() };
            let is_indexed = state.index_state == IndexState::Checking;
            if state.is_garbage() {
                state.index_state = IndexState::Absent;
                self.writer.garbage -= 1;
                let key = entry.node.key();
                self.table.remove(rehash(key), key);
                if is_indexed {
                    ops.remove.push(entry);
                }
            } else if is_indexed {
                state.index_state = IndexState::Present;
            } else if all {
                state.index_state = IndexState::Present;
                ops.insert.push(entry);
            } else {
                self.writer.pending.push(entry);
            }
        }
        ops
    }

    /// Returns by how much the cost grows and shrinks if a key gets a value of `len` bytes, or
    /// none. `slot` is the key's slot, if it has one.
    ///
    /// A deletion grows by nothing, because it must always be possible. The version that it may
    /// leave for a snapshot is left out.
    pub fn growth(
        &self,
        slot: Option<Slot>,
        key_len: usize,
        len: Option<usize>,
        snapshots: &Snapshots,
    ) -> (usize, usize) {
        let node_cost = key_len + OVERHEAD;
        // SAFETY: it is a node of this shard, which is borrowed.
        let state = slot
            .map(|slot| unsafe { self.table.node(slot).state() })
            .filter(|state| !state.is_garbage());
        let Some(state) = state else { return (len.map_or(0, |len| node_cost + len), 0) };
        let value = slot.and_then(|slot| self.value(slot));
        let before = value.map_or(0, |value| value.bytes().len());
        match (snapshots.may_see(state.created_at), len) {
            (true, len) => (len.map_or(0, |len| OVERHEAD + len), 0),
            (false, Some(len)) => (len, before),
            (false, None) if state.versions().is_empty() => (0, node_cost + before),
            (false, None) => (0, before),
        }
    }

    #[cfg(test)]
    pub fn nodes(&self) -> usize {
        self.table.len()
    }

    #[cfg(test)]
    pub fn versions(&self, node: &Node) -> usize {
        self.writer.assert_owns(node);
        // SAFETY: it is a node of this shard, which is borrowed.
        unsafe { node.state() }.versions().len()
    }
}

impl NodeWriter {
    #[inline]
    fn assert_owns(&self, node: &Node) {
        assert!(node.shard() == usize::from(self.shard));
    }

    fn enqueue(&mut self, node: &Node) {
        // SAFETY: it is a node of this shard, which is borrowed mutably.
        let state = unsafe { node.state_mut() };
        state.index_state = match state.index_state {
            IndexState::Absent => IndexState::Entering,
            IndexState::Present => IndexState::Checking,
            IndexState::Entering | IndexState::Checking => return,
        };
        self.pending.push(IndexEntry::new(node.clone()));
    }

    fn put(&mut self, node: &Node, new: NewValue<'_>, now: u64, snapshots: &Snapshots) {
        self.assert_owns(node);
        // SAFETY: it is a node of this shard, which is borrowed mutably. The value before is not
        // used after the node is written.
        let (before, state) = unsafe { (node.value(), node.state_mut()) };
        let (was_garbage, created_at) = (state.is_garbage(), state.created_at);
        let len_before = before.map(|value| value.bytes().len());
        let len = new.len();
        if len_before.is_none() && len.is_none() {
            return;
        }
        // That the key had no value is a version too, unless it hides no older one.
        if !was_garbage && snapshots.may_see(created_at) && snapshots.keep(node, created_at, now) {
            self.stats.cost += version_cost(len_before);
            state.keep_version();
        }
        state.created_at = now;
        if state.deadline() != 0 {
            self.set_deadline(node, 0);
        }
        // SAFETY: as above.
        unsafe { node.write(new) };
        let key_len = node.key().len();
        let count = |len: Option<usize>| len.map_or((0, 0), |len| (1, key_len + len));
        let ((keys_before, bytes_before), (keys, bytes)) = (count(len_before), count(len));
        self.stats.keys = self.stats.keys + keys - keys_before;
        self.stats.bytes = self.stats.bytes + bytes - bytes_before;
        self.stats.cost = self.stats.cost + len.unwrap_or(0) - len_before.unwrap_or(0);
        self.update_garbage(node, was_garbage);
    }

    #[cold]
    fn set_deadline(&mut self, node: &Node, deadline: u64) {
        self.assert_owns(node);
        // SAFETY: it is a node of this shard, which is borrowed mutably.
        let state = unsafe { node.state_mut() };
        let before = state.deadline();
        state.set_deadline(deadline);
        self.deadlines.replace(node, before, deadline);
        let cost = |deadline| if deadline == 0 { 0 } else { deadlines::COST };
        self.stats.cost = self.stats.cost + cost(deadline) - cost(before);
    }

    fn release_version(
        &mut self,
        node: &Node,
        epoch: u64,
        snapshots: &Snapshots,
    ) -> Option<Version> {
        self.assert_owns(node);
        // SAFETY: it is a node of this shard, which is borrowed mutably.
        let state = unsafe { node.state_mut() };
        let was_garbage = state.is_garbage();
        let versions = state.versions();
        let index = versions.iter().rposition(|version| version.created_at <= epoch)?;
        if snapshots.keep(node, versions[index].created_at, epoch) {
            return None;
        }
        let version = state.remove_version(index)?;
        self.stats.cost -= version_cost(version.len());
        self.update_garbage(node, was_garbage);
        Some(version)
    }

    /// Counts a node that has become garbage, or that is no longer garbage.
    #[inline]
    fn update_garbage(&mut self, node: &Node, was_garbage: bool) {
        // SAFETY: it is a node of this shard, which is borrowed.
        let is_garbage = unsafe { node.state() }.is_garbage();
        match (was_garbage, is_garbage) {
            (false, true) => {
                self.garbage += 1;
                self.stats.cost -= node.key().len() + OVERHEAD;
                self.enqueue(node);
            }
            (true, false) => {
                self.garbage -= 1;
                self.stats.cost += node.key().len() + OVERHEAD;
            }
            _ => {}
        }
    }
}
