//! Deleting ranges.

use std::ops::Bound;
use std::sync::Arc;

use super::keyspace::{Content, SHARDS};
use super::node::Node;
use super::shard::Shard;
use crate::batch::Operation;
use crate::engine::Range;

/// To how many nodes a range tombstone is applied at a time.
const CHUNK: usize = if cfg!(shuttle) { 2 } else { 1024 };

/// A deletion of all keys of a range. It hides what was written up to a epoch, until it has been
/// applied to each node.
pub struct RangeTombstone {
    /// The keys that it deletes.
    pub range: Range,
    /// The last epoch at which the keys were there.
    pub last: u64,
}

impl RangeTombstone {
    /// That of an operation, if it deletes a range.
    pub fn of(operation: &Operation<'_>, last: u64) -> Option<Arc<RangeTombstone>> {
        let Operation::DeleteRange { start, end } = operation else { return None };
        let range = Range { start: start.to_vec(), end: end.map(<[u8]>::to_vec) };
        Some(Arc::new(RangeTombstone { range, last }))
    }

    /// Whether it deletes what the node holds since the epoch `created_at`.
    pub fn deletes(&self, node: &Node, created_at: u64) -> bool {
        created_at <= self.last && self.range.contains(node.key())
    }
}

impl Content {
    /// Deletes what a key holds if a range tombstone hides it.
    #[inline]
    pub fn apply_tombstones(&self, shard: &mut Shard, hash: u64, key: &[u8]) {
        if shard.has_tombstones()
            && let Some(node) = shard.find(hash, key).cloned()
        {
            self.apply_to_node(shard, &node);
            self.notice(shard);
        }
    }

    pub fn apply_to_node(&self, shard: &mut Shard, node: &Node) {
        let before = shard.stats.cost;
        shard.apply_tombstones(node, &self.snapshots);
        self.settle_budget(0, before, shard.stats.cost);
    }

    /// Applies a range tombstone to all nodes of its range, and removes it. A few nodes at a time,
    /// so that nobody waits for long.
    pub fn apply_to_range(&self, tombstone: &Arc<RangeTombstone>) {
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
}
