//! Recovery from write errors: resumes the database after an error of the file system.
//!
//! When a write fails, RocksDB halts the database: it takes no more writes, because it cannot know
//! what is in the file. All acknowledged writes are in memory and in the log. Resuming flushes the
//! memtables to a new table file and starts a new log, so no file in which a write failed is needed
//! any more. A call that finds the database halted resumes it here, so the store works again as
//! soon as the cause is removed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use librocksdb_sys::{rocksdb_options_t, rocksdb_t};
use rocksdb::{AsRawPtr, DB, ErrorKind, WriteOptions};

use super::errors::{call_cpp, io_error, is_no_space, rocksdb_error};
use super::int_property;
use super::lock::StoreDir;
use super::space_reserve::{DiskLoad, Reserve};
use crate::error::{Error, Result};
use crate::sys::descriptors::above_streams;
use crate::sys::locks::RwLock;
use crate::sys::log::{self, Level};
use crate::sys::signals;

/// After a failed resume, the next one is attempted once a file of the needed size can be created,
/// or after this long: memtables may be smaller once they are compressed.
const RESUME_INTERVAL: Duration = Duration::from_secs(5);

/// RocksDB's texts for a file in which an earlier write failed. They do not name the cause.
const REPEATED: [&str; 2] = ["Writer has previous error", "Seen error"];

/// Memtables of at least this many bytes are flushed to free the space of their log on a full disk.
const MIN_FLUSH: u64 = 256 << 10;

/// The time that a write waits for a compaction that takes space on a full disk.
const COMPACTION_WAIT: Duration = Duration::from_secs(2);

/// The bytes of a table file, a log and a manifest besides the contents of the memtables.
const FILE_OVERHEAD: u64 = 64 << 10;

// See error_recovery.cc.
#[allow(unsafe_code)]
unsafe extern "C" {
    fn kvds_rocksdb_listen(options: *mut rocksdb_options_t, compaction_space: *mut u64);
    fn kvds_rocksdb_enable_compactions(
        database: *mut rocksdb_t,
        text: *mut u8,
        capacity: usize,
    ) -> usize;
    fn kvds_rocksdb_compact(database: *mut rocksdb_t, text: *mut u8, capacity: usize) -> usize;
    fn kvds_rocksdb_prepare_resume(
        database: *mut rocksdb_t,
        text: *mut u8,
        capacity: usize,
    ) -> usize;
    fn kvds_rocksdb_resume(database: *mut rocksdb_t, text: *mut u8, capacity: usize) -> usize;
}

type DatabaseFunction = unsafe extern "C" fn(*mut rocksdb_t, *mut u8, usize) -> usize;

/// Calls a function of error_recovery.cc.
fn call(function: DatabaseFunction, db: &DB) -> std::result::Result<(), String> {
    call_cpp(|text, capacity| {
        // SAFETY: the database is live, and `text` is writable for `capacity` bytes. These
        // functions require no more.
        #[allow(unsafe_code)]
        signals::blocked(|| unsafe { function(db.as_raw_ptr(), text, capacity) })
    })
}

/// The free bytes that compactions wait for, or 0 while they run. It outlives the database.
pub type CompactionSpace = Arc<AtomicU64>;

/// Makes every error of the file system recoverable, and leaves the recovery to this module.
pub fn listen(options: &rocksdb::Options) -> CompactionSpace {
    let space = CompactionSpace::default();
    // SAFETY: the options are live and not used by others meanwhile. The number outlives the
    // database.
    #[allow(unsafe_code)]
    unsafe {
        kvds_rocksdb_listen(options.as_raw_ptr(), space.as_ptr());
    }
    space
}

/// Returns the bytes in the memtables and in the tables of a database.
pub fn disk_load(db: &DB) -> DiskLoad {
    DiskLoad {
        in_memory: int_property(db, "rocksdb.cur-size-all-mem-tables"),
        in_tables: int_property(db, "rocksdb.total-sst-files-size"),
    }
}

/// Resumes the database of one store.
pub struct ErrorRecovery {
    path: PathBuf,
    /// Locked exclusively during a resume, and shared by work that must not run beside one.
    failures: RwLock<Failures>,
    /// `None` if the store was opened for reading only.
    space: Option<DiskSpace>,
}

/// The directory of a writer, and what it does when the disk is full.
pub struct DiskSpace {
    pub dir: StoreDir,
    pub reserve: Reserve,
    pub compaction_space: CompactionSpace,
}

#[derive(Default)]
struct Failures {
    /// The time of the last resume, if it failed.
    resume_failed: Option<Instant>,
    /// RocksDB's text for the last error that named a cause.
    cause: String,
}

impl Failures {
    /// Stores the text of an error, unless it only repeats an earlier error. Returns the text that
    /// names the cause.
    fn record(&mut self, text: &str) -> String {
        if self.cause.is_empty() || !REPEATED.iter().any(|repeated| text.contains(repeated)) {
            text.clone_into(&mut self.cause);
        }
        self.cause.clone()
    }
}

impl ErrorRecovery {
    /// Creates the recovery of the database in the directory `path`.
    pub fn new(path: &Path, space: Option<DiskSpace>) -> ErrorRecovery {
        ErrorRecovery { path: path.to_path_buf(), failures: RwLock::default(), space }
    }

    /// Returns the directory of the database.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reserves disk space for a write of `bytes`. Fails only a write that is `refusable`.
    #[inline]
    pub fn reserve_space(&self, db: &DB, bytes: usize, refusable: bool) -> Result<()> {
        let Some(space) = &self.space else { return Ok(()) };
        match space.reserve.reserve(bytes as u64, || disk_load(db)) {
            Err(cause) if refusable => self.free_space(db, space, bytes as u64, cause),
            _ => Ok(()),
        }
    }

    /// Tries to free disk space for a write that `refusal` would fail.
    #[cold]
    fn free_space(&self, db: &DB, space: &DiskSpace, bytes: u64, refusal: io::Error) -> Result<()> {
        // A compaction frees the space that it takes in the end.
        let start = Instant::now();
        let is_compacting = || {
            db.property_int_value("rocksdb.num-running-compactions")
                .is_ok_and(|count| count != Some(0))
        };
        while is_compacting() && start.elapsed() < COMPACTION_WAIT {
            thread::sleep(Duration::from_millis(5));
            if space.reserve.reserve(bytes, || disk_load(db)).is_ok() {
                return Ok(());
            }
        }
        // A flush frees the log of the memtables and the reserve for them.
        if disk_load(db).in_memory >= MIN_FLUSH {
            self.retry_apart_from_resume(db, "cannot write", DB::flush)?;
            if space.reserve.reserve(bytes, || disk_load(db)).is_ok() {
                return Ok(());
            }
        }
        Err(Error::io("cannot write", refusal).at(&self.path))
    }

    /// Enables compactions again if a full disk stopped them and there is space by now.
    #[inline]
    pub fn resume_compactions(&self, db: &DB) {
        if let Some(space) = &self.space
            && space.compaction_space.load(Relaxed) != 0
        {
            self.enable_compactions(db, space);
        }
    }

    #[cold]
    fn enable_compactions(&self, db: &DB, space: &DiskSpace) {
        let needed = space.compaction_space.load(Relaxed);
        if space.reserve.free_space() > needed
            && space.compaction_space.swap(0, Relaxed) != 0
            && let Err(cause) = call(kvds_rocksdb_enable_compactions, db)
        {
            log::line(Level::Warn, || {
                format!("cannot compact in the background ({}): {cause}", self.path.display())
            });
            space.compaction_space.store(needed, Relaxed);
        }
    }

    /// Compacts all tables. Without space for that, leaves them as they are.
    pub fn compact(&self, db: &DB, options: &WriteOptions) -> Result<()> {
        let what = "cannot compact";
        let compact = |db: &DB| {
            db.flush()?;
            let mut result = call(kvds_rocksdb_compact, db);
            if let (Err(text), Some(space)) = (&result, &self.space)
                && is_no_space(&self.path, text)
            {
                space.reserve.release();
                result = call(kvds_rocksdb_compact, db);
            }
            if let Err(text) = &result
                && !is_no_space(&self.path, text)
            {
                // An empty write returns the error of a halted database.
                db.write_opt(rocksdb::WriteBatch::default(), options)?;
            }
            Ok(result)
        };
        match self.retry_apart_from_resume(db, what, compact)? {
            Err(text) if is_no_space(&self.path, &text) => {
                let path = self.path.display();
                log::line(Level::Warn, || {
                    format!("not everything is compacted, the disk is full ({path}): {text}")
                });
            }
            Err(text) => return Err(io_error(what, &self.path, text)),
            Ok(()) => {}
        }
        if let Some(space) = &self.space {
            space.reserve.refill(disk_load(db));
        }
        self.resume_compactions(db);
        Ok(())
    }

    /// Does `work`. After an error of the file system, resumes the database and does it again.
    ///
    /// Doing it again is safe: no file in which it failed is used any more. It is retried once, so
    /// that a disk that always fails makes the call fail.
    #[inline]
    pub fn retry<T>(
        &self,
        db: &DB,
        what: &'static str,
        work: impl Fn(&DB) -> std::result::Result<T, rocksdb::Error>,
    ) -> Result<T> {
        let first = match work(db) {
            Ok(done) => return Ok(done),
            Err(cause) => self.io_cause(what, cause)?,
        };
        log::line(Level::Warn, || {
            format!("{what} ({}), trying to recover: {first}", self.path.display())
        });
        self.resume(db, what)?;
        work(db).or_else(|cause| Err(io_error(what, &self.path, self.io_cause(what, cause)?)))
    }

    /// Like [`ErrorRecovery::retry`], for work that does not run during a resume: a sync, a flush
    /// or a compaction. A resume waits for it, and it waits for a resume.
    pub fn retry_apart_from_resume<T>(
        &self,
        db: &DB,
        what: &'static str,
        work: impl Fn(&DB) -> std::result::Result<T, rocksdb::Error>,
    ) -> Result<T> {
        self.retry(db, what, |db| {
            let _no_resume = self.failures.read();
            work(db)
        })
    }

    /// Does `work`, or returns `None` during a resume.
    pub fn unless_resuming<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let _no_resume = self.failures.try_read()?;
        Some(work())
    }

    /// Returns why the file system failed. Any other error is returned as one, because resuming
    /// does not help.
    #[cold]
    fn io_cause(&self, what: &'static str, cause: rocksdb::Error) -> Result<String> {
        match cause.kind() {
            ErrorKind::IOError => Ok(self.failures.write().record(cause.as_ref())),
            _ => Err(rocksdb_error(what, &self.path, cause)),
        }
    }

    /// Resumes the database if it is halted.
    #[cold]
    fn resume(&self, db: &DB, what: &'static str) -> Result<()> {
        // A database whose directory is not in place creates no files.
        self.space.as_ref().map_or(Ok(()), |space| space.dir.check_in_place())?;
        let mut failures = self.failures.write();
        // Nothing runs in the background from here on, so nothing else takes the released space.
        let mut resumed = call(kvds_rocksdb_prepare_resume, db);
        let space = self.space.as_ref().filter(|_| is_no_space(&self.path, &failures.cause));
        if let Some(space) = space {
            space.reserve.release();
        }
        // A failed resume takes up to a second, and leaves one more memtable for reads to search.
        let mut space_check = Ok(());
        if failures.resume_failed.is_some_and(|time| time.elapsed() < RESUME_INTERVAL) {
            space_check = check_space(disk_load(db).in_memory + FILE_OVERHEAD, &self.path);
        }
        if space_check.is_ok() {
            resumed = resumed.and_then(|()| call(kvds_rocksdb_resume, db));
            failures.resume_failed = resumed.is_err().then(Instant::now);
        }
        if let Some(space) = space {
            space.reserve.refill(disk_load(db));
        }
        space_check.map_err(|cause| Error::io(what, cause).at(&self.path))?;
        resumed.map_err(|text| io_error(what, &self.path, failures.record(&text)))
    }
}

/// Fails unless a file of `bytes` can be created in `directory`.
///
/// The name is one of RocksDB's for temporary files, so RocksDB removes the file after a crash.
fn check_space(bytes: u64, directory: &Path) -> io::Result<()> {
    let path = directory.join("000000.dbtmp");
    let mut file = File::create(&path).and_then(above_streams)?;
    let len = libc::off_t::try_from(bytes).unwrap_or(libc::off_t::MAX);
    // SAFETY: the file is open.
    #[allow(unsafe_code)]
    let result = match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, len) } {
        0 => file.write_all(&[0]).and_then(|()| file.sync_all()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    };
    drop(file);
    let _ = fs::remove_file(&path);
    result
}
