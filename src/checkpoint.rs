//! Copies of stores.
//!
//! A copy is made in a directory that nobody else knows, beside its place, and moved there when it is whole: so no half copy
//! is ever seen, of two that want the same place one gets it, and nothing that lies around is touched.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::directories::{self, Made};
use crate::engine::Engine;
use crate::engine::disk::Disk;
use crate::error::{Error, Result};

/// Makes a copy of what `engine` shows now in the directory `path`: a disk store, whatever the engine is.
pub fn make(engine: &dyn Engine, path: &Path) -> Result<()> {
    Disk::available()?;
    if path.symlink_metadata().is_ok() {
        return Err(taken(path));
    }
    let Some(parent) = path.parent() else { return Err(taken(path)) };
    let mut above = Made::default();
    let made = above.make(parent);
    made.map_err(|cause| Error::io("cannot make the directory for the copy", cause).at(parent))?;
    let workshop = Workshop::new(parent)?;
    let copy = workshop.0.join("copy");
    if !engine.checkpoint(&copy)? {
        Disk::copy(engine, &copy)?;
    }
    fs::rename(&copy, path).map_err(|cause| match cause.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory => taken(path),
        _ => Error::io("cannot put the copy in its place", cause).at(path),
    })?;
    above.keep();
    // That it is there must survive what its content survives.
    directories::sync(parent).map_err(|cause| Error::io("cannot sync the directory of the copy", cause).at(parent))
}

fn taken(path: &Path) -> Error {
    Error::invalid("the place for the copy is taken").at(path)
}

/// A directory that is this copy's alone, and goes with whatever is left in it.
struct Workshop(PathBuf);

impl Workshop {
    fn new(parent: &Path) -> Result<Workshop> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NUMBER.fetch_add(1, Relaxed);
            let path = parent.join(format!(".kvds-copy-{}-{number}", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Workshop(path)),
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
                Err(cause) => return Err(Error::io("cannot make a directory for the copy", cause).at(&path)),
            }
        }
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
