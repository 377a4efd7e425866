//! Making directories that go again if what they were made for does not come.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Directories that were made, the outermost first. Unless they are kept, those of them that are empty go again.
#[must_use = "they go again when this is dropped"]
#[derive(Default)]
pub struct Made(Vec<PathBuf>);

impl Made {
    /// Makes the directory `path`, and those above it, where they are missing. Returns whether `path` was.
    pub fn make(&mut self, path: &Path) -> io::Result<bool> {
        loop {
            match (fs::create_dir(path), path.parent()) {
                (Ok(()), _) => {
                    self.0.push(path.to_path_buf());
                    return Ok(true);
                }
                (Err(cause), _) if cause.kind() == io::ErrorKind::AlreadyExists || path.is_dir() => return Ok(false),
                // Made again if somebody who made it before has it go again in between.
                (Err(cause), Some(parent)) if cause.kind() == io::ErrorKind::NotFound && parent != Path::new("") => {
                    self.make(parent)?;
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
