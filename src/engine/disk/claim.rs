//! The right to a directory.

use std::collections::BTreeSet;
use std::fs::{self, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use super::guard::Guard;
use super::lock;
use crate::error::{Error, Kind, Result};
use crate::sys::descriptors::above_streams;
use crate::sys::fork::{PerProcess, Unshared};

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
        lock::exclusively(&open).map_err(|cause| lock::refused(path, cause))?;
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
        lock::release(&self.open);
    }
}

fn identity(about: &Metadata) -> Directory {
    (about.dev(), about.ino())
}

fn cannot_look(path: &Path, cause: io::Error) -> Error {
    Error::io("cannot look at the store's directory", cause).at(path)
}
