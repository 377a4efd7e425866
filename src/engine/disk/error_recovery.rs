//! Going on after an error of the file system.
//!
//! When a write fails, RocksDB halts the database: it takes no more writes, as it cannot know what
//! is in the file. What was acknowledged is in memory and in the log. Resuming brings what is in
//! memory to a new table file and begins a new log, so that the files in which writing failed are
//! not needed any more. Here a call that finds the database halted resumes it, so that it works
//! again as soon as the cause is gone.

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

use super::errors::{failed, file_system_failed, is_no_space, told};
use super::lock::Place;
use super::reserve::{Load, Reserve};
use crate::error::{Error, Result};
use crate::sys::descriptors::above_streams;
use crate::sys::locks::RwLock;
use crate::sys::log::{self, Level};
use crate::sys::signals;

/// After resuming has failed, it is tried again when a file of the size that is needed can be made.
/// If none can, it is tried again after this long: what is in memory may be smaller when it is
/// compressed.
const PATIENCE: Duration = Duration::from_secs(5);

/// What RocksDB says of a file in which writing has failed before, instead of why.
const REPEATED: [&str; 2] = ["Writer has previous error", "Seen error"];

/// From this much in memory on, it is worth a flush to give back what its log takes on a full disk.
const WORTH_FLUSHING: u64 = 256 << 10;

/// How long a write waits for a merge of tables that takes room on a full disk.
const MERGE_PATIENCE: Duration = Duration::from_secs(2);

/// What a table file, a log and a list of table files take beside what is in memory.
const BESIDE: u64 = 64 << 10;

// See error_recovery.cc.
#[allow(unsafe_code)]
unsafe extern "C" {
    fn kvds_rocksdb_listen(options: *mut rocksdb_options_t, room: *mut u64);
    fn kvds_rocksdb_merge(database: *mut rocksdb_t, text: *mut u8, capacity: usize) -> usize;
    fn kvds_rocksdb_compact(database: *mut rocksdb_t, text: *mut u8, capacity: usize) -> usize;
    fn kvds_rocksdb_prepare(database: *mut rocksdb_t, text: *mut u8, capacity: usize) -> usize;
    fn kvds_rocksdb_resume(database: *mut rocksdb_t, text: *mut u8, capacity: usize) -> usize;
}

/// Calls a function of error_recovery.cc.
fn call(
    function: unsafe extern "C" fn(*mut rocksdb_t, *mut u8, usize) -> usize,
    db: &DB,
) -> std::result::Result<(), String> {
    told(|text, capacity| {
        // SAFETY: the database is live, and `text` is writable for `capacity` bytes. These
        // functions ask for no more.
        #[allow(unsafe_code)]
        signals::blocked(|| unsafe { function(db.as_raw_ptr(), text, capacity) })
    })
}

/// How much has to be free on the disk before tables are merged again; 0 while they are. It
/// outlives the database.
pub type MergeRoom = Arc<AtomicU64>;

/// Has RocksDB take every error of the file system for one that can be resumed from, and leave that
/// to us.
pub fn prepare(options: &rocksdb::Options) -> MergeRoom {
    let room = MergeRoom::default();
    // SAFETY: the options are live, and used by nobody else meanwhile. The number outlives the
    // database.
    #[allow(unsafe_code)]
    unsafe {
        kvds_rocksdb_listen(options.as_raw_ptr(), room.as_ptr());
    }
    room
}

/// What a database has to bring to table files, and has there.
pub fn load_of(db: &DB) -> Load {
    let number = |name| db.property_int_value(name).ok().flatten().unwrap_or(0);
    Load {
        in_memory: number("rocksdb.cur-size-all-mem-tables"),
        in_tables: number("rocksdb.total-sst-files-size"),
    }
}

/// What there is to know for resuming the database of a store.
pub struct ErrorRecovery {
    path: PathBuf,
    /// Locked while the database is resumed, and shared by what does not go with that.
    past: RwLock<Past>,
    /// Of a writer.
    room: Option<Room>,
}

/// Where the files of a store are, and what is done when there is no room for them.
pub struct Room {
    pub place: Place,
    pub reserve: Reserve,
    pub to_merge: MergeRoom,
}

#[derive(Default)]
struct Past {
    /// When resuming failed, if it did so the last time.
    failed: Option<Instant>,
    /// What RocksDB said of the last error.
    cause: String,
}

impl Past {
    /// Remembers the text of an error. If it only says that there was one before, it becomes the
    /// text of that.
    fn remember(&mut self, text: &str) -> String {
        if self.cause.is_empty() || !REPEATED.iter().any(|repeated| text.contains(repeated)) {
            text.clone_into(&mut self.cause);
        }
        self.cause.clone()
    }
}

impl ErrorRecovery {
    /// For the database in the directory `path`.
    pub fn new(path: &Path, room: Option<Room>) -> ErrorRecovery {
        ErrorRecovery { path: path.to_path_buf(), past: RwLock::default(), room }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Asks for room before so many bytes are written. What cannot be refused goes on without.
    #[inline]
    pub fn admit(&self, db: &DB, bytes: usize, refusable: bool) -> Result<()> {
        let Some(room) = &self.room else { return Ok(()) };
        let refused = match room.reserve.admit(bytes as u64, || load_of(db)) {
            Ok(()) => return Ok(()),
            Err(_) if !refusable => return Ok(()),
            Err(cause) => cause,
        };
        // A merge takes as much as it gives back in the end.
        let since = Instant::now();
        let merges = || {
            db.property_int_value("rocksdb.num-running-compactions")
                .is_ok_and(|count| count != Some(0))
        };
        while merges() && since.elapsed() < MERGE_PATIENCE {
            thread::sleep(Duration::from_millis(5));
            if room.reserve.admit(bytes as u64, || load_of(db)).is_ok() {
                return Ok(());
            }
        }
        // What is in memory takes as much in the log, and as much is reserved for it.
        if load_of(db).in_memory >= WORTH_FLUSHING {
            self.attempt_apart(db, "cannot write", DB::flush)?;
            if room.reserve.admit(bytes as u64, || load_of(db)).is_ok() {
                return Ok(());
            }
        }
        Err(Error::io("cannot write", refused).at(&self.path))
    }

    /// Something was written: has tables be merged again, if that was given up and there is room by
    /// now.
    #[inline]
    pub fn written(&self, db: &DB) {
        if let Some(room) = &self.room
            && room.to_merge.load(Relaxed) != 0
        {
            self.merge_again(db, room);
        }
    }

    #[cold]
    fn merge_again(&self, db: &DB, room: &Room) {
        let needed = room.to_merge.load(Relaxed);
        if room.reserve.free() > needed
            && room.to_merge.swap(0, Relaxed) != 0
            && let Err(cause) = call(kvds_rocksdb_merge, db)
        {
            log::line(Level::Warn, || {
                format!("tables are not merged ({}): {cause}", self.path.display())
            });
            room.to_merge.store(needed, Relaxed);
        }
    }

    /// Merges all tables. Where there is no room for that, they stay as they are.
    pub fn compact(&self, db: &DB, how: &WriteOptions) -> Result<()> {
        let what = "cannot compact";
        let compact = |db: &DB| {
            db.flush()?;
            let mut done = call(kvds_rocksdb_compact, db);
            if let (Err(text), Some(room)) = (&done, &self.room)
                && is_no_space(&self.path, text)
            {
                room.reserve.give_up();
                done = call(kvds_rocksdb_compact, db);
            }
            if let Err(text) = &done
                && !is_no_space(&self.path, text)
            {
                // A database that is halted says so to one that writes nothing.
                db.write_opt(rocksdb::WriteBatch::default(), how)?;
            }
            Ok(done)
        };
        match self.attempt_apart(db, what, compact)? {
            Err(text) if is_no_space(&self.path, &text) => {
                let path = self.path.display();
                log::line(Level::Warn, || {
                    format!("not all is compacted, there is no room for that ({path}): {text}")
                });
            }
            Err(text) => return Err(file_system_failed(what, &self.path, text)),
            Ok(()) => {}
        }
        if let Some(room) = &self.room {
            room.reserve.make(load_of(db));
        }
        self.written(db);
        Ok(())
    }

    /// Does `work`. If the file system fails or has failed before, resumes the database and does it
    /// again: what failed is in no file that counts any more. Once, so that a disk that fails for
    /// ever fails the call.
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
        log::line(Level::Warn, || {
            format!("{what} ({}), trying to go on: {first}", self.path.display())
        });
        self.resume(db, what)?;
        work(db)
            .or_else(|cause| Err(file_system_failed(what, &self.path, self.explain(what, cause)?)))
    }

    /// The same for what syncs, flushes or compacts: resuming waits until it is done, and it waits
    /// for resuming.
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

    /// Why the file system failed. What failed for another reason is an error that resuming is no
    /// help for.
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
        self.room.as_ref().map_or(Ok(()), |room| room.place.check())?;
        let mut past = self.past.write();
        // The room is given up when nothing goes on that could take it for something else.
        let mut resumed = call(kvds_rocksdb_prepare, db);
        let room = self.room.as_ref().filter(|_| is_no_space(&self.path, &past.cause));
        if let Some(room) = room {
            room.reserve.give_up();
        }
        // An attempt that fails leaves one more table in memory for reads to look into, and takes
        // up to a second. So it is not made in vain.
        let mut in_vain = Ok(());
        if past.failed.is_some_and(|since| since.elapsed() < PATIENCE) {
            in_vain = room_for(load_of(db).in_memory + BESIDE, &self.path);
        }
        if in_vain.is_ok() {
            resumed = resumed.and_then(|()| call(kvds_rocksdb_resume, db));
            past.failed = resumed.is_err().then(Instant::now);
        }
        if let Some(room) = room {
            room.reserve.make(load_of(db));
        }
        in_vain.map_err(|cause| Error::io(what, cause).at(&self.path))?;
        resumed.map_err(|text| file_system_failed(what, &self.path, past.remember(&text)))
    }
}

/// Finds out whether a file of `bytes` can be made in `directory`. Its name is one of RocksDB's for
/// temporary files, so that RocksDB removes what a death leaves.
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
