//! The process that has a disk store open for writing.
//!
//! The library locks the directory and the file `LOCK` in it. Trying these locks could make a
//! writer fail that starts at the same time, so this only reads what the system says about them.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A process that has a store open.
#[derive(Clone)]
pub struct Holder {
    pid: u32,
    name: String,
}

impl Holder {
    pub fn pid(&self) -> u32 {
        self.pid
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "process {} ({})", self.pid, self.name)
    }
}

/// Returns the process that has the store in `directory` open, if there is one that this user sees.
pub fn find(directory: &Path) -> Option<Holder> {
    Locks::read().holder(directory)
}

/// The locks of all processes at a point in time, for searches in many stores.
pub struct Locks {
    held: Vec<(u32, FileId)>,
    /// The files called `LOCK` that processes have open, which take longer to find.
    open_files: OnceCell<HashMap<PathBuf, u32>>,
}

/// The device and the inode of a file.
type FileId = (u32, u32, u64);

impl Locks {
    pub fn read() -> Locks {
        let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
        Locks { held: locks.lines().filter_map(lock_line).collect(), open_files: OnceCell::new() }
    }

    /// Returns the process that has the store in `directory` open: see [`find`].
    pub fn holder(&self, directory: &Path) -> Option<Holder> {
        let lock = directory.join("LOCK");
        let files =
            [identity(&fs::metadata(directory).ok()?), identity(&fs::metadata(&lock).ok()?)];
        let pid = self.held.iter().find(|(_, file)| files.contains(file)).map(|&(pid, _)| pid);
        // A container may hide the locks of others, or show file systems with other numbers.
        let pid = pid.or_else(|| self.by_open_files(&lock))?;
        (pid != std::process::id()).then(|| Holder { pid, name: name_of(pid) })
    }

    /// Returns a process that has the file `lock` open, as a writer does until it ends.
    fn by_open_files(&self, lock: &Path) -> Option<u32> {
        let lock = fs::canonicalize(lock).ok()?;
        self.open_files.get_or_init(open_locks).get(&lock).copied()
    }
}

/// Returns the process and the file (device and inode) of a line of `/proc/locks`.
///
/// The line is such as `1: FLOCK  ADVISORY  WRITE 4011 fd:00:1835020 0 EOF`.
fn lock_line(line: &str) -> Option<(u32, FileId)> {
    let mut words = line.split_ascii_whitespace();
    // A process that waits for a lock has an arrow in its line.
    let waits = words.clone().nth(1) == Some("->");
    if waits || !line.contains(" WRITE ") {
        return None;
    }
    let pid = words.nth(4)?.parse().ok().filter(|&pid| pid > 0)?;
    let mut file = words.next()?.split(':');
    let mut device = || u32::from_str_radix(file.next()?, 16).ok();
    let device = (device()?, device()?);
    Some((pid, (device.0, device.1, file.next()?.parse().ok()?)))
}

fn identity(metadata: &fs::Metadata) -> FileId {
    (libc::major(metadata.dev()), libc::minor(metadata.dev()), metadata.ino())
}

/// Returns the files called `LOCK` that other processes have open.
fn open_locks() -> HashMap<PathBuf, u32> {
    let mut locks = HashMap::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // Processes of other users may not be read.
        let files = fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        for target in files.filter_map(|file| fs::read_link(file.path()).ok()) {
            if target.ends_with("LOCK") {
                locks.entry(target).or_insert(pid);
            }
        }
    }
    locks
}

fn name_of(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    crate::text::shown(name.trim_end().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::lock_line;

    #[test]
    fn lines_of_proc_locks() {
        let cases = [
            (
                "1: FLOCK  ADVISORY  WRITE 4011 fd:0a:1835020 0 EOF",
                Some((4011, (253, 10, 1835020))),
            ),
            ("2: POSIX  ADVISORY  READ  4011 fd:00:1 0 EOF", None),
            ("3: -> FLOCK  ADVISORY  WRITE 4012 fd:00:1 0 EOF", None),
            ("4: FLOCK  ADVISORY  WRITE 0 fd:00:1 0 EOF", None),
            ("", None),
        ];
        for (line, expected) in cases {
            assert_eq!(lock_line(line), expected, "{line}");
        }
    }
}
