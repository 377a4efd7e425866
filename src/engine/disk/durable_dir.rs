//! Creates directories durably, and removes them again on failure.
//!
//! A new directory survives a power failure once its parent is synced. Until then the failure also
//! removes what is in it, synced or not.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::sys::descriptors::above_streams;
use crate::sys::fork::PerProcess;
use crate::sys::locks::Mutex;
use crate::sys::log::{self, Level};

/// Directories that were created, the outermost first. Dropping this removes the empty ones, unless
/// they are kept.
#[must_use = "dropping it removes the directories"]
#[derive(Default)]
pub struct CreatedDirs(Vec<PathBuf>);

impl CreatedDirs {
    /// Creates the directory `path` and its missing parents durably. Returns whether `path` is new.
    ///
    /// An error names the path that is the obstacle.
    pub fn create(&mut self, path: &Path) -> io::Result<bool> {
        let above: Vec<_> = path.ancestors().filter(|above| *above != Path::new("")).collect();
        // Goes up to the lowest directory that exists and then down again. A parent can vanish in
        // between, because the process that created it removes it again; then this goes up once
        // more. Some file systems report "not found" for a name in an existing directory (/proc,
        // autofs), and would forever. So it turns up again at most `MAX_TURNS` times, and every
        // step down comes nearer to the end.
        let (mut level, mut turns, mut descending) = (0, 0, false);
        while let Some(&at) = above.get(level) {
            let is_new = match fs::create_dir(at) {
                Ok(()) => {
                    self.0.push(at.to_path_buf());
                    true
                }
                // The error does not matter if the directory exists: a read-only file system
                // reports that it is read-only.
                Err(_) if at.is_dir() => false,
                Err(cause)
                    if cause.kind() == io::ErrorKind::NotFound
                        && level + 1 < above.len()
                        && turns < MAX_TURNS =>
                {
                    turns += usize::from(descending);
                    descending = false;
                    level += 1;
                    continue;
                }
                Err(cause) => return Err(name_obstacle(at, cause)),
            };
            if let Some(parent) = above.get(level + 1) {
                match sync(parent) {
                    // Synced even if it is not new, because its creator may have died before the
                    // sync. A directory that cannot be read was not created by the library.
                    Err(cause) if is_new || cause.kind() != io::ErrorKind::PermissionDenied => {
                        return Err(cause);
                    }
                    _ => {}
                }
            }
            if level == 0 {
                return Ok(is_new);
            }
            descending = true;
            level -= 1;
        }
        Err(io::ErrorKind::InvalidInput.into())
    }

    /// Keeps the directories.
    pub fn keep(&mut self) {
        self.0.clear();
    }
}

/// The times that a directory may vanish while those below it are created.
const MAX_TURNS: usize = 16;

/// Adds the obstacle to the error of creating the directory `path`: the lowest path that exists,
/// and the target of a link.
fn name_obstacle(path: &Path, cause: io::Error) -> io::Error {
    let obstacle = path.ancestors().find_map(|at| Some((at, at.symlink_metadata().ok()?)));
    let Some((at, metadata)) = obstacle else { return cause };
    let name = at.display();
    let text = match at.metadata() {
        // The system only reports "File exists" for a dangling link.
        Err(cause) if metadata.is_symlink() => {
            let target = fs::read_link(at).unwrap_or_default();
            format!("{name} is a symbolic link to {}: {cause}", target.display())
        }
        Ok(target) if !target.is_dir() => format!("{name} is not a directory"),
        _ => format!("cannot create anything in {name}: {cause}"),
    };
    io::Error::new(cause.kind(), text)
}

impl Drop for CreatedDirs {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            // Fails for a directory that is not empty. Its parents are not empty then either.
            let _ = fs::remove_dir(path);
        }
    }
}

/// Makes the current entries of a directory survive a power failure. Only warns if the file system
/// cannot sync directories.
pub fn sync(directory: &Path) -> io::Result<()> {
    match File::open(directory).and_then(above_streams)?.sync_all() {
        // CIFS and many FUSE file systems.
        Err(cause)
            if matches!(
                cause.raw_os_error(),
                Some(libc::EINVAL | libc::EOPNOTSUPP | libc::ENOSYS)
            ) =>
        {
            warn_unsynced(directory);
            Ok(())
        }
        result => result,
    }
}

/// Warns, once for each directory, that its file system cannot sync it.
pub fn warn_unsynced(directory: &Path) {
    static WARNED: PerProcess<Mutex<BTreeSet<PathBuf>>> = PerProcess::new();
    if !log::is_enabled(Level::Warn) {
        return;
    }
    let mut warned = WARNED.get().lock();
    // A process with very many stores may warn again.
    if warned.len() >= MAX_WARNED {
        warned.clear();
    }
    if warned.insert(directory.to_path_buf()) {
        drop(warned);
        log::line(Level::Warn, || {
            format!(
                "{}: the file system cannot sync directories; a power failure may remove new files",
                directory.display()
            )
        });
    }
}

/// The directories that are remembered after a warning.
const MAX_WARNED: usize = 1024;
