//! Cursors: iterators of RocksDB.

use rocksdb::{DBRawIterator, ReadOptions};

use super::Disk;
use super::pinned::Pinned;
use super::snapshot::SharedSnapshot;
use crate::engine::{Cursor, Engine, Range};
use crate::error::Result;

/// Moves over the entries of a disk store.
pub struct DiskCursor {
    iterator: Pinned<DBRawIterator<'static>>,
    /// Dropped after the iterator.
    _snapshot: Option<SharedSnapshot>,
}

impl DiskCursor {
    /// Creates a cursor over `range` of a snapshot, or of the current state of `disk`.
    pub fn new(disk: &Disk, range: Range, snapshot: Option<SharedSnapshot>) -> Result<DiskCursor> {
        let mut options = ReadOptions::default();
        if let Some(snapshot) = &snapshot {
            options.set_snapshot(&***snapshot);
        }
        if let Some(end) = range.end {
            options.set_iterate_upper_bound(end);
        }
        if !range.start.is_empty() {
            options.set_iterate_lower_bound(range.start);
        }
        // SAFETY: the iterator is pinned to the engine.
        #[allow(unsafe_code)]
        let iterator = unsafe { disk.unbound_db()? }.raw_iterator_opt(options);
        Ok(DiskCursor { iterator: disk.pin(iterator), _snapshot: snapshot })
    }

    fn advance(&mut self, advance: impl FnOnce(&mut DBRawIterator<'static>)) -> Result<()> {
        self.iterator.disk().check()?;
        advance(&mut self.iterator);
        if self.iterator.valid() {
            return Ok(());
        }
        // Past the end, or stopped by an error: only the status tells which.
        let status = self.iterator.status();
        status.map_err(|cause| self.iterator.disk().error("cannot read", cause))
    }
}

impl Cursor for DiskCursor {
    fn first(&mut self) -> Result<()> {
        self.advance(DBRawIterator::seek_to_first)
    }

    fn last(&mut self) -> Result<()> {
        self.advance(DBRawIterator::seek_to_last)
    }

    fn seek(&mut self, key: &[u8]) -> Result<()> {
        self.advance(|iterator| iterator.seek(key))
    }

    fn next(&mut self) -> Result<()> {
        if self.iterator.valid() { self.advance(DBRawIterator::next) } else { Ok(()) }
    }

    fn prev(&mut self) -> Result<()> {
        if self.iterator.valid() { self.advance(DBRawIterator::prev) } else { Ok(()) }
    }

    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.iterator.item()
    }
}
