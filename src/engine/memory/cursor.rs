//! Cursors over a memory store.
//!
//! A cursor reads a run of entries under the locks of their shards, and releases the locks. The
//! snapshot keeps the keys and the values of the run at their addresses.

use std::cell::Cell;
use std::mem;
use std::ops::Bound;

use super::keyspace::Keyspace;
use super::node::{EntryPtr, Node};
use super::shard_set::SHARDS;
use super::snapshots::Snapshot;
use crate::engine::{Cursor, Range, TimeLeft};
use crate::error::Result;

/// The smallest and the largest number of nodes that a cursor reads at a time. Between them, a run
/// reads as many nodes as all runs before it. So reading the first entry is cheap, and a program
/// that stops causes at most twice the reads that it needs (decision 18).
const RUN: (usize, usize) = if cfg!(shuttle) { (1, 4) } else { (32, 256) };

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forward,
    Backward,
}

pub struct MemoryCursor {
    snapshot: Snapshot,
    range: Range,
    direction: Direction,
    run: Run,
    /// The index of the current entry in the run.
    index: usize,
    /// How many nodes the runs have read since the cursor was moved to a key or to an end.
    nodes_read: usize,
    /// Whether the run reaches the end of the range.
    is_last_run: bool,
}

impl MemoryCursor {
    pub fn new(snapshot: Snapshot, range: Range) -> MemoryCursor {
        // Most iterations are short, and allocating memory for them takes longer than they do.
        let run = Run(SPARE.try_with(Cell::take).unwrap_or_default());
        MemoryCursor {
            snapshot,
            range,
            direction: Direction::Forward,
            run,
            index: 0,
            nodes_read: 0,
            is_last_run: true,
        }
    }

    /// Moves to the first entry from `from` on.
    fn start(&mut self, direction: Direction, from: Bound<&[u8]>) {
        self.direction = direction;
        self.nodes_read = 0;
        self.fill(from);
    }

    /// Reads a new run from `from` on. It is empty only at the end of the range.
    fn fill(&mut self, from: Bound<&[u8]>) {
        self.run.0.clear();
        self.index = 0;
        self.is_last_run = true;
        let Range { start, end } = &self.range;
        let Snapshot { keyspace, epoch } = &self.snapshot;
        let prefetch = |node: &&Node| node.prefetch();
        let mut last: Option<Node> = None;
        // Nodes that hold nothing at the epoch of the snapshot add no entry to the run.
        while self.run.0.is_empty() {
            let from = last.as_ref().map_or(from, |last| Bound::Excluded(last.key()));
            let run_len = self.nodes_read.clamp(RUN.0, RUN.1);
            let key_index = keyspace.key_index.read();
            let mut nodes = Vec::with_capacity(run_len);
            match self.direction {
                Direction::Forward => {
                    let found = key_index.forward(from, end.as_deref());
                    nodes.extend(found.take(run_len).inspect(prefetch));
                }
                Direction::Backward => {
                    let found = key_index.backward(from, start);
                    nodes.extend(found.take(run_len).inspect(prefetch));
                }
            }
            self.run.read(keyspace, &nodes, *epoch);
            if nodes.len() < run_len {
                return;
            }
            self.nodes_read += run_len;
            last = nodes.last().map(|last| (*last).clone());
        }
        self.is_last_run = false;
    }

    /// Calls `visit` for each pair of the range, until it returns false. Returns whether the end
    /// was reached.
    pub fn scan(mut self, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<bool> {
        self.first()?;
        // Most scans visit their whole range, so the next run is one of the longest.
        self.nodes_read += RUN.1;
        loop {
            for index in 0..self.run.0.len() {
                let Some((key, value)) = self.pair(index) else { break };
                if !visit(key, value) {
                    return Ok(false);
                }
            }
            let last = self.run.0.len().checked_sub(1).and_then(|last| self.pair(last));
            let Some((last, _)) = last.filter(|_| !self.is_last_run) else { return Ok(true) };
            let last = last.to_vec();
            self.fill(Bound::Excluded(&last));
        }
    }

    #[allow(unsafe_code)]
    fn pair(&self, index: usize) -> Option<(&[u8], &[u8])> {
        // SAFETY: the entries were found at the epoch of the snapshot, which lives as long as this.
        self.run.0.get(index)?.map(|entry| unsafe { entry.bytes() })
    }

    fn advance(&mut self, direction: Direction) {
        let Some((key, _)) = self.pair(self.index) else { return };
        if direction != self.direction {
            let key = key.to_vec();
            self.start(direction, Bound::Excluded(&key));
        } else if self.index + 1 < self.run.0.len() || self.is_last_run {
            self.index += 1;
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
        // A thread that is ending has no thread-locals.
        let _ = SPARE.try_with(|cell| cell.set(spare));
    }
}

thread_local! {
    /// The memory of the last run that this thread has read.
    static SPARE: Cell<Vec<Option<EntryPtr>>> = const { Cell::new(Vec::new()) };
}

impl Cursor for MemoryCursor {
    fn first(&mut self) -> Result<()> {
        let start = self.range.start.clone();
        self.start(Direction::Forward, Bound::Included(&start));
        Ok(())
    }

    fn last(&mut self) -> Result<()> {
        let end = self.range.end.clone();
        let from = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        self.start(Direction::Backward, from);
        Ok(())
    }

    fn seek(&mut self, key: &[u8]) -> Result<()> {
        let start = key.max(&self.range.start).to_vec();
        self.start(Direction::Forward, Bound::Included(&start));
        Ok(())
    }

    fn next(&mut self) -> Result<()> {
        self.advance(Direction::Forward);
        Ok(())
    }

    fn prev(&mut self) -> Result<()> {
        self.advance(Direction::Backward);
        Ok(())
    }

    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.pair(self.index)
    }

    fn time_left(&mut self) -> Result<TimeLeft> {
        let Some((key, _)) = self.pair(self.index) else { return Ok(TimeLeft::Forever) };
        let left = self.snapshot.keyspace.time_left(key, self.snapshot.epoch);
        Ok(left.unwrap_or(TimeLeft::Forever))
    }
}

/// Entries at their addresses. `None` while the run is read, for a node without a value.
#[derive(Default)]
struct Run(Vec<Option<EntryPtr>>);

/// The end of a linked list of indexes.
const END: u16 = u16::MAX;

impl Run {
    /// Reads the values of nodes at an epoch, shard by shard: each shard is locked once for all of
    /// its nodes, and a writer waits for these few at most.
    fn read(&mut self, keyspace: &Keyspace, nodes: &[&Node], epoch: u64) {
        self.0.resize(nodes.len(), None);
        // A linked list for each shard: its first node, and for each node the next one.
        let (mut first, mut next) = ([END; SHARDS], [END; RUN.1]);
        for (index, node) in nodes.iter().enumerate().rev() {
            next[index] = mem::replace(&mut first[node.shard()], index as u16);
        }
        for (index, first) in first.into_iter().enumerate().filter(|(_, first)| *first != END) {
            let shard = keyspace.read(index);
            let mut at = usize::from(first);
            while at < nodes.len() {
                let value = shard.value_at(nodes[at], epoch);
                self.0[at] = value.map(|value| EntryPtr::new(nodes[at].key(), value.bytes()));
                at = next[at].into();
            }
        }
        self.0.retain(Option::is_some);
    }
}
