//! Maintenance of a disk store: sync, compact, checkpoint, statistics, properties.

use std::fs;
use std::path::Path;

use rocksdb::checkpoint::Checkpoint;
use rocksdb::{DB, ReadOptions};

use super::dir_contents::DirContents;
use super::errors::rocksdb_error;
use super::{Disk, int_property};
use crate::engine::{Maintenance, Stats};
use crate::error::Result;
use crate::options::Durability;

/// The deleted keys that a search for a first key passes. With more, the store does not count as
/// empty.
const MAX_SKIPPED: u64 = 1000;

impl Maintenance for Disk {
    fn sync(&self) -> Result<()> {
        let db = self.db()?;
        let Some(writer) = &self.writer else { return Ok(()) };
        // The next opening must find what is synced under the path.
        if let Some(locks) = &self.open.dir_locks {
            locks.dir_lock.dir().check_in_place()?;
        }
        let error_recovery = &self.open.error_recovery;
        if writer.durability == Durability::None && self.open.deadlines.get().is_none() {
            // There is no log to sync.
            return error_recovery.retry_apart_from_resume(db, "cannot sync", DB::flush);
        }
        error_recovery.retry_apart_from_resume(db, "cannot sync", |db| db.flush_wal(true))
    }

    fn compact(&self) -> Result<()> {
        let (db, writer) = (self.db()?, self.writer()?);
        if let Some(deadlines) = self.open.deadlines.get() {
            self.open.error_recovery.retry_apart_from_resume(db, "cannot compact", |db| {
                db.flush_cf(deadlines)?;
                db.compact_range_cf(deadlines, None::<&[u8]>, None::<&[u8]>);
                Ok(())
            })?;
        }
        self.open.error_recovery.compact(db, &writer.options)
    }

    fn checkpoint(&self, path: &Path) -> Result<bool> {
        // RocksDB reads its files by name for this, and opening a FIFO would block.
        DirContents::read(&self.path)?;
        let error = |cause| rocksdb_error("cannot copy the store", path, cause);
        Checkpoint::new(self.db()?).map_err(error)?.create_checkpoint(path).map_err(error)?;
        Ok(true)
    }

    fn stats(&self) -> Result<Stats> {
        let db = self.db()?;
        Ok(Stats {
            // The estimate does not count what range tombstones delete.
            keys: if is_empty(db) { 0 } else { int_property(db, "rocksdb.estimate-num-keys") },
            bytes: int_property(db, "rocksdb.estimate-live-data-size")
                + int_property(db, "rocksdb.cur-size-active-mem-table"),
            disk_bytes: size_of_files(&self.path),
            memory_bytes: int_property(db, "rocksdb.cur-size-all-mem-tables")
                + int_property(db, "rocksdb.estimate-table-readers-mem"),
            ..self.op_counters.stats()
        })
    }

    fn property(&self, name: &str) -> Result<Option<String>> {
        self.db()?.property_value(name).map_err(|cause| self.error("cannot read a property", cause))
    }
}

/// Returns whether a short search finds that the store has no keys.
fn is_empty(db: &DB) -> bool {
    let mut options = ReadOptions::default();
    options.set_max_skippable_internal_keys(MAX_SKIPPED);
    let mut iterator = db.raw_iterator_opt(options);
    iterator.seek_to_first();
    !iterator.valid() && iterator.status().is_ok()
}

/// Sums the sizes of the files in a directory. Files that vanish meanwhile count as 0.
fn size_of_files(path: &Path) -> u64 {
    let entries = fs::read_dir(path).into_iter().flatten();
    entries
        .filter_map(|entry| entry.ok()?.metadata().ok())
        .filter(|metadata| metadata.is_file())
        .map(|metadata| metadata.len())
        .sum()
}
