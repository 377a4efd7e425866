//! The engine on disk: RocksDB, one database per store.
//!
//! RocksDB has atomic batches, snapshots and iterators. This module adds conditional writes
//! ([`key_locks`]), one owner per directory ([`lock`]), and a cache of single values
//! ([`row_cache`]). Values, cursors and snapshots keep the database open ([`pinned`]). Writes are
//! synced in the background ([`background_sync`]), and a second process can read ([`read_only`]).
//! Keys that expire have their [`deadlines`] in a column family of their own.
//! In a forked child nothing is done to the files.

mod background_sync;
mod bulk_load;
pub mod checkpoint;
mod cursor;
pub mod damage;
mod deadlines;
mod delete_range;
mod destroy;
mod dir_contents;
mod durable_dir;
mod env;
mod error_recovery;
mod errors;
mod iterator;
mod key_hash;
mod key_locks;
mod lock;
mod maintenance;
mod moved_dir_guard;
mod op_counters;
mod open;
mod pinned;
mod read_only;
mod row_cache;
mod settings;
mod snapshot;
mod space_reserve;
mod tombstone_compaction;
mod wal;
mod write;
mod write_buffers;

// RocksDB itself, for the linker.
extern crate kvds_rocksdb as _;

use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;
use rocksdb::{DB, DBPinnableSlice, ReadOptions, WriteOptions};

use self::background_sync::SyncHandle;
use self::cursor::DiskCursor;
use self::deadlines::Deadlines;
use self::error_recovery::ErrorRecovery;
use self::errors::rocksdb_error;
use self::key_hash::{KeyHash, KeyHasher};
use self::key_locks::KeyLocks;
use self::lock::{DirLock, FileLock};
use self::moved_dir_guard::Guard;
use self::op_counters::OpCounters;
use self::pinned::Pinned;
use self::row_cache::{CachedRow, InsertToken, StoreRows};
pub use self::settings::SharedCaches;
use self::snapshot::DiskSnapshot;
use self::tombstone_compaction::Deletions;
use self::write_buffers::Membership;
use super::expiry::{Expiring, Expiry};
use super::feed::Feed;
use super::{Buffer, Cursor, Engine, Lease, Maintenance, Range, Reader, TimeLeft, Value, Watch};
use crate::batch::{Outcome, WriteBatch};
use crate::error::{Error, Kind, Result};
use crate::options::Durability;
use crate::sys::fork::OwnerProcess;
use crate::sys::log::{self, Level};

/// Values of at least this many bytes are pinned instead of copied.
///
/// A pinned value keeps its block in memory and the database open, which is too much for a small
/// part of a block: docs/decisions/0003-pinned-values.md.
const PIN_FROM: usize = row_cache::MAX_VALUE;

/// An ordered store in a directory.
pub struct Disk {
    // ManuallyDrop: neither dropped nor touched in a forked child.
    open: ManuallyDrop<OpenDb>,
    path: PathBuf,
    /// `None` if the store was opened for reading only.
    writer: Option<Writer>,
    op_counters: Arc<OpCounters>,
    /// The options of most reads. Creating them takes as long as some reads.
    read_options: ReadOptions,
    owner: OwnerProcess,
    this: Weak<Disk>,
}

/// The state that only a store has that was opened for writing.
struct Writer {
    options: WriteOptions,
    /// The options in a store with deadlines: its writes are in the log at every durability.
    logged: WriteOptions,
    durability: Durability,
    hasher: KeyHasher,
    key_locks: KeyLocks,
    rows: StoreRows,
    /// For the column family with the deadlines.
    settings: rocksdb::Options,
    creating_deadlines: Mutex<()>,
    expiry: Expiry,
    feed: Arc<Feed>,
}

/// An open database and what depends on it, in the order of their drops.
///
/// First the threads that sync and flush let go of the database, then it is closed, then its
/// directory is unlocked, then the lease tells the threads that wait to open it.
struct OpenDb {
    background_sync: OnceLock<SyncHandle>,
    write_buffers: OnceLock<Membership>,
    reclaiming: OnceLock<(Deletions, SyncHandle)>,
    /// Of a store that has had a key that expires.
    deadlines: OnceLock<Deadlines>,
    db: DB,
    error_recovery: Arc<ErrorRecovery>,
    /// `None` if the store was opened for reading only.
    dir_locks: Option<DirLocks>,
    _lease: Lease,
}

/// The locks of a writer on its directory, in the order of their drops.
struct DirLocks {
    _guard: Guard,
    _file_lock: FileLock,
    dir_lock: DirLock,
}

/// The value of a key, where a read found it.
enum Found<'a> {
    /// In the row cache. The lock that this holds is released before the store is written.
    Cached(CachedRow<'a>),
    /// In the database. It is dropped before the engine, or pinned.
    Stored(DBPinnableSlice<'static>),
}

impl Deref for Found<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Found::Cached(row) => row,
            Found::Stored(value) => value,
        }
    }
}

impl Disk {
    /// Returns `Ok`: this build has the engine.
    pub fn available() -> Result<()> {
        Ok(())
    }

    fn new(
        db: DB,
        error_recovery: ErrorRecovery,
        writer: Option<(Writer, DirLocks)>,
        op_counters: Arc<OpCounters>,
        lease: Lease,
    ) -> Arc<Disk> {
        let path = error_recovery.path().to_path_buf();
        let deadlines = Deadlines::opened(&db).map_or_else(OnceLock::new, OnceLock::from);
        let (writer, dir_locks) = writer.unzip();
        Arc::new_cyclic(|this: &Weak<Disk>| Disk {
            open: ManuallyDrop::new(OpenDb {
                background_sync: OnceLock::new(),
                write_buffers: OnceLock::new(),
                reclaiming: OnceLock::new(),
                deadlines,
                db,
                error_recovery: Arc::new(error_recovery),
                dir_locks,
                _lease: lease,
            }),
            path,
            writer,
            op_counters,
            read_options: ReadOptions::default(),
            owner: OwnerProcess::current(),
            this: this.clone(),
        })
    }

    fn db(&self) -> Result<&DB> {
        self.check()?;
        Ok(&self.open.db)
    }

    fn writer(&self) -> Result<&Writer> {
        self.writer.as_ref().ok_or_else(|| {
            Error::new(Kind::Denied, "the store was opened for reading only").at(&self.path)
        })
    }

    #[cold]
    fn error(&self, what: &'static str, cause: rocksdb::Error) -> Error {
        rocksdb_error(what, &self.path, cause)
    }

    /// Returns the database without the lifetime that RocksDB's wrapper gives to its objects.
    ///
    /// # Safety
    ///
    /// An object of the database is dropped before `self`, or pinned.
    #[allow(unsafe_code)]
    unsafe fn unbound_db(&self) -> Result<&'static DB> {
        let db: *const DB = self.db()?;
        // SAFETY: the engine lives in an `Arc`, and its database stays at this address until the
        // engine is dropped.
        Ok(unsafe { &*db })
    }

    /// Ties an object of the database to the engine.
    fn pin<T>(&self, object: T) -> Pinned<T> {
        let Some(disk) = self.this.upgrade() else { unreachable!("the caller holds the engine") };
        Pinned::new(object, disk)
    }

    /// Finds the current value of `key`.
    // Always inlined, like what it calls, so that a cached value is not passed through memory.
    #[inline(always)]
    fn find(&self, key: &[u8]) -> Result<Option<Found<'_>>> {
        self.check()?;
        match &self.writer {
            Some(writer) => self.find_hashed(writer, key, writer.hasher.hash(key)),
            None => Ok(self.find_stored(key, &self.read_options)?.map(Found::Stored)),
        }
    }

    /// Finds the current value of `key` in the row cache, or else in the database.
    #[inline(always)]
    fn find_hashed<'a>(
        &'a self,
        writer: &'a Writer,
        key: &[u8],
        hash: KeyHash,
    ) -> Result<Option<Found<'a>>> {
        match writer.rows.find(key, hash) {
            Ok(row) => Ok(Some(Found::Cached(row))),
            Err(token) => Ok(self.find_uncached(writer, key, hash, token)?.map(Found::Stored)),
        }
    }

    /// Finds the current value of a key that a write is about to delete. It does not enter the row
    /// cache, where it would evict another row.
    fn find_to_delete<'a>(
        &'a self,
        writer: &'a Writer,
        key: &[u8],
        hash: KeyHash,
    ) -> Result<Option<Found<'a>>> {
        match writer.rows.find(key, hash) {
            Ok(row) => Ok(Some(Found::Cached(row))),
            Err(_) => Ok(self.find_stored(key, &self.read_options)?.map(Found::Stored)),
        }
    }

    /// Finds the value of `key` in the database, and inserts it into the row cache.
    #[inline(never)]
    fn find_uncached(
        &self,
        writer: &Writer,
        key: &[u8],
        hash: KeyHash,
        token: InsertToken,
    ) -> Result<Option<DBPinnableSlice<'static>>> {
        let stored = self.find_stored(key, &self.read_options)?;
        if let Some(value) = &stored {
            writer.rows.insert(key, hash, value, token);
        }
        Ok(stored)
    }

    /// Finds the value of `key` in the database.
    fn find_stored(
        &self,
        key: &[u8],
        options: &ReadOptions,
    ) -> Result<Option<DBPinnableSlice<'static>>> {
        // SAFETY: callers drop the value before the engine, or pin it.
        #[allow(unsafe_code)]
        let db = unsafe { self.unbound_db()? };
        db.get_pinned_opt(key, options).map_err(|cause| self.error("cannot read", cause))
    }

    /// Copies or pins a value of the database for the caller.
    fn stored_value(&self, value: DBPinnableSlice<'static>) -> Result<Value> {
        Ok(match value.len() {
            ..PIN_FROM => Value::Owned(Buffer::of(&value)?),
            _ => Value::Pinned(Box::new(self.pin(value))),
        })
    }

    fn get_many_with(
        &self,
        db: &DB,
        keys: &[&[u8]],
        options: &ReadOptions,
    ) -> Result<Vec<Option<Value>>> {
        let copy = |stored: std::result::Result<Option<Vec<u8>>, _>| {
            let stored = stored.map_err(|cause| self.error("cannot read", cause))?;
            self.op_counters.count_read(stored.is_some());
            stored.map(|value| Buffer::of(&value).map(Value::Owned)).transpose()
        };
        db.multi_get_opt(keys, options).into_iter().map(copy).collect()
    }
}

impl Reader for Disk {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        let found = self.find(key)?;
        self.op_counters.count_read(found.is_some());
        match found {
            Some(Found::Cached(row)) => Ok(Some(Value::Owned(Buffer::of(&row)?))),
            Some(Found::Stored(value)) => self.stored_value(value).map(Some),
            None => Ok(None),
        }
    }

    fn with_value(&self, key: &[u8], read: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let found = self.find(key)?;
        self.op_counters.count_read(found.is_some());
        Ok(found.map(|value| read(&value)).is_some())
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        let is_hit = self.find(key)?.is_some();
        self.op_counters.count_read(is_hit);
        Ok(is_hit)
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        let db = self.db()?;
        if self.writer.is_none() {
            // What is open for reading only never changes.
            return self.get_many_with(db, keys, &self.read_options);
        }
        let snapshot = db.snapshot();
        let mut options = ReadOptions::default();
        options.set_snapshot(&snapshot);
        self.get_many_with(db, keys, &options)
    }

    fn time_left(&self, key: &[u8]) -> Result<Option<TimeLeft>> {
        // The key and its deadline are read from one state.
        DiskSnapshot::new(self)?.time_left(key)
    }

    fn cursor(&self, range: Range) -> Result<Box<dyn Cursor>> {
        if self.open.deadlines.get().is_some() {
            // Its keys and their deadlines are of one state.
            return DiskSnapshot::new(self)?.cursor(range);
        }
        Ok(Box::new(DiskCursor::new(self, range, None)?))
    }
}

impl Engine for Disk {
    fn apply(&self, batch: &WriteBatch<'_>) -> Result<Outcome> {
        let (db, writer) = (self.db()?, self.writer()?);
        match batch.as_single() {
            Some(single) => self.apply_single(db, writer, batch, single),
            None => {
                if batch.has_ttl() {
                    self.create_deadlines(db, writer)?;
                    writer.expiry.start(|| self.this.clone())?;
                }
                self.apply_batch(db, writer, batch)
            }
        }
    }

    fn snapshot(&self) -> Result<Arc<dyn Reader>> {
        Ok(Arc::new(DiskSnapshot::new(self)?))
    }

    fn watch(&self, range: Range, after: Option<u64>) -> Result<Box<dyn Watch>> {
        self.check()?;
        let Some(writer) = &self.writer else {
            return Err(Error::new(
                Kind::Unsupported,
                "a store that is open for reading only cannot be watched",
            )
            .at(&self.path));
        };
        let watch = writer.feed.watch(range, after)?;
        // Waits for the writers that have not seen the watch.
        drop(writer.key_locks.lock_everything());
        Ok(Box::new(watch.of_process(self.owner)))
    }

    fn attach(&self) {
        if let Some(writer) = &self.writer {
            let has_deadlines = self.open.deadlines.get().is_some();
            let target = || self.this.clone() as Weak<dyn Expiring>;
            writer.expiry.attach(has_deadlines.then(target));
        }
    }

    fn detach(&self) {
        if let Some(writer) = &self.writer
            && self.owner.is_current()
            && writer.expiry.detach()
        {
            writer.feed.close();
        }
    }

    fn check(&self) -> Result<()> {
        if self.owner.is_current() {
            return Ok(());
        }
        Err(Error::new(
            Kind::Forked,
            "the store came through fork(); open it with a distributor of this process",
        )
        .at(&self.path))
    }

    fn maintenance(&self) -> Option<&dyn Maintenance> {
        Some(self)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.owner.is_current() {
            log::line(Level::Info, || format!("closing {}", self.path.display()));
            // Closing flushes what is in no log, and leaves a log unsynced.
            if self.writer.as_ref().is_some_and(|writer| writer.durability == Durability::None)
                && self.open.deadlines.get().is_some()
                && let Err(error) = self.sync()
            {
                log::line(Level::Error, || format!("cannot sync before closing: {error}"));
            }
            // SAFETY: dropped once, here, and not used afterwards.
            #[allow(unsafe_code)]
            unsafe {
                ManuallyDrop::drop(&mut self.open);
            }
        }
    }
}

/// Returns a number that RocksDB knows under `name`, or 0.
fn int_property(db: &DB, name: &str) -> u64 {
    db.property_int_value(name).ok().flatten().unwrap_or(0)
}
