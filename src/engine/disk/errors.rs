//! What RocksDB's errors mean for the caller.

use std::io;
use std::path::Path;

use rocksdb::ErrorKind;
use thiserror::Error as Cause;

use crate::error::{Error, Kind};

/// An error of kvds for one of RocksDB's, about the store in `path`. RocksDB's C interface gives
/// errors as text; its beginning is the code.
pub fn failed(what: &'static str, path: &Path, cause: rocksdb::Error) -> Error {
    let text = without(path, cause.as_ref());
    let kind = match cause.kind() {
        ErrorKind::Corruption => Kind::Corruption,
        ErrorKind::NotSupported => Kind::Unsupported,
        ErrorKind::InvalidArgument => Kind::InvalidArgument,
        ErrorKind::IOError => of_the_file_system(&text),
        ErrorKind::Busy | ErrorKind::TimedOut | ErrorKind::TryAgain | ErrorKind::Incomplete => {
            Kind::Busy
        }
        ErrorKind::Aborted if text.contains("Memory limit") => Kind::NoMemory,
        ErrorKind::NotFound
        | ErrorKind::MergeInProgress
        | ErrorKind::ShutdownInProgress
        | ErrorKind::Aborted
        | ErrorKind::Expired
        | ErrorKind::CompactionTooLarge
        | ErrorKind::ColumnFamilyDropped
        | ErrorKind::Unknown => Kind::Internal,
    };
    Error::new(kind, what).at(path).because(cause)
}

/// What a function of ours in C++ says: the text of an error, or nothing.
pub fn told(call: impl FnOnce(*mut u8, usize) -> usize) -> Result<(), String> {
    const CAPACITY: usize = 4 << 10;
    let mut text = [0; CAPACITY];
    match call(text.as_mut_ptr(), CAPACITY) {
        0 => Ok(()),
        len => Err(String::from_utf8_lossy(&text[..len]).into_owned()),
    }
}

/// As [`failed`], for an error of the file system's, of which there is the text alone.
pub fn file_system_failed(what: &'static str, path: &Path, text: String) -> Error {
    /// What RocksDB says.
    #[derive(Debug, Cause)]
    #[error("{0}")]
    struct Told(String);

    Error::new(of_the_file_system(&without(path, &text)), what).at(path).because(Told(text))
}

/// Whether the text of an error says that the disk is full.
pub fn is_no_space(path: &Path, text: &str) -> bool {
    of_the_file_system(&without(path, text)) == Kind::NoSpace
}

/// A text without the path, which could say anything.
fn without(path: &Path, text: &str) -> String {
    path.to_str()
        .filter(|path| !path.is_empty())
        .map_or(text.to_owned(), |path| text.replace(path, ""))
}

fn of_the_file_system(text: &str) -> Kind {
    let says = |errno| text.contains(&system_text(errno));
    let no_space = text.starts_with("IO error: No space left on device")
        || says(libc::ENOSPC)
        || says(libc::EDQUOT)
        || says(libc::EFBIG);
    if no_space { Kind::NoSpace } else { Kind::Io }
}

/// How the system words an error, in the language that RocksDB got it in.
fn system_text(errno: i32) -> String {
    let text = io::Error::from_raw_os_error(errno).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
