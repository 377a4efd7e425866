//! What another process uses of the machine, as `/proc` shows it.

use std::fs;
use std::time::Duration;

/// What a process has used since it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// When the process started, in ticks since the system did: a later process with the same id
    /// has another one.
    started: u64,
    pub cpu: Duration,
    pub memory_bytes: u64,
    /// What it read from and wrote to disks; `None` for a process of another user.
    pub disk: Option<DiskUsage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskUsage {
    pub read_bytes: u64,
    pub written_bytes: u64,
}

impl Usage {
    /// Returns the usage of the process `pid`, if it runs.
    pub fn of(pid: u32) -> Option<Usage> {
        let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
        let (started, ticks) = parse_stat(&read("stat")?)?;
        Some(Usage {
            started,
            cpu: duration(ticks),
            memory_bytes: field(&read("status")?, "VmRSS:").unwrap_or(0).saturating_mul(1024),
            disk: read("io").and_then(|text| {
                let [read_bytes, written_bytes] =
                    ["read_bytes:", "write_bytes:"].map(|name| field(&text, name));
                Some(DiskUsage { read_bytes: read_bytes?, written_bytes: written_bytes? })
            }),
        })
    }

    /// Returns whether both are of the same process.
    pub fn is_same_process(&self, other: &Usage) -> bool {
        self.started == other.started
    }
}

/// Returns the start of a process, and the ticks that it ran for, from `/proc/PID/stat`.
fn parse_stat(text: &str) -> Option<(u64, u64)> {
    // The second word is the name of the program, which may have spaces and parentheses.
    let words: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let word = |number: usize| words.get(number - 3)?.parse::<u64>().ok();
    Some((word(22)?, word(14)?.saturating_add(word(15)?)))
}

/// Returns the number after `name` at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn duration(ticks: u64) -> Duration {
    // SAFETY: the call takes a constant.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    let per_second = u64::try_from(per_second).unwrap_or(0).max(1);
    Duration::from_millis(ticks.saturating_mul(1000) / per_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_program_is_no_field() {
        let stat = "7 (a ) R 1) R 1 7 7 0 -1 0 9 0 0 0 30 12 0 0 20 0 1 0 7401 3133440 358";
        assert_eq!(parse_stat(stat), Some((7401, 42)));
        assert_eq!(parse_stat("7 (a) R 1 2"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn fields_of_lines() {
        let text = "Name:\tVmRSS: 1\nVmRSS:\t    1234 kB\nread_bytes: 5\n";
        assert_eq!(field(text, "VmRSS:"), Some(1234));
        assert_eq!(field(text, "read_bytes:"), Some(5));
        assert_eq!(field(text, "write_bytes:"), None);
    }

    #[test]
    fn this_process_uses_memory() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.memory_bytes > 100_000, "{usage:?}");
        assert!(usage.is_same_process(&usage));
        assert_eq!(Usage::of(u32::MAX), None);
    }
}
