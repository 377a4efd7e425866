//! A cursor over the tree in memory.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use super::{Bytes, Key, RUN, Snapshot, crosses};
use crate::engine::{Cursor, Range};
use crate::error::Result;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Forward,
    Backward,
}

/// A cursor. The current entry is the front of `run`; behind it lie the entries that follow it in the direction of `way`.
pub struct Position {
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
    /// A cursor over `range` as `snapshot` shows it.
    pub fn new(snapshot: Arc<Snapshot>, range: Range) -> Position {
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
            let tree = self.snapshot.held.tree.read();
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
