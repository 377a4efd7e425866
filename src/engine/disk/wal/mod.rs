//! The write-ahead log and the manifest, which have the same format: reading them, verifying them
//! before RocksDB opens a store, and telling a gap after a power failure from damage.

pub mod check;
pub mod format;
pub mod gap;
pub mod verify;
