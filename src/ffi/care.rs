//! Taking care of a store.

use std::ffi::{c_char, c_void};
use std::path::Path;

use super::arg;
use super::boundary;
use super::handle::{self, kvds_store};
use super::status::{KVDS_NOT_FOUND, KVDS_OK, kvds_status};
use super::types::{kvds_log, kvds_log_level, kvds_value};
use crate::engine::{Buffer, Stats, Value};
use crate::error::{Error, Result};
use crate::log::{self, Level};

/// Makes every write to `store` that was acknowledged survive a power cut, whatever the option `durability` says. On memory
/// there is nothing to do.
///
/// Answers `KVDS_OK`; `KVDS_INVALID_ARGUMENT` for NULL; `KVDS_CLOSED`; on disk also `KVDS_IO`, `KVDS_NO_SPACE` and
/// `KVDS_FORKED`; then nothing more than before is certain to survive. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_sync(store: *const kvds_store) -> kvds_status {
    boundary::status("kvds_sync", || {
        // SAFETY: the caller keeps the rules for pointers.
        unsafe { handle::get(store)? }.sync().map(|()| KVDS_OK)
    })
}

/// Gives back the disk space of what was overwritten and removed, at once instead of over time. Can take long; reading and
/// writing go on meanwhile. On memory there is nothing to do. Answers as `kvds_sync` does. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_compact(store: *const kvds_store) -> kvds_status {
    boundary::status("kvds_compact", || {
        // SAFETY: the caller keeps the rules for pointers.
        unsafe { handle::get(store)? }.compact().map(|()| KVDS_OK)
    })
}

/// Has a store that was opened with the option `read_only` show what has been written since by another process. Snapshots
/// and cursors stay as they are. On any other store there is nothing to do. Answers as `kvds_sync` does, and
/// `KVDS_CORRUPTION`, or `KVDS_BUSY` if the other process writes faster than the store can be opened: try again. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_refresh(store: *const kvds_store) -> kvds_status {
    boundary::status("kvds_refresh", || {
        // SAFETY: the caller keeps the rules for pointers.
        unsafe { handle::get(store)? }.refresh().map(|()| KVDS_OK)
    })
}

/// Makes a copy of what `store` (or view) shows at this moment, as a disk store in the directory `path`, which must not be
/// there yet; the directories above it are made. Another distributor can open it: `path` is its base path and the store's
/// name. A disk store is copied by links where the file system can, so that it takes little time and space; anything else is
/// read and written, as are the files of a disk store where there are no links (FAT, some FUSE). The copy is made in
/// a directory `.kvds-copy-*` beside `path`; what a process left there that died is removed by the next copy.
///
/// Answers `KVDS_OK`; `KVDS_INVALID_ARGUMENT` for a NULL or a path that is taken; `KVDS_DENIED` of a view that can't be read;
/// `KVDS_CLOSED`; `KVDS_IO`; `KVDS_NO_SPACE`; `KVDS_UNSUPPORTED` in a build without disk stores; `KVDS_FORKED`. Threads: any;
/// writing goes on meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_checkpoint(store: *const kvds_store, path: *const c_char) -> kvds_status {
    boundary::status("kvds_checkpoint", || {
        // SAFETY: the caller keeps the rules for pointers.
        let (store, path) = unsafe { (handle::get(store)?, arg::path("path", path)?) };
        store.checkpoint(Path::new(&path)).map(|()| KVDS_OK)
    })
}

/// Figures of a store; for a view, of the store that it is a view of.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct kvds_stats {
    /// How many keys there are; on disk an estimate.
    pub keys: u64,
    /// How many bytes its keys and values have; on disk an estimate.
    pub bytes: u64,
    /// How many keys were looked up since the store was opened.
    pub reads: u64,
    /// How many operations were written since the store was opened.
    pub writes: u64,
    /// How many of the keys that were looked up were there.
    pub hits: u64,
    /// How many bytes its files have; 0 in memory.
    pub disk_bytes: u64,
    /// How many bytes of memory it holds: in memory by the rules of `memory_limit_bytes`, on disk without the block cache.
    pub memory_bytes: u64,
}

impl From<Stats> for kvds_stats {
    fn from(stats: Stats) -> kvds_stats {
        let Stats { keys, bytes, disk_bytes, memory_bytes, reads, hits, writes } = stats;
        kvds_stats { keys, bytes, reads, writes, hits, disk_bytes, memory_bytes }
    }
}

/// Figures of `store`.
///
/// `size` is `sizeof(kvds_stats)` as the caller knows it: a later library may know more figures and leaves out what the
/// caller has no room for, an earlier one leaves the rest 0. `*stats` is set, or all 0. Answers `KVDS_OK`;
/// `KVDS_INVALID_ARGUMENT` for a NULL or a size below 8; `KVDS_CLOSED`; `KVDS_FORKED`. Threads: any.
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
        // SAFETY: the caller has room for `size` bytes; no more are written.
        unsafe {
            stats.cast::<u8>().write_bytes(0, size);
            let figures = kvds_stats::from(handle::get(store)?.stats()?);
            stats.cast::<u8>().copy_from((&raw const figures).cast(), size.min(size_of::<kvds_stats>()));
        }
        Ok(KVDS_OK)
    })
}

/// What is known of `store` under `name`, as text: the figures of `kvds_stats` behind "kvds." ("kvds.keys"), and on disk what
/// RocksDB knows ("rocksdb.stats", "rocksdb.num-files-at-level0").
///
/// `*out` becomes the text, without a NUL at its end, which the caller gives back with `kvds_value_release`, or is emptied.
/// Answers `KVDS_OK`, or `KVDS_NOT_FOUND` for a name that is not known; `KVDS_INVALID_ARGUMENT` for a NULL; `KVDS_CLOSED`;
/// `KVDS_FORKED`. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_store_property(
    store: *const kvds_store,
    name: *const c_char,
    out: *mut kvds_value,
) -> kvds_status {
    boundary::status("kvds_store_property", || {
        // SAFETY: the caller keeps the rules for pointers.
        unsafe {
            let out = arg::out("out", out, kvds_value::EMPTY)?;
            let (store, name) = (handle::get(store)?, arg::utf8("name", name)?);
            let Some(text) = store.property(name)? else { return Ok(KVDS_NOT_FOUND) };
            out.set(Value::Owned(Buffer::of(text.as_bytes())?).into());
        }
        Ok(KVDS_OK)
    })
}

/// Has `callback` called with what goes on inside the library, RocksDB's messages included, from lines of `level` to more
/// important ones. There is one callback in the process; this replaces the one before, and NULL ends it. No log files are
/// written.
///
/// The calls come one at a time, from a thread of the library's own, and hold nothing up: a callback that is slow misses
/// lines, and is told how many. When this returns, the callback before is not running and will not run again, unless this
/// was called from inside a callback. Answers `KVDS_OK`; `KVDS_INVALID_ARGUMENT` for a level that is none; `KVDS_IO` if no
/// thread can be started. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_set_log_callback(
    level: kvds_log_level,
    callback: kvds_log,
    user_data: *mut c_void,
) -> kvds_status {
    struct UserData(*mut c_void);
    // SAFETY: the header says that the callback runs on a thread of the library's.
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
                // SAFETY: the caller passed a function of this type.
                unsafe { callback(user_data.0, level as kvds_log_level, text.as_ptr()) }
            };
            std::sync::Arc::new(call) as std::sync::Arc<dyn Fn(Level, &str) + Send + Sync>
        });
        log::to(level, callback)?;
        Ok(KVDS_OK)
    })
}

fn level(number: kvds_log_level) -> Result<Level> {
    let levels = [Level::Error, Level::Warn, Level::Info, Level::Debug];
    let level = levels.into_iter().find(|level| *level as kvds_log_level == number);
    level.ok_or_else(|| Error::invalid(format!("there is no log level {number}; they go from 0 (error) to 3 (debug)")))
}
