//! Copies of stores.
//!
//! A copy is made in a directory that nobody else knows, beside its place, and moved there when it
//! is whole: so no half copy is ever seen, of two that want the same place one gets it, and nothing
//! that lies around is touched.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::durable_dir::{self, CreatedDirs};
use crate::engine::disk::Disk;
use crate::engine::{Maintenance, Reader};
use crate::error::{Error, Result};
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
    if path.symlink_metadata().is_ok() {
        return Err(taken(path));
    }
    let Some(parent) = path.parent() else { return Err(taken(path)) };
    let mut above = CreatedDirs::default();
    let made = above.make(parent);
    made.map_err(|cause| Error::io("cannot make the directory for the copy", cause).at(parent))?;
    let workshop = Workshop::new(parent)?;
    let copy = workshop.path.join("copy");
    let is_copied = maintenance.map_or(Ok(false), |maintenance| maintenance.checkpoint(&copy))?;
    if !is_copied {
        Disk::copy(reader, &copy)?;
    }
    fs::rename(&copy, path).map_err(|cause| match cause.kind() {
        io::ErrorKind::AlreadyExists
        | io::ErrorKind::DirectoryNotEmpty
        | io::ErrorKind::NotADirectory => taken(path),
        _ => Error::io("cannot put the copy in its place", cause).at(path),
    })?;
    above.keep();
    // That it is there must survive what its content survives.
    durable_dir::sync(parent)
        .map_err(|cause| Error::io("cannot sync the directory of the copy", cause).at(parent))
}

fn taken(path: &Path) -> Error {
    Error::invalid("the place for the copy is taken").at(path)
}

/// A directory that is this copy's alone, and goes with whatever is left in it. Its maker holds a
/// lock on it: one that can be locked by others was left by a process that died.
struct Workshop {
    path: PathBuf,
    /// The directory, locked; it goes before the lock does.
    _lock: File,
}

/// How the names of these directories begin; behind it are the number of the process and a number.
const PREFIX: &str = ".kvds-copy-";

/// How many names are tried: one can be taken by what another process with the same number left and
/// we may not remove.
const ATTEMPTS: u32 = 1000;

impl Workshop {
    fn new(parent: &Path) -> Result<Workshop> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        sweep(parent);
        let failed =
            |path: &Path, cause| Error::io("cannot make a directory for the copy", cause).at(path);
        for _ in 0..ATTEMPTS {
            let number = NUMBER.fetch_add(1, Relaxed);
            let path = parent.join(format!("{PREFIX}{}-{number}", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => {}
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(cause) => return Err(failed(&path, cause)),
            }
            let lock = match open(&path) {
                Ok(lock) => lock,
                // Another process has swept it away, as it was not locked yet.
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => continue,
                Err(cause) => {
                    let _ = fs::remove_dir(&path);
                    return Err(failed(&path, cause));
                }
            };
            // Where the file system has no locks, nobody else can lock it either, and nobody
            // sweeps.
            let swept =
                lock_now(&lock).is_err_and(|cause| cause.kind() == io::ErrorKind::WouldBlock);
            if !swept && is_at(&lock, &path) {
                return Ok(Workshop { path, _lock: lock });
            }
        }
        Err(failed(parent, io::ErrorKind::AlreadyExists.into()))
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes the directories in `parent` that processes left which died while they made a copy. What
/// cannot be removed stays.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_number = |text: &str| text.parse::<u64>().is_ok();
        let is_workshop = entry.file_name().to_str().is_some_and(|name| {
            let numbers = name.strip_prefix(PREFIX).and_then(|numbers| numbers.split_once('-'));
            numbers.is_some_and(|(process, number)| is_number(process) && is_number(number))
        });
        if !is_workshop || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let path = entry.path();
        // Removed under the lock, so that its maker does not take it for its own.
        if let Ok(directory) = open(&path)
            && lock_now(&directory).is_ok()
            && is_at(&directory, &path)
        {
            log::line(Level::Info, || {
                format!("removing {}, a copy whose maker died", path.display())
            });
            let _ = fs::remove_dir_all(&path);
        }
    }
}

fn open(directory: &Path) -> io::Result<File> {
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
    OpenOptions::new().read(true).custom_flags(flags).open(directory).and_then(above_streams)
}

/// Locks `directory` until it is closed, if nobody else has it locked.
fn lock_now(directory: &File) -> io::Result<()> {
    // SAFETY: the directory is open.
    #[allow(unsafe_code)]
    match unsafe { libc::flock(directory.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether `directory` is still what lies at `path`.
fn is_at(directory: &File, path: &Path) -> bool {
    let identity = |about: Metadata| (about.dev(), about.ino());
    let here = directory.metadata().map(identity);
    matches!((here, path.symlink_metadata().map(identity)), (Ok(here), Ok(there)) if here == there)
}
