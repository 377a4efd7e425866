//! The engine on disk: RocksDB, one database per store.
//!
//! RocksDB gives atomic batches, snapshots and iterators over one moment. What is added here: conditions that hold against
//! plain writes ([`Stripes`]), one owner per directory also within the process ([`Claim`]), children (values, cursors,
//! snapshots) that keep the database open, and nothing done to files after a fork.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rocksdb::{
    BlockBasedOptions, DB, DBCompressionType, DBPinnableSlice, DBRawIterator, Env, ErrorKind, LogLevel, Options,
    ReadOptions, Snapshot,
};

use super::stripes::Stripes;
use super::{Cursor, Engine, Lease, MAX_KEY_LEN, Range, Reader, Value};
use crate::batch::{Operation, Outcome, WriteBatch};
use crate::error::{Error, Kind, Result};
use crate::fork::{self, Birth};

/// From this many bytes on, a value is handed out where RocksDB has it instead of copied. A pinned value keeps its block in
/// memory and the database open, which is not worth it for a small part of a block: docs/decisions/0003-pinned-values.md.
const PIN_FROM: usize = 4 << 10;

/// An ordered store in a directory.
pub struct Disk {
    // Neither dropped nor touched after a fork, hence the ManuallyDrop.
    held: ManuallyDrop<Opened>,
    path: PathBuf,
    stripes: Stripes,
    birth: Birth,
    this: Weak<Disk>,
}

/// In the order in which it must go: first the database is closed, then the directory is free for others in this process,
/// then those who wait for that are told.
struct Opened {
    db: DB,
    _claim: Claim,
    _lease: Lease,
}

impl Disk {
    /// Whether this build has the engine: it does.
    pub fn available() -> Result<()> {
        Ok(())
    }

    /// Opens the store in the directory `path`; makes it, and the directories above it, if it is not there. `lease` is
    /// dropped when the store and all it handed out is closed.
    pub fn open(path: &Path, lease: Lease) -> Result<Arc<Disk>> {
        if path.to_str().is_none() {
            return Err(Error::invalid("the path is not UTF-8").at(path));
        }
        wake_threads_after_fork()?;
        let base = path.parent().unwrap_or(path);
        fs::create_dir_all(base).map_err(|cause| Error::io("cannot make the base directory", cause).at(base))?;
        let made = match fs::create_dir(path) {
            Ok(()) => true,
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => false,
            Err(cause) => return Err(Error::io("cannot make the store's directory", cause).at(path)),
        };
        let claim = Claim::new(path)?;
        let own_path = spelt_for_this_process(path);
        let db = DB::open(&options(), &own_path).map_err(|cause| {
            let error = failed("cannot open the store", cause).at(path);
            // Leave nothing half made behind. RocksDB's own clean-up takes the lock first, so that it removes nothing that
            // another process has made its own in the meantime.
            if made && error.kind() != Kind::Locked && DB::destroy(&options(), &own_path).is_err() {
                let _ = fs::remove_dir(path);
            }
            error
        })?;
        Ok(Arc::new_cyclic(|this| Disk {
            held: ManuallyDrop::new(Opened { db, _claim: claim, _lease: lease }),
            path: path.to_path_buf(),
            stripes: Stripes::new(),
            birth: Birth::here(),
            this: this.clone(),
        }))
    }

    /// Removes the files of the store in `path`. Returns whether there was a store. Files that are not RocksDB's are left.
    pub fn destroy(path: &Path) -> Result<bool> {
        let cannot = |cause| Error::io("cannot look for the store", cause).at(path);
        // The lock file is the first that RocksDB makes and the last that it removes.
        if !path.join("LOCK").try_exists().map_err(cannot)? && !path.join("CURRENT").try_exists().map_err(cannot)? {
            return Ok(false);
        }
        // Held while the files go, so that nobody opens them meanwhile.
        let _claim = Claim::new(path)?;
        DB::destroy(&options(), spelt_for_this_process(path))
            .map_err(|cause| failed("cannot remove the store", cause).at(path))?;
        Ok(true)
    }

    fn db(&self) -> Result<&DB> {
        self.check()?;
        Ok(&self.held.db)
    }

    fn failed(&self, what: &'static str, cause: rocksdb::Error) -> Error {
        failed(what, cause).at(&self.path)
    }

    /// The database, without the borrow that RocksDB's wrapper ties its children to.
    ///
    /// # Safety
    /// What is made from it is dropped before `self` is, or goes into a [`Child`].
    #[allow(unsafe_code)]
    unsafe fn unbound(&self) -> Result<&'static DB> {
        let db: *const DB = self.db()?;
        // SAFETY: the engine lives in an `Arc` and its database stays at this address until the engine is dropped.
        Ok(unsafe { &*db })
    }

    /// Makes something of RocksDB's keep the engine.
    fn child<T>(&self, made: T) -> Child<T> {
        let Some(disk) = self.this.upgrade() else { unreachable!("whoever calls holds the engine") };
        Child { made: ManuallyDrop::new(made), disk }
    }

    fn get_with(&self, key: &[u8], how: &ReadOptions) -> Result<Option<Value>> {
        // SAFETY: the slice is dropped here or becomes a child.
        #[allow(unsafe_code)]
        let db = unsafe { self.unbound()? };
        let found = db.get_pinned_opt(key, how).map_err(|cause| self.failed("cannot read", cause))?;
        Ok(found.map(|found| match found.len() {
            ..PIN_FROM => Value::Owned((*found).into()),
            _ => Value::Pinned(Box::new(self.child(found))),
        }))
    }

    fn get_many_with(
        &self,
        keys: &[&[u8]],
        mut how: ReadOptions,
        moment: Option<&Snapshot<'_>>,
    ) -> Result<Vec<Option<Value>>> {
        let db = self.db()?;
        let now;
        how.set_snapshot(match moment {
            Some(moment) => moment,
            None => {
                now = db.snapshot();
                &now
            }
        });
        let found = db.multi_get_opt(keys, &how).into_iter();
        found
            .map(|found| found.map(|found| found.map(|value| Value::Owned(value.into()))))
            .collect::<std::result::Result<_, _>>()
            .map_err(|cause| self.failed("cannot read", cause))
    }

    fn contains_with(&self, key: &[u8], how: &ReadOptions) -> Result<bool> {
        let found = self.db()?.get_pinned_opt(key, how).map_err(|cause| self.failed("cannot read", cause))?;
        Ok(found.is_some())
    }

    fn cursor_at(&self, range: Range, moment: Option<Arc<Child<Snapshot<'static>>>>) -> Result<Box<dyn Cursor>> {
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
        Ok(Box::new(Position { iterator: self.child(iterator), _moment: moment }))
    }
}

impl Reader for Disk {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.get_with(key, &ReadOptions::default())
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        self.contains_with(key, &ReadOptions::default())
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        self.get_many_with(keys, ReadOptions::default(), None)
    }

    fn cursor(&self, range: Range) -> Result<Box<dyn Cursor>> {
        self.cursor_at(range, None)
    }
}

impl Engine for Disk {
    fn apply(&self, batch: &WriteBatch<'_>) -> Result<Outcome> {
        let db = self.db()?;
        let _held = self.stripes.lock(batch);
        for expectation in batch.expectations {
            let found = db.get_pinned(expectation.key()).map_err(|cause| self.failed("cannot read", cause))?;
            if let Some(refusal) = expectation.refusal(found.as_deref()) {
                return Ok(Outcome::Refused(refusal));
            }
        }
        match batch.operations {
            [] => Ok(()),
            [Operation::Set { key, value }] => db.put(key, value),
            [Operation::Delete { key }] => db.delete(key),
            operations => {
                let mut writes = rocksdb::WriteBatch::default();
                for operation in operations {
                    match operation {
                        Operation::Set { key, value } => writes.put(key, value),
                        Operation::Delete { key } => writes.delete(key),
                        // RocksDB wants an end: the first key that is too long to be one.
                        Operation::DeleteRange { start, end: None } => {
                            writes.delete_range(*start, &[0xFF; MAX_KEY_LEN + 1][..])
                        }
                        Operation::DeleteRange { start, end: Some(end) } if start >= end => {}
                        Operation::DeleteRange { start, end: Some(end) } => writes.delete_range(start, end),
                    }
                }
                db.write(writes)
            }
        }
        .map_err(|cause| self.failed("cannot write", cause))?;
        Ok(Outcome::Applied)
    }

    fn snapshot(&self) -> Result<Arc<dyn Reader>> {
        // SAFETY: the snapshot becomes a child.
        #[allow(unsafe_code)]
        let snapshot = unsafe { self.unbound()? }.snapshot();
        Ok(Arc::new(Moment(Arc::new(self.child(snapshot)))))
    }

    fn check(&self) -> Result<()> {
        if self.birth.is_here() {
            return Ok(());
        }
        Err(Error::new(Kind::Forked, "the store came through fork(); open it with a distributor of this process")
            .at(&self.path))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.birth.is_here() {
            // SAFETY: dropped once, here, and not used afterwards.
            #[allow(unsafe_code)]
            unsafe {
                ManuallyDrop::drop(&mut self.held);
            }
        }
    }
}

/// Something of RocksDB's that must go before the database does, and the engine that it keeps for that. After a fork it is
/// left alone: even letting go of an iterator can remove files.
struct Child<T> {
    made: ManuallyDrop<T>,
    disk: Arc<Disk>,
}

impl<T> Deref for Child<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.made
    }
}

impl<T> Drop for Child<T> {
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

impl AsRef<[u8]> for Child<DBPinnableSlice<'static>> {
    fn as_ref(&self) -> &[u8] {
        &self.made
    }
}

/// The store at one moment.
struct Moment(Arc<Child<Snapshot<'static>>>);

impl Moment {
    fn how(&self) -> ReadOptions {
        let mut how = ReadOptions::default();
        how.set_snapshot(&**self.0);
        how
    }
}

impl Reader for Moment {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.0.disk.get_with(key, &self.how())
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        self.0.disk.contains_with(key, &self.how())
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        self.0.disk.get_many_with(keys, ReadOptions::default(), Some(&self.0))
    }

    fn cursor(&self, range: Range) -> Result<Box<dyn Cursor>> {
        self.0.disk.cursor_at(range, Some(self.0.clone()))
    }
}

struct Position {
    iterator: Child<DBRawIterator<'static>>,
    _moment: Option<Arc<Child<Snapshot<'static>>>>,
}

impl Position {
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

impl Cursor for Position {
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

/// The right to a directory within this process. RocksDB's own lock keeps other processes out; within a process it compares
/// paths as text, so that two names of one directory would pass it.
struct Claim(Directory);

/// A directory, whatever it is called, in this process and not in the one it was forked from: generation, device, inode.
type Directory = (u32, u64, u64);

static CLAIMED: Mutex<BTreeSet<Directory>> = Mutex::new(BTreeSet::new());

impl Claim {
    fn new(path: &Path) -> Result<Claim> {
        let about =
            fs::metadata(path).map_err(|cause| Error::io("cannot look at the store's directory", cause).at(path))?;
        if !about.is_dir() {
            return Err(Error::io("cannot use the store's directory", io::ErrorKind::NotADirectory.into()).at(path));
        }
        let directory = (fork::generation(), about.dev(), about.ino());
        if CLAIMED.lock().insert(directory) {
            return Ok(Claim(directory));
        }
        Err(Error::new(
            Kind::Locked,
            "another distributor of this process has the store open, or something it handed out",
        )
        .at(path))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        CLAIMED.lock().remove(&self.0);
    }
}

fn options() -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_bloom_filter(10.0, false);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_block_based_table_factory(&blocks);
    options.set_compression_type(DBCompressionType::Lz4);
    // A short history of warnings, rather than a diary that grows.
    options.set_log_level(LogLevel::Warn);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(1 << 20);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options
}

/// RocksDB's background threads are shared by all databases of a process, and a fork leaves them behind while their pool
/// still counts them. A larger pool starts new ones, without which a database opened in the child could never flush.
fn wake_threads_after_fork() -> Result<()> {
    static WOKEN: AtomicU32 = AtomicU32::new(0);
    let generation = fork::generation();
    if WOKEN.swap(generation, Relaxed) != generation {
        let mut threads = Env::new().map_err(|cause| failed("cannot start RocksDB's threads", cause))?;
        let count = 2 * (generation as i32 + 1);
        threads.set_low_priority_background_threads(count);
        threads.set_high_priority_background_threads(count);
    }
    Ok(())
}

/// The path as RocksDB gets it. A forked child inherits RocksDB's list of the paths that are locked in its process, and nobody
/// there will ever unlock them; under another spelling the child asks the lock file itself, which knows the truth.
fn spelt_for_this_process(path: &Path) -> PathBuf {
    let mut spelling = path.to_path_buf();
    for _ in 0..fork::generation() {
        spelling.push(".");
    }
    spelling
}

/// What one of RocksDB's errors means for the caller. RocksDB's C interface gives errors as text; its beginning is the code.
fn failed(what: &'static str, cause: rocksdb::Error) -> Error {
    let text = cause.as_ref();
    let says = |errno| text.contains(&system_text(errno));
    let kind = match cause.kind() {
        ErrorKind::Corruption => Kind::Corruption,
        ErrorKind::NotSupported => Kind::Unsupported,
        ErrorKind::InvalidArgument => Kind::InvalidArgument,
        ErrorKind::IOError if text.contains("While lock file") || text.contains("lock hold by current process") => {
            return Error::new(Kind::Locked, "another process has the store open").because(cause);
        }
        ErrorKind::IOError if text.starts_with("IO error: No space left on device") => Kind::NoSpace,
        ErrorKind::IOError if says(libc::ENOSPC) || says(libc::EDQUOT) || says(libc::EFBIG) => Kind::NoSpace,
        ErrorKind::IOError => Kind::Io,
        ErrorKind::Busy | ErrorKind::TimedOut | ErrorKind::TryAgain | ErrorKind::Incomplete => Kind::Busy,
        ErrorKind::Aborted if text.contains("Memory limit") => Kind::NoMemory,
        ErrorKind::NotFound
        | ErrorKind::MergeInProgress
        | ErrorKind::ShutdownInProgress
        | ErrorKind::Aborted
        | ErrorKind::Expired
        | ErrorKind::CompactionTooLarge
        | ErrorKind::ColumnFamilyDropped
        | ErrorKind::Unknown => Kind::Internal,
    };
    Error::new(kind, what).because(cause)
}

/// How the system words an error, in the language that RocksDB got it in.
fn system_text(errno: i32) -> String {
    let text = io::Error::from_raw_os_error(errno).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
