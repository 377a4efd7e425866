//! Store identity: the id, the backend and the tag.

use std::ffi::{CStr, CString};
use std::fmt;

/// Where a store keeps its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Backend {
    /// In the memory of the process.
    Memory,
    /// In a directory, through RocksDB.
    Disk,
}

impl fmt::Display for Backend {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Backend::Memory => "memory",
            Backend::Disk => "disk",
        })
    }
}

/// What a store was asked for by, and its number.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Unique in its distributor, counting from 0.
    pub tag: u64,
    /// The name it was asked for by.
    pub id: CString,
    /// The backend it was asked for with.
    pub backend: Backend,
}

/// The longest beginning of an id that texts show, in bytes: that of a memory store can have
/// thousands.
const SHOWN: usize = 256;

/// An id for the text of an error.
pub fn shown(id: &CStr) -> String {
    let bytes = id.to_bytes();
    match bytes.get(..SHOWN) {
        Some(begin) if begin.len() < bytes.len() => {
            format!("{}...", String::from_utf8_lossy(begin))
        }
        _ => id.to_string_lossy().into_owned(),
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} store \"{}\"", self.backend, shown(&self.id))
    }
}
