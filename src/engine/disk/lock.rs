//! Locks on files, and RocksDB's lock of a store's directory.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::claim::Claim;
use crate::error::{Error, Kind, Result};
use crate::sys::descriptors::above_streams;
use crate::sys::fork::Unshared;
use crate::sys::signals;

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
