//! A part of the keys, behind a lock.
//!
//! The keys are dealt out to shards by their hashes. A shard finds its nodes by a hash table, and
//! its lock is what their content belongs to: whoever has the shard may look at them, whoever has
//! it alone may change them.
#![allow(unsafe_code)]

use std::sync::Arc;

use super::delete_range::RangeTombstone;
use super::key_index::{PendingIndexOps, Placed};
use super::node::{Held, New, Node, Standing, Version};
use super::snapshots::Snapshots;
use super::table::Table;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What an entry costs beside its key and its newest value, and a further version beside its value:
/// roughly what the structures and the allocator take for it.
pub(super) const COST: usize = 96;

/// What a version costs.
pub fn cost(value_len: Option<usize>) -> usize {
    COST + value_len.unwrap_or(0)
}

/// Some of the keys.
pub struct Shard {
    number: u8,
    nodes: Table,
    /// The nodes that are to be put into the order, or taken out.
    queue: Vec<Placed>,
    /// How many nodes hold nothing at any moment.
    dead: usize,
    /// The range tombstones that have not been applied to all nodes yet.
    tombstones: Vec<Arc<RangeTombstone>>,
    /// ShardStats.
    pub stats: ShardStats,
    looks: LookupCounters,
}

/// How often a key was looked up and was there, or was not. The lock that is held meanwhile lies
/// beside it, so that counting costs little.
#[derive(Default)]
struct LookupCounters {
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What shards are summed up by.
#[derive(Clone, Copy, Default)]
pub struct ShardStats {
    /// How many keys were looked up.
    pub reads: u64,
    /// How many of them were there.
    pub hits: u64,
    /// How many operations were applied.
    pub writes: u64,
    /// How many keys there are now.
    pub keys: usize,
    /// How many bytes they and their values have.
    pub bytes: usize,
    /// What all versions cost, by the rules of `Budget`.
    pub cost: usize,
}

impl ShardStats {
    /// The sums.
    pub fn and(self, other: ShardStats) -> ShardStats {
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
    /// The empty shard of this number.
    pub fn new(number: u8) -> Shard {
        Shard {
            number,
            nodes: Table::default(),
            queue: Vec::new(),
            dead: 0,
            tombstones: Vec::new(),
            stats: ShardStats::default(),
            looks: LookupCounters::default(),
        }
    }

    /// The stats.
    pub fn stats(&self) -> ShardStats {
        let (hits, misses) = (self.looks.hits.load(Relaxed), self.looks.misses.load(Relaxed));
        ShardStats { reads: hits + misses, hits, ..self.stats }
    }

    /// Counts a look for a key, and passes on whether it was there.
    #[inline]
    pub fn looked<T>(&self, found: Option<T>) -> Option<T> {
        let counter = if found.is_some() { &self.looks.hits } else { &self.looks.misses };
        counter.fetch_add(1, Relaxed);
        found
    }

    /// Its number.
    pub fn number(&self) -> u8 {
        self.number
    }

    fn owns(&self, node: &Node) -> bool {
        node.shard() == self.number
    }

    /// The node of a key.
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<&Node> {
        self.nodes.find(hash, key)
    }

    /// What a key holds now.
    pub fn get(&self, hash: u64, key: &[u8]) -> Option<Held<'_>> {
        // SAFETY: it is a node of this shard, which is borrowed for as long as the answer.
        self.find(hash, key)
            .filter(|node| !self.is_hidden(node, u64::MAX))
            .and_then(|node| unsafe { node.value() })
    }

    /// Whether a range tombstone hides from a reader at a epoch what a node holds now.
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

    /// Whether a range tombstone may hide something.
    #[inline]
    pub fn has_tombstones(&self) -> bool {
        !self.tombstones.is_empty()
    }

    /// Adds a range tombstone. Nothing is younger than its last epoch.
    pub fn add_tombstone(&mut self, tombstone: &Arc<RangeTombstone>) {
        self.tombstones.push(tombstone.clone());
    }

    /// Removes a range tombstone that was applied to all nodes.
    pub fn remove_tombstone(&mut self, tombstone: &Arc<RangeTombstone>) {
        self.tombstones.retain(|other| !Arc::ptr_eq(tombstone, other));
    }

    /// Deletes what a node holds if a range tombstone hides it. To be called before a write to the
    /// node, as a version that is kept for snapshots is not hidden.
    pub fn apply_tombstones(&mut self, node: &Node, snapshots: &Snapshots) {
        assert!(self.owns(node));
        // SAFETY: it is a node of this shard, which is borrowed.
        let created_at = unsafe { node.state() }.created_at;
        let deleting =
            self.tombstones.iter().filter(|tombstone| tombstone.deletes(node, created_at));
        if let Some(last) = deleting.map(|tombstone| tombstone.last).min() {
            self.put(node, New::Nothing, last + 1, snapshots);
        }
    }

    /// What a node of this shard holds now.
    pub fn now<'a>(&'a self, node: &'a Node) -> Option<Held<'a>> {
        assert!(self.owns(node));
        // SAFETY: as in `get`.
        unsafe { node.value() }
    }

    /// What a node of this shard held at a epoch.
    pub fn at<'a>(&'a self, node: &'a Node, epoch: u64) -> Option<Held<'a>> {
        assert!(self.owns(node));
        // SAFETY: as in `get`.
        let (created_at, value) = unsafe { (node.state().created_at, node.value_at(epoch)) };
        value.filter(|_| created_at > epoch || !self.is_hidden(node, epoch))
    }

    /// The node of a key, made if there is none, then with room for a value of `len` bytes; and
    /// whether it was made.
    pub fn node(
        &mut self,
        hash: u64,
        key: &[u8],
        len: usize,
        rehash: impl Fn(&[u8]) -> u64,
    ) -> (Node, bool) {
        if let Some(node) = self.find(hash, key) {
            return (node.clone(), false);
        }
        let node = Node::new(self.number, key, len);
        self.nodes.insert(hash, node.clone(), rehash);
        self.dead += 1;
        self.enqueue(&node);
        (node, true)
    }

    fn enqueue(&mut self, node: &Node) {
        // SAFETY: it is a node of this shard, and the shard is borrowed alone.
        let state = unsafe { node.state_mut() };
        state.standing = match state.standing {
            Standing::Outside => Standing::Entering,
            Standing::Inside => Standing::Checked,
            Standing::Entering | Standing::Checked => return,
        };
        self.queue.push(Placed::new(node.clone()));
    }

    /// Gives a node of this shard a new value, or none, at the epoch `now`, keeping the one before
    /// if a snapshot sees it.
    pub fn put(&mut self, node: &Node, new: New<'_>, now: u64, snapshots: &Snapshots) {
        assert!(self.owns(node));
        // SAFETY: it is a node of this shard, and the shard is borrowed alone. None of what is lent
        // here is used after the node is written.
        let (before, state) = unsafe { (node.value(), node.state_mut()) };
        let (was_dead, created_at) = (state.is_dead(), state.created_at);
        let len_before = before.map(|value| value.bytes().len());
        if len_before.is_none() && matches!(new, New::Nothing) {
            return;
        }
        // That there was nothing is a version too, unless there is nothing older that it hides.
        if !was_dead && snapshots.sees(created_at) && snapshots.keep(node, created_at, now) {
            self.stats.cost += cost(len_before);
            state.keep();
        }
        let len = match &new {
            New::Nothing => None,
            New::Short(bytes) => Some(bytes.len()),
            New::Long(bytes) => Some(bytes.len()),
        };
        state.created_at = now;
        // SAFETY: as above.
        unsafe { node.write(new) };
        let key_len = node.key().len();
        let count = |len: Option<usize>| len.map_or((0, 0), |len| (1, key_len + len));
        let ((keys_before, bytes_before), (keys, bytes)) = (count(len_before), count(len));
        self.stats.keys = self.stats.keys + keys - keys_before;
        self.stats.bytes = self.stats.bytes + bytes - bytes_before;
        self.stats.cost = self.stats.cost + len.unwrap_or(0) - len_before.unwrap_or(0);
        self.noticed(node, was_dead);
    }

    /// Takes out the version of a node that was kept for the snapshot at `epoch`, unless an older
    /// one sees it.
    pub fn forget(&mut self, node: &Node, epoch: u64, snapshots: &Snapshots) -> Option<Version> {
        assert!(self.owns(node));
        // SAFETY: it is a node of this shard, and the shard is borrowed alone.
        let state = unsafe { node.state_mut() };
        let was_dead = state.is_dead();
        let index = state.older().iter().rposition(|version| version.created_at <= epoch)?;
        // If an older snapshot sees it, that one answers for it from now on.
        if snapshots.keep(node, state.older()[index].created_at, epoch) {
            return None;
        }
        let version = state.take_older(index)?;
        self.stats.cost -= cost(version.len());
        self.noticed(node, was_dead);
        Some(version)
    }

    /// Notices that a node has died, or lives again.
    fn noticed(&mut self, node: &Node, was_dead: bool) {
        // SAFETY: it is a node of this shard, which is borrowed.
        let is_dead = unsafe { node.state() }.is_dead();
        match (was_dead, is_dead) {
            (false, true) => {
                self.dead += 1;
                self.stats.cost -= node.key().len() + COST;
                self.enqueue(node);
            }
            (true, false) => {
                self.dead -= 1;
                self.stats.cost += node.key().len() + COST;
            }
            _ => {}
        }
    }

    /// Whether so many nodes are dead that it is time to take them out.
    pub fn needs_sweep(&self) -> bool {
        let few = if cfg!(shuttle) { 0 } else { 32 };
        self.dead > few + self.nodes.len() / 4
    }

    /// How many nodes wait for a change of the order.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// One of the nodes that wait for a change of the order.
    pub fn waiting_node(&self, index: usize) -> Option<Node> {
        self.queue.get(index).map(|placed| placed.node.clone())
    }

    /// Whether nodes wait for a change of the order.
    pub fn is_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Takes the dead nodes out, and gives out what is to change in the order because of them, and
    /// if `all`, because of new nodes too.
    pub fn drain(&mut self, all: bool, hash: impl Fn(&[u8]) -> u64) -> PendingIndexOps {
        let mut waiting = PendingIndexOps::default();
        let queue = std::mem::take(&mut self.queue);
        for placed in queue {
            // SAFETY: it is a node of this shard, and the shard is borrowed alone.
            let state = unsafe { placed.node.state_mut() };
            let was_inside = state.standing == Standing::Checked;
            if state.is_dead() {
                state.standing = Standing::Outside;
                self.dead -= 1;
                let key = placed.node.key();
                self.nodes.remove(hash(key), key);
                if was_inside {
                    waiting.gone.push(placed);
                }
            } else if was_inside {
                state.standing = Standing::Inside;
            } else if all {
                state.standing = Standing::Inside;
                waiting.new.push(placed);
            } else {
                self.queue.push(placed);
            }
        }
        waiting
    }

    /// How the cost will change when a key gets a value of this length, or none: how much comes,
    /// and how much goes. For a deletion nothing comes, as it must always be possible; the mark
    /// that it may leave for a snapshot is left out.
    pub fn growth(
        &self,
        hash: u64,
        key: &[u8],
        len: Option<usize>,
        snapshots: &Snapshots,
    ) -> (usize, usize) {
        let node_cost = key.len() + COST;
        // SAFETY: it is a node of this shard, which is borrowed.
        let state = self
            .find(hash, key)
            .map(|node| unsafe { node.state() })
            .filter(|state| !state.is_dead());
        let Some(state) = state else { return (len.map_or(0, |len| node_cost + len), 0) };
        let before = self.get(hash, key).map_or(0, |value| value.bytes().len());
        match (snapshots.sees(state.created_at), len) {
            (true, len) => (len.map_or(0, |len| COST + len), 0),
            (false, Some(len)) => (len, before),
            (false, None) if state.older().is_empty() => (0, node_cost + before),
            (false, None) => (0, before),
        }
    }

    /// How many nodes there are.
    #[cfg(test)]
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// How many versions a node keeps for snapshots.
    #[cfg(test)]
    pub fn versions(&self, node: &Node) -> usize {
        assert!(self.owns(node));
        // SAFETY: as in `get`.
        unsafe { node.state() }.older().len()
    }
}
