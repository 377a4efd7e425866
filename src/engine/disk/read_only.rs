//! Reading a store that another process writes.
//!
//! RocksDB opens such a store without its lock and writes nothing. What it has open never changes:
//! it is a moment of the store by itself, and refreshing opens a new one beside it. What was made
//! from the old one (snapshots, cursors, values) keeps that. RocksDB's secondary instances, which
//! can catch up with a writer, are not used: they show an older store, or none, where a table is
//! missing or damaged.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rocksdb::DB;

use super::dir_contents::Survey;
use super::env;
use super::error_recovery::ErrorRecovery;
use super::errors::failed;
use super::op_counters::OpCounters;
use super::settings::{self, Shared};
use super::wal::verify::{inspect, table_list};
use super::{Disk, Role};
use crate::batch::{Outcome, WriteBatch};
use crate::engine::{Cursor, Engine, Lease, Maintenance, Range, Reader, Stats, Value};
use crate::error::{Error, Kind, Result};
use crate::options::Options;
use crate::sys::signals;

/// A store that is only read, as of the last refresh.
pub struct ReadOnly {
    now: RwLock<Arc<Disk>>,
    path: PathBuf,
    settings: rocksdb::Options,
    /// What is counted goes on over all instances.
    op_counters: Arc<OpCounters>,
    lease: Arc<Lease>,
}

impl ReadOnly {
    /// Opens the store in `path` for reading; None if there is none. `lease` is dropped when it and
    /// all it handed out is closed.
    pub fn open(
        path: &Path,
        options: &Options,
        shared: &Shared,
        lease: Lease,
    ) -> Result<Option<Arc<ReadOnly>>> {
        if !Disk::exists(path)? {
            return Ok(None);
        }
        let mut settings = settings::database(options, shared);
        settings.create_if_missing(false);
        // The writer may remove a file at any time; one that is open can still be read.
        settings.set_max_open_files(-1);
        env::start_threads().map_err(|error| error.at(path))?;
        let lease = Arc::new(lease);
        let op_counters = Arc::default();
        let now = instance(path, &settings, &op_counters, &lease)?;
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

/// The store as it is at this moment.
///
/// RocksDB reads the list of table files and then the logs. If the writer brings a log to a table
/// file in between and removes it, its content is in neither. So an instance only counts if the
/// list stayed as it was while it was opened.
fn instance(
    path: &Path,
    settings: &rocksdb::Options,
    op_counters: &Arc<OpCounters>,
    lease: &Arc<Lease>,
) -> Result<Arc<Disk>> {
    // A writer may change the list at each attempt, so the attempts are counted.
    for attempt in 0..ATTEMPTS {
        // Nothing that opening would wait for.
        Survey::of(path)?;
        let before = table_list(path);
        inspect(path)?;
        let db = signals::blocked(|| DB::open_for_read_only(settings, path, false));
        if before.is_some() && table_list(path) == before {
            let db =
                db.map_err(|cause| failed("cannot open the store for reading", path, cause))?;
            return Ok(Disk::around(
                db,
                ErrorRecovery::new(path, None),
                Role::Reader,
                None,
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

/// How often an opening is tried; each waits a millisecond longer than the one before, two seconds
/// in all.
const ATTEMPTS: u64 = 64;

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
        let now = instance(&self.path, &self.settings, &self.op_counters, &self.lease)?;
        let before = std::mem::replace(&mut *self.now.write(), now);
        // Closed without the lock, as it can take a while.
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
