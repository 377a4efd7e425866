//! Giving back the space of what was deleted, without a call for it.
//!
//! Table files that are full of deletions are compacted by RocksDB in the background: see
//! reclaim.cc. But deletions only come to a table file when the memtable is flushed, which RocksDB
//! does when it is full: an idle store would wait forever. So a store in which much was deleted is
//! flushed within a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use librocksdb_sys::rocksdb_options_t;
use rocksdb::{AsRawPtr, DB};

/// Stores whose table files take less are left as they are.
const LEAST: u64 = 1 << 20;

/// A store is flushed when this part of its keys was deleted.
const PART: u64 = 16;

// See reclaim.cc.
#[allow(unsafe_code)]
unsafe extern "C" {
    fn kvds_rocksdb_compact_deletions(options: *mut rocksdb_options_t);
}

/// Has table files compacted that are full of deletions.
pub fn prepare(options: &rocksdb::Options) {
    // SAFETY: the options are live, and used by nobody else meanwhile.
    #[allow(unsafe_code)]
    unsafe {
        kvds_rocksdb_compact_deletions(options.as_raw_ptr());
    }
}

/// How many deletions there were since the last flush on their behalf.
#[derive(Clone, Default)]
pub struct Deletions(Arc<AtomicU64>);

impl Deletions {
    /// Counts deletions of single keys.
    pub fn add(&self, keys: u64) {
        self.0.fetch_add(keys, Relaxed);
    }

    /// Counts a deletion of a range, which may have been all there was.
    pub fn add_range(&self) {
        self.0.store(u64::MAX / 2, Relaxed);
    }

    /// Whether it is time to flush `db`. Then they are counted anew.
    pub fn are_many(&self, db: &DB) -> bool {
        let number = |name| db.property_int_value(name).ok().flatten().unwrap_or(0);
        let deleted = self.0.load(Relaxed);
        let many = number("rocksdb.live-sst-files-size") >= LEAST
            && deleted >= number("rocksdb.estimate-num-keys") / PART;
        if many {
            self.0.fetch_sub(deleted, Relaxed);
        }
        many
    }
}
