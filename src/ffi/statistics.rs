//! Statistics and logging.

use std::ffi::{c_char, c_void};

use super::arg;
use super::boundary;
use super::bytes::kvds_value;
use super::distributor::kvds_store;
use super::handle;
use super::status::{KVDS_NOT_FOUND, KVDS_OK, kvds_status};
use crate::engine::{Buffer, Stats, Value};
use crate::error::{Error, Result};
use crate::sys::log::{self, Level};

/// Statistics of a store; of a view, those of its store.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct kvds_stats {
    /// How many keys there are; on disk an estimate.
    pub keys: u64,
    /// How many bytes its keys and values have; on disk an estimate; 0 on a cluster.
    pub bytes: u64,
    /// How many keys were looked up since the store was opened.
    pub reads: u64,
    /// How many operations were written since the store was opened.
    pub writes: u64,
    /// How many of the keys that were looked up were there.
    pub hits: u64,
    /// How many bytes its files have; 0 in memory and on a cluster.
    pub disk_bytes: u64,
    /// How many bytes of memory it holds: in memory by the rules of `memory_limit_bytes`, on disk
    /// without the block cache.
    pub memory_bytes: u64,
}

impl From<Stats> for kvds_stats {
    fn from(stats: Stats) -> kvds_stats {
        let Stats { keys, bytes, disk_bytes, memory_bytes, reads, hits, writes } = stats;
        kvds_stats { keys, bytes, reads, writes, hits, disk_bytes, memory_bytes }
    }
}

/// Gets the statistics of `store`.
///
/// @param[out] stats  all 0 on an error.
/// @param size  `sizeof(kvds_stats)` as the caller knows it. A later library leaves out the members
///   that the caller has no room for; an earlier one sets unknown members to 0.
/// @return
/// - `KVDS_OK`
/// - `KVDS_INVALID_ARGUMENT`: a NULL, or a size below 8
/// - `KVDS_CLOSED`, `KVDS_FORKED`
/// - `KVDS_BUSY`, `KVDS_DENIED`, `KVDS_IO`: on cluster stores, as the section "Read" says
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_store_stats(
    store: *const kvds_store,
    stats: *mut kvds_stats,
    size: usize,
) -> kvds_status {
    boundary::status("kvds_store_stats", || {
        if stats.is_null() {
            return Err(Error::invalid("stats is NULL"));
        }
        if size < size_of::<u64>() {
            return Err(Error::invalid(format!("size is {size}; it takes sizeof(kvds_stats)")));
        }
        stats.cast::<u8>().write_bytes(0, size);
        let statistics = kvds_stats::from(handle::get(store)?.stats()?);
        stats
            .cast::<u8>()
            .copy_from((&raw const statistics).cast(), size.min(size_of::<kvds_stats>()));
        Ok(KVDS_OK)
    })
}

/// Gets the property `name` of `store` as text.
///
/// The members of `kvds_stats` have the names "kvds.keys", "kvds.bytes" and so on. On disk,
/// RocksDB's properties are available too, such as "rocksdb.stats" or
/// "rocksdb.num-files-at-level0". On a cluster there are "etcd.version", "etcd.db_size",
/// "etcd.leader" and "etcd.revision".
///
/// @param[out] out  the text, without a NUL at its end, to be released with kvds_value_release().
/// @return
/// - `KVDS_OK`
/// - `KVDS_NOT_FOUND`: there is no such property
/// - `KVDS_INVALID_ARGUMENT`: a NULL
/// - `KVDS_CLOSED`, `KVDS_FORKED`
/// - `KVDS_BUSY`, `KVDS_DENIED`, `KVDS_IO`: on cluster stores, as the section "Read" says
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_store_property(
    store: *const kvds_store,
    name: *const c_char,
    out: *mut kvds_value,
) -> kvds_status {
    boundary::status("kvds_store_property", || {
        let out = arg::out("out", out, kvds_value::EMPTY)?;
        let (store, name) = (handle::get(store)?, arg::utf8("name", name)?);
        let Some(text) = store.property(name)? else { return Ok(KVDS_NOT_FOUND) };
        out.set(Value::Owned(Buffer::of(text.as_bytes())?).into());
        Ok(KVDS_OK)
    })
}

/// How important a log message is: one of the four constants below.
pub type kvds_log_level = i32;

/// An operation failed.
pub const KVDS_LOG_ERROR: kvds_log_level = 0;
/// Something unusual that the library handled.
pub const KVDS_LOG_WARN: kvds_log_level = 1;
/// A normal event, such as opening a store.
pub const KVDS_LOG_INFO: kvds_log_level = 2;
/// Details for debugging.
pub const KVDS_LOG_DEBUG: kvds_log_level = 3;

/// Called for each log message.
///
/// `text` is one message in UTF-8, valid during the call only.
pub type kvds_log = Option<
    unsafe extern "C" fn(user_data: *mut c_void, level: kvds_log_level, text: *const c_char),
>;

/// Registers a callback for log messages, those of RocksDB included.
///
/// There is one callback per process: this one replaces the one before, and NULL removes it. The
/// library writes no log files. Calls come one at a time, from a thread of the library, and delay
/// nothing: a slow callback misses messages, and the next message says how many. When this function
/// returns, the callback before is not running and will not run again, unless the caller is itself
/// a callback.
///
/// @param level  the least important level to report.
/// @return
/// - `KVDS_OK`
/// - `KVDS_INVALID_ARGUMENT`: there is no such level
/// - `KVDS_IO`: the thread cannot be started
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_set_log_callback(
    level: kvds_log_level,
    callback: kvds_log,
    user_data: *mut c_void,
) -> kvds_status {
    struct UserData(*mut c_void);
    // SAFETY: the header says that the callback runs on a thread of the library.
    unsafe impl Send for UserData {}
    // SAFETY: as above.
    unsafe impl Sync for UserData {}

    boundary::status("kvds_set_log_callback", || {
        let level = self::level(level)?;
        let user_data = UserData(user_data);
        let callback = callback.map(|callback| {
            let call = move |level: Level, text: &str| {
                let user_data = &user_data;
                let text = std::ffi::CString::new(text.replace('\0', " ")).unwrap_or_default();
                callback(user_data.0, level as kvds_log_level, text.as_ptr())
            };
            std::sync::Arc::new(call) as std::sync::Arc<dyn Fn(Level, &str) + Send + Sync>
        });
        log::set_callback(level, callback)?;
        Ok(KVDS_OK)
    })
}

fn level(number: kvds_log_level) -> Result<Level> {
    let levels = [Level::Error, Level::Warn, Level::Info, Level::Debug];
    let level = levels.into_iter().find(|level| *level as kvds_log_level == number);
    level.ok_or_else(|| {
        Error::invalid(format!(
            "there is no log level {number}; they go from 0 (error) to 3 (debug)"
        ))
    })
}
