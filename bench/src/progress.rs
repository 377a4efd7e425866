//! Shows the progress: a bar on a terminal, otherwise lines.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

pub struct Progress {
    bar: Option<ProgressBar>,
    start: Instant,
    total: u64,
    done: std::sync::atomic::AtomicU64,
}

impl Progress {
    /// Creates the progress of `total` lines of tables.
    pub fn new(total: u64) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total);
            let style =
                ProgressStyle::with_template("{elapsed_precise} {bar:30} {pos}/{len} {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(Duration::from_millis(500));
            bar
        });
        Progress { bar, start: Instant::now(), total, done: 0.into() }
    }

    /// Shows the current step.
    pub fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None => {
                let (seconds, done) = (
                    self.start.elapsed().as_secs(),
                    self.done.load(std::sync::atomic::Ordering::Relaxed),
                );
                eprintln!("{:2}:{:02} {done:3}/{} {text}", seconds / 60, seconds % 60, self.total);
            }
        }
    }

    /// Counts a finished line.
    pub fn step(&self) {
        self.done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
