//! The right to a directory within this process.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use parking_lot::Mutex;

use crate::error::{Error, Kind, Result};
use crate::files::above_streams;
use crate::fork::PerProcess;

/// The right to a directory. RocksDB's own lock keeps other processes out; within a process it compares paths as text, so
/// that two names of one directory would pass it.
///
/// The directory is kept open: its inode is then nobody else's, even when it was removed. Who destroys a store still claims its
/// directory when that is gone already, and a directory that another thread just made could have the same inode.
pub struct Claim {
    directory: Directory,
    _open: File,
}

/// A directory, whatever it is called: device and inode.
type Directory = (u64, u64);

static CLAIMED: PerProcess<Mutex<BTreeSet<Directory>>> = PerProcess::new();

impl Claim {
    /// Claims the directory `path` for as long as this lives.
    pub fn new(path: &Path) -> Result<Claim> {
        let look = |cause| Error::io("cannot look at the store's directory", cause).at(path);
        let open = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(path);
        let open = open.and_then(above_streams).map_err(look)?;
        let about = open.metadata().map_err(look)?;
        let directory = (about.dev(), about.ino());
        if CLAIMED.get().lock().insert(directory) {
            return Ok(Claim { directory, _open: open });
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
        // Before it is closed.
        CLAIMED.get().lock().remove(&self.directory);
    }
}
