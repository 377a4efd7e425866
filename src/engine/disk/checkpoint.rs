//! Copies of stores.
//!
//! A copy is built in a temporary directory beside its destination, and renamed when it is
//! complete. So no process sees an incomplete copy, only one of two concurrent copies gets the
//! destination, and no existing file is touched.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::bulk_load::BulkLoad;
use super::durable_dir::{self, CreatedDirs};
use crate::engine::disk::Disk;
use crate::engine::{Maintenance, Range, Reader, TimeLeft};
use crate::error::{Error, Result};
use crate::options::Options;
use crate::sys::clock;
use crate::sys::descriptors::above_streams;
use crate::sys::log::{self, Level};

/// Copies what `reader` shows into a disk store in the directory `path`.
///
/// Uses [`Maintenance::checkpoint`] where the engine has a faster way.
pub fn create(
    reader: &dyn Reader,
    maintenance: Option<&dyn Maintenance>,
    path: &Path,
) -> Result<()> {
    Disk::available()?;
    build(path, |_, copy| {
        let is_copied =
            maintenance.map_or(Ok(false), |maintenance| maintenance.checkpoint(copy))?;
        if is_copied { Ok(()) } else { copy_pairs(reader, copy) }
    })
}

/// Builds a store, and renames it to `path` when it is complete.
///
/// `fill` gets a directory for temporary files, and the path in it at which it creates the store.
pub fn build<T, E: From<Error>>(
    path: &Path,
    fill: impl FnOnce(&Path, &Path) -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    if path.symlink_metadata().is_ok() {
        return Err(already_exists(path).into());
    }
    let Some(parent) = path.parent() else { return Err(already_exists(path).into()) };
    let mut created = CreatedDirs::default();
    created
        .create(parent)
        .map_err(|cause| Error::io("cannot create the directory for the copy", cause).at(parent))?;
    let temporary = TempDir::new(parent)?;
    let copy = temporary.path.join("copy");
    let result = fill(&temporary.path, &copy)?;
    fs::rename(&copy, path).map_err(|cause| match cause.kind() {
        io::ErrorKind::AlreadyExists
        | io::ErrorKind::DirectoryNotEmpty
        | io::ErrorKind::NotADirectory => already_exists(path),
        _ => Error::io("cannot rename the copy to its destination", cause).at(path),
    })?;
    created.keep();
    // The new entry must survive what the content of the copy survives.
    durable_dir::sync(parent)
        .map_err(|cause| Error::io("cannot sync the directory of the copy", cause).at(parent))?;
    Ok(result)
}

fn already_exists(path: &Path) -> Error {
    Error::invalid("the destination of the copy already exists").at(path)
}

/// Copies every pair of `reader` into a new store in the directory `path`.
fn copy_pairs(reader: &dyn Reader, path: &Path) -> Result<()> {
    let mut copy = BulkLoad::new(path, &Options::default())?;
    let mut cursor = reader.cursor(Range::prefix(b""))?;
    cursor.first()?;
    while cursor.entry().is_some() {
        let deadline = match cursor.time_left()? {
            TimeLeft::Forever => 0,
            TimeLeft::AtLeast(ttl) => clock::after(ttl),
        };
        let Some((key, value)) = cursor.entry() else { break };
        copy.put(key, value, deadline)?;
        cursor.next()?;
    }
    copy.finish()
}

/// A temporary directory that is removed on drop.
///
/// Its owner holds a lock on it. A directory that another process can lock was left by a process
/// that died.
struct TempDir {
    path: PathBuf,
    /// The locked directory. It is removed before it is unlocked.
    _lock: File,
}

/// The beginning of the names of temporary directories, before process id and number.
const PREFIX: &str = ".kvds-copy-";

/// The names that are tried. A name can be taken by a directory that a process of the same id left
/// and that this process may not remove.
const ATTEMPTS: u32 = 1000;

impl TempDir {
    fn new(parent: &Path) -> Result<TempDir> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        remove_abandoned(parent);
        let error = |path: &Path, cause| {
            Error::io("cannot create a temporary directory for the copy", cause).at(path)
        };
        for _ in 0..ATTEMPTS {
            let number = NEXT.fetch_add(1, Relaxed);
            let path = parent.join(format!("{PREFIX}{}-{number}", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => {}
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(cause) => return Err(error(&path, cause)),
            }
            let lock = match open(&path) {
                Ok(lock) => lock,
                // Another process has removed it, because it was not locked yet.
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => continue,
                Err(cause) => {
                    let _ = fs::remove_dir(&path);
                    return Err(error(&path, cause));
                }
            };
            // On a file system without locks, no other process can lock it, so none removes it.
            let is_taken =
                try_lock(&lock).is_err_and(|cause| cause.kind() == io::ErrorKind::WouldBlock);
            if !is_taken && is_at(&lock, &path) {
                return Ok(TempDir { path, _lock: lock });
            }
        }
        Err(error(parent, io::ErrorKind::AlreadyExists.into()))
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes the temporary directories in `parent` that dead processes left, where it can.
fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_number = |text: &str| text.parse::<u64>().is_ok();
        let is_temporary = entry.file_name().to_str().is_some_and(|name| {
            let numbers = name.strip_prefix(PREFIX).and_then(|numbers| numbers.split_once('-'));
            numbers.is_some_and(|(process, number)| is_number(process) && is_number(number))
        });
        if !is_temporary || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let path = entry.path();
        // Under the lock, so that its owner does not start to use it meanwhile.
        if let Ok(directory) = open(&path)
            && try_lock(&directory).is_ok()
            && is_at(&directory, &path)
        {
            log::line(Level::Info, || {
                format!("removing {}, an incomplete copy of a dead process", path.display())
            });
            let _ = fs::remove_dir_all(&path);
        }
    }
}

fn open(directory: &Path) -> io::Result<File> {
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
    OpenOptions::new().read(true).custom_flags(flags).open(directory).and_then(above_streams)
}

/// Locks `directory` until it is closed. Fails if it is locked.
fn try_lock(directory: &File) -> io::Result<()> {
    // SAFETY: the directory is open.
    #[allow(unsafe_code)]
    match unsafe { libc::flock(directory.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Returns whether `path` still leads to `directory`.
fn is_at(directory: &File, path: &Path) -> bool {
    let id = |metadata: Metadata| (metadata.dev(), metadata.ino());
    let opened = directory.metadata().map(id);
    matches!((opened, path.symlink_metadata().map(id)), (Ok(opened), Ok(found)) if opened == found)
}
