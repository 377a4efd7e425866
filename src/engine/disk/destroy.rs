//! Removes the files of a store, so that a partly removed store counts as absent.
//!
//! RocksDB removes files in any order. If the process dies meanwhile, it would not open the rest,
//! or report damage. So a marker file is created durably first and removed last. While it exists,
//! the store counts as absent, and the next opening finishes the removal.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rocksdb::DB;

use super::dir_contents::{self, DirContents};
use super::durable_dir::sync;
use super::errors::rocksdb_error;
use super::lock::{DirLock, FileLock};
use super::{Disk, settings, space_reserve};
use crate::error::{Error, Result};
use crate::sys::descriptors::above_streams;
use crate::sys::log::{self, Level};

/// The file that marks a store as destroyed.
pub const MARKER: &str = "DESTROYED";

impl Disk {
    /// Returns whether `path` holds a store, or a part of one.
    pub fn has_traces(path: &Path) -> Result<bool> {
        Ok(DirContents::read(path)?.has_traces())
    }

    /// Removes the store in `path`, and leaves files of other programs. Returns whether there was a
    /// store.
    pub fn destroy(path: &Path) -> Result<bool> {
        if !Disk::has_traces(path)? {
            return Ok(false);
        }
        // Locked while the files are removed, so that no other process opens them meanwhile.
        let dir_lock = DirLock::new(path)?;
        let _file_lock = FileLock::new(&dir_lock)?;
        dir_lock.dir().check_in_place()?;
        let marker = File::create(path.join(MARKER)).and_then(above_streams);
        marker
            .and_then(|_| sync(path))
            .map_err(|cause| Error::io("cannot mark the store as destroyed", cause).at(path))?;
        remove_marked(path, &dir_lock)?;
        log::line(Level::Info, || format!("removed {}", path.display()));
        Ok(true)
    }
}

/// Returns whether the store in `path` is marked as destroyed.
pub fn is_marked(path: &Path) -> Result<bool> {
    dir_contents::has_file(path, MARKER)
}

/// Finishes the removal of a store that is marked as destroyed.
pub fn finish(path: &Path) -> Result<()> {
    let dir_lock = DirLock::new(path)?;
    let _file_lock = FileLock::new(&dir_lock)?;
    // Before this process had the lock, another one may have finished and created a new store.
    if is_marked(path)? { remove_marked(path, &dir_lock) } else { Ok(()) }
}

fn remove_marked(path: &Path, dir_lock: &DirLock) -> Result<()> {
    let options = settings::plain();
    let _guard = dir_lock.guard(&options);
    DB::destroy(&options, path)
        .map_err(|cause| rocksdb_error("cannot remove the store", path, cause))?;
    dir_lock.dir().check_in_place()?;
    let unmark = || {
        space_reserve::remove(path)?;
        // A power failure must not bring back a file without the marker.
        sync(path)?;
        match fs::remove_file(path.join(MARKER)) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
            _ => Ok(()),
        }
    };
    unmark().map_err(|cause| Error::io("cannot remove the store", cause).at(path))?;
    dir_lock.dir().check_in_place()?;
    // Fails if other files are in the directory, which then stays.
    let _ = fs::remove_dir(path);
    Ok(())
}
