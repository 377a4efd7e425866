//! Opening a disk store, step by step: [`Disk::open`].

use std::fs;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rocksdb::{ColumnFamilyDescriptor, DB, DBRecoveryMode};

use super::background_sync::SyncHandle;
use super::dir_contents::{self, DirContents};
use super::durable_dir::CreatedDirs;
use super::error_recovery::{self, DiskSpace, ErrorRecovery};
use super::errors::{self, rocksdb_error};
use super::key_hash::KeyHasher;
use super::key_locks::KeyLocks;
use super::lock::{DirLock, FileLock};
use super::op_counters::OpCounters;
use super::read_only::ReadOnly;
use super::settings::{self, SharedCaches};
use super::space_reserve::{self, Reserve};
use super::tombstone_compaction::Deletions;
use super::write_buffers::{self, Member};
use super::{DirLocks, Disk, Writer, deadlines, destroy, env, int_property, wal};
use crate::engine::expiry::Expiry;
use crate::engine::feed::Feed;
use crate::engine::{Engine, Lease};
use crate::error::{Error, Kind, Result};
use crate::options::{Durability, Options};
use crate::sys::clock;
use crate::sys::log::{self, Level};
use crate::sys::signals;

impl Disk {
    /// Opens the store in the directory `path`, read-only if `options` say so.
    ///
    /// Returns `None` if the store does not exist and `options` forbid creating it. `lease` is
    /// dropped when the store, and all values, cursors and snapshots of it, are closed.
    pub fn open_any(
        path: &Path,
        options: &Options,
        shared: &SharedCaches,
        lease: Lease,
    ) -> Result<Option<Arc<dyn Engine>>> {
        // Before any file in it is opened, because opening a FIFO would block.
        DirContents::read(path)?;
        if options.read_only {
            return Ok(ReadOnly::open(path, options, shared, lease)?
                .map(|reader| reader as Arc<dyn Engine>));
        }
        Ok(Disk::open(path, options, shared, lease)?.map(|disk| disk as Arc<dyn Engine>))
    }

    /// Opens the store in the directory `path` for writing. See [`Disk::open_any`].
    pub fn open(
        path: &Path,
        options: &Options,
        shared: &SharedCaches,
        lease: Lease,
    ) -> Result<Option<Arc<Disk>>> {
        if path.to_str().is_none() {
            return Err(Error::invalid("the path is not UTF-8").at(path));
        }
        if !options.create_if_missing && !exists(path)? {
            return Ok(None);
        }
        env::start_threads().map_err(|error| error.at(path))?;
        let mut created = CreatedDirs::default();
        let is_new = prepare_directory(path, &mut created)?;
        let dir_lock = lock_directory(path, &mut created)?;
        let older_rocksdb = dir_contents::written_by_older_rocksdb(path);
        if !is_new {
            verify(path)?;
        }
        let file_lock = FileLock::new(&dir_lock)?;
        let mut settings = settings::database(options, shared);
        let compaction_space = error_recovery::listen(&settings);
        let op_counters = Arc::new(OpCounters::of_writer(dir_lock.dir()));
        op_counters.count_compactions(&settings);
        let guard = dir_lock.guard(&settings);
        let db =
            Opening { path, is_new, dir_lock: &dir_lock, settings: &mut settings }.open_db()?;
        if let Some(version) = older_rocksdb {
            warn_of_older_rocksdb(path, &version);
        }
        log::line(Level::Info, || format!("opened {}", path.display()));
        let dir = dir_lock.dir().clone();
        let reserve = Reserve::new(dir.clone(), path, error_recovery::disk_load(&db));
        let space = DiskSpace { dir, reserve, compaction_space };
        let writer = Writer {
            options: settings::write(options.durability),
            logged: settings::logged_write(options.durability),
            durability: options.durability,
            hasher: KeyHasher::default(),
            key_locks: KeyLocks::new(),
            rows: shared.store_rows(),
            settings: settings.clone(),
            creating_deadlines: Mutex::new(()),
            expiry: Expiry::default(),
            feed: Feed::new(options.watch_buffer_bytes),
        };
        let locks = DirLocks { _guard: guard, _file_lock: file_lock, dir_lock };
        let disk = Disk::new(
            db,
            ErrorRecovery::new(path, Some(space)),
            Some((writer, locks)),
            op_counters,
            lease,
        );
        if options.durability == Durability::Process
            && let Err(error) = disk.start_background_sync()
        {
            drop(disk);
            if is_new {
                let _ = Disk::destroy(path);
            }
            return Err(error);
        }
        disk.join_write_buffers(shared);
        disk.start_reclaiming();
        disk.resume_deadlines();
        created.keep();
        Ok(Some(disk))
    }

    /// Starts to sync the log in the background.
    fn start_background_sync(&self) -> Result<()> {
        let (db, error_recovery) = (DbPtr::of(self), self.open.error_recovery.clone());
        let sync = move || {
            // SAFETY: `background_sync` is dropped before the database, and its drop waits until
            // this closure has run for the last time.
            #[allow(unsafe_code)]
            let db = unsafe { db.get() };
            error_recovery.retry_apart_from_resume(db, "cannot sync", |db| db.flush_wal(true))
        };
        let handle = SyncHandle::new(sync)?;
        self.open.background_sync.get_or_init(|| handle);
        Ok(())
    }

    /// Lets the store be flushed when it holds much of the memory that all stores share.
    fn join_write_buffers(&self, shared: &SharedCaches) {
        let (db, error_recovery) = (DbPtr::of(self), self.open.error_recovery.clone());
        let flush = move || {
            // SAFETY: `write_buffers` is dropped before the database, and its drop waits until this
            // closure has run for the last time.
            #[allow(unsafe_code)]
            let db = unsafe { db.get() };
            let flush = || write_buffers::start_flush(db);
            if let Some(Err(cause)) = error_recovery.unless_resuming(flush) {
                log::line(Level::Warn, || format!("cannot flush to free memory: {cause}"));
            }
        };
        let db = DbPtr::of(self);
        let flushable = move || {
            // SAFETY: as in `flush`.
            #[allow(unsafe_code)]
            let db = unsafe { db.get() };
            // While a memtable waits to be flushed, another one would make writers wait.
            match db.property_int_value("rocksdb.num-immutable-mem-table") {
                Ok(Some(0)) => int_property(db, "rocksdb.cur-size-active-mem-table"),
                _ => 0,
            }
        };
        let member = Member { flushable: Box::new(flushable), flush: Box::new(flush) };
        let membership = shared.write_buffers().join(member);
        self.open.write_buffers.get_or_init(|| membership);
    }

    /// Deletes the keys that have expired while the store was closed.
    fn resume_deadlines(&self) {
        if self.open.deadlines.get().is_some() {
            deadlines::allow_longer_log(&self.open.db);
            self.expire_all(clock::now());
        }
    }

    /// Starts to flush the store in the background after many deletions, to reclaim their space.
    fn start_reclaiming(&self) {
        let (db, error_recovery) = (DbPtr::of(self), self.open.error_recovery.clone());
        let deletions = Deletions::default();
        let counter = deletions.clone();
        let flush = move || {
            // SAFETY: `reclaiming` is dropped before the database, and its drop waits until this
            // closure has run for the last time.
            #[allow(unsafe_code)]
            let db = unsafe { db.get() };
            let flush = || write_buffers::start_flush(db);
            if deletions.take_if_many(db)
                && let Some(Err(cause)) = error_recovery.unless_resuming(flush)
            {
                log::line(Level::Warn, || format!("cannot flush to reclaim space: {cause}"));
            }
            Ok(())
        };
        match SyncHandle::new(flush) {
            Ok(handle) => drop(self.open.reclaiming.set((counter, handle))),
            // The store works without it: RocksDB flushes a full memtable.
            Err(error) => {
                log::line(Level::Warn, || format!("space is reclaimed late: {error}"));
            }
        }
    }
}

/// The database of an engine, for background work that ends before the engine drops it.
struct DbPtr(*const DB);

// SAFETY: RocksDB's databases can be used from any thread.
#[allow(unsafe_code)]
unsafe impl Send for DbPtr {}

impl DbPtr {
    fn of(disk: &Disk) -> DbPtr {
        DbPtr(&raw const disk.open.db)
    }

    /// Returns the database.
    ///
    /// # Safety
    ///
    /// The engine has not dropped the database. It lives in an `Arc`, so the database does not
    /// move.
    #[allow(unsafe_code)]
    unsafe fn get(&self) -> &DB {
        // SAFETY: see above.
        unsafe { &*self.0 }
    }
}

/// Returns whether the directory `path` holds a whole store that is not marked as destroyed.
pub fn exists(path: &Path) -> Result<bool> {
    if destroy::is_marked(path)? || wal::verify::is_before_first_log(path)? {
        return Ok(false);
    }
    // RocksDB creates this file last.
    let exists = dir_contents::has_file(path, "CURRENT")?;
    if !exists && path.is_dir() {
        // A damaged store may have lost it.
        wal::verify::verify(path)?;
    }
    Ok(exists)
}

const DEFAULT: &str = rocksdb::DEFAULT_COLUMN_FAMILY_NAME;

/// Returns the column families with which a store is opened.
///
/// Those of other programs are left out: RocksDB then refuses to open it for writing.
pub fn families(settings: &rocksdb::Options, path: &Path) -> &'static [&'static str] {
    if deadlines::are_in(settings, path) { &[DEFAULT, deadlines::NAME] } else { &[DEFAULT] }
}

/// Creates the directory, and finishes the removal of a store in it. Returns whether it is new.
fn prepare_directory(path: &Path, created: &mut CreatedDirs) -> Result<bool> {
    if let Some(base) = path.parent() {
        let result = created.create(base);
        result.map_err(|cause| Error::io("cannot create the base directory", cause).at(base))?;
    }
    let mut create = || {
        let result = created.create(path);
        result.map_err(|cause| Error::io("cannot create the store's directory", cause).at(path))
    };
    let is_new = create()?;
    if is_new || !destroy::is_marked(path)? {
        return Ok(is_new);
    }
    destroy::finish(path)?;
    create()
}

fn lock_directory(path: &Path, created: &mut CreatedDirs) -> Result<DirLock> {
    DirLock::new(path).inspect_err(|error| {
        // The owner of the lock needs the directories, even if this call created them.
        if error.kind() == Kind::Locked {
            created.keep();
        }
    })
}

/// Refuses the files of other programs, and damage that RocksDB does not report.
fn verify(path: &Path) -> Result<()> {
    DirContents::read(path)?.refuse_foreign_files(path)?;
    wal::verify::verify(path)
}

fn warn_of_older_rocksdb(path: &Path, version: &str) {
    log::line(Level::Warn, || {
        format!(
            "{} was last written by RocksDB {version}, which loses what is in a log of kvds: \
             before it opens the store again, call kvds_compact and close the store, or give it a \
             copy made by kvds_checkpoint",
            path.display()
        )
    });
}

/// A database that is about to be opened.
struct Opening<'a> {
    path: &'a Path,
    is_new: bool,
    dir_lock: &'a DirLock,
    settings: &'a mut rocksdb::Options,
}

impl Opening<'_> {
    /// Opens the database, after each recovery that applies to the error.
    fn open_db(mut self) -> Result<DB> {
        let recoveries: [fn(&mut Self, &rocksdb::Error) -> Result<bool>; 3] =
            [Self::create_first_log, Self::drop_unsynced_tail, Self::release_reserve];
        let mut result = self.try_open();
        for recover in recoveries {
            if let Err(cause) = &result
                && recover(&mut self, cause)?
            {
                result = self.try_open();
            }
        }
        result.map_err(|cause| {
            let error = rocksdb_error("cannot open the store", self.path, cause);
            self.remove_new_store();
            error
        })
    }

    fn try_open(&self) -> std::result::Result<DB, rocksdb::Error> {
        let descriptor = |name| ColumnFamilyDescriptor::new(name, self.settings.clone());
        let families = if self.is_new { &[DEFAULT] } else { families(self.settings, self.path) };
        let descriptors: Vec<_> = families.iter().copied().map(descriptor).collect();
        signals::blocked(|| DB::open_cf_descriptors(self.settings, self.path, descriptors))
    }

    // Each recovery removes one cause of a failed opening. It returns whether to try again.

    /// Creates the first log, if the process that created the store crashed before it did.
    fn create_first_log(&mut self, cause: &rocksdb::Error) -> Result<bool> {
        if !wal::gap::is_before_first_log(cause) {
            return Ok(false);
        }
        self.dir_lock.dir().check_in_place()?;
        wal::gap::create_first_log(self.path)
            .map_err(|cause| Error::io("cannot create the first log", cause).at(self.path))?;
        Ok(true)
    }

    /// Ends the log at a gap that a power failure left in unsynced writes.
    fn drop_unsynced_tail(&mut self, cause: &rocksdb::Error) -> Result<bool> {
        let is_gap = wal::gap::explains(cause, self.path)
            .map_err(|cause| Error::io("cannot read the log", cause).at(self.path))?;
        if is_gap {
            log::line(Level::Warn, || {
                format!("{} lost writes that were not synced: {cause}", self.path.display())
            });
            self.settings.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
        }
        Ok(is_gap)
    }

    /// Releases the space that the store keeps for this, if the disk is full.
    fn release_reserve(&mut self, cause: &rocksdb::Error) -> Result<bool> {
        if self.is_new || !errors::is_no_space(self.path, cause.as_ref()) {
            return Ok(false);
        }
        space_reserve::remove(self.path)
            .map_err(|cause| Error::io("cannot release the reserve", cause).at(self.path))?;
        settings::avoid_flush_during_recovery(self.settings);
        Ok(true)
    }

    /// Leaves nothing of a new store behind.
    fn remove_new_store(&self) {
        // RocksDB can fail to remove it for the same reason as to open it. A store without
        // `CURRENT` is not whole, so it is removed without RocksDB.
        if self.is_new
            && self.dir_lock.dir().check_in_place().is_ok()
            && DB::destroy(self.settings, self.path).is_err()
            && self.path.join("CURRENT").try_exists().is_ok_and(|exists| !exists)
        {
            let _ = fs::remove_dir_all(self.path);
        }
    }
}
