//! Reclaims the space of deleted entries without a call.
//!
//! RocksDB compacts table files that are full of deletions in the background: see
//! tombstone_compaction.cc. But deletions reach a table file only when the memtable is flushed.
//! RocksDB flushes a full memtable, so an idle store would wait forever. So a store with many
//! deletions is flushed within a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use librocksdb_sys::rocksdb_options_t;
use rocksdb::{AsRawPtr, DB};

use super::int_property;

/// A store with smaller table files is not flushed for this.
const MIN_TABLES: u64 = 1 << 20;

/// A store is flushed after this fraction of its keys was deleted.
const FLUSH_FRACTION: u64 = 16;

// See tombstone_compaction.cc.
#[allow(unsafe_code)]
unsafe extern "C" {
    fn kvds_rocksdb_compact_deletions(options: *mut rocksdb_options_t);
}

/// Makes RocksDB compact table files that are full of deletions.
pub fn compact_deletions(options: &rocksdb::Options) {
    // SAFETY: the options are live and not used by others meanwhile.
    #[allow(unsafe_code)]
    unsafe {
        kvds_rocksdb_compact_deletions(options.as_raw_ptr());
    }
}

/// The deletions since the last flush that they caused.
#[derive(Clone, Default)]
pub struct Deletions(Arc<AtomicU64>);

impl Deletions {
    /// Counts deletions of single keys.
    pub fn add(&self, keys: u64) {
        self.0.fetch_add(keys, Relaxed);
    }

    /// Counts the deletion of a range, which may contain all keys.
    pub fn add_range(&self) {
        self.0.store(u64::MAX / 2, Relaxed);
    }

    /// Returns whether `db` is to be flushed. If so, resets the count.
    pub fn take_if_many(&self, db: &DB) -> bool {
        let deleted = self.0.load(Relaxed);
        let many = int_property(db, "rocksdb.live-sst-files-size") >= MIN_TABLES
            && deleted >= int_property(db, "rocksdb.estimate-num-keys") / FLUSH_FRACTION;
        if many {
            self.0.fetch_sub(deleted, Relaxed);
        }
        many
    }
}
