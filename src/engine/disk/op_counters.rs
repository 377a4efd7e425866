//! Counters of operations, which other processes can read.
//!
//! The program kvds shows them: see `cli/src/writer_counters.rs`, which knows this layout.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use librocksdb_sys::rocksdb_options_t;
use rocksdb::AsRawPtr;

use super::lock::StoreDir;
use crate::engine::Stats;
use crate::sync::sharded::{CachePadded, Sharded};
use crate::sys::shared_memory::Shared;

/// Counters of reads, writes and compactions.
#[derive(Default)]
pub struct OpCounters(Shared<Layout>);

/// The layout of the memory: a header, and then the counters of each shard.
#[repr(C)]
struct Layout {
    header: Header,
    shards: Sharded<Counters>,
}

#[repr(C, align(128))]
struct Header {
    /// The name and the version of the layout.
    magic: [u8; 8],
    compactions: Compactions,
}

#[derive(Default)]
#[repr(C)]
struct Compactions {
    running: AtomicU64,
    completed: AtomicU64,
}

#[derive(Default)]
#[repr(C)]
struct Counters {
    reads: AtomicU64,
    hits: AtomicU64,
    writes: AtomicU64,
}

impl Default for Layout {
    fn default() -> Layout {
        let header = Header { magic: *b"kvdsctr1", compactions: Compactions::default() };
        Layout { header, shards: Sharded::default() }
    }
}

const _: () = assert!(size_of::<Header>() == 128, "readers expect the shards there");
const _: () = assert!(size_of::<CachePadded<Counters>>() == 128, "and the next shard there");

// See compaction_counters.cc.
#[allow(unsafe_code)]
unsafe extern "C" {
    fn kvds_rocksdb_count_compactions(
        options: *mut rocksdb_options_t,
        running: *mut u64,
        completed: *mut u64,
    );
}

impl OpCounters {
    /// Returns the counters of the process that writes the store in `dir`.
    pub fn of_writer(dir: &StoreDir) -> OpCounters {
        let (device, inode) = dir.id();
        OpCounters(Shared::named(&format!("kvds-counters-{device:x}-{inode}")))
    }

    /// Counts the compactions of a database that is opened with `options`.
    ///
    /// The counters must outlive the database.
    pub fn count_compactions(&self, options: &rocksdb::Options) {
        let Compactions { running, completed } = &self.0.header.compactions;
        // SAFETY: the options are live and not used by others meanwhile, and the counters outlive
        // the database.
        #[allow(unsafe_code)]
        unsafe {
            kvds_rocksdb_count_compactions(
                options.as_raw_ptr(),
                running.as_ptr(),
                completed.as_ptr(),
            );
        }
    }

    /// Counts the lookup of a key.
    #[inline]
    pub fn count_read(&self, is_hit: bool) {
        let counters = self.0.shards.local();
        counters.reads.fetch_add(1, Relaxed);
        if is_hit {
            counters.hits.fetch_add(1, Relaxed);
        }
    }

    /// Counts applied operations.
    pub fn count_writes(&self, operations: usize) {
        self.0.shards.local().writes.fetch_add(operations as u64, Relaxed);
    }

    /// Returns statistics with the sums, and zeros elsewhere.
    pub fn stats(&self) -> Stats {
        let sum = |counter: fn(&Counters) -> &AtomicU64| {
            self.0.shards.iter().map(|shard| counter(shard).load(Relaxed)).sum()
        };
        Stats {
            reads: sum(|counters| &counters.reads),
            hits: sum(|counters| &counters.hits),
            writes: sum(|counters| &counters.writes),
            ..Stats::default()
        }
    }
}
