//! A cursor over a store in memory.

use std::cell::Cell;
use std::mem;
use std::ops::Bound;

use super::keyspace::{Content, SHARDS};
use super::node::{Node, Pair};
use super::snapshots::Snapshot;
use crate::engine::{Cursor, Range};
use crate::error::Result;

/// How many entries a cursor reads under one hold of the lock: the least and the most. It begins
/// small, so that a look at the first entry is cheap, and grows as the iteration proves long.
const RUN: (usize, usize) = if cfg!(shuttle) { (1, 4) } else { (32, 256) };

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Forward,
    Backward,
}

/// A cursor. The current entry is the one at `at` of the run; behind it lie those that follow it in
/// the direction of `way`.
pub struct MemoryCursor {
    snapshot: Snapshot,
    range: Range,
    way: Way,
    run: Run,
    at: usize,
    /// How many entries the next fill may look at.
    ahead: usize,
    /// Whether the run has all that is left in its direction.
    complete: bool,
}

impl MemoryCursor {
    /// A cursor over `range` as `snapshot` shows it.
    pub fn new(snapshot: Snapshot, range: Range) -> MemoryCursor {
        // Most iterations are short, and getting memory for them takes longer than they do.
        let run = Run(SPARE.try_with(Cell::take).unwrap_or_default());
        MemoryCursor {
            snapshot,
            range,
            way: Way::Forward,
            run,
            at: 0,
            ahead: RUN.0,
            complete: true,
        }
    }

    /// Starts anew with the entries from `from` on.
    fn go(&mut self, way: Way, from: Bound<&[u8]>) {
        self.way = way;
        self.ahead = RUN.0;
        self.fill(from);
    }

    /// Reads a new run, from `from` on, of one entry at least if there are any.
    fn fill(&mut self, from: Bound<&[u8]>) {
        self.run.0.clear();
        self.at = 0;
        self.complete = true;
        let Range { start, end } = &self.range;
        let Snapshot { content, epoch } = &self.snapshot;
        let fetch = |node: &&Node| node.prefetch();
        let mut last: Option<Node> = None;
        // Each turn goes on behind the last key of the one before, over keys that are younger than
        // the snapshot.
        while self.run.0.is_empty() {
            let from = last.as_ref().map_or(from, |last| Bound::Excluded(last.key()));
            let order = content.order.read();
            let mut nodes = Vec::with_capacity(self.ahead);
            match self.way {
                Way::Forward => nodes
                    .extend(order.forward(from, end.as_deref()).take(self.ahead).inspect(fetch)),
                Way::Backward => {
                    nodes.extend(order.backward(from, start).take(self.ahead).inspect(fetch))
                }
            }
            self.run.read(content, &nodes, *epoch);
            if nodes.len() < self.ahead {
                return;
            }
            self.ahead = (self.ahead * 8).min(RUN.1);
            last = nodes.last().map(|last| (*last).clone());
        }
        self.complete = false;
    }

    /// Shows the whole range to `visit`, until it answers false. Returns whether the end was
    /// reached.
    pub fn scan(mut self, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<bool> {
        self.first()?;
        loop {
            for index in 0..self.run.0.len() {
                let Some((key, value)) = self.pair(index) else { break };
                if !visit(key, value) {
                    return Ok(false);
                }
            }
            let last = self.run.0.len().checked_sub(1).and_then(|last| self.pair(last));
            let Some((last, _)) = last.filter(|_| !self.complete) else { return Ok(true) };
            let last = last.to_vec();
            self.fill(Bound::Excluded(&last));
        }
    }

    /// An entry of the run.
    #[allow(unsafe_code)]
    fn pair(&self, index: usize) -> Option<(&[u8], &[u8])> {
        // SAFETY: they were found at the epoch of the snapshot, which lives as long as this.
        self.run.0.get(index)?.map(|pair| unsafe { pair.bytes() })
    }

    fn advance(&mut self, way: Way) {
        let Some((key, _)) = self.pair(self.at) else { return };
        if way != self.way {
            let key = key.to_vec();
            self.go(way, Bound::Excluded(&key));
        } else if self.at + 1 < self.run.0.len() || self.complete {
            self.at += 1;
        } else {
            let key = key.to_vec();
            self.fill(Bound::Excluded(&key));
        }
    }
}

impl Drop for MemoryCursor {
    fn drop(&mut self) {
        let mut spare = mem::take(&mut self.run.0);
        spare.clear();
        // A thread that is ending has no place for it any more.
        let _ = SPARE.try_with(|place| place.set(spare));
    }
}

thread_local! {
    /// The memory of the last run that this thread has read.
    static SPARE: Cell<Vec<Option<Pair>>> = const { Cell::new(Vec::new()) };
}

impl Cursor for MemoryCursor {
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
        self.pair(self.at)
    }
}

/// Entries, where they lie: the snapshot keeps them there. None for a node that held nothing at the
/// moment.
#[derive(Default)]
struct Run(Vec<Option<Pair>>);

/// The end of a chain of indexes.
const END: u16 = u16::MAX;

impl Run {
    /// Reads what nodes held at a epoch: shard by shard, so that each is locked once for all of its
    /// nodes, and a writer waits for these few at most.
    fn read(&mut self, content: &Content, nodes: &[&Node], epoch: u64) {
        self.0.resize(nodes.len(), None);
        // For each shard the first of its nodes, and for each node the next one of its shard.
        let (mut first, mut next) = ([END; SHARDS], [END; RUN.1]);
        for (index, node) in nodes.iter().enumerate().rev() {
            next[index] = mem::replace(&mut first[usize::from(node.shard())], index as u16);
        }
        for (number, first) in first.into_iter().enumerate().filter(|(_, first)| *first != END) {
            let shard = content.read(number);
            let mut at = usize::from(first);
            while at < nodes.len() {
                let value = shard.at(nodes[at], epoch);
                self.0[at] = value.map(|value| Pair::new(nodes[at].key(), value.bytes()));
                at = next[at].into();
            }
        }
        self.0.retain(Option::is_some);
    }
}
