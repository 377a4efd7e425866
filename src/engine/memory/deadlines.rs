//! The deadlines of a shard, earliest first.
//!
//! A key with a deadline has its node here once. The node has the deadline too, so it can be found
//! here when a write ends or moves it. Most stores have no deadlines, and pay nothing for them.

use std::collections::BTreeSet;

use super::keyspace::Keyspace;
use super::node::{NewValue, Node};
use super::shard_set::SHARDS;
use crate::batch::Operation;
use crate::engine::expiry::{Expiring, STEP};

/// The bytes that a deadline takes of the budget: about those of its entry in the set and of the
/// extra part of its node.
pub const COST: usize = 96;

/// The keys of one shard that are deleted before the lock is released.
const CHUNK: usize = STEP / 4;

#[derive(Default)]
pub struct Deadlines(BTreeSet<Due>);

/// A node, ordered by its deadline.
struct Due {
    deadline: u64,
    node: Node,
}

impl Due {
    fn order(&self) -> (u64, usize) {
        (self.deadline, self.node.address())
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Due) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl Deadlines {
    /// Moves a node from one deadline to another; 0 stands for none.
    pub fn replace(&mut self, node: &Node, before: u64, deadline: u64) {
        if before != 0 {
            self.0.remove(&Due { deadline: before, node: node.clone() });
        }
        if deadline != 0 {
            self.0.insert(Due { deadline, node: node.clone() });
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns a node whose deadline is not after `now`.
    pub fn due(&self, now: u64) -> Option<Node> {
        self.0.first().filter(|first| first.deadline <= now).map(|first| first.node.clone())
    }
}

impl Expiring for Keyspace {
    fn expire(&self, now: u64) -> bool {
        let (mut deleted, mut is_more) = (0, false);
        for index in 0..SHARDS {
            // A busy shard has its turn in the next round.
            let Some(mut shard) = self.try_write(index) else { continue };
            if !shard.has_deadlines() {
                continue;
            }
            let before = shard.cost();
            let mut in_shard = 0;
            while let Some(node) = shard.due(now) {
                if in_shard == CHUNK || deleted == STEP {
                    is_more = true;
                    break;
                }
                (in_shard, deleted) = (in_shard + 1, deleted + 1);
                // A range tombstone that hides the node has told the watches of its deletion.
                let is_hidden = !shard.has_value(&node);
                shard.apply_tombstones(&node, &self.snapshots);
                if !is_hidden {
                    shard.put_node(&node, NewValue::None, self.snapshots.now(), &self.snapshots);
                    if self.feed.is_watched() {
                        self.feed.publish_one(&Operation::Delete { key: node.key() });
                    }
                }
            }
            self.mark_pending(&shard);
            self.budget.settle(0, before, shard.cost());
        }
        is_more
    }
}
