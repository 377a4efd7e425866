//! Errors.
//!
//! The kind of an error tells the program what it can do. The text tells a person what failed: it
//! names the store, the path and the cause.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub type Result<T> = std::result::Result<T, Error>;

/// The kind of an error. There is one for each negative status of the C interface, which documents
/// them (`ffi/status.rs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    InvalidArgument,
    Closed,
    Denied,
    Locked,
    Io,
    NoSpace,
    Corruption,
    NoMemory,
    Unsupported,
    Busy,
    UnknownOutcome,
    Forked,
    Internal,
    Expired,
}

/// An error. It is one pointer, so results of calls that rarely fail stay small.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Detail>);

#[derive(Debug)]
struct Detail {
    kind: Kind,
    what: Cow<'static, str>,
    place: Option<String>,
    path: Option<PathBuf>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Creates an error. `what` names the mistake and, if that helps, what is allowed.
    pub fn new(kind: Kind, what: impl Into<Cow<'static, str>>) -> Error {
        Error(Box::new(Detail { kind, what: what.into(), place: None, path: None, cause: None }))
    }

    /// Creates an error of the kind [`Kind::InvalidArgument`].
    pub fn invalid(what: impl Into<Cow<'static, str>>) -> Error {
        Error::new(Kind::InvalidArgument, what)
    }

    /// Creates an error from one of the operating system.
    pub fn io(what: impl Into<Cow<'static, str>>, cause: io::Error) -> Error {
        use io::ErrorKind::{FileTooLarge, OutOfMemory, QuotaExceeded, StorageFull};
        let kind = match cause.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => Kind::NoSpace,
            OutOfMemory => Kind::NoMemory,
            _ => Kind::Io,
        };
        Error::new(kind, what).because(cause)
    }

    /// Adds the error that caused this one.
    pub fn because(mut self, cause: impl StdError + Send + Sync + 'static) -> Error {
        self.0.cause = Some(Box::new(cause));
        self
    }

    /// Adds the file or directory.
    pub fn at(mut self, path: &Path) -> Error {
        self.0.path = Some(path.to_path_buf());
        self
    }

    /// Adds the store or distributor, unless the error names one already.
    pub fn within(mut self, place: impl FnOnce() -> String) -> Error {
        self.0.place.get_or_insert_with(place);
        self
    }

    pub fn kind(&self) -> Kind {
        self.0.kind
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(out, "{place}: ")?;
        }
        out.write_str(&self.what)?;
        if let Some(path) = &self.path {
            write!(out, " ({})", path.display())?;
        }
        if let Some(cause) = &self.cause {
            write!(out, ": {cause}")?;
        }
        Ok(())
    }
}

impl StdError for Detail {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn StdError + 'static))
    }
}
