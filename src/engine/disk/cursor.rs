//! Cursors: iterators over the pairs of a database.

use rocksdb::ReadOptions;

use super::Disk;
use super::errors::status_error;
use super::iterator::{Iterator, Move};
use super::pinned::Pinned;
use super::snapshot::SharedSnapshot;
use crate::engine::{Cursor, Engine, Range, TimeLeft};
use crate::error::Result;

/// Moves over the entries of a disk store.
pub struct DiskCursor {
    iterator: Pinned<Iterator>,
    /// Dropped after the iterator.
    snapshot: Option<SharedSnapshot>,
}

impl DiskCursor {
    /// Creates a cursor over `range` of a snapshot, or of the current state of `disk`.
    pub fn new(disk: &Disk, range: Range, snapshot: Option<SharedSnapshot>) -> Result<DiskCursor> {
        let sequence = snapshot.as_ref().map(|snapshot| snapshot.sequence_number());
        let iterator = Iterator::new(disk.db()?, &range, sequence);
        Ok(DiskCursor { iterator: disk.pin(iterator), snapshot })
    }

    fn go(&mut self, how: Move<'_>) -> Result<()> {
        self.iterator.disk().check()?;
        self.iterator.go(how).map_err(|text| {
            let path = &self.iterator.disk().path;
            status_error("cannot read", path, text)
        })
    }
}

impl Cursor for DiskCursor {
    fn first(&mut self) -> Result<()> {
        self.go(Move::First)
    }

    fn last(&mut self) -> Result<()> {
        self.go(Move::Last)
    }

    fn seek(&mut self, key: &[u8]) -> Result<()> {
        self.go(Move::Seek(key))
    }

    fn next(&mut self) -> Result<()> {
        self.go(Move::Next)
    }

    fn prev(&mut self) -> Result<()> {
        self.go(Move::Previous)
    }

    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.iterator.pair()
    }

    fn time_left(&mut self) -> Result<TimeLeft> {
        // Without a snapshot, the store had no deadlines when the cursor was created.
        let (Some((key, _)), Some(snapshot)) = (self.iterator.pair(), &self.snapshot) else {
            return Ok(TimeLeft::Forever);
        };
        let mut options = ReadOptions::default();
        options.set_snapshot(&***snapshot);
        let disk = self.iterator.disk();
        Ok(TimeLeft::until(disk.deadline(disk.db()?, key, &options)?))
    }
}
