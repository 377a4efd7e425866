//! The progress of long jobs on standard error.
//!
//! A terminal gets a line that is redrawn, anything else a line every few seconds.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressStyle};

use crate::output;

const REDRAW: Duration = Duration::from_millis(100);
const LINE: Duration = Duration::from_secs(5);

/// The progress of a job over pairs.
pub struct Progress {
    verb: &'static str,
    start: Instant,
    next: Instant,
    pairs: u64,
    bytes: u64,
    /// About how many pairs, or else bytes, there are; 0 if unknown.
    expected: u64,
    /// Whether the job counts bytes alone.
    is_of_bytes: bool,
    place: Where,
}

enum Where {
    Nothing,
    Lines,
    Bar(ProgressBar),
}

fn set_template(bar: &ProgressBar, template: &str) {
    // The templates are constant; a default replaces one that should be wrong.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}

impl Progress {
    /// Begins the progress of a job called `verb`, such as "dumping".
    pub fn new(quiet: bool, verb: &'static str, expected: u64) -> Progress {
        let place = if quiet {
            Where::Nothing
        } else if io::stderr().is_terminal() {
            let bar = ProgressBar::new_spinner();
            set_template(&bar, "{spinner} {msg}");
            Where::Bar(bar)
        } else {
            Where::Lines
        };
        let start = Instant::now();
        let next = start + if matches!(place, Where::Bar(_)) { REDRAW } else { LINE };
        Progress { verb, start, next, pairs: 0, bytes: 0, expected, is_of_bytes: false, place }
    }

    /// Begins the progress of a job over bytes, which calls [`Progress::at`].
    pub fn of_bytes(quiet: bool, verb: &'static str) -> Progress {
        let mut progress = Progress::new(quiet, verb, 0);
        progress.is_of_bytes = true;
        progress
    }

    /// Begins the progress of a job that ends after `limit`. Only a terminal shows it.
    pub fn of_time(quiet: bool, verb: &'static str, limit: Duration) -> Progress {
        let progress = Progress::new(quiet, verb, 0);
        if let Where::Bar(bar) = &progress.place {
            set_template(bar, "{spinner} {msg}: {elapsed} of {prefix}");
            bar.set_message(verb);
            bar.set_prefix(format!("{limit:?}"));
            bar.enable_steady_tick(REDRAW);
        }
        progress
    }

    /// Sets how many bytes are done, of about how many.
    pub fn at(&mut self, done: u64, total: u64) {
        (self.bytes, self.expected) = (done, total);
        self.show();
    }

    /// Writes a line of the result while the progress is shown.
    pub fn suspend<R>(&self, write: impl FnOnce() -> R) -> R {
        match &self.place {
            Where::Bar(bar) => bar.suspend(write),
            _ => write(),
        }
    }

    /// Counts a pair of `bytes`.
    pub fn add(&mut self, bytes: usize) {
        self.pairs += 1;
        self.bytes += bytes as u64;
        // Reading the clock for each pair would take longer than some pairs.
        if self.pairs.is_multiple_of(64) && !matches!(self.place, Where::Nothing) {
            self.show();
        }
    }

    fn show(&mut self) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        let text = self.line();
        self.next = now
            + match &self.place {
                Where::Nothing => return,
                Where::Lines => {
                    output::say(&text);
                    LINE
                }
                Where::Bar(bar) => {
                    bar.set_message(text);
                    bar.tick();
                    REDRAW
                }
            };
    }

    fn line(&self) -> String {
        let seconds = self.start.elapsed().as_secs_f64().max(0.001);
        // Rates need no fraction.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let rate = |count: u64| (count as f64 / seconds) as u64;
        let bytes = HumanBytes(self.bytes);
        let bytes_rate = HumanBytes(rate(self.bytes));
        let (verb, share, left) = (self.verb, self.share(), self.time_left(seconds));
        if self.is_of_bytes {
            return format!("{verb}: {bytes}{share}; {bytes_rate}/s{left}");
        }
        let (pairs, pairs_rate) = (HumanCount(self.pairs), HumanCount(rate(self.pairs)));
        format!("{verb}: {pairs} pairs{share}, {bytes}; {pairs_rate} pairs/s, {bytes_rate}/s{left}")
    }

    fn done(&self) -> u64 {
        if self.is_of_bytes { self.bytes } else { self.pairs }
    }

    fn share(&self) -> String {
        match self.done().saturating_mul(100).checked_div(self.expected) {
            None => String::new(),
            Some(percent) => format!(" ({} %)", percent.min(99)),
        }
    }

    /// Returns how long the rest takes at the rate until now.
    fn time_left(&self, seconds: f64) -> String {
        let done = self.done();
        if done == 0 || done >= self.expected {
            return String::new();
        }
        let left = seconds * (self.expected - done) as f64 / done as f64;
        match Duration::try_from_secs_f64(left) {
            Ok(left) => format!(", {} left", HumanDuration(left)),
            Err(_) => String::new(),
        }
    }

    pub fn pairs(&self) -> u64 {
        self.pairs
    }

    /// Ends the progress, and removes its line from the terminal.
    pub fn finish(&mut self) {
        if let Where::Bar(bar) = &self.place {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
