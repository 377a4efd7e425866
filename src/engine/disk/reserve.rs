//! Room on the disk that a store keeps for the case that there is none left.
//!
//! On a full disk RocksDB can do nothing: not bring what is in memory to a table file, after which
//! the log could go; and so not take in a deletion, nor open the store. So each store has a file
//! with room for what is in memory, and more. It grows before the log does: a write that it cannot
//! grow for is refused, and the database does not come to know of it. Where the disk is full
//! nevertheless, the file is given up, what is in memory goes to a table file, the log goes, and
//! the file is made anew.

use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::lock::Place;
use super::settings::LOG_STEP;
use crate::sys::descriptors::above_streams;
use crate::sys::locks::Mutex;

/// The file. Its length is zero: the room is behind its end.
const NAME: &str = "kvds.reserve";

/// What an empty store keeps, in bytes: a list of tables, a log and a table with a few keys take
/// less.
const LEAST: u64 = 512 << 10;

/// One of so many bytes in tables is kept too, for the log and the tables of deletions, ...
const OF_TABLES: u64 = 16;

/// ... up to this.
const MOST_OF_TABLES: u64 = 16 << 20;

/// A write also needs so much of what is in tables to be free, for merging them when half of it has
/// been deleted, ...
const TO_MERGE: u64 = 2;

/// ... up to this: tables are merged in parts.
const MOST_TO_MERGE: u64 = 64 << 20;

/// How much more is taken at once, so that few writes have to: as much as is in memory, within
/// these bounds.
const STEPS: (u64, u64) = (256 << 10, 1 << 20);

/// More is not kept for what is in memory, as when a value of a gigabyte is on its way.
const MOST: u64 = 256 << 20;

/// What a store has to bring to table files, and has there, in bytes.
#[derive(Clone, Copy)]
pub struct Load {
    pub in_memory: u64,
    pub in_tables: u64,
}

impl Load {
    fn reserve(self) -> u64 {
        self.in_memory.min(MOST) + LEAST + (self.in_tables / OF_TABLES).min(MOST_OF_TABLES)
    }
}

/// The room that a store keeps.
pub struct Reserve {
    /// Asked before anything is done to the file, which could be that of another store.
    place: Place,
    path: PathBuf,
    /// How many bytes may be written until somebody is to look whether there is room.
    left: AtomicU64,
    /// How much is kept.
    room: Mutex<u64>,
}

impl Reserve {
    /// For a store in `directory` that has been opened. That there is no room is no error yet.
    pub fn new(place: Place, directory: &Path, load: Load) -> Reserve {
        let reserve = Reserve {
            place,
            path: directory.join(NAME),
            left: AtomicU64::new(0),
            room: Mutex::new(0),
        };
        reserve.take(load, 0);
        reserve
    }

    /// Asks for room before so many bytes are written.
    #[inline]
    pub fn admit(&self, bytes: u64, load: impl FnOnce() -> Load) -> io::Result<()> {
        let take = |left: u64| left.checked_sub(bytes);
        if self.left.fetch_update(Relaxed, Relaxed, take).is_ok() {
            Ok(())
        } else {
            self.grow(bytes, load())
        }
    }

    #[cold]
    fn grow(&self, bytes: u64, load: Load) -> io::Result<()> {
        let mut room = self.room.lock();
        let needed = Load { in_memory: load.in_memory + bytes, ..load }.reserve();
        let free = free(&self.path)?;
        let step = load.in_memory.clamp(STEPS.0, STEPS.1);
        let wanted = [needed + step, needed].into_iter().find(|wanted| {
            let for_the_log = bytes + LOG_STEP;
            let to_merge = (load.in_tables / TO_MERGE).min(MOST_TO_MERGE);
            free >= wanted.saturating_sub(*room) + for_the_log + to_merge
        });
        let Some(wanted) = wanted else { return Err(io::Error::from_raw_os_error(libc::ENOSPC)) };
        // What is much too much is given back: this is after tables in memory were flushed.
        if wanted > *room || *room > 2 * wanted {
            match self.keep(wanted) {
                Ok(()) => *room = wanted,
                Err(cause) if is_no_space(&cause) => return Err(cause),
                // Where the file system cannot keep room, it is as it is.
                Err(_) => {}
            }
        }
        self.left.store(wanted - needed, Relaxed);
        Ok(())
    }

    /// Gives the room to whoever needs it first.
    pub fn give_up(&self) {
        let mut room = self.room.lock();
        self.left.store(0, Relaxed);
        *room = 0;
        if self.place.check().is_ok() {
            let _ = remove_file(&self.path);
        }
    }

    /// Has the file keep so many bytes. When that fails it keeps none.
    fn keep(&self, bytes: u64) -> io::Result<()> {
        self.place.check().map_err(io::Error::other)?;
        keep(&self.path, bytes)
    }

    /// Takes as much room as there is need for, or as there is, and leaves `beside`.
    fn take(&self, load: Load, beside: u64) {
        let mut room = self.room.lock();
        self.left.store(0, Relaxed);
        let there_is = (free(&self.path).unwrap_or(0) + *room).saturating_sub(beside);
        let wanted = load.reserve().min(there_is);
        *room = if self.keep(wanted).is_ok() { wanted } else { 0 };
    }

    /// Takes room anew, and leaves some to the log, which is to be written next.
    pub fn make(&self, load: Load) {
        self.take(load, LOG_STEP);
    }

    /// How much of the disk is free.
    pub fn free(&self) -> u64 {
        free(&self.path).unwrap_or(0)
    }
}

/// Removes the file of a store in `directory` that is not open.
pub fn remove(directory: &Path) -> io::Result<()> {
    remove_file(&directory.join(NAME))
}

/// Removes the file, unless it is another one of the same name, or not there.
fn remove_file(path: &Path) -> io::Result<()> {
    let removed = fs::symlink_metadata(path).and_then(|about| {
        if about.is_file() && about.len() == 0 { fs::remove_file(path) } else { Ok(()) }
    });
    match removed {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        _ => Ok(()),
    }
}

fn is_no_space(cause: &io::Error) -> bool {
    matches!(cause.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT))
}

fn keep(path: &Path, bytes: u64) -> io::Result<()> {
    // What may lie in its place is not waited for.
    let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o644).custom_flags(flags);
    let file = options.open(path).and_then(above_streams)?;
    let about = file.metadata()?;
    if !about.is_file() || about.len() != 0 {
        return Err(io::Error::other("it is not the store's"));
    }
    file.set_len(0)?;
    if bytes == 0 {
        return Ok(());
    }
    let len = libc::off_t::try_from(bytes).unwrap_or(libc::off_t::MAX);
    // SAFETY: the file is open.
    #[allow(unsafe_code)]
    let result = unsafe { libc::fallocate(file.as_raw_fd(), libc::FALLOC_FL_KEEP_SIZE, 0, len) };
    if result == 0 {
        return Ok(());
    }
    let cause = io::Error::last_os_error();
    let _ = file.set_len(0);
    Err(cause)
}

/// How much of the file system that `path` is on is free.
fn free(path: &Path) -> io::Result<u64> {
    let directory = path.parent().unwrap_or(path);
    let directory = CString::new(directory.as_os_str().as_bytes())?;
    // SAFETY: the path ends with a zero, and the struct is plain memory that the call fills.
    #[allow(unsafe_code)]
    let (result, about) = unsafe {
        let mut about: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(directory.as_ptr(), &raw mut about), about)
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(about.f_bavail * about.f_frsize)
}
