//! How RocksDB is set up.

use std::sync::Arc;

use librocksdb_sys::{rocksdb_options_set_avoid_flush_during_recovery, rocksdb_options_t};
use rocksdb::{
    AsRawPtr, BlockBasedOptions, BlockBasedTablePinningTier, Cache, DBCompressionType,
    DBRecoveryMode, DataBlockIndexType, InfoLogger, LogLevel, WriteOptions,
};

use super::env;
use super::reclaim;
use super::row_cache::{RowCache, StoreRows};
use super::write_buffers::{self, Buffers};
use crate::options::{Compression, Durability, Options};
use crate::sys::log::{self, Level};

/// The memory that all disk stores of a distributor share.
pub struct Shared {
    cache: Cache,
    buffers: Arc<Buffers>,
    row_cache: Arc<RowCache>,
}

impl Shared {
    /// Memory of the sizes that `options` say.
    pub fn new(options: &Options) -> Shared {
        let row_cache = options.block_cache_bytes / HOT_PART;
        Shared {
            row_cache: RowCache::new(row_cache),
            // 0: RocksDB finds out the size of the entries by itself.
            cache: Cache::new_hyper_clock_cache(
                (options.block_cache_bytes - row_cache) as usize,
                0,
            ),
            buffers: Buffers::new(options.write_buffer_bytes),
        }
    }

    /// The memory for writes.
    pub fn buffers(&self) -> &Arc<Buffers> {
        &self.buffers
    }

    /// The values of a new store that are read often.
    pub fn row_cache(&self) -> StoreRows {
        self.row_cache.part()
    }
}

/// One of so many parts of the block cache is for single values that are read often.
const HOT_PART: u64 = 2;

/// The largest memtable, in bytes: most of it is in the caches of a processor while keys are looked
/// for in it, and little is left in logs to be read when the store is opened. See
/// docs/decisions/0010-disk-speed.md for this and the next two.
const MEMTABLE: u64 = 8 << 20;

/// So many tables of level 0, each of which every iterator looks into, are merged into level 1.
const LEVEL_0: i32 = 3;

/// How many bytes a block of a table has. Iterators find blocks and not keys, so they are faster
/// with larger ones.
const BLOCK: usize = 8 << 10;

/// A memtable is flushed when it has so many range tombstones. A read after a new one sorts all of
/// its memtable, but those of a table file are sorted once.
const RANGE_TOMBSTONES: u32 = 64;

/// A memtable is flushed when an iterator steps over so many deleted or overwritten entries of it
/// at once. In a table file, they are compacted.
const STEPPED_OVER: u32 = 1000;

/// How many bytes of disk space are taken at once for the log, ...
pub const LOG_STEP: u64 = 256 << 10;

/// ... and for the list of tables.
const LIST_STEP: usize = 64 << 10;

/// RocksDB's options for a store.
pub fn database(options: &Options, shared: &Shared) -> rocksdb::Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_bloom_filter(10.0, false);
    blocks.set_block_cache(&shared.cache);
    // Indexes and filters are in the cache too, so that its size bounds them.
    blocks.set_cache_index_and_filter_blocks(true);
    // They are needed for every read; pinned, they need not be looked for.
    blocks.set_unpartitioned_pinning_tier(BlockBasedTablePinningTier::All);
    // A key is found in its block by hash, where a search would go through eight others.
    blocks.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
    blocks.set_data_block_hash_ratio(0.75);
    blocks.set_block_size(BLOCK);
    // Read by RocksDB from 6.6 on: docs/decisions/0011-table-format.md.
    blocks.set_format_version(5);

    let mut database = plain();
    database.create_if_missing(true);
    database.set_block_based_table_factory(&blocks);
    bound(&database);
    shared.buffers.count(&database);
    let memtable = (options.write_buffer_bytes / 2).min(MEMTABLE);
    database.set_write_buffer_size(memtable as usize);
    // A store with little in it takes little of what all share.
    database.set_arena_block_size(write_buffers::BLOCK);
    // As many as there is memory for, so that a burst need not wait for the first to be flushed.
    database
        .set_max_write_buffer_number((options.write_buffer_bytes / memtable).clamp(2, 16) as i32);
    database.set_level_zero_file_num_compaction_trigger(LEVEL_0);
    database.set_max_bytes_for_level_base(8 * MEMTABLE);
    database.set_compression_type(match options.compression {
        Compression::None => DBCompressionType::None,
        Compression::Lz4 => DBCompressionType::Lz4,
        Compression::Zstd => DBCompressionType::Zstd,
    });
    database.set_max_open_files(options.max_open_files as i32);
    // Only the end of a log may be torn, by a death or a power cut; damage elsewhere must not pass
    // for the end.
    database.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    // Space is taken in steps, where RocksDB would take as much as the log can ever need, also for
    // a store with one key. (With one column family the option says nothing else.)
    database.set_max_total_wal_size(LOG_STEP);
    database.set_manifest_preallocation_size(LIST_STEP);
    reclaim::prepare(&database);
    database.set_stats_dump_period_sec(0);
    database.set_stats_persist_period_sec(0);
    database
}

// See cache_limits.cc.
#[allow(unsafe_code)]
unsafe extern "C" {
    fn kvds_rocksdb_bound(options: *mut rocksdb_options_t);
}

/// Keeps blocks and pinned indexes within the size of the cache. The options have a block-based
/// table factory.
fn bound(options: &rocksdb::Options) {
    // SAFETY: the options are live, and used by nobody else meanwhile.
    #[allow(unsafe_code)]
    unsafe {
        kvds_rocksdb_bound(options.as_raw_ptr());
    }
}

/// RocksDB's options where nothing is known of a store.
pub fn plain() -> rocksdb::Options {
    // Each log says where the one before it ended: else RocksDB would not see that one lost its end
    // in a power cut, and go on with the next.
    let mut plain = rocksdb::Options::default()
        .get_options_from_string(format!(
            "track_and_verify_wals=true;memtable_max_range_deletions={RANGE_TOMBSTONES};\
             memtable_op_scan_flush_trigger={STEPPED_OVER}"
        ))
        .unwrap_or_else(|cause| unreachable!("RocksDB knows the options: {cause}"));
    // What RocksDB has to tell goes to the host; without a log file there is none that grows.
    plain.set_info_logger(InfoLogger::new_callback_logger(LogLevel::Info, |level, text| {
        let level = match level {
            LogLevel::Fatal | LogLevel::Error => Level::Error,
            LogLevel::Warn => Level::Warn,
            LogLevel::Info => Level::Info,
            LogLevel::Debug | LogLevel::Header => Level::Debug,
        };
        log::line(level, || format!("rocksdb: {}", text.trim_end()));
    }));
    env::set(&plain);
    // By default 16 more threads read the footers of the tables when a store is opened, and RocksDB
    // has no error for threads that cannot be started.
    plain.set_max_file_opening_threads(1);
    plain
}

/// Has as little written as possible when the store is opened: what is in the log stays there.
pub fn spare_the_disk(options: &rocksdb::Options) {
    // SAFETY: the options are live, and used by nobody else meanwhile.
    #[allow(unsafe_code)]
    unsafe {
        rocksdb_options_set_avoid_flush_during_recovery(options.as_raw_ptr(), 1);
    }
}

/// RocksDB's options for a write.
pub fn write(durability: Durability) -> WriteOptions {
    let mut write = WriteOptions::default();
    write.set_sync(durability == Durability::Sync);
    write.disable_wal(durability == Durability::None);
    write
}
