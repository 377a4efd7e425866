//! The right to a directory within this process.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use parking_lot::Mutex;

use crate::error::{Error, Kind, Result};
use crate::fork::PerProcess;

/// The right to a directory. RocksDB's own lock keeps other processes out; within a process it compares paths as text, so
/// that two names of one directory would pass it.
pub struct Claim(Directory);

/// A directory, whatever it is called: device and inode.
type Directory = (u64, u64);

static CLAIMED: PerProcess<Mutex<BTreeSet<Directory>>> = PerProcess::new();

impl Claim {
    /// Claims the directory `path` for as long as this lives.
    pub fn new(path: &Path) -> Result<Claim> {
        let about =
            fs::metadata(path).map_err(|cause| Error::io("cannot look at the store's directory", cause).at(path))?;
        if !about.is_dir() {
            return Err(Error::io("cannot use the store's directory", io::ErrorKind::NotADirectory.into()).at(path));
        }
        let directory = (about.dev(), about.ino());
        if CLAIMED.get().lock().insert(directory) {
            return Ok(Claim(directory));
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
        CLAIMED.get().lock().remove(&self.0);
    }
}
