//! The process that has a disk store open for writing.
//!
//! The library locks the directory and the file `LOCK` in it. Trying these locks could make a
//! writer fail that starts at the same time, so this only reads what the system says about them.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A process that has a store open.
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
    let lock = directory.join("LOCK");
    let metadata = [fs::metadata(directory).ok()?, fs::metadata(&lock).ok()?];
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let pid = locks.lines().find_map(|line| {
        let (pid, file) = lock_line(line)?;
        metadata.iter().any(|metadata| file == identity(metadata)).then_some(pid)
    });
    // A container may hide the locks of others, or show file systems with other numbers.
    let pid = pid.or_else(|| by_open_files(&lock))?;
    (pid != std::process::id()).then(|| Holder { pid, name: name_of(pid) })
}

/// Returns the process and the file (device and inode) of a line of `/proc/locks`.
///
/// The line is such as `1: FLOCK  ADVISORY  WRITE 4011 fd:00:1835020 0 EOF`.
fn lock_line(line: &str) -> Option<(u32, (u32, u32, u64))> {
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

fn identity(metadata: &fs::Metadata) -> (u32, u32, u64) {
    (libc::major(metadata.dev()), libc::minor(metadata.dev()), metadata.ino())
}

/// Returns a process that has the file `lock` open, as a writer does until it ends.
fn by_open_files(lock: &Path) -> Option<u32> {
    let lock = fs::canonicalize(lock).ok()?;
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // Processes of other users may not be read.
        let Ok(files) = fs::read_dir(process.path().join("fd")) else { continue };
        for file in files.flatten() {
            if fs::read_link(file.path()).is_ok_and(|target| target == lock) {
                return Some(pid);
            }
        }
    }
    None
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
