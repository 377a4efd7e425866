//! What RocksDB makes from a database and wants to have back before it is closed: values in place,
//! snapshots, iterators.

use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::Arc;

use rocksdb::{DBPinnableSlice, DBRawIterator, ReadOptions, Snapshot};

use super::Disk;
use crate::engine::{Cursor, Engine, Range, Reader, Value};
use crate::error::Result;

/// Something of RocksDB's that must go before the database does, and the engine that it keeps for
/// that. After a fork it is left alone: even letting go of an iterator can remove files.
pub struct Pinned<T> {
    made: ManuallyDrop<T>,
    disk: Arc<Disk>,
}

impl<T> Pinned<T> {
    /// What was made from the database of `disk`.
    pub fn new(made: T, disk: Arc<Disk>) -> Pinned<T> {
        Pinned { made: ManuallyDrop::new(made), disk }
    }
}

impl<T> Deref for Pinned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.made
    }
}

impl<T> Drop for Pinned<T> {
    fn drop(&mut self) {
        if self.disk.birth.is_here() {
            // SAFETY: dropped once, here, and not used afterwards; `disk` is dropped after it.
            #[allow(unsafe_code)]
            unsafe {
                ManuallyDrop::drop(&mut self.made);
            }
        }
    }
}

impl AsRef<[u8]> for Pinned<DBPinnableSlice<'static>> {
    fn as_ref(&self) -> &[u8] {
        &self.made
    }
}

/// The store at one moment.
pub struct DiskSnapshot(Arc<Pinned<Snapshot<'static>>>);

impl DiskSnapshot {
    /// The moment of a snapshot.
    pub fn new(snapshot: Pinned<Snapshot<'static>>) -> DiskSnapshot {
        DiskSnapshot(Arc::new(snapshot))
    }

    fn how(&self) -> ReadOptions {
        let mut how = ReadOptions::default();
        how.set_snapshot(&**self.0);
        how
    }
}

impl Reader for DiskSnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.0.disk.get_with(key, &self.how())
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        self.0.disk.contains_with(key, &self.how())
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        self.0.disk.get_many_with(keys, Some(&self.0))
    }

    fn cursor(&self, range: Range) -> Result<Box<dyn Cursor>> {
        self.0.disk.cursor_at(range, Some(self.0.clone()))
    }
}

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
