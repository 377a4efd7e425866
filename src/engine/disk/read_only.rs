//! Read-only stores: reading what another process writes.
//!
//! RocksDB opens such a store without a lock and writes nothing. An open database never changes, so
//! it acts as a snapshot. A refresh opens a new database beside it. Snapshots, cursors and values
//! keep the database that created them open. RocksDB's secondary instances can follow a writer, but
//! show an older store, or none, where a table is missing or damaged.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rocksdb::DB;

use super::Disk;
use super::dir_contents::DirContents;
use super::env;
use super::error_recovery::ErrorRecovery;
use super::errors::rocksdb_error;
use super::op_counters::OpCounters;
use super::open;
use super::settings::{self, SharedCaches};
use super::wal::verify::{ManifestVersion, verify};
use crate::batch::{Outcome, WriteBatch};
use crate::engine::{
    Cursor, Engine, Lease, Maintenance, Range, Reader, Stats, TimeLeft, Value, Watch,
};
use crate::error::{Error, Kind, Result};
use crate::options::Options;
use crate::sys::signals;

/// A read-only store, in the state of the last refresh.
pub struct ReadOnly {
    now: RwLock<Arc<Disk>>,
    path: PathBuf,
    settings: rocksdb::Options,
    /// Shared by all databases that this opens.
    op_counters: Arc<OpCounters>,
    lease: Arc<Lease>,
}

impl ReadOnly {
    /// Opens the store in `path`. Returns `None` if it does not exist.
    ///
    /// `lease` is dropped when the store, and all values, cursors and snapshots of it, are closed.
    pub fn open(
        path: &Path,
        options: &Options,
        shared: &SharedCaches,
        lease: Lease,
    ) -> Result<Option<Arc<ReadOnly>>> {
        if !open::exists(path)? {
            return Ok(None);
        }
        let mut settings = settings::database(options, shared);
        settings.create_if_missing(false);
        // The writer may delete a file at any time. An open file can still be read.
        settings.set_max_open_files(-1);
        env::start_threads().map_err(|error| error.at(path))?;
        let lease = Arc::new(lease);
        let op_counters = Arc::default();
        let now = open_current(path, &settings, &op_counters, &lease)?;
        Ok(Some(Arc::new(ReadOnly {
            now: RwLock::new(now),
            path: path.to_path_buf(),
            settings,
            op_counters,
            lease,
        })))
    }

    fn now(&self) -> Arc<Disk> {
        self.now.read().clone()
    }
}

/// The attempts to open a store that is written meanwhile. Each waits a millisecond longer than the
/// one before, two seconds in all.
const ATTEMPTS: u64 = 64;

/// Opens the store in `path` in its current state.
///
/// RocksDB reads the manifest and then the logs. If the writer flushes and deletes a log in
/// between, its entries are in neither. So an opening only counts if the manifest did not change
/// meanwhile.
fn open_current(
    path: &Path,
    settings: &rocksdb::Options,
    op_counters: &Arc<OpCounters>,
    lease: &Arc<Lease>,
) -> Result<Arc<Disk>> {
    for attempt in 0..ATTEMPTS {
        // Before any file in it is opened, because opening a FIFO would block.
        DirContents::read(path)?;
        let before = ManifestVersion::read(path);
        verify(path)?;
        let families = open::families(settings, path);
        let db = signals::blocked(|| {
            DB::open_cf_for_read_only(settings, path, families.iter().copied(), false)
        });
        if before.is_some() && ManifestVersion::read(path) == before {
            let db = db
                .map_err(|cause| rocksdb_error("cannot open the store for reading", path, cause))?;
            return Ok(Disk::new(
                db,
                ErrorRecovery::new(path, None),
                None,
                op_counters.clone(),
                Box::new(lease.clone()),
            ));
        }
        std::thread::sleep(Duration::from_millis(attempt));
    }
    Err(Error::new(Kind::Busy, "the store is written faster than it can be opened for reading")
        .at(path))
}

impl Reader for ReadOnly {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.now().get(key)
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        self.now().contains(key)
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        self.now().get_many(keys)
    }

    fn time_left(&self, key: &[u8]) -> Result<Option<TimeLeft>> {
        self.now().time_left(key)
    }

    fn cursor(&self, range: Range) -> Result<Box<dyn Cursor>> {
        self.now().cursor(range)
    }
}

impl Engine for ReadOnly {
    fn apply(&self, batch: &WriteBatch<'_>) -> Result<Outcome> {
        self.now().apply(batch)
    }

    fn snapshot(&self) -> Result<Arc<dyn Reader>> {
        let now = self.now();
        now.check()?;
        Ok(now)
    }

    fn watch(&self, range: Range, after: Option<u64>) -> Result<Box<dyn Watch>> {
        self.now().watch(range, after)
    }

    fn check(&self) -> Result<()> {
        self.now().check()
    }

    fn maintenance(&self) -> Option<&dyn Maintenance> {
        Some(self)
    }
}

impl Maintenance for ReadOnly {
    fn refresh(&self) -> Result<()> {
        self.check()?;
        let now = open_current(&self.path, &self.settings, &self.op_counters, &self.lease)?;
        let before = std::mem::replace(&mut *self.now.write(), now);
        // Closed without the lock, because that can take long.
        drop(before);
        Ok(())
    }

    fn stats(&self) -> Result<Stats> {
        self.now().stats()
    }

    fn property(&self, name: &str) -> Result<Option<String>> {
        self.now().property(name)
    }
}
