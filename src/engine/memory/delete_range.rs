//! Deleting ranges.
//!
//! All shards get a range tombstone at once, which hides the keys from readers of later epochs. It
//! is then applied to the nodes of the range, a few at a time, so other threads wait only briefly.

use std::ops::Bound;
use std::sync::Arc;

use super::keyspace::Keyspace;
use super::node::Node;
use super::shard::Shard;
use super::shard_set::{SHARDS, ShardSet};
use crate::batch::Operation;
use crate::engine::Range;

/// The number of nodes that a range tombstone is applied to at a time.
const CHUNK: usize = if cfg!(shuttle) { 2 } else { 1024 };

/// The deletion of a range. It hides the entries up to an epoch until it has been applied to
/// every node of the range.
pub struct RangeTombstone {
    range: Range,
    /// The last epoch at which the keys exist.
    pub last: u64,
}

impl RangeTombstone {
    /// Returns the tombstone of `operation` if it deletes a range.
    pub fn of(operation: &Operation<'_>, last: u64) -> Option<Arc<RangeTombstone>> {
        let Operation::DeleteRange { start, end } = operation else { return None };
        let range = Range { start: start.to_vec(), end: end.map(<[u8]>::to_vec) };
        Some(Arc::new(RangeTombstone { range, last }))
    }

    /// Returns whether this deletes the value that `node` has since the epoch `created_at`.
    pub fn deletes(&self, node: &Node, created_at: u64) -> bool {
        created_at <= self.last && self.range.contains(node.key())
    }
}

impl Keyspace {
    /// Deletes the value of `key` if a range tombstone hides it.
    #[cold]
    pub fn apply_tombstones(&self, shard: &mut Shard, hash: u64, key: &[u8]) {
        if let Some(node) = shard.find_node(hash, key).cloned() {
            self.apply_to_node(shard, &node);
            self.mark_pending(shard);
        }
    }

    fn apply_to_node(&self, shard: &mut Shard, node: &Node) {
        let before = shard.cost();
        shard.apply_tombstones(node, &self.snapshots);
        self.budget.settle(0, before, shard.cost());
    }

    /// Applies a range tombstone to all nodes of its range, and removes it.
    pub fn apply_to_range(&self, tombstone: &Arc<RangeTombstone>) {
        // Nodes that wait to enter the index need not enter it first. The queue may change between
        // two chunks; nodes that this misses are found in the index.
        for index in 0..SHARDS {
            let chunks = self.read(index).pending_len().div_ceil(CHUNK);
            for chunk in 0..chunks {
                let mut shard = self.write(index);
                for at in chunk * CHUNK..(chunk + 1) * CHUNK {
                    let Some(node) = shard.pending_node(at) else { break };
                    self.apply_to_node(&mut shard, &node);
                }
            }
        }
        self.sync_index();
        let Range { start, end } = &tombstone.range;
        // The tombstone deletes no key that is greater than the last one of now. Without this
        // bound, a thread that appends keys could keep the loop running.
        let last = {
            let key_index = self.key_index.read();
            let from = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            key_index.backward(from, start).next().map(|last| Range::one(last.key()))
        };
        let mut from = Bound::Included(start.clone());
        while let Some(Range { end, .. }) = &last {
            let key_index = self.key_index.read();
            let from_key = from.as_ref().map(Vec::as_slice);
            let chunk = key_index.forward(from_key, end.as_deref()).take(CHUNK);
            let mut nodes: Vec<_> = chunk.inspect(|node| node.prefetch()).collect();
            let Some(key) = nodes.last().map(|last| last.key().to_vec()) else { break };
            from = Bound::Excluded(key);
            nodes.sort_unstable_by_key(|node| node.shard());
            let mut needs_sweep = ShardSet::default();
            for nodes in nodes.chunk_by(|one, other| one.shard() == other.shard()) {
                let mut shard = self.write(nodes[0].shard());
                nodes.iter().for_each(|node| self.apply_to_node(&mut shard, node));
                self.mark_pending(&shard);
                shard.needs_sweep().then(|| needs_sweep.insert(shard.index()));
            }
            drop(nodes);
            drop(key_index);
            self.sweep(needs_sweep);
        }
        for index in 0..SHARDS {
            self.write(index).remove_tombstone(tombstone);
        }
    }
}
