//! A cursor over a store in memory.

use std::cell::Cell;
use std::mem;
use std::ops::Bound;

use super::node::{Node, Pair};
use super::shard::Shard;
use super::{Content, RUN, Snapshot};
use crate::engine::{Cursor, Range};
use crate::error::Result;

/// From how many entries on it costs less to lock all shards for them together than each entry's by itself.
const ALL: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Forward,
    Backward,
}

/// A cursor. The current entry is the one at `at` of the run; behind it lie those that follow it in the direction of `way`.
pub struct Position {
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

impl Position {
    /// A cursor over `range` as `snapshot` shows it.
    pub fn new(snapshot: Snapshot, range: Range) -> Position {
        // Most iterations are short, and getting memory for them takes longer than they do.
        let run = Run(SPARE.try_with(Cell::take).unwrap_or_default());
        Position { snapshot, range, way: Way::Forward, run, at: 0, ahead: RUN.0, complete: true }
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
        let Snapshot { content, tick } = &self.snapshot;
        let mut last: Option<Node> = None;
        while self.run.0.is_empty() {
            let from = last.as_ref().map_or(from, |last| Bound::Excluded(last.key()));
            let order = content.order.read();
            let read = match self.way {
                Way::Forward => self.run.read(content, order.forward(from, end.as_deref()).take(self.ahead), *tick),
                Way::Backward => self.run.read(content, order.backward(from, start).take(self.ahead), *tick),
            };
            if read.count < self.ahead {
                return;
            }
            self.ahead = (self.ahead * 8).min(RUN.1);
            last = read.last.cloned();
        }
        self.complete = false;
    }

    /// Shows the whole range to `visit`, until it answers false. Returns whether the end was reached.
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
        // SAFETY: they were found at the tick of the snapshot, which lives as long as this.
        self.run.0.get(index).map(|pair| unsafe { pair.bytes() })
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

impl Drop for Position {
    fn drop(&mut self) {
        let mut spare = mem::take(&mut self.run.0);
        spare.clear();
        // A thread that is ending has no place for it any more.
        let _ = SPARE.try_with(|place| place.set(spare));
    }
}

thread_local! {
    /// The memory of the last run that this thread has read.
    static SPARE: Cell<Vec<Pair>> = const { Cell::new(Vec::new()) };
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
        self.pair(self.at)
    }
}

/// Entries, where they lie: the snapshot keeps them there.
#[derive(Default)]
struct Run(Vec<Pair>);

/// Which nodes were read.
struct Read<'a> {
    count: usize,
    last: Option<&'a Node>,
}

impl Run {
    /// Reads what nodes held at a tick.
    fn read<'a>(&mut self, content: &Content, nodes: impl Iterator<Item = &'a Node> + Clone, tick: u64) -> Read<'a> {
        let mut read = Read { count: 0, last: None };
        for node in nodes.clone() {
            node.prefetch();
            read = Read { count: read.count + 1, last: Some(node) };
        }
        if read.count < ALL {
            for node in nodes {
                self.add(&content.read(node.shard().into()), node, tick);
            }
        } else {
            let shards = content.lock(u64::MAX, |number| content.read(number));
            for node in nodes {
                if let Some(shard) = &shards[usize::from(node.shard())] {
                    self.add(shard, node, tick);
                }
            }
        }
        read
    }

    /// Adds what a node held at a tick, if it held anything.
    fn add(&mut self, shard: &Shard, node: &Node, tick: u64) {
        if let Some(value) = shard.at(node, tick) {
            self.0.push(Pair::new(node.key(), value.bytes()));
        }
    }
}
