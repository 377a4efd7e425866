//! What can go wrong, told so that a person can act on it: the kind decides what a program does
//! next, the text names the store, the path and the cause.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The result of everything that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// What the caller can do about an error. One kind per negative status of the C interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The call itself is wrong: mend it.
    InvalidArgument,
    /// The store or distributor was closed.
    Closed,
    /// This view does not allow the operation.
    Denied,
    /// Someone else has this disk store open.
    Locked,
    /// The file system failed.
    Io,
    /// The disk is full or a quota is reached.
    NoSpace,
    /// Stored bytes do not check out.
    Corruption,
    /// An allocation or a configured memory limit failed.
    NoMemory,
    /// This backend or build cannot do it.
    Unsupported,
    /// Not now: try again later.
    Busy,
    /// A write to a remote engine may or may not have happened.
    #[cfg_attr(
        not(feature = "testing"),
        expect(dead_code, reason = "of the engines, only a remote one can return it")
    )]
    UnknownOutcome,
    /// The handle was inherited through fork().
    Forked,
    /// A bug in this library.
    Internal,
}

/// An error: a [`Kind`], a sentence, where it happened, and the error of a lower layer that caused
/// it.
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
    /// An error of this kind; `what` says what is wrong and, if that helps, what would be right.
    pub fn new(kind: Kind, what: impl Into<Cow<'static, str>>) -> Error {
        Error(Box::new(Detail { kind, what: what.into(), place: None, path: None, cause: None }))
    }

    /// A call that must be mended by the caller.
    pub fn invalid(what: impl Into<Cow<'static, str>>) -> Error {
        Error::new(Kind::InvalidArgument, what)
    }

    /// A failure that the operating system reported while doing `what`.
    pub fn io(what: impl Into<Cow<'static, str>>, cause: io::Error) -> Error {
        use io::ErrorKind::{FileTooLarge, OutOfMemory, QuotaExceeded, StorageFull};
        let kind = match cause.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => Kind::NoSpace,
            OutOfMemory => Kind::NoMemory,
            _ => Kind::Io,
        };
        Error::new(kind, what).because(cause)
    }

    /// The same error, with the error that caused it.
    pub fn because(mut self, cause: impl StdError + Send + Sync + 'static) -> Error {
        self.0.cause = Some(Box::new(cause));
        self
    }

    /// The same error, with the file or directory it is about.
    pub fn at(mut self, path: &Path) -> Error {
        self.0.path = Some(path.to_path_buf());
        self
    }

    /// The same error, with the store or distributor it happened in. The innermost place is kept.
    pub fn within(mut self, place: impl FnOnce() -> String) -> Error {
        self.0.place.get_or_insert_with(place);
        self
    }

    /// What the caller can do about it.
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
