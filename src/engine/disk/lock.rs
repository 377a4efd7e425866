//! RocksDB's lock of a store's directory, held by ourselves while no database holds it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use super::claim::Claim;
use crate::error::{Error, Kind, Result};
use crate::files::above_streams;

/// The lock that keeps other processes away from a store's files. It goes when the file is closed.
pub struct Lock(#[allow(dead_code, reason = "held")] File);

impl Lock {
    /// Takes the lock of the store in `path`. Only whoever has the claim may: closing the lock file lets go of every lock that
    /// the process has on it, that of a database too.
    pub fn new(path: &Path, _claim: &Claim) -> Result<Lock> {
        let failed = |cause| Error::io("cannot lock the store", cause).at(path);
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path.join("LOCK"));
        let file = file.and_then(above_streams).map_err(failed)?;
        let whole =
            libc::flock { l_type: libc::F_WRLCK as _, l_whence: libc::SEEK_SET as _, l_start: 0, l_len: 0, l_pid: 0 };
        // SAFETY: the file is open, and the call reads the lock that it is given.
        #[allow(unsafe_code)]
        let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &whole) };
        if result == 0 {
            return Ok(Lock(file));
        }
        let cause = io::Error::last_os_error();
        Err(match cause.raw_os_error() {
            Some(libc::EAGAIN | libc::EACCES) => {
                Error::new(Kind::Locked, "another process has the store open").at(path).because(cause)
            }
            _ => failed(cause),
        })
    }
}
