//! The locks of a store's directory: one owner per directory, in all processes.
//!
//! RocksDB's lock on the file `LOCK` is not enough. It belongs to the process: closing any
//! descriptor of the file releases it, as a backup program inside the process does. It excludes no
//! process once the file is removed. So three locks are taken together:
//!
//! - [`DirLock`] locks the directory itself with `flock`, which belongs to the open file.
//! - A set of directories excludes a second owner within the process. It knows a directory by
//!   device and inode, whatever its path.
//! - [`FileLock`] locks the file `LOCK` for programs that look only there.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use super::moved_dir_guard::Guard;
use crate::error::{Error, Kind, Result};
use crate::sys::descriptors::above_streams;
use crate::sys::fork::{PerProcess, Uninherited};
use crate::sys::signals;

/// The attempts to lock a directory that is replaced meanwhile.
const ATTEMPTS: u32 = 8;

/// The exclusive lock of a store's directory.
///
/// It keeps the directory open, so that its inode is not reused even after it was removed. A thread
/// that destroys a store still holds the lock when the directory is removed, and a directory
/// that another thread creates then must not have the same inode.
pub struct DirLock {
    _in_process: ProcessLock,
    open: Uninherited<File>,
    dir: StoreDir,
}

/// Device and inode.
pub type DirId = (u64, u64);

static LOCKED_DIRS: PerProcess<Mutex<BTreeSet<DirId>>> = PerProcess::new();

/// An entry of [`LOCKED_DIRS`].
struct ProcessLock(DirId);

impl Drop for ProcessLock {
    fn drop(&mut self) {
        LOCKED_DIRS.get().lock().remove(&self.0);
    }
}

impl DirLock {
    /// Locks the directory `path` until this is dropped.
    pub fn new(path: &Path) -> Result<DirLock> {
        for _ in 0..ATTEMPTS {
            let lock = DirLock::once(path)?;
            // The owner before may have removed the directory, and others created a new one.
            if lock.dir.is_in_place()? {
                return Ok(lock);
            }
        }
        let text =
            format!("the store's directory was replaced during {ATTEMPTS} attempts to lock it");
        Err(Error::new(Kind::Io, text).at(path))
    }

    fn once(path: &Path) -> Result<DirLock> {
        let open = || {
            OpenOptions::new()
                .read(true)
                .custom_flags(libc::O_DIRECTORY)
                .open(path)
                .and_then(above_streams)
        };
        let open = Uninherited::open(open).map_err(|cause| cannot_access(path, cause))?;
        let id = dir_id(&open.metadata().map_err(|cause| cannot_access(path, cause))?);
        if !LOCKED_DIRS.get().lock().insert(id) {
            return Err(Error::new(
                Kind::Locked,
                "another distributor of this process has the store open, or a value, cursor or \
                 snapshot of it, perhaps under another name",
            )
            .at(path));
        }
        let in_process = ProcessLock(id);
        flock(&open, libc::LOCK_EX | libc::LOCK_NB).map_err(|cause| cannot_lock(path, cause))?;
        Ok(DirLock {
            _in_process: in_process,
            open,
            dir: StoreDir { path: path.to_path_buf(), id },
        })
    }

    /// Returns the path and the identity of the directory.
    pub fn dir(&self) -> &StoreDir {
        &self.dir
    }

    /// Restricts a database that is opened with `options` to files in the locked directory.
    pub fn guard(&self, options: &rocksdb::Options) -> Guard {
        Guard::new(options, &self.dir.path, &self.open)
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        // Closing does not unlock while a child has the directory open, if it was created without
        // the handlers of fork().
        if let Some(open) = self.open.in_owner() {
            let _ = flock(open, libc::LOCK_UN);
        }
    }
}

/// A locked directory: the path that led to it, and its identity.
#[derive(Clone)]
pub struct StoreDir {
    path: PathBuf,
    id: DirId,
}

impl StoreDir {
    /// Returns device and inode.
    pub fn id(&self) -> DirId {
        self.id
    }

    /// Fails if the path leads elsewhere by now.
    ///
    /// Callers check this before they create, replace or remove a file by name, because the file
    /// could be in the directory of another store.
    pub fn check_in_place(&self) -> Result<()> {
        if self.is_in_place()? {
            return Ok(());
        }
        Err(Error::new(
            Kind::Io,
            "the store's directory was moved, removed or replaced while the store was open",
        )
        .at(&self.path))
    }

    fn is_in_place(&self) -> Result<bool> {
        match fs::metadata(&self.path) {
            Ok(metadata) => Ok(dir_id(&metadata) == self.id),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(cause) => Err(cannot_access(&self.path, cause)),
        }
    }
}

/// The lock on the file `LOCK`, for programs that know nothing of a [`DirLock`]: RocksDB's own
/// tools, and other machines on a network file system.
///
/// It belongs to the open file where the system has such locks. It conflicts with locks that belong
/// to a process, which RocksDB takes.
pub struct FileLock(Uninherited<File>);

impl FileLock {
    /// Locks the file `LOCK` in the directory of `dir_lock`. Leaves no new file behind on failure.
    pub fn new(dir_lock: &DirLock) -> Result<FileLock> {
        let path = &dir_lock.dir.path;
        let file = path.join("LOCK");
        let cannot_open = |cause| Error::io("cannot open the lock file", cause).at(&file);
        dir_lock.dir.check_in_place()?;
        let is_new = !file.try_exists().map_err(cannot_open)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o644);
        let opened = Uninherited::open(|| options.open(&file).and_then(above_streams));
        let lock = FileLock(opened.map_err(cannot_open)?);
        match lock_whole_file(&lock.0, libc::F_WRLCK) {
            Ok(()) => Ok(lock),
            Err(cause) => {
                let error = cannot_lock(path, cause);
                if is_new && error.kind() != Kind::Locked {
                    let _ = fs::remove_file(&file);
                }
                Err(error)
            }
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        if let Some(file) = self.0.in_owner() {
            // An error is ignored: closing the file unlocks it, except for children that have it
            // open.
            let _ = lock_whole_file(file, libc::F_UNLCK);
        }
    }
}

fn cannot_lock(path: &Path, cause: io::Error) -> Error {
    match cause.raw_os_error() {
        Some(libc::EWOULDBLOCK) => Error::new(
            Kind::Locked,
            "another process has the store open, or another copy of the library in this one",
        ),
        Some(libc::ENOLCK | libc::EOPNOTSUPP | libc::EINVAL | libc::ENOSYS | libc::EBADF) => {
            Error::new(
                Kind::Io,
                "the file system does not support locks; without a lock, other processes could \
                 write to the store",
            )
        }
        _ => Error::new(Kind::Io, "cannot lock the store"),
    }
    .at(path)
    .because(cause)
}

fn cannot_access(path: &Path, cause: io::Error) -> Error {
    Error::io("cannot access the store's directory", cause).at(path)
}

fn dir_id(metadata: &Metadata) -> DirId {
    (metadata.dev(), metadata.ino())
}

fn flock(file: &File, operation: i32) -> io::Result<()> {
    // SAFETY: the file is open.
    #[allow(unsafe_code)]
    uninterrupted(|| unsafe { libc::flock(file.as_raw_fd(), operation) })
}

/// Locks or unlocks all bytes for the open file, or for the process where the system has no locks
/// of open files (Linux before 3.15, some sandboxes).
fn lock_whole_file(file: &File, kind: i32) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    match fcntl_lock(file, libc::F_OFD_SETLK, kind) {
        Err(cause) if cause.raw_os_error() == Some(libc::EINVAL) => {}
        result => return result,
    }
    fcntl_lock(file, libc::F_SETLK, kind)
}

fn fcntl_lock(file: &File, command: i32, kind: i32) -> io::Result<()> {
    let whole_file = libc::flock {
        l_type: kind as _,
        l_whence: libc::SEEK_SET as _,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    // SAFETY: the file is open, and the call only reads `whole_file`.
    #[allow(unsafe_code)]
    uninterrupted(|| unsafe { libc::fcntl(file.as_raw_fd(), command, &whole_file) })
}

/// Blocks signals during `call`. A lock on a network file system or in FUSE can wait for others,
/// and a signal would interrupt that.
fn uninterrupted(call: impl FnOnce() -> i32) -> io::Result<()> {
    signals::blocked(|| if call() == 0 { Ok(()) } else { Err(io::Error::last_os_error()) })
}
