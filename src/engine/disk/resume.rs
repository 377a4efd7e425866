//! Going on after an error of the file system.
//!
//! When a write fails, RocksDB halts the database: it takes no more writes, as it cannot know what is in the file. What was
//! acknowledged is in memory and in the log. Resuming brings what is in memory to a new table file and begins a new log, so
//! that the files in which writing failed are not needed any more. Here a call that finds the database halted resumes it, so
//! that it works again as soon as the cause is gone.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use librocksdb_sys::{rocksdb_options_t, rocksdb_t};
use rocksdb::{AsRawPtr, DB, ErrorKind};

use super::claim::Place;
use super::errors::{failed, file_system_failed, told};
use crate::error::{Error, Result};
use crate::files::above_streams;
use crate::locks::RwLock;
use crate::log::{self, Level};
use crate::signals;

/// After resuming has failed, it is tried again when a file of the size that is needed can be made. If none can, it is tried
/// again after this long: what is in memory may be smaller when it is compressed.
const PATIENCE: Duration = Duration::from_secs(5);

/// What RocksDB says of a file in which writing has failed before, instead of why.
const REPEATED: [&str; 2] = ["Writer has previous error", "Seen error"];

/// What a table file, a log and a list of table files take beside what is in memory.
const BESIDE: u64 = 64 << 10;

// See resume.cc.
#[allow(unsafe_code)]
unsafe extern "C" {
    fn kvds_rocksdb_listen(options: *mut rocksdb_options_t);
    fn kvds_rocksdb_resume(database: *mut rocksdb_t, text: *mut u8, capacity: usize) -> usize;
}

/// Has RocksDB take every error of the file system for one that can be resumed from, and leave that to us.
pub fn prepare(options: &rocksdb::Options) {
    // SAFETY: the options are live, and used by nobody else meanwhile.
    #[allow(unsafe_code)]
    unsafe {
        kvds_rocksdb_listen(options.as_raw_ptr());
    }
}

/// What there is to know for resuming the database of a store.
pub struct Resumption {
    path: PathBuf,
    /// Of a writer: where its files are.
    place: Option<Place>,
    /// Locked while the database is resumed, and shared by what does not go with that.
    past: RwLock<Past>,
}

#[derive(Default)]
struct Past {
    /// When resuming failed, if it did so the last time.
    failed: Option<Instant>,
    /// What RocksDB said of the last error.
    cause: String,
}

impl Past {
    /// Remembers the text of an error. If it only says that there was one before, it becomes the text of that.
    fn remember(&mut self, text: &str) -> String {
        if self.cause.is_empty() || !REPEATED.iter().any(|repeated| text.contains(repeated)) {
            text.clone_into(&mut self.cause);
        }
        self.cause.clone()
    }
}

impl Resumption {
    /// For the database in the directory `path`.
    pub fn new(path: &Path, place: Option<Place>) -> Resumption {
        Resumption { path: path.to_path_buf(), place, past: RwLock::default() }
    }

    /// Does `work`. If the file system fails or has failed before, resumes the database and does it again: what failed is in
    /// no file that counts any more. Once, so that a disk that fails for ever fails the call.
    #[inline]
    pub fn attempt<T>(
        &self,
        db: &DB,
        what: &'static str,
        work: impl Fn(&DB) -> std::result::Result<T, rocksdb::Error>,
    ) -> Result<T> {
        let first = match work(db) {
            Ok(done) => return Ok(done),
            Err(cause) => self.explain(what, cause)?,
        };
        log::line(Level::Warn, || format!("{what} ({}), trying to go on: {first}", self.path.display()));
        self.resume(db, what)?;
        work(db).or_else(|cause| Err(file_system_failed(what, &self.path, self.explain(what, cause)?)))
    }

    /// The same for what syncs, flushes or compacts: resuming waits until it is done, and it waits for resuming.
    pub fn attempt_apart<T>(
        &self,
        db: &DB,
        what: &'static str,
        work: impl Fn(&DB) -> std::result::Result<T, rocksdb::Error>,
    ) -> Result<T> {
        self.attempt(db, what, |db| {
            let _apart = self.past.read();
            work(db)
        })
    }

    /// Does `work`, unless the database is being resumed.
    pub fn unless_resumed<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let _apart = self.past.try_read()?;
        Some(work())
    }

    /// Why the file system failed. What failed for another reason is an error that resuming is no help for.
    #[cold]
    fn explain(&self, what: &'static str, cause: rocksdb::Error) -> Result<String> {
        match cause.kind() {
            ErrorKind::IOError => Ok(self.past.write().remember(cause.as_ref())),
            _ => Err(failed(what, &self.path, cause)),
        }
    }

    /// Resumes the database, if it is halted.
    #[cold]
    fn resume(&self, db: &DB, what: &'static str) -> Result<()> {
        // Where its directory is not under its path any more, the database makes no files.
        self.place.as_ref().map_or(Ok(()), Place::check)?;
        let mut past = self.past.write();
        // An attempt that fails leaves one more table in memory for reads to look into, and takes up to a second. So it is
        // not made in vain.
        if past.failed.is_some_and(|since| since.elapsed() < PATIENCE) {
            let in_memory = db.property_int_value("rocksdb.cur-size-all-mem-tables").ok().flatten().unwrap_or(0);
            room_for(in_memory + BESIDE, &self.path).map_err(|cause| Error::io(what, cause).at(&self.path))?;
        }
        let resumed = told(|text, capacity| {
            // SAFETY: the database is live, and `text` is writable for `capacity` bytes.
            #[allow(unsafe_code)]
            signals::blocked(|| unsafe { kvds_rocksdb_resume(db.as_raw_ptr(), text, capacity) })
        });
        past.failed = resumed.is_err().then(Instant::now);
        resumed.map_err(|text| file_system_failed(what, &self.path, past.remember(&text)))
    }
}

/// Finds out whether a file of `bytes` can be made in `directory`. Its name is one of RocksDB's for temporary files, so that
/// RocksDB removes what a death leaves.
fn room_for(bytes: u64, directory: &Path) -> io::Result<()> {
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
