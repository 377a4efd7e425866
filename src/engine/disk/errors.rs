//! What RocksDB's errors mean for the caller.

use std::io;
use std::path::Path;

use rocksdb::ErrorKind;

use crate::error::{Error, Kind};

/// An error of kvds for one of RocksDB's, about the store in `path`. RocksDB's C interface gives errors as text; its beginning
/// is the code.
pub fn failed(what: &'static str, path: &Path, cause: rocksdb::Error) -> Error {
    // Without the path, which could say anything.
    let path_text = path.to_str().filter(|path| !path.is_empty());
    let text = path_text.map_or(cause.as_ref().to_owned(), |path| cause.as_ref().replace(path, ""));
    let says = |errno| text.contains(&system_text(errno));
    let kind = match cause.kind() {
        ErrorKind::Corruption => Kind::Corruption,
        ErrorKind::NotSupported => Kind::Unsupported,
        ErrorKind::InvalidArgument => Kind::InvalidArgument,
        ErrorKind::IOError if text.contains("While lock file") || text.contains("lock hold by current process") => {
            return Error::new(Kind::Locked, "another process has the store open").at(path).because(cause);
        }
        ErrorKind::IOError if text.starts_with("IO error: No space left on device") => Kind::NoSpace,
        ErrorKind::IOError if says(libc::ENOSPC) || says(libc::EDQUOT) || says(libc::EFBIG) => Kind::NoSpace,
        ErrorKind::IOError => Kind::Io,
        ErrorKind::Busy | ErrorKind::TimedOut | ErrorKind::TryAgain | ErrorKind::Incomplete => Kind::Busy,
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

/// How the system words an error, in the language that RocksDB got it in.
fn system_text(errno: i32) -> String {
    let text = io::Error::from_raw_os_error(errno).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
