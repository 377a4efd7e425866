//! Cursors.

use std::sync::Arc;

use rocksdb::{DBRawIterator, Snapshot};

use super::pinned::Pinned;
use crate::engine::{Cursor, Engine};
use crate::error::Result;

/// A cursor.
pub struct DiskCursor {
    iterator: Pinned<DBRawIterator<'static>>,
    _moment: Option<Arc<Pinned<Snapshot<'static>>>>,
}

impl DiskCursor {
    /// An iterator of RocksDB's, and the moment that it is over, if not that of its making.
    pub fn new(
        iterator: Pinned<DBRawIterator<'static>>,
        moment: Option<Arc<Pinned<Snapshot<'static>>>>,
    ) -> DiskCursor {
        DiskCursor { iterator, _moment: moment }
    }

    fn go(&mut self, go: impl FnOnce(&mut DBRawIterator<'static>)) -> Result<()> {
        self.iterator.disk.check()?;
        go(&mut self.iterator.made);
        if self.iterator.made.valid() {
            return Ok(());
        }
        // Off the end, or stopped by an error: only the status tells.
        self.iterator.made.status().map_err(|cause| self.iterator.disk.failed("cannot read", cause))
    }
}

impl Cursor for DiskCursor {
    fn first(&mut self) -> Result<()> {
        self.go(DBRawIterator::seek_to_first)
    }

    fn last(&mut self) -> Result<()> {
        self.go(DBRawIterator::seek_to_last)
    }

    fn seek(&mut self, key: &[u8]) -> Result<()> {
        self.go(|iterator| iterator.seek(key))
    }

    fn next(&mut self) -> Result<()> {
        if self.iterator.made.valid() { self.go(DBRawIterator::next) } else { Ok(()) }
    }

    fn prev(&mut self) -> Result<()> {
        if self.iterator.made.valid() { self.go(DBRawIterator::prev) } else { Ok(()) }
    }

    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.iterator.made.item()
    }
}
