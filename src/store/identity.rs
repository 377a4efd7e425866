//! Store identity: the id, the backend and the tag.

use std::ffi::{CStr, CString};
use std::fmt;

/// The place of a store's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Backend {
    /// The memory of the process.
    Memory,
    /// A directory, through RocksDB.
    Disk,
    /// A cluster of servers, through etcd.
    Cluster,
}

impl fmt::Display for Backend {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Backend::Memory => "memory",
            Backend::Disk => "disk",
            Backend::Cluster => "cluster",
        })
    }
}

/// The names of a store.
#[derive(Clone, Debug)]
pub struct Identity {
    /// A number that is unique in the distributor, from 0.
    pub tag: u64,
    /// The name that the program gave it.
    pub id: CString,
    /// The backend.
    pub backend: Backend,
}

/// The bytes of an id that texts show. The id of a memory store can have thousands.
const MAX_SHOWN: usize = 256;

/// Formats an id for the text of an error.
pub fn shown(id: &CStr) -> String {
    let bytes = id.to_bytes();
    match bytes.get(..MAX_SHOWN) {
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
