//! RocksDB's write-ahead log and its list of tables, which have one format: reading them, checking
//! them before RocksDB opens a store, and telling what a power failure leaves from damage.

pub mod format;
pub mod gap;
pub mod verify;
