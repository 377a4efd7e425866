//! Locks on files, RocksDB's lock of a store's directory, and the right to a directory.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use super::guard::Guard;
use crate::error::{Error, Kind, Result};
use crate::sys::descriptors::above_streams;
use crate::sys::fork::{PerProcess, Unshared};
use crate::sys::signals;

/// How often claiming is tried if the directory is replaced meanwhile.
const ATTEMPTS: u32 = 8;

/// The right to a directory, for one database of one process.
///
/// RocksDB's lock on the file `LOCK` is not enough. It belongs to the process, so that it goes when
/// the process closes any descriptor of the file, as a backup of its own store does; and it keeps
/// nobody away once the file is removed. So the directory itself is locked with `flock`, which
/// belongs to the open file. Within the process a set of directories tells whether one is in use,
/// by device and inode, whatever it is called.
///
/// The directory is kept open: its inode is then nobody else's, even when it was removed. Who
/// destroys a store still claims its directory when that is gone already, and a directory that
/// another thread just made could have the same inode.
pub struct Claim {
    _claimed: Claimed,
    open: Unshared,
    place: Place,
}

/// A directory, whatever it is called: device and inode.
type Directory = (u64, u64);

static CLAIMED: PerProcess<Mutex<BTreeSet<Directory>>> = PerProcess::new();

/// An entry of [`CLAIMED`].
struct Claimed(Directory);

impl Drop for Claimed {
    fn drop(&mut self) {
        CLAIMED.get().lock().remove(&self.0);
    }
}

impl Claim {
    /// Claims the directory `path` for as long as this lives.
    pub fn new(path: &Path) -> Result<Claim> {
        for _ in 0..ATTEMPTS {
            let claim = Claim::once(path)?;
            // Whoever had the directory before may have removed it, and others made a new one.
            if claim.place.is_unchanged()? {
                return Ok(claim);
            }
        }
        Err(Error::new(Kind::Io, "the store's directory is replaced again and again").at(path))
    }

    fn once(path: &Path) -> Result<Claim> {
        let open = || {
            OpenOptions::new()
                .read(true)
                .custom_flags(libc::O_DIRECTORY)
                .open(path)
                .and_then(above_streams)
        };
        let open = Unshared::open(open).map_err(|cause| cannot_look(path, cause))?;
        let directory = identity(&open.metadata().map_err(|cause| cannot_look(path, cause))?);
        if !CLAIMED.get().lock().insert(directory) {
            return Err(Error::new(
                Kind::Locked,
                "another distributor of this process has the store open, or something it handed out, maybe under another name",
            )
            .at(path));
        }
        let claimed = Claimed(directory);
        exclusively(&open).map_err(|cause| refused(path, cause))?;
        Ok(Claim { _claimed: claimed, open, place: Place { path: path.to_path_buf(), directory } })
    }

    /// The claimed directory and its path.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Has a database that is opened with `options` change files in the claimed directory alone.
    pub fn guard(&self, options: &rocksdb::Options) -> Guard {
        Guard::new(options, &self.place.path, &self.open)
    }
}

/// A directory, and the path that led to it.
#[derive(Clone)]
pub struct Place {
    path: PathBuf,
    directory: Directory,
}

impl Place {
    fn is_unchanged(&self) -> Result<bool> {
        match fs::metadata(&self.path) {
            Ok(about) => Ok(identity(&about) == self.directory),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(cause) => Err(cannot_look(&self.path, cause)),
        }
    }

    /// Fails where the path leads elsewhere by now. To be called before a file is made, replaced or
    /// removed by name, as it could be that of another store.
    pub fn check(&self) -> Result<()> {
        if self.is_unchanged()? {
            return Ok(());
        }
        Err(Error::new(
            Kind::Io,
            "the store's directory was moved, removed or replaced while the store was open",
        )
        .at(&self.path))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Closing it is not enough if a child has it open that was made without the handlers of
        // fork().
        release(&self.open);
    }
}

fn identity(about: &Metadata) -> Directory {
    (about.dev(), about.ino())
}

fn cannot_look(path: &Path, cause: io::Error) -> Error {
    Error::io("cannot look at the store's directory", cause).at(path)
}

/// The lock on the file `LOCK`, which programs look at that know nothing of a [`Claim`]: RocksDB's
/// own tools, and on a network file system other machines.
///
/// A lock of the open file, where the system has such, as [`Claim`] says why. It keeps away those
/// who take a lock of the process, as RocksDB does, and the other way round.
pub struct Lock(Unshared);

impl Lock {
    /// Takes the lock of the store in `path`. Where it cannot be had, the file is not left behind.
    pub fn new(path: &Path, claim: &Claim) -> Result<Lock> {
        let file = path.join("LOCK");
        let failed = |cause| Error::io("cannot open the lock file", cause).at(&file);
        claim.place().check()?;
        let made = !file.try_exists().map_err(failed)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o644);
        let opened = Unshared::open(|| options.open(&file).and_then(above_streams));
        let lock = Lock(opened.map_err(failed)?);
        match set_whole(&lock.0, libc::F_WRLCK) {
            Ok(()) => Ok(lock),
            Err(cause) => {
                let error = refused(path, cause);
                if made && error.kind() != Kind::Locked {
                    let _ = fs::remove_file(&file);
                }
                Err(error)
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(file) = self.0.here() {
            // Nothing is left to do if it fails: closing it releases the lock, but for children
            // that have it open.
            let _ = set_whole(file, libc::F_UNLCK);
        }
    }
}

/// Locks a directory for one open file of it.
pub fn exclusively(directory: &Unshared) -> io::Result<()> {
    flock(directory, libc::LOCK_EX | libc::LOCK_NB)
}

/// Releases it, also where a child has it open.
pub fn release(directory: &Unshared) {
    if let Some(directory) = directory.here() {
        let _ = flock(directory, libc::LOCK_UN);
    }
}

/// The error of a lock that was not to be had.
pub fn refused(path: &Path, cause: io::Error) -> Error {
    match cause.raw_os_error() {
        Some(libc::EWOULDBLOCK) => {
            Error::new(Kind::Locked, "another process has the store open, or another copy of the library in this one")
        }
        Some(libc::ENOLCK | libc::EOPNOTSUPP | libc::EINVAL | libc::ENOSYS | libc::EBADF) => Error::new(
            Kind::Io,
            "the file system or the system has no locks to give, and without them others could write the store too",
        ),
        _ => Error::new(Kind::Io, "cannot lock the store"),
    }
    .at(path)
    .because(cause)
}

fn flock(file: &File, operation: i32) -> io::Result<()> {
    // SAFETY: the file is open.
    #[allow(unsafe_code)]
    uninterrupted(|| unsafe { libc::flock(file.as_raw_fd(), operation) })
}

/// Locks or unlocks all bytes of a file, for the open file; where the system does not know such
/// locks (Linux before 3.15, some sandboxes), for the process.
fn set_whole(file: &File, kind: i32) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    match set(file, libc::F_OFD_SETLK, kind) {
        Err(cause) if cause.raw_os_error() == Some(libc::EINVAL) => {}
        done => return done,
    }
    set(file, libc::F_SETLK, kind)
}

fn set(file: &File, command: i32, kind: i32) -> io::Result<()> {
    let whole = libc::flock {
        l_type: kind as _,
        l_whence: libc::SEEK_SET as _,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    // SAFETY: the file is open, and the call reads the lock that it is given.
    #[allow(unsafe_code)]
    uninterrupted(|| unsafe { libc::fcntl(file.as_raw_fd(), command, &whole) })
}

/// On a network or in user space, locking can wait for others, and a signal would end that.
fn uninterrupted(call: impl FnOnce() -> i32) -> io::Result<()> {
    signals::blocked(|| if call() == 0 { Ok(()) } else { Err(io::Error::last_os_error()) })
}
