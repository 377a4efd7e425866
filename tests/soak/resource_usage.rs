//! Measures the memory, threads and files of the process, and checks that they level off.

use std::fmt;
use std::fs;
use std::time::Duration;

/// The resource usage at one time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    pub after: Duration,
    /// Resident memory in KiB.
    pub memory: u64,
    pub threads: u64,
    /// Open file descriptors.
    pub files: u64,
}

impl Sample {
    /// Measures now. The allocator first returns its free memory to the system, which would look
    /// like a leak.
    pub fn now(after: Duration) -> Sample {
        #[cfg(target_env = "gnu")]
        // SAFETY: it may be called at any time, from any thread.
        unsafe {
            libc::malloc_trim(0);
        }
        let status =
            fs::read_to_string("/proc/self/status").expect("a process can read about itself");
        let number = |name: &str| {
            let line =
                status.lines().find_map(|line| line.strip_prefix(name)).expect("the line is there");
            line.trim_start_matches(':')
                .split_whitespace()
                .next()
                .and_then(|word| word.parse().ok())
                .expect("a number")
        };
        let files = fs::read_dir("/proc/self/fd").expect("a process can read about itself").count();
        Sample { after, memory: number("VmRSS"), threads: number("Threads"), files: files as u64 }
    }
}

/// A resource in the second quarter of a run and in the last.
pub struct Course {
    name: &'static str,
    early: u64,
    late: u64,
    /// The limit for the last quarter.
    allowed: u64,
}

impl Course {
    pub fn levels_off(&self) -> bool {
        self.late <= self.allowed
    }
}

impl fmt::Display for Course {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Course { name, early, late, allowed } = self;
        let verdict = if self.levels_off() { "levels off" } else { "GROWS" };
        write!(out, "{name:22} {early:>14} {late:>14} {allowed:>14}   {verdict}")
    }
}

/// Returns the head of a table of [`Course`]s.
pub fn head() -> String {
    format!("{:22} {:>14} {:>14} {:>14}", "median of", "second quarter", "last quarter", "at most")
}

/// Compares the second quarter with the last, as caches fill in the first one. A growth of a tenth
/// is allowed, and the usage of a few open stores.
pub fn courses(samples: &[Sample]) -> [Course; 3] {
    let quarter = samples.len() / 4;
    let (early, late) = (&samples[quarter..2 * quarter], &samples[samples.len() - quarter..]);
    let course = |name, figure: fn(&Sample) -> u64, more: u64| {
        let (early, late) = (median(early, figure), median(late, figure));
        Course { name, early, late, allowed: early + early / 10 + more }
    };
    [
        course("resident memory (KiB)", |sample| sample.memory, 8 << 10),
        course("threads", |sample| sample.threads, 2),
        course("open files", |sample| sample.files, 16),
    ]
}

fn median(samples: &[Sample], figure: fn(&Sample) -> u64) -> u64 {
    let mut figures: Vec<u64> = samples.iter().map(figure).collect();
    figures.sort_unstable();
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}
