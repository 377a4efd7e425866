//! RocksDB's settings: what each option of kvds becomes, and what kvds always sets.

use std::sync::Arc;

use librocksdb_sys::{rocksdb_options_set_avoid_flush_during_recovery, rocksdb_options_t};
use rocksdb::{
    AsRawPtr, BlockBasedOptions, BlockBasedTablePinningTier, Cache, DBCompressionType,
    DBRecoveryMode, DataBlockIndexType, InfoLogger, LogLevel, WriteOptions,
};

use super::env;
use super::row_cache::{RowCache, StoreRows};
use super::tombstone_compaction;
use super::write_buffers::{self, WriteBuffers};
use crate::options::{Compression, Durability, Options};
use crate::sys::log::{self, Level};

/// The caches and buffers that all disk stores of a distributor share.
pub struct SharedCaches {
    block_cache: Cache,
    write_buffers: Arc<WriteBuffers>,
    row_cache: Arc<RowCache>,
}

impl SharedCaches {
    /// Creates caches and buffers of the sizes in `options`.
    pub fn new(options: &Options) -> SharedCaches {
        let row_cache = options.block_cache_bytes / ROW_CACHE_FRACTION;
        SharedCaches {
            row_cache: RowCache::new(row_cache),
            // 0: RocksDB determines the size of the entries itself.
            block_cache: Cache::new_hyper_clock_cache(
                (options.block_cache_bytes - row_cache) as usize,
                0,
            ),
            write_buffers: WriteBuffers::new(options.write_buffer_bytes),
        }
    }

    /// Returns the write buffers.
    pub fn write_buffers(&self) -> &Arc<WriteBuffers> {
        &self.write_buffers
    }

    /// Returns the rows of a new store in the row cache.
    pub fn store_rows(&self) -> StoreRows {
        self.row_cache.store_rows()
    }
}

/// The row cache takes this fraction of the size of the block cache.
const ROW_CACHE_FRACTION: u64 = 2;

/// The largest memtable, in bytes. Most of it stays in the caches of a processor, and an opening
/// reads little from logs. See docs/decisions/0010-disk-speed.md for this and the next two.
const MEMTABLE: u64 = 8 << 20;

/// This many tables of level 0 are compacted into level 1. Every iterator reads each of them.
const LEVEL_0_TABLES: i32 = 3;

/// The bytes of a block of a table. Larger blocks make iterators faster.
const BLOCK: usize = 8 << 10;

/// A memtable with this many range tombstones is flushed. After each new one, a read sorts all
/// range tombstones of the memtable; those of a table file are sorted once.
const MAX_RANGE_TOMBSTONES: u32 = 64;

/// A memtable is flushed after an iterator skips this many deleted or overwritten entries at once.
/// In a table file they are compacted.
const MAX_SKIPPED: u32 = 1000;

/// The bytes of disk space that the log takes at once.
pub const LOG_STEP: u64 = 256 << 10;

/// The bytes of disk space that the manifest takes at once.
const MANIFEST_STEP: usize = 64 << 10;

/// Returns RocksDB's options for a store.
pub fn database(options: &Options, shared: &SharedCaches) -> rocksdb::Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_bloom_filter(10.0, false);
    blocks.set_block_cache(&shared.block_cache);
    // Indexes and filters are in the cache too, so that its size limits them.
    blocks.set_cache_index_and_filter_blocks(true);
    // Every read needs them. Pinned blocks need no lookup.
    blocks.set_unpartitioned_pinning_tier(BlockBasedTablePinningTier::All);
    // Finds a key in its block by hash, where a search would compare eight other keys.
    blocks.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
    blocks.set_data_block_hash_ratio(0.75);
    blocks.set_block_size(BLOCK);
    // RocksDB reads it since 6.6: docs/decisions/0011-table-format.md.
    blocks.set_format_version(5);

    let mut database = plain();
    database.create_if_missing(true);
    database.set_block_based_table_factory(&blocks);
    limit_cache(&database);
    shared.write_buffers.track(&database);
    let memtable = (options.write_buffer_bytes / 2).min(MEMTABLE);
    database.set_write_buffer_size(memtable as usize);
    // A small store takes little of the memory that all stores share.
    database.set_arena_block_size(write_buffers::BLOCK);
    // As many as the memory holds, so that a burst does not wait for the first flush.
    database
        .set_max_write_buffer_number((options.write_buffer_bytes / memtable).clamp(2, 16) as i32);
    database.set_level_zero_file_num_compaction_trigger(LEVEL_0_TABLES);
    database.set_max_bytes_for_level_base(8 * MEMTABLE);
    database.set_compression_type(match options.compression {
        Compression::None => DBCompressionType::None,
        Compression::Lz4 => DBCompressionType::Lz4,
        Compression::Zstd => DBCompressionType::Zstd,
    });
    database.set_max_open_files(options.max_open_files as i32);
    // Only the last record of a log may be torn, by a crash or a power failure. Damage before it
    // must not count as the end.
    database.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    // Takes disk space in steps. By default RocksDB takes as much as the log can ever need, even
    // for a store with one key. (With one column family the option has no other effect.)
    database.set_max_total_wal_size(LOG_STEP);
    database.set_manifest_preallocation_size(MANIFEST_STEP);
    tombstone_compaction::compact_deletions(&database);
    database.set_stats_dump_period_sec(0);
    database.set_stats_persist_period_sec(0);
    database
}

// See cache_limits.cc.
#[allow(unsafe_code)]
unsafe extern "C" {
    fn kvds_rocksdb_limit_cache(options: *mut rocksdb_options_t);
}

/// Keeps blocks and pinned indexes within the size of the cache. The options have a block-based
/// table factory.
fn limit_cache(options: &rocksdb::Options) {
    // SAFETY: the options are live and not used by others meanwhile.
    #[allow(unsafe_code)]
    unsafe {
        kvds_rocksdb_limit_cache(options.as_raw_ptr());
    }
}

/// Returns the options that do not depend on the options of kvds.
pub fn plain() -> rocksdb::Options {
    // Each log records where the one before it ended. Otherwise RocksDB would miss that a power
    // failure cut the end of a log, and continue with the next one. The manifest holds the identity
    // of the store, so a file for it would be two syncs more at its creation.
    let mut plain = rocksdb::Options::default()
        .get_options_from_string(format!(
            "track_and_verify_wals=true;write_identity_file=false;\
             memtable_max_range_deletions={MAX_RANGE_TOMBSTONES};\
             memtable_op_scan_flush_trigger={MAX_SKIPPED}"
        ))
        .unwrap_or_else(|cause| unreachable!("RocksDB has these options: {cause}"));
    // RocksDB's messages go to the log callback, and not to a file that grows.
    plain.set_info_logger(InfoLogger::new_callback_logger(LogLevel::Info, |level, text| {
        let level = match level {
            LogLevel::Fatal | LogLevel::Error => Level::Error,
            LogLevel::Warn => Level::Warn,
            LogLevel::Info => Level::Info,
            LogLevel::Debug | LogLevel::Header => Level::Debug,
        };
        log::line(level, || format!("rocksdb: {}", text.trim_end()));
    }));
    env::use_env(&plain);
    // By default an opening starts 16 threads to read the footers of tables, and RocksDB has no
    // error for a thread that cannot be started.
    plain.set_max_file_opening_threads(1);
    plain
}

/// Makes an opening write as little as possible: the log is kept instead of flushed.
pub fn avoid_flush_during_recovery(options: &rocksdb::Options) {
    // SAFETY: the options are live and not used by others meanwhile.
    #[allow(unsafe_code)]
    unsafe {
        rocksdb_options_set_avoid_flush_during_recovery(options.as_raw_ptr(), 1);
    }
}

/// Returns RocksDB's options for a write.
pub fn write(durability: Durability) -> WriteOptions {
    let mut write = logged_write(durability);
    write.disable_wal(durability == Durability::None);
    write
}

/// Returns RocksDB's options for a write that is logged at every durability.
pub fn logged_write(durability: Durability) -> WriteOptions {
    let mut write = WriteOptions::default();
    write.set_sync(durability == Durability::Sync);
    write
}
