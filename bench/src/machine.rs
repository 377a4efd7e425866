//! Describes the machine of the figures.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

#[derive(Clone, Serialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub memory_gib: f64,
    pub kernel: String,
    /// The file system of the data directory.
    pub file_system: String,
    pub rustc: String,
    pub transparent_huge_pages: String,
    /// The load average of the last minute.
    pub load: String,
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// Returns the value of a name in a file of names and values.
fn field(path: &str, name: &str) -> String {
    let text = read(path);
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map(|line| line.trim_start_matches([' ', '\t', ':']).to_owned()).unwrap_or_default()
}

impl Machine {
    pub fn here(directory: &Path) -> Machine {
        let kib = field("/proc/meminfo", "MemTotal");
        let kib =
            kib.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0);
        let rustc = Command::new("rustc").arg("--version").output();
        let huge = read("/sys/kernel/mm/transparent_hugepage/enabled");
        Machine {
            cpu: field("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: (kib / f64::from(1 << 20) * 10.0).round() / 10.0,
            kernel: read("/proc/sys/kernel/osrelease"),
            file_system: file_system(directory),
            rustc: rustc
                .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
                .unwrap_or_default(),
            transparent_huge_pages: huge.split(['[', ']']).nth(1).unwrap_or("unknown").to_owned(),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        }
    }

    pub fn text(&self) -> String {
        format!(
            "{}, {} cores, {} GiB, Linux {}, {}, transparent huge pages: {}, {}, load before: {}",
            self.cpu,
            self.cores,
            self.memory_gib,
            self.kernel,
            self.file_system,
            self.transparent_huge_pages,
            self.rustc,
            self.load
        )
    }
}

/// Returns the file system of a directory, with its device and options.
fn file_system(directory: &Path) -> String {
    let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    let mounts = read("/proc/self/mounts");
    let mounts = mounts.lines().filter_map(|line| {
        let [device, place, kind, options] = line.split(' ').take(4).collect::<Vec<_>>()[..] else {
            return None;
        };
        directory
            .starts_with(place)
            .then(|| (place.len(), format!("{kind} on {device} ({options})")))
    });
    mounts.max_by_key(|(len, _)| *len).map(|(_, text)| text).unwrap_or_default()
}

/// Returns the resident bytes of this process.
pub fn resident() -> u64 {
    let kib = field("/proc/self/status", "VmRSS");
    kib.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() << 10
}

/// Returns the bytes that this process caused to be written to disk.
pub fn written() -> u64 {
    field("/proc/self/io", "write_bytes").parse().unwrap_or_default()
}

/// Returns the disk space of the files below a directory.
pub fn disk_bytes(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
        Ok(metadata) => metadata.blocks() * 512,
        Err(_) => 0,
    };
    fs::read_dir(directory).into_iter().flatten().flatten().map(size).sum()
}
