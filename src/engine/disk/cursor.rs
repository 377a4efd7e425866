//! Cursors: iterators of RocksDB.

use rocksdb::{DBRawIterator, ReadOptions};

use super::Disk;
use super::pinned::Pinned;
use super::snapshot::SharedSnapshot;
use crate::engine::{Cursor, Engine, Range};
use crate::error::Result;

/// Moves over the entries of a disk store.
pub struct DiskCursor {
    /// The bytes of the current entry, which RocksDB keeps until the next move. Asking RocksDB
    /// takes three calls, and a host asks more than once.
    entry: Option<Entry>,
    iterator: Pinned<DBRawIterator<'static>>,
    /// Dropped after the iterator.
    _snapshot: Option<SharedSnapshot>,
}

/// A key and a value, which the iterator holds.
struct Entry(*const [u8], *const [u8]);

// SAFETY: the bytes are the iterator's, which may change threads, and nothing writes to them.
#[allow(unsafe_code)]
unsafe impl Send for Entry {}

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
        Ok(DiskCursor { entry: None, iterator: disk.pin(iterator), _snapshot: snapshot })
    }

    fn advance(&mut self, advance: impl FnOnce(&mut DBRawIterator<'static>)) -> Result<()> {
        self.iterator.disk().check()?;
        self.entry = None;
        advance(&mut self.iterator);
        self.entry = self.iterator.item().map(|(key, value)| Entry(key, value));
        if self.entry.is_some() {
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
        if self.entry.is_some() { self.advance(DBRawIterator::next) } else { Ok(()) }
    }

    fn prev(&mut self) -> Result<()> {
        if self.entry.is_some() { self.advance(DBRawIterator::prev) } else { Ok(()) }
    }

    fn entry(&self) -> Option<(&[u8], &[u8])> {
        // SAFETY: the iterator has not moved since, and cannot while the caller borrows the cursor.
        #[allow(unsafe_code)]
        self.entry.as_ref().map(|Entry(key, value)| unsafe { (&**key, &**value) })
    }
}
