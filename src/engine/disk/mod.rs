//! The engine on disk: RocksDB, one database per store.
//!
//! RocksDB gives atomic batches, snapshots and iterators over one moment. What is added here:
//! conditions that hold against plain writes ([`KeyLocks`]), one owner per directory also within
//! the process ([`lock`]), children (values, cursors, snapshots) that keep the database open,
//! syncing in the background ([`background_sync`]), reading beside a writer in another process
//! ([`read_only`]), and nothing done to files after a fork.

mod background_sync;
pub mod checkpoint;
mod cursor;
mod delete_range;
mod destroy;
mod dir_contents;
mod durable_dir;
mod env;
mod error_recovery;
mod errors;
mod guard;
mod key_locks;
mod lock;
mod op_counters;
mod pinned;
mod read_only;
mod reclaim;
mod reserve;
mod row_cache;
mod settings;
mod snapshot;
mod wal;
mod write_buffers;

use std::cell::RefCell;
use std::fs;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};

use rocksdb::checkpoint::Checkpoint;
use rocksdb::{DB, DBPinnableSlice, DBRecoveryMode, ReadOptions, Snapshot, WriteOptions};

use self::background_sync::SyncHandle;
use self::cursor::DiskCursor;
use self::dir_contents::Survey;
use self::durable_dir::CreatedDirs;
use self::error_recovery::{ErrorRecovery, Room};
use self::errors::failed;
use self::guard::Guard;
use self::key_locks::KeyLocks;
use self::lock::{Claim, Lock};
use self::op_counters::OpCounters;
use self::pinned::Pinned;
use self::read_only::ReadOnly;
use self::reclaim::Deletions;
use self::reserve::Reserve;
use self::row_cache::StoreRows;
pub use self::settings::Shared;
use self::snapshot::DiskSnapshot;
use self::write_buffers::{Holder, Share};
use super::{Buffer, Cursor, Engine, Lease, Maintenance, Range, Reader, Stats, Value};
use crate::batch::{Operation, Outcome, WriteBatch};
use crate::error::{Error, Kind, Result};
use crate::options::{Durability, Options};
use crate::sys::fork::Birth;
use crate::sys::log::{self, Level};
use crate::sys::signals;

/// From this many bytes on, a value is handed out where RocksDB has it instead of copied. A pinned
/// value keeps its block in memory and the database open, which is not worth it for a small part of
/// a block: docs/decisions/0003-pinned-values.md.
const PIN_FROM: usize = row_cache::TOO_LONG;

/// Past how many deleted keys it is looked for a first one, to find that a store is empty.
const LOOK_PAST: u64 = 1000;

/// How many bytes a copy writes at once.
const COPY_BATCH: usize = 1 << 20;

/// An ordered store in a directory.
pub struct Disk {
    // Neither dropped nor touched after a fork, hence the ManuallyDrop.
    held: ManuallyDrop<Opened>,
    path: PathBuf,
    role: Role,
    key_locks: KeyLocks,
    row_cache: Option<StoreRows>,
    op_counters: Arc<OpCounters>,
    /// How what is read now is read: made once, as making it takes as long as some reads.
    reading: ReadOptions,
    birth: Birth,
    this: Weak<Disk>,
}

/// In the order in which it must go: first nobody syncs or flushes the database any more, then it
/// is closed, then the directory is free for others in this process, then those who wait for that
/// are told.
struct Opened {
    served: OnceLock<SyncHandle>,
    share: OnceLock<Share>,
    reclaiming: OnceLock<(Deletions, SyncHandle)>,
    db: DB,
    error_recovery: Arc<ErrorRecovery>,
    /// Of a writer: the right to the directory.
    rights: Option<Held>,
    _lease: Lease,
}

/// What a writer holds while its database is open, in the order in which it must go.
struct Held {
    _guard: Guard,
    _lock: Lock,
    claim: Claim,
}

/// A database that is not dropped before those who have it.
struct Lent(*const DB);

// SAFETY: RocksDB's databases can be used from any thread.
#[allow(unsafe_code)]
unsafe impl Send for Lent {}

impl Lent {
    /// The database.
    ///
    /// # Safety
    /// The engine that lent it still has it. It lives in an `Arc`, so the database does not move.
    #[allow(unsafe_code)]
    unsafe fn get(&self) -> &DB {
        // SAFETY: says the caller.
        unsafe { &*self.0 }
    }
}

/// What the database was opened for.
enum Role {
    Writer {
        how: WriteOptions,
        durability: Durability,
    },
    /// To read what another process writes, as of one moment.
    Reader,
}

impl Disk {
    /// Whether this build has the engine: it does.
    pub fn available() -> Result<()> {
        Ok(())
    }

    /// Opens the store in the directory `path` as `options` say: for writing, or for reading what
    /// another process writes.
    pub fn open_any(
        path: &Path,
        options: &Options,
        shared: &Shared,
        lease: Lease,
    ) -> Result<Option<Arc<dyn Engine>>> {
        // Before any file in it is opened.
        Survey::of(path)?;
        if options.read_only {
            return Ok(ReadOnly::open(path, options, shared, lease)?
                .map(|replica| replica as Arc<dyn Engine>));
        }
        Ok(Disk::open(path, options, shared, lease)?.map(|disk| disk as Arc<dyn Engine>))
    }

    /// Opens the store in the directory `path`. If it is not there, it is made, and the directories
    /// above it, or None is returned, as `options` say. `lease` is dropped when the store and all
    /// it handed out is closed.
    pub fn open(
        path: &Path,
        options: &Options,
        shared: &Shared,
        lease: Lease,
    ) -> Result<Option<Arc<Disk>>> {
        if path.to_str().is_none() {
            return Err(Error::invalid("the path is not UTF-8").at(path));
        }
        if !options.create_if_missing && !Disk::exists(path)? {
            return Ok(None);
        }
        env::start_threads().map_err(|error| error.at(path))?;
        let mut directories = CreatedDirs::default();
        if let Some(base) = path.parent() {
            let made = directories.make(base);
            made.map_err(|cause| Error::io("cannot make the base directory", cause).at(base))?;
        }
        let mut make = || {
            let made = directories.make(path);
            made.map_err(|cause| Error::io("cannot make the store's directory", cause).at(path))
        };
        let mut made = make()?;
        if !made && destroy::is_begun(path)? {
            destroy::finish(path)?;
            made = make()?;
        }
        let claim = match Claim::new(path) {
            // Whoever was first to claim it needs it, whoever made it.
            Err(error) if error.kind() == Kind::Locked => {
                directories.keep();
                return Err(error);
            }
            claim => claim?,
        };
        let older = dir_contents::written_by_older_rocksdb(path);
        if !made {
            Survey::of(path)?.refuse_others(path)?;
            wal::verify::inspect(path)?;
        }
        let lock = Lock::new(path, &claim)?;
        let mut settings = settings::database(options, shared);
        let to_merge = error_recovery::prepare(&settings);
        let guard = claim.guard(&settings);
        let open = |settings: &rocksdb::Options| signals::blocked(|| DB::open(settings, path));
        let mut db = open(&settings);
        if let Err(cause) = &db
            && wal::gap::is_before_the_first_log(cause)
        {
            claim.place().check()?;
            wal::gap::begin_first_log(path)
                .map_err(|cause| Error::io("cannot make the first log", cause).at(path))?;
            db = open(&settings);
        }
        if let Err(cause) = &db
            && wal::gap::explains(cause, path)
                .map_err(|cause| Error::io("cannot read the log", cause).at(path))?
        {
            log::line(Level::Warn, || {
                format!("{} lost the end of what was not synced: {cause}", path.display())
            });
            settings.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
            db = open(&settings);
        }
        if let Err(cause) = &db
            && !made
            && errors::is_no_space(path, cause.as_ref())
        {
            // The store has kept room for this.
            reserve::remove(path)
                .map_err(|cause| Error::io("cannot give up the reserve", cause).at(path))?;
            settings::spare_the_disk(&settings);
            db = open(&settings);
        }
        let db = db.map_err(|cause| {
            let error = failed("cannot open the store", path, cause);
            // Leave nothing half made behind. RocksDB's own clean-up can fail for the same reason
            // as the opening; then what is not a whole store, which has this file, goes without it.
            if made
                && claim.place().check().is_ok()
                && DB::destroy(&settings, path).is_err()
                && path.join("CURRENT").try_exists().is_ok_and(|exists| !exists)
            {
                let _ = fs::remove_dir_all(path);
            }
            error
        })?;
        if let Some(version) = older {
            log::line(Level::Warn, || {
                format!(
                    "{} was last written by RocksDB {version}, which loses what is in a log of kvds: before it opens the \
                     store again, call kvds_compact and close the store, or give it a copy made by kvds_checkpoint",
                    path.display()
                )
            });
        }
        log::line(Level::Info, || format!("opened {}", path.display()));
        let role = Role::Writer {
            how: settings::write(options.durability),
            durability: options.durability,
        };
        let row_cache = Some(shared.row_cache());
        let reserve = Reserve::new(claim.place().clone(), path, error_recovery::load_of(&db));
        let error_recovery = ErrorRecovery::new(
            path,
            Some(Room { place: claim.place().clone(), reserve, to_merge }),
        );
        let rights = Held { _guard: guard, _lock: lock, claim };
        let disk =
            Disk::around(db, error_recovery, role, row_cache, Some(rights), Arc::default(), lease);
        if options.durability == Durability::Process
            && let Err(error) = disk.serve()
        {
            drop(disk);
            if made {
                let _ = Disk::destroy(path);
            }
            return Err(error);
        }
        disk.take_share(shared);
        disk.reclaim();
        directories.keep();
        Ok(Some(disk))
    }

    fn around(
        db: DB,
        error_recovery: ErrorRecovery,
        role: Role,
        row_cache: Option<StoreRows>,
        rights: Option<Held>,
        op_counters: Arc<OpCounters>,
        lease: Lease,
    ) -> Arc<Disk> {
        let path = error_recovery.path().to_path_buf();
        Arc::new_cyclic(|this: &Weak<Disk>| Disk {
            held: ManuallyDrop::new(Opened {
                served: OnceLock::new(),
                share: OnceLock::new(),
                reclaiming: OnceLock::new(),
                db,
                error_recovery: Arc::new(error_recovery),
                rights,
                _lease: lease,
            }),
            path,
            role,
            key_locks: KeyLocks::new(),
            row_cache,
            op_counters,
            reading: ReadOptions::default(),
            birth: Birth::here(),
            this: this.clone(),
        })
    }

    /// Has the log synced in the background from now on.
    fn serve(&self) -> Result<()> {
        let (db, error_recovery) = (self.lend(), self.held.error_recovery.clone());
        #[allow(unsafe_code)]
        let sync = move || {
            // SAFETY: the database is dropped after `served`, whose end waits until this closure
            // neither runs nor will run again.
            let db = unsafe { db.get() };
            error_recovery.attempt_apart(db, "cannot sync", |db| db.flush_wal(true))
        };
        let served = SyncHandle::new(sync)?;
        self.held.served.get_or_init(|| served);
        Ok(())
    }

    /// Has the store flushed from now on when it holds much of the memory that all stores share.
    fn take_share(&self, shared: &Shared) {
        let (db, error_recovery) = (self.lend(), self.held.error_recovery.clone());
        let flush = move || {
            // SAFETY: as in `held` below.
            #[allow(unsafe_code)]
            let db = unsafe { db.get() };
            if let Some(Err(cause)) =
                error_recovery.unless_resumed(|| write_buffers::begin_flush(db))
            {
                log::line(Level::Warn, || format!("cannot flush to give back memory: {cause}"));
            }
        };
        let db = self.lend();
        let held = move || {
            // SAFETY: the database is dropped after `share`, whose end waits until this does not
            // run and will not run again.
            #[allow(unsafe_code)]
            let db = unsafe { db.get() };
            let number = |name| db.property_int_value(name).ok().flatten();
            // What waits to be flushed is not to become more, else writers would have to wait.
            match number("rocksdb.num-immutable-mem-table") {
                Some(0) => number("rocksdb.cur-size-active-mem-table").unwrap_or(0),
                _ => 0,
            }
        };
        let share = shared.buffers().share(Holder { held: Box::new(held), flush: Box::new(flush) });
        self.held.share.get_or_init(|| share);
    }

    /// Has the store flushed from now on when much was deleted, so that the space comes back.
    fn reclaim(&self) {
        let (db, error_recovery, deletions) =
            (self.lend(), self.held.error_recovery.clone(), Deletions::default());
        let counted = deletions.clone();
        let flush = move || {
            // SAFETY: the database is dropped after `reclaiming`, whose end waits until this does
            // not run and will not run again.
            #[allow(unsafe_code)]
            let db = unsafe { db.get() };
            if deletions.are_many(db)
                && let Some(Err(cause)) =
                    error_recovery.unless_resumed(|| write_buffers::begin_flush(db))
            {
                log::line(Level::Warn, || format!("cannot flush to reclaim space: {cause}"));
            }
            Ok(())
        };
        match SyncHandle::new(flush) {
            Ok(served) => drop(self.held.reclaiming.set((counted, served))),
            // The store works, and a full memtable is flushed.
            Err(error) => log::line(Level::Warn, || format!("space is reclaimed late: {error}")),
        }
    }

    /// Counts what a batch deleted.
    fn count_deletions(&self, operations: &[Operation<'_>]) {
        let keys = operations
            .iter()
            .filter(|operation| !matches!(operation, Operation::Set { .. }))
            .count();
        if keys > 0
            && let Some((deletions, served)) = self.held.reclaiming.get()
        {
            deletions.add(keys as u64);
            if operations.iter().any(|operation| operation.key().is_none()) {
                deletions.add_range();
            }
            served.written();
        }
    }

    /// Whether it is seen at once that no key is there.
    fn is_empty(&self, db: &DB) -> bool {
        let mut how = ReadOptions::default();
        how.set_max_skippable_internal_keys(LOOK_PAST);
        let mut iterator = db.raw_iterator_opt(how);
        iterator.seek_to_first();
        !iterator.valid() && iterator.status().is_ok()
    }

    /// The database for those who let go of it before the engine does.
    fn lend(&self) -> Lent {
        Lent(&raw const self.held.db)
    }

    /// Whether there is a store in `path`: the last file that RocksDB makes of a new one, and no
    /// mark that it is removed.
    fn exists(path: &Path) -> Result<bool> {
        if destroy::is_begun(path)? || wal::verify::is_before_the_first_log(path)? {
            return Ok(false);
        }
        let exists = is_there(path, "CURRENT")?;
        if !exists && path.is_dir() {
            // It may be missing.
            wal::verify::inspect(path)?;
        }
        Ok(exists)
    }

    /// Whether there is a store in `path`, or what is left of one that was half made or half
    /// removed.
    pub fn has_traces(path: &Path) -> Result<bool> {
        Ok(Survey::of(path)?.has_traces())
    }

    /// Removes the files of the store in `path`. Returns whether there was a store. Files that are
    /// not RocksDB's are left.
    pub fn destroy(path: &Path) -> Result<bool> {
        if !Disk::has_traces(path)? {
            return Ok(false);
        }
        destroy::remove(path)?;
        log::line(Level::Info, || format!("removed {}", path.display()));
        Ok(true)
    }

    /// Makes a copy of `reader` in the directory `path`, which must not be there yet.
    pub fn copy(reader: &dyn Reader, path: &Path) -> Result<()> {
        let options = Options { durability: Durability::None, ..Options::default() };
        let Some(copy) = Disk::open(path, &options, &Shared::new(&options), Box::new(()))? else {
            unreachable!("the default is to make what is missing")
        };
        let mut batch = rocksdb::WriteBatch::default();
        let write = |batch: &mut rocksdb::WriteBatch| {
            let full = std::mem::take(batch);
            copy.held
                .db
                .write_opt(full, &settings::write(Durability::None))
                .map_err(|cause| copy.failed("cannot write", cause))
        };
        let mut result = Ok(());
        let complete = reader.scan(Range::prefix(b""), &mut |key, value| {
            batch.put(key, value);
            if batch.size_in_bytes() >= COPY_BATCH {
                result = write(&mut batch);
            }
            result.is_ok()
        });
        let done = complete.and(result).and_then(|()| write(&mut batch)).and_then(|()| copy.sync());
        done.inspect_err(|_| {
            drop(copy);
            let _ = Disk::destroy(path);
        })
    }

    fn db(&self) -> Result<&DB> {
        self.check()?;
        Ok(&self.held.db)
    }

    fn failed(&self, what: &'static str, cause: rocksdb::Error) -> Error {
        failed(what, &self.path, cause)
    }

    /// The database, without the borrow that RocksDB's wrapper ties its children to.
    ///
    /// # Safety
    /// What is made from it is dropped before `self` is, or goes into a [`Pinned`].
    #[allow(unsafe_code)]
    unsafe fn unbound(&self) -> Result<&'static DB> {
        let db: *const DB = self.db()?;
        // SAFETY: the engine lives in an `Arc` and its database stays at this address until the
        // engine is dropped.
        Ok(unsafe { &*db })
    }

    /// Makes something of RocksDB's keep the engine.
    fn child<T>(&self, made: T) -> Pinned<T> {
        let Some(disk) = self.this.upgrade() else {
            unreachable!("whoever calls holds the engine")
        };
        Pinned::new(made, disk)
    }

    /// What `key` holds in the database.
    fn found(&self, key: &[u8], how: &ReadOptions) -> Result<Option<DBPinnableSlice<'static>>> {
        // SAFETY: who calls drops the slice before the engine, or makes it a child.
        #[allow(unsafe_code)]
        let db = unsafe { self.unbound()? };
        db.get_pinned_opt(key, how).map_err(|cause| self.failed("cannot read", cause))
    }

    /// What `key` holds now: seen by `row_cache` if it was read lately, else found in the database.
    fn now<R>(
        &self,
        key: &[u8],
        row_cache: impl FnOnce(&[u8]) -> Result<R>,
        found: impl FnOnce(DBPinnableSlice<'static>) -> Result<R>,
    ) -> Result<Option<R>> {
        self.check()?;
        let token = match &self.row_cache {
            Some(part) => match part.look(key, row_cache) {
                Ok(seen) => return seen.map(Some),
                Err(token) => Some((part, token)),
            },
            None => None,
        };
        let Some(slice) = self.found(key, &self.reading)? else { return Ok(None) };
        if let Some((part, token)) = token {
            part.keep(key, &slice, token);
        }
        found(slice).map(Some)
    }

    /// What was found, for somebody to keep.
    fn given(&self, found: DBPinnableSlice<'static>) -> Result<Value> {
        Ok(match found.len() {
            ..PIN_FROM => Value::Owned(Buffer::of(&found)?),
            _ => Value::Pinned(Box::new(self.child(found))),
        })
    }

    fn get_with(&self, key: &[u8], how: &ReadOptions) -> Result<Option<Value>> {
        self.op_counters.read(self.found(key, how)?).map(|found| self.given(found)).transpose()
    }

    fn get_many_with(
        &self,
        keys: &[&[u8]],
        moment: Option<&Snapshot<'_>>,
    ) -> Result<Vec<Option<Value>>> {
        let db = self.db()?;
        let mut how = ReadOptions::default();
        let now;
        match (moment, &self.role) {
            (Some(moment), _) => how.set_snapshot(moment),
            // It never changes.
            (None, Role::Reader) => {}
            (None, Role::Writer { .. }) => {
                now = db.snapshot();
                how.set_snapshot(&now);
            }
        }
        let given = |found: std::result::Result<Option<Vec<u8>>, _>| {
            let found = found.map_err(|cause| self.failed("cannot read", cause))?;
            self.op_counters
                .read(found)
                .map(|value| Buffer::of(&value).map(Value::Owned))
                .transpose()
        };
        db.multi_get_opt(keys, &how).into_iter().map(given).collect()
    }

    fn contains_with(&self, key: &[u8], how: &ReadOptions) -> Result<bool> {
        Ok(self.op_counters.read(self.found(key, how)?).is_some())
    }

    fn cursor_at(
        &self,
        range: Range,
        moment: Option<Arc<Pinned<Snapshot<'static>>>>,
    ) -> Result<Box<dyn Cursor>> {
        let mut how = ReadOptions::default();
        if let Some(moment) = &moment {
            how.set_snapshot(&**moment);
        }
        if let Some(end) = &range.end {
            how.set_iterate_upper_bound(end.clone());
        }
        if !range.start.is_empty() {
            how.set_iterate_lower_bound(range.start.clone());
        }
        // SAFETY: the iterator becomes a child.
        #[allow(unsafe_code)]
        let iterator = unsafe { self.unbound()? }.raw_iterator_opt(how);
        Ok(Box::new(DiskCursor::new(self.child(iterator), moment)))
    }
}

impl Reader for Disk {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        let found =
            self.now(key, |bytes| Buffer::of(bytes).map(Value::Owned), |found| self.given(found))?;
        Ok(self.op_counters.read(found))
    }

    fn look(&self, key: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let see = RefCell::new(see);
        let show = |bytes: &[u8]| {
            see.borrow_mut()(bytes);
            Ok(())
        };
        Ok(self.op_counters.read(self.now(key, show, |found| show(&found))?).is_some())
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        Ok(self.op_counters.read(self.now(key, |_| Ok(()), |_| Ok(()))?).is_some())
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        self.get_many_with(keys, None)
    }

    fn cursor(&self, range: Range) -> Result<Box<dyn Cursor>> {
        self.cursor_at(range, None)
    }
}

impl Engine for Disk {
    fn apply(&self, batch: &WriteBatch<'_>) -> Result<Outcome> {
        let db = self.db()?;
        let Role::Writer { how, .. } = &self.role else {
            return Err(
                Error::new(Kind::Denied, "the store was opened for reading only").at(&self.path)
            );
        };
        let _held = self.key_locks.lock(batch);
        let listed;
        let batch = if batch.operations.iter().any(|operation| operation.key().is_none()) {
            listed = delete_range::list(db, batch.operations);
            &WriteBatch { operations: &listed.operations(batch.operations), ..*batch }
        } else {
            batch
        };
        for expectation in batch.expectations {
            let conflict = self.now(
                expectation.key(),
                |bytes| Ok(expectation.conflict(Some(bytes))),
                |found| Ok(expectation.conflict(Some(&found))),
            )?;
            if let Some(conflict) = conflict.unwrap_or_else(|| expectation.conflict(None)) {
                return Ok(Outcome::Refused(conflict));
            }
        }
        // What only deletes is not refused: the reserve is for that.
        let sets =
            batch.operations.iter().any(|operation| matches!(operation, Operation::Set { .. }));
        self.held.error_recovery.admit(
            db,
            batch.operations.iter().map(size_in_the_log).sum(),
            sets,
        )?;
        let writing = self.row_cache.as_ref().map(|part| part.writing(batch));
        self.held.error_recovery.attempt(db, "cannot write", |db| match batch.operations {
            [] => Ok(()),
            [Operation::Set { key, value }] => db.put_opt(key, value, how),
            [Operation::Delete { key }] => db.delete_opt(key, how),
            operations => db.write_opt(collected(operations), how),
        })?;
        if let Some(writing) = writing {
            writing.done(batch);
        }
        if let Some(served) = self.held.served.get() {
            served.written();
        }
        if let Some(share) = self.held.share.get() {
            share.written();
        }
        self.held.error_recovery.written(db);
        self.count_deletions(batch.operations);
        self.op_counters.wrote(batch.operations.len());
        Ok(Outcome::Applied)
    }

    fn snapshot(&self) -> Result<Arc<dyn Reader>> {
        // SAFETY: the snapshot becomes a child.
        #[allow(unsafe_code)]
        let snapshot = unsafe { self.unbound()? }.snapshot();
        Ok(Arc::new(DiskSnapshot::new(self.child(snapshot))))
    }

    fn check(&self) -> Result<()> {
        if self.birth.is_here() {
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

impl Maintenance for Disk {
    fn sync(&self) -> Result<()> {
        let db = self.db()?;
        // What is synced must be found when the store is opened again.
        self.held.rights.as_ref().map_or(Ok(()), |rights| rights.claim.place().check())?;
        let error_recovery = &self.held.error_recovery;
        match &self.role {
            Role::Reader => Ok(()),
            // Without a log, what was written is brought to a table file.
            Role::Writer { durability: Durability::None, .. } => {
                error_recovery.attempt_apart(db, "cannot sync", DB::flush)
            }
            Role::Writer { .. } => {
                error_recovery.attempt_apart(db, "cannot sync", |db| db.flush_wal(true))
            }
        }
    }

    fn compact(&self) -> Result<()> {
        let db = self.db()?;
        match &self.role {
            Role::Writer { how, .. } => self.held.error_recovery.compact(db, how),
            Role::Reader => {
                Err(Error::new(Kind::Denied, "the store was opened for reading only")
                    .at(&self.path))
            }
        }
    }

    fn checkpoint(&self, path: &Path) -> Result<bool> {
        // RocksDB reads its files again for this.
        Survey::of(&self.path)?;
        let copy = |cause| failed("cannot make the copy", path, cause);
        Checkpoint::new(self.db()?).map_err(copy)?.create_checkpoint(path).map_err(copy)?;
        Ok(true)
    }

    fn stats(&self) -> Result<Stats> {
        let db = self.db()?;
        let number = |name: &str| db.property_int_value(name).ok().flatten().unwrap_or(0);
        let logs_and_memory = number("rocksdb.cur-size-all-mem-tables");
        Ok(Stats {
            // The estimate does not know what a range tombstone deletes.
            keys: if self.is_empty(db) { 0 } else { number("rocksdb.estimate-num-keys") },
            bytes: number("rocksdb.estimate-live-data-size")
                + number("rocksdb.cur-size-active-mem-table"),
            disk_bytes: size_of_files(&self.path),
            memory_bytes: logs_and_memory + number("rocksdb.estimate-table-readers-mem"),
            ..self.op_counters.stats()
        })
    }

    fn property(&self, name: &str) -> Result<Option<String>> {
        self.db()?.property_value(name).map_err(|cause| self.failed("cannot tell", cause))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.birth.is_here() {
            log::line(Level::Info, || format!("closing {}", self.path.display()));
            // SAFETY: dropped once, here, and not used afterwards.
            #[allow(unsafe_code)]
            unsafe {
                ManuallyDrop::drop(&mut self.held);
            }
        }
    }
}

/// Operations as RocksDB takes them.
fn collected(operations: &[Operation<'_>]) -> rocksdb::WriteBatch {
    let mut writes = rocksdb::WriteBatch::default();
    for operation in operations {
        match *operation {
            Operation::Set { key, value } => writes.put(key, value),
            Operation::Delete { key } => writes.delete(key),
            Operation::DeleteRange { start, end } => {
                let end = end.unwrap_or(&delete_range::BEHIND_ALL);
                // RocksDB takes a range that ends before it begins into its log, and then stops for
                // good.
                if start < end {
                    writes.delete_range(start, end);
                }
            }
        }
    }
    writes
}

/// About how much an operation takes in the log, in bytes.
fn size_in_the_log(operation: &Operation<'_>) -> usize {
    const HEAD: usize = 32;
    HEAD + match operation {
        Operation::Set { key, value } => key.len() + value.len(),
        Operation::Delete { key } => key.len(),
        Operation::DeleteRange { start, end } => start.len() + end.map_or(0, <[u8]>::len),
    }
}

fn is_there(directory: &Path, name: &str) -> Result<bool> {
    let there = directory.join(name).try_exists();
    there.map_err(|cause| Error::io("cannot look for the store", cause).at(directory))
}

/// What the files of a store take. Files that go meanwhile count as nothing.
fn size_of_files(path: &Path) -> u64 {
    let entries = fs::read_dir(path).into_iter().flatten();
    entries
        .filter_map(|entry| entry.ok()?.metadata().ok())
        .filter(|about| about.is_file())
        .map(|about| about.len())
        .sum()
}
