//! Reports damage and progress to the caller, which can stop the work.

use crate::engine::damage::{Damage, Progress, Visit};
use crate::error::{Error, Result};

/// Why the work ended before it was done.
#[derive(Debug)]
pub enum Halt {
    /// The callback said so.
    Stopped,
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Halt {
        Halt::Failed(error)
    }
}

/// The result of a step of the work.
pub type Step<T = ()> = std::result::Result<T, Halt>;

/// The caller's callback, and what it was called with.
pub struct Report<'a> {
    visit: &'a mut Visit<'a>,
    progress: Progress,
    damages: u64,
}

impl<'a> Report<'a> {
    pub fn new(visit: &'a mut Visit<'a>) -> Report<'a> {
        Report { visit, progress: Progress::default(), damages: 0 }
    }

    /// Returns how many damages were reported.
    pub fn damages(&self) -> u64 {
        self.damages
    }

    /// Adds bytes that are to be read.
    pub fn expect(&mut self, bytes: u64) {
        self.progress.total += bytes;
    }

    pub fn damage(&mut self, damage: &Damage<'_>) -> Step {
        self.damages += 1;
        self.call(Some(damage))
    }

    /// Reports that bytes were read.
    pub fn advance(&mut self, bytes: u64) -> Step {
        self.advance_to(self.progress.done.saturating_add(bytes))
    }

    /// Reports how many bytes are done in all. The number never falls, and never exceeds the total.
    pub fn advance_to(&mut self, done: u64) -> Step {
        self.progress.done = done.clamp(self.progress.done, self.progress.total);
        self.call(None)
    }

    pub fn progress(&self) -> Progress {
        self.progress
    }

    fn call(&mut self, damage: Option<&Damage<'_>>) -> Step {
        if (self.visit)(damage, self.progress) { Ok(()) } else { Err(Halt::Stopped) }
    }
}

/// Returns the result of the work, or `None` if the callback stopped it.
pub fn unless_stopped<T>(result: Step<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Halt::Stopped) => Ok(None),
        Err(Halt::Failed(error)) => Err(error),
    }
}
