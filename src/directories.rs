//! Making directories: for good, or so that they go again if what they were made for does not come.
//!
//! A directory that was made is there after a power cut when the one above it was synced; what is in it, synced or not, goes
//! with it until then.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Directories that were made, the outermost first. Unless they are kept, those of them that are empty go again.
#[must_use = "they go again when this is dropped"]
#[derive(Default)]
pub struct Made(Vec<PathBuf>);

impl Made {
    /// Makes the directory `path`, and those above it, where they are missing. Returns whether `path` was. It is then there
    /// for good.
    pub fn make(&mut self, path: &Path) -> io::Result<bool> {
        let above = path.parent().filter(|above| *above != Path::new(""));
        loop {
            match (fs::create_dir(path), above) {
                (Ok(()), above) => {
                    self.0.push(path.to_path_buf());
                    above.map_or(Ok(()), sync)?;
                    return Ok(true);
                }
                (Err(cause), above) if cause.kind() == io::ErrorKind::AlreadyExists || path.is_dir() => {
                    // Whoever made it may have died before it was for good. A directory that cannot be read is not one that
                    // the library made.
                    return match above.map_or(Ok(()), sync) {
                        Err(cause) if cause.kind() != io::ErrorKind::PermissionDenied => Err(cause),
                        _ => Ok(false),
                    };
                }
                // Made again if somebody who made it before has it go again in between.
                (Err(cause), Some(above)) if cause.kind() == io::ErrorKind::NotFound => {
                    self.make(above)?;
                }
                (Err(cause), _) => return Err(cause),
            }
        }
    }

    /// Has them stay.
    pub fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            // What is not empty is in use by others, or holds what could not be removed; then all above it stays by itself.
            let _ = fs::remove_dir(path);
        }
    }
}

/// Has the entries of a directory, as they are now, survive a power cut.
pub fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
