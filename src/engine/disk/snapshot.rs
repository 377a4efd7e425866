//! Snapshots: the state of a store at one sequence number of RocksDB.

use std::sync::Arc;

use rocksdb::{ReadOptions, Snapshot};

use super::Disk;
use super::cursor::DiskCursor;
use super::pinned::Pinned;
use crate::engine::{Cursor, Range, Reader, TimeLeft, Value};
use crate::error::Result;

/// A snapshot of RocksDB, which a cursor over it shares.
pub type SharedSnapshot = Arc<Pinned<Snapshot<'static>>>;

/// Reads a snapshot of a disk store.
pub struct DiskSnapshot(SharedSnapshot);

impl DiskSnapshot {
    /// Takes a snapshot of `disk`.
    pub fn new(disk: &Disk) -> Result<DiskSnapshot> {
        // SAFETY: the snapshot is pinned to the engine.
        #[allow(unsafe_code)]
        let snapshot = unsafe { disk.unbound_db()? }.snapshot();
        Ok(DiskSnapshot(Arc::new(disk.pin(snapshot))))
    }

    fn read_options(&self) -> ReadOptions {
        let mut options = ReadOptions::default();
        options.set_snapshot(&**self.0);
        options
    }
}

impl Reader for DiskSnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        let disk = self.0.disk();
        let stored = disk.find_stored(key, &self.read_options())?;
        disk.op_counters.count_read(stored.is_some());
        stored.map(|value| disk.stored_value(value)).transpose()
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        let disk = self.0.disk();
        let stored = disk.find_stored(key, &self.read_options())?;
        disk.op_counters.count_read(stored.is_some());
        Ok(stored.is_some())
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        let disk = self.0.disk();
        disk.get_many_with(disk.db()?, keys, &self.read_options())
    }

    fn time_left(&self, key: &[u8]) -> Result<Option<TimeLeft>> {
        let (disk, options) = (self.0.disk(), self.read_options());
        if disk.find_stored(key, &options)?.is_none() {
            return Ok(None);
        }
        Ok(Some(TimeLeft::until(disk.deadline(disk.db()?, key, &options)?)))
    }

    fn cursor(&self, range: Range) -> Result<Box<dyn Cursor>> {
        Ok(Box::new(DiskCursor::new(self.0.disk(), range, Some(self.0.clone()))?))
    }
}
