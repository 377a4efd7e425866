//! Making directories: for good, or so that they go again if what they were made for does not come.
//!
//! A directory that was made is there after a power cut when the one above it was synced; what is
//! in it, synced or not, goes with it until then.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::sys::descriptors::above_streams;
use crate::sys::fork::PerProcess;
use crate::sys::locks::Mutex;
use crate::sys::log::{self, Level};

/// Directories that were made, the outermost first. Unless they are kept, those of them that are
/// empty go again.
#[must_use = "they go again when this is dropped"]
#[derive(Default)]
pub struct CreatedDirs(Vec<PathBuf>);

impl CreatedDirs {
    /// Makes the directory `path`, and those above it, where they are missing. Returns whether
    /// `path` was. It is then there for good.
    ///
    /// An error names the path that stands in the way.
    pub fn make(&mut self, path: &Path) -> io::Result<bool> {
        let above: Vec<_> = path.ancestors().filter(|above| *above != Path::new("")).collect();
        // Goes up to the lowest directory that is there and then down again. A parent can vanish in
        // between, as someone who made it before removes it again; then the way leads up once more.
        // Some file systems say "not found" of a name below a directory that is there (/proc,
        // autofs), and would say so for ever. Hence the bound: every step down comes nearer to the
        // end, and there are at most `TURNS` turns up again.
        let (mut level, mut turns, mut descending) = (0, 0, false);
        while let Some(&at) = above.get(level) {
            let made = match fs::create_dir(at) {
                Ok(()) => {
                    self.0.push(at.to_path_buf());
                    true
                }
                // There already. Whatever else it says of a directory that is there (a read-only
                // file system), that is one.
                Err(_) if at.is_dir() => false,
                Err(cause)
                    if cause.kind() == io::ErrorKind::NotFound
                        && level + 1 < above.len()
                        && turns < TURNS =>
                {
                    turns += usize::from(descending);
                    descending = false;
                    level += 1;
                    continue;
                }
                Err(cause) => return Err(in_the_way(at, cause)),
            };
            if let Some(parent) = above.get(level + 1) {
                match sync(parent) {
                    // Whoever made it may have died before it was for good. A directory that cannot
                    // be read is not one that the library made.
                    Err(cause) if made || cause.kind() != io::ErrorKind::PermissionDenied => {
                        return Err(cause);
                    }
                    _ => {}
                }
            }
            if level == 0 {
                return Ok(made);
            }
            descending = true;
            level -= 1;
        }
        Err(io::ErrorKind::InvalidInput.into())
    }

    /// Has them stay.
    pub fn keep(mut self) {
        self.0.clear();
    }
}

/// How often a directory may vanish while those below it are made.
const TURNS: usize = 16;

/// The error of making the directory `path`, with what stands in the way: the lowest path that is
/// there, and for a link where it points.
fn in_the_way(path: &Path, cause: io::Error) -> io::Error {
    let there = path.ancestors().find_map(|at| Some((at, at.symlink_metadata().ok()?)));
    let Some((at, about)) = there else { return cause };
    let name = at.display();
    let text = match at.metadata() {
        // "File exists" of what is nowhere helps nobody.
        Err(cause) if about.is_symlink() => {
            let target = fs::read_link(at).unwrap_or_default();
            format!("{name} is a symbolic link to {}: {cause}", target.display())
        }
        Ok(about) if !about.is_dir() => format!("{name} is not a directory"),
        _ => format!("nothing can be made in {name}: {cause}"),
    };
    io::Error::new(cause.kind(), text)
}

impl Drop for CreatedDirs {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            // What is not empty is in use by others, or holds what could not be removed; then all
            // above it stays by itself.
            let _ = fs::remove_dir(path);
        }
    }
}

/// Has the entries of a directory, as they are now, survive a power cut. Where the file system
/// cannot sync directories, nothing is promised of them.
pub fn sync(directory: &Path) -> io::Result<()> {
    match File::open(directory).and_then(above_streams)?.sync_all() {
        // CIFS, and many file systems of FUSE.
        Err(cause)
            if matches!(
                cause.raw_os_error(),
                Some(libc::EINVAL | libc::EOPNOTSUPP | libc::ENOSYS)
            ) =>
        {
            tell_unsynced(directory);
            Ok(())
        }
        result => result,
    }
}

/// Tells, once for each directory, that its file system cannot sync it.
pub fn tell_unsynced(directory: &Path) {
    static TOLD: PerProcess<Mutex<BTreeSet<PathBuf>>> = PerProcess::new();
    if !log::is_enabled(Level::Warn) {
        return;
    }
    let mut told = TOLD.get().lock();
    // A process with very many stores may tell it again.
    if told.len() >= REMEMBERED {
        told.clear();
    }
    if told.insert(directory.to_path_buf()) {
        drop(told);
        log::line(Level::Warn, || {
            format!(
                "{}: the file system cannot sync directories; a power cut may remove new files",
                directory.display()
            )
        });
    }
}

/// How many directories are remembered of which it was told.
const REMEMBERED: usize = 1024;
