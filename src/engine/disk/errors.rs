//! Maps RocksDB's errors to errors of kvds.

use std::io;
use std::path::Path;

use rocksdb::ErrorKind;
use thiserror::Error as Cause;

use crate::error::{Error, Kind};

/// Returns the error of kvds for an error of RocksDB about the store in `path`.
///
/// RocksDB's C interface returns errors as text that begins with the code.
pub fn rocksdb_error(what: &'static str, path: &Path, cause: rocksdb::Error) -> Error {
    let text = without_path(path, cause.as_ref());
    let kind = match cause.kind() {
        ErrorKind::Corruption => Kind::Corruption,
        ErrorKind::NotSupported => Kind::Unsupported,
        // RocksDB opens a file to find out, and does not tell why that failed.
        ErrorKind::InvalidArgument if text.contains("Direct I/O is not supported") => Kind::Io,
        ErrorKind::InvalidArgument => Kind::InvalidArgument,
        ErrorKind::IOError => io_error_kind(&text),
        // The crate creates the directory, and its error has no code.
        ErrorKind::Unknown if text.starts_with("Failed to create RocksDB directory") => {
            io_error_kind(&text)
        }
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

/// Calls a C++ function of this engine that writes the text of an error and returns its length, or
/// returns 0.
pub fn call_cpp(call: impl FnOnce(*mut u8, usize) -> usize) -> Result<(), String> {
    const CAPACITY: usize = 4 << 10;
    let mut text = [0; CAPACITY];
    match call(text.as_mut_ptr(), CAPACITY) {
        0 => Ok(()),
        len => Err(String::from_utf8_lossy(&text[..len]).into_owned()),
    }
}

/// The text of an error that C++ code returned.
#[derive(Debug, Cause)]
#[error("{0}")]
struct Text(String);

/// Like [`rocksdb_error`], for the text of an error of a read.
pub fn status_error(what: &'static str, path: &Path, text: String) -> Error {
    let kind = match text.split(':').next() {
        Some("Corruption") => Kind::Corruption,
        Some("Not implemented") => Kind::Unsupported,
        Some("Invalid argument") => Kind::InvalidArgument,
        Some("IO error") => io_error_kind(&without_path(path, &text)),
        Some("Operation aborted") if text.contains("Memory limit") => Kind::NoMemory,
        _ => Kind::Internal,
    };
    Error::new(kind, what).at(path).because(Text(text))
}

/// Like [`rocksdb_error`], for the text of an error of the file system.
pub fn io_error(what: &'static str, path: &Path, text: String) -> Error {
    Error::new(io_error_kind(&without_path(path, &text)), what).at(path).because(Text(text))
}

/// Returns whether the text of an error says that the disk is full.
pub fn is_no_space(path: &Path, text: &str) -> bool {
    io_error_kind(&without_path(path, text)) == Kind::NoSpace
}

/// Removes the path from a text, because a path can contain any words.
fn without_path(path: &Path, text: &str) -> String {
    path.to_str()
        .filter(|path| !path.is_empty())
        .map_or(text.to_owned(), |path| text.replace(path, ""))
}

fn io_error_kind(text: &str) -> Kind {
    let names = |errno| text.contains(&system_text(errno));
    let no_space = text.starts_with("IO error: No space left on device")
        || names(libc::ENOSPC)
        || names(libc::EDQUOT)
        || names(libc::EFBIG);
    if no_space { Kind::NoSpace } else { Kind::Io }
}

/// Returns the system's text for an error number, in the language that RocksDB also gets.
fn system_text(errno: i32) -> String {
    let text = io::Error::from_raw_os_error(errno).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
