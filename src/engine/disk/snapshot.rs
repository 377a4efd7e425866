//! Snapshots.

use std::sync::Arc;

use rocksdb::{ReadOptions, Snapshot};

use super::pinned::Pinned;
use crate::engine::{Cursor, Range, Reader, Value};
use crate::error::Result;

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
