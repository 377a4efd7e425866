//! Directories that a power cut leaves where they are.
//!
//! A directory that was made is there for good when the one above it was synced; what is in it, synced or not, goes with it
//! until then.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::error::{Error, Result};

/// Makes the directory `path`, and those above it that are missing, for good. Returns whether it was missing.
pub fn make(path: &Path) -> Result<bool> {
    let Some(above) = path.parent() else { return Ok(false) };
    match above.try_exists() {
        Ok(false) => drop(make(above)?),
        // Whoever made it may have died before it was for good.
        _ => drop(above.parent().map(sync)),
    }
    let failed = |cause| Error::io("cannot make the directory", cause).at(path);
    match fs::create_dir(path) {
        Ok(()) => {
            // Nothing half made stays behind.
            sync(above).inspect_err(|_| drop(fs::remove_dir(path))).map_err(failed)?;
            Ok(true)
        }
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
            // The same holds here. A directory that cannot be read is not one that the library made.
            match sync(above) {
                Err(cause) if cause.kind() != io::ErrorKind::PermissionDenied => Err(failed(cause)),
                _ => Ok(false),
            }
        }
        Err(cause) => Err(failed(cause)),
    }
}

/// Has the entries of a directory, as they are now, survive a power cut.
pub fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
