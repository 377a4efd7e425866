//! Why a command ended without its result, and the exit code for it.

use std::fmt;
use std::io;

use crate::library;

/// The exit code of a plain "no": no such key, another value, a difference.
pub const EXIT_NO: u8 = 1;
/// The exit code of a command line that cannot be run; clap uses the same.
pub const EXIT_USAGE: u8 = 2;
/// The exit code of everything else that fails.
pub const EXIT_FAILURE: u8 = 3;
/// The exit code of shells for a program that Ctrl-C ended.
pub const EXIT_INTERRUPTED: u8 = 130;

/// The exit code of shells for a program that SIGPIPE ended.
pub const EXIT_BROKEN_PIPE: u8 = 141;

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// The command line cannot be run.
    Usage(String),
    /// Anything else, with a sentence for the user.
    Failed(String),
    /// A signal ended the command. The text says what was done until then.
    Interrupted(String),
    /// A failure that standard error describes already. The number is its exit code.
    Reported(u8),
    /// The reader of the output went away: `kvds born scan | head`. Programs end without a word
    /// then, by SIGPIPE, and a shell that asks for it sees that not all was written.
    BrokenPipe,
}

pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub fn usage(text: impl Into<String>) -> Failure {
        Failure::Usage(text.into())
    }

    pub fn failed(text: impl Into<String>) -> Failure {
        Failure::Failed(text.into())
    }

    /// Reports an error of the file or stream `name`.
    pub fn io(name: impl fmt::Display, cause: &io::Error) -> Failure {
        Failure::Failed(format!("{name}: {cause}"))
    }

    /// Adds to the text what was done before.
    pub fn after(self, done: &str) -> Failure {
        match self {
            Failure::Failed(text) => Failure::Failed(format!("{text}; {done}")),
            Failure::Interrupted(_) => Failure::Interrupted(done.to_owned()),
            other => other,
        }
    }

    /// Names the line of a file that failed.
    pub fn at(self, line: &str) -> Failure {
        match self {
            Failure::Usage(text) => Failure::Usage(format!("{line}: {text}")),
            Failure::Failed(text) => Failure::Failed(format!("{line}: {text}")),
            other => other,
        }
    }

    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Usage(_) => EXIT_USAGE,
            Failure::Failed(_) => EXIT_FAILURE,
            Failure::Interrupted(_) => EXIT_INTERRUPTED,
            Failure::Reported(code) => *code,
            Failure::BrokenPipe => EXIT_BROKEN_PIPE,
        }
    }

    /// Returns the text for standard error, if there is something to say.
    pub fn text(&self) -> Option<String> {
        match self {
            Failure::Usage(text) | Failure::Failed(text) => Some(text.clone()),
            Failure::Interrupted(done) if done.is_empty() => Some("interrupted".to_owned()),
            Failure::Interrupted(done) => Some(format!("interrupted; {done}")),
            Failure::Reported(_) | Failure::BrokenPipe => None,
        }
    }
}

impl From<library::Error> for Failure {
    fn from(error: library::Error) -> Failure {
        Failure::Failed(error.to_string())
    }
}
