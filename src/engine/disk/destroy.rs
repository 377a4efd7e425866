//! Removing a store's files so that a store that is half removed is none.
//!
//! RocksDB removes the files in any order, and would not open what is left if the process dies
//! meanwhile, or makes an error of it. So a mark is made first, for good, and goes last: where it
//! is, there is no store, and who comes next finishes the removal.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rocksdb::DB;

use super::durable_dir::sync;
use super::errors::failed;
use super::is_there;
use super::lock::{Claim, Lock};
use super::{reserve, settings};
use crate::error::{Error, Result};
use crate::sys::descriptors::above_streams;

/// The file that marks a store as removed.
pub const MARK: &str = "DESTROYED";

/// Whether somebody has begun to remove the store in `path`.
pub fn is_begun(path: &Path) -> Result<bool> {
    is_there(path, MARK)
}

/// Removes the store in `path`. Files that are not RocksDB's are left.
pub fn remove(path: &Path) -> Result<()> {
    // Held while the files go, so that nobody opens them meanwhile.
    let claim = Claim::new(path)?;
    let _lock = Lock::new(path, &claim)?;
    claim.place().check()?;
    let marked = File::create(path.join(MARK)).and_then(above_streams).and_then(|_| sync(path));
    marked.map_err(|cause| Error::io("cannot mark the store as removed", cause).at(path))?;
    remove_marked(path, &claim)
}

/// Finishes what somebody has begun.
pub fn finish(path: &Path) -> Result<()> {
    let claim = Claim::new(path)?;
    let _lock = Lock::new(path, &claim)?;
    // They may have finished it themselves, and others made a new store, before the lock was ours.
    if is_begun(path)? { remove_marked(path, &claim) } else { Ok(()) }
}

fn remove_marked(path: &Path, claim: &Claim) -> Result<()> {
    let options = settings::plain();
    let _guard = claim.guard(&options);
    DB::destroy(&options, path).map_err(|cause| failed("cannot remove the store", path, cause))?;
    claim.place().check()?;
    let unmark = || {
        reserve::remove(path)?;
        // No file may come back without the mark.
        sync(path)?;
        match fs::remove_file(path.join(MARK)) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
            _ => Ok(()),
        }
    };
    unmark().map_err(|cause| Error::io("cannot remove the store", cause).at(path))?;
    claim.place().check()?;
    // It stays if something else is in it.
    let _ = fs::remove_dir(path);
    Ok(())
}
