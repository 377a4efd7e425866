//! The reserve: disk space that a store keeps for the case that the disk is full.
//!
//! On a full disk RocksDB cannot flush the memtables, so it cannot delete their log, and neither
//! accepts deletions nor opens the store. So each store keeps a file with space for its memtables,
//! and some more. The file grows before the log does: a write for which it cannot grow is refused
//! before RocksDB sees it. When the disk is full nevertheless, the file is released, the memtables
//! are flushed, the log is deleted, and the file is created again.

use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::lock::StoreDir;
use super::settings::LOG_STEP;
use crate::sys::descriptors::above_streams;
use crate::sys::locks::Mutex;

/// The file. Its length is 0, and its blocks are allocated behind the end.
const NAME: &str = "kvds.reserve";

/// The reserve of an empty store, in bytes: more than a manifest, a log and a small table take.
const MIN_RESERVE: u64 = 512 << 10;

/// This fraction of the bytes in tables is reserved too, for the log and the tables of deletions,
const TABLES_FRACTION: u64 = 16;

/// up to this many bytes.
const MAX_FOR_TABLES: u64 = 16 << 20;

/// A write also requires this fraction of the bytes in tables to be free, to compact them after
/// half of them were deleted,
const COMPACTION_FRACTION: u64 = 2;

/// up to this many bytes, because tables are compacted in parts.
const MAX_FOR_COMPACTION: u64 = 64 << 20;

/// The reserve grows by as many bytes as are in memory, within these bounds, so that few writes
/// make it grow.
const GROWTH: (u64, u64) = (256 << 10, 1 << 20);

/// The most bytes that are reserved for what is in memory, such as a value of a gigabyte.
const MAX_FOR_MEMORY: u64 = 256 << 20;

/// The bytes that a store has to flush, and those in its tables.
#[derive(Clone, Copy)]
pub struct DiskLoad {
    pub in_memory: u64,
    pub in_tables: u64,
}

impl DiskLoad {
    fn reserve(self) -> u64 {
        self.in_memory.min(MAX_FOR_MEMORY)
            + MIN_RESERVE
            + (self.in_tables / TABLES_FRACTION).min(MAX_FOR_TABLES)
    }
}

/// The reserve of one store.
pub struct Reserve {
    /// Checked before the file is touched, which could be the file of another store.
    dir: StoreDir,
    path: PathBuf,
    /// The bytes that may be written before the reserve must grow.
    left: AtomicU64,
    /// The allocated bytes.
    allocated: Mutex<u64>,
}

impl Reserve {
    /// Creates the reserve of an open store. A full disk is no error yet.
    pub fn new(dir: StoreDir, directory: &Path, load: DiskLoad) -> Reserve {
        let reserve = Reserve {
            dir,
            path: directory.join(NAME),
            left: AtomicU64::new(0),
            allocated: Mutex::new(0),
        };
        reserve.fill(load, 0);
        reserve
    }

    /// Reserves space for a write of `bytes`. Fails if the disk is full.
    #[inline]
    pub fn reserve(&self, bytes: u64, load: impl FnOnce() -> DiskLoad) -> io::Result<()> {
        let take = |left: u64| left.checked_sub(bytes);
        if self.left.fetch_update(Relaxed, Relaxed, take).is_ok() {
            Ok(())
        } else {
            self.grow(bytes, load())
        }
    }

    #[cold]
    fn grow(&self, bytes: u64, load: DiskLoad) -> io::Result<()> {
        let mut allocated = self.allocated.lock();
        let needed = DiskLoad { in_memory: load.in_memory + bytes, ..load }.reserve();
        let free = free_space(&self.path)?;
        let growth = load.in_memory.clamp(GROWTH.0, GROWTH.1);
        let wanted = [needed + growth, needed].into_iter().find(|wanted| {
            let for_log = bytes + LOG_STEP;
            let for_compaction = (load.in_tables / COMPACTION_FRACTION).min(MAX_FOR_COMPACTION);
            free >= wanted.saturating_sub(*allocated) + for_log + for_compaction
        });
        let Some(wanted) = wanted else { return Err(io::Error::from_raw_os_error(libc::ENOSPC)) };
        // Shrinks after memtables were flushed.
        if wanted > *allocated || *allocated > 2 * wanted {
            match self.allocate(wanted) {
                Ok(()) => *allocated = wanted,
                Err(cause) if is_no_space(&cause) => return Err(cause),
                // A file system that cannot allocate gives no reserve.
                Err(_) => {}
            }
        }
        self.left.store(wanted - needed, Relaxed);
        Ok(())
    }

    /// Frees the reserve for the recovery from a full disk.
    pub fn release(&self) {
        let mut allocated = self.allocated.lock();
        self.left.store(0, Relaxed);
        *allocated = 0;
        if self.dir.check_in_place().is_ok() {
            let _ = remove_file(&self.path);
        }
    }

    /// Allocates the reserve again, and leaves space for the log, which is written next.
    pub fn refill(&self, load: DiskLoad) {
        self.fill(load, LOG_STEP);
    }

    /// Allocates as much as is needed, or as there is except for `beside` bytes.
    fn fill(&self, load: DiskLoad, beside: u64) {
        let mut allocated = self.allocated.lock();
        self.left.store(0, Relaxed);
        let available = (self.free_space() + *allocated).saturating_sub(beside);
        let wanted = load.reserve().min(available);
        *allocated = if self.allocate(wanted).is_ok() { wanted } else { 0 };
    }

    /// Makes the file have `bytes` allocated, or none on failure.
    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.dir.check_in_place().map_err(io::Error::other)?;
        allocate(&self.path, bytes)
    }

    /// Returns the free bytes of the file system.
    pub fn free_space(&self) -> u64 {
        free_space(&self.path).unwrap_or(0)
    }
}

/// Removes the reserve of a store in `directory` that is not open.
pub fn remove(directory: &Path) -> io::Result<()> {
    remove_file(&directory.join(NAME))
}

/// Removes the file if it exists and is a reserve.
fn remove_file(path: &Path) -> io::Result<()> {
    let removed = fs::symlink_metadata(path).and_then(|metadata| {
        if metadata.is_file() && metadata.len() == 0 { fs::remove_file(path) } else { Ok(()) }
    });
    match removed {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        _ => Ok(()),
    }
}

fn is_no_space(cause: &io::Error) -> bool {
    matches!(cause.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT))
}

fn allocate(path: &Path, bytes: u64) -> io::Result<()> {
    // O_NONBLOCK: opening a FIFO of this name must not block.
    let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o644).custom_flags(flags);
    let file = options.open(path).and_then(above_streams)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() != 0 {
        return Err(io::Error::other("the file is not a reserve of kvds"));
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

/// Returns the free bytes of the file system of `path`.
fn free_space(path: &Path) -> io::Result<u64> {
    let directory = path.parent().unwrap_or(path);
    let directory = CString::new(directory.as_os_str().as_bytes())?;
    // SAFETY: the path ends with NUL, and the struct is plain memory that the call fills.
    #[allow(unsafe_code)]
    let (result, stats) = unsafe {
        let mut stats: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(directory.as_ptr(), &raw mut stats), stats)
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(stats.f_bavail * stats.f_frsize)
}
