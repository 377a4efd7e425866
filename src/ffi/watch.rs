//! Watches.
//!
//! A watch returns the changes of a range of keys, in the order of the writes. It returns every
//! write to the range after `kvds_watch_new()` returned, once, and batches as a whole. If that is
//! not possible, because the program read too slowly or the history is gone, `kvds_watch_next()`
//! returns `KVDS_EXPIRED` once. The program then reads the range again; the watch returns every
//! write after that. A watch never holds up a writer: memory and disk stores keep up to
//! `watch_buffer_bytes` of changes, for all watches of a store together.
//!
//! To keep a copy of a range, create the watch, then read the range, and then apply the changes to
//! the copy. Some of them were made before the reading ended: until the watch has returned the last
//! of these, the copy may have older values beside newer ones.
//!
//! A watch of a view returns what the view shows, and outlives the view: it ends with the store of
//! the view. A snapshot cannot be watched.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::time::{Duration, Instant};

use super::arg;
use super::boundary;
use super::bytes::kvds_range;
use super::distributor::kvds_store;
use super::handle;
use super::status::{KVDS_NOT_FOUND, KVDS_OK, kvds_status};
use crate::engine::{ChangeKind, Watch};
use crate::error::{Error, Result};

/// The key has the value `value`: it was set, or its time to live was changed.
pub const KVDS_CHANGE_SET: c_int = 0;
/// The key was deleted, or has expired. A batch may also delete a key that did not exist.
pub const KVDS_CHANGE_DELETE: c_int = 1;
/// All keys from `key` up to `value` were deleted, or all keys of the watched range from `key` on
/// if `value_len` is 0. Memory stores report what `kvds_delete_prefix()` deletes so. Disk stores do
/// if the prefix has many keys; of few, they report each key, as cluster stores always do.
pub const KVDS_CHANGE_DELETE_RANGE: c_int = 2;

/// A change of a watched range.
#[repr(C)]
pub struct kvds_change {
    /// `KVDS_CHANGE_SET`, `KVDS_CHANGE_DELETE` or `KVDS_CHANGE_DELETE_RANGE`.
    pub kind: c_int,
    /// 1 if this is the last change of its write, else 0: a batch has several.
    pub last: c_int,
    /// The number of the write. All changes of a write have the same number, and later writes have
    /// larger ones.
    pub sequence: u64,
    /// The key; not NULL.
    pub key: *const c_void,
    /// Length of the key in bytes.
    pub key_len: usize,
    /// The value, or the end of the range.
    pub value: *const c_void,
    /// Length of the value in bytes.
    pub value_len: usize,
}

impl kvds_change {
    const EMPTY: kvds_change = kvds_change {
        kind: KVDS_CHANGE_SET,
        last: 0,
        sequence: 0,
        key: ptr::null(),
        key_len: 0,
        value: ptr::null(),
        value_len: 0,
    };
}

/// A watch. One thread at a time may use it.
///
/// It keeps no store alive. When its store is closed or its last reference is released,
/// `kvds_watch_next()` returns `KVDS_CLOSED`, also in a thread that waits there.
pub struct kvds_watch(Box<dyn Watch>);

/// Creates a watch of the keys of `store` that are in `range`, from now on.
///
/// The call also returns what the section "Read" lists.
///
/// @param range  copied; NULL for all keys.
/// @param[out] out  the watch, to be freed with kvds_watch_free().
/// @return
/// - `KVDS_OK`
/// - `KVDS_UNSUPPORTED`: the store is a snapshot, or was opened for reading only
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_watch_new(
    store: *const kvds_store,
    range: *const kvds_range,
    out: *mut *mut kvds_watch,
) -> kvds_status {
    boundary::status("kvds_watch_new", || open(store, range, None, out))
}

/// Creates a watch that continues after an earlier one: it returns every write after the one with
/// the number `sequence`.
///
/// A cluster keeps its history until it is compacted. A memory or disk store keeps it only while
/// the store has a watch, and up to `watch_buffer_bytes`: create the new watch before the old one
/// is freed.
///
/// @param range  copied; NULL for all keys.
/// @param sequence  of a change whose `last` was 1.
/// @param[out] out  the watch, to be freed with kvds_watch_free().
/// @return
/// - `KVDS_OK`
/// - `KVDS_EXPIRED`: the history is gone; create a new watch and read the range again
/// - `KVDS_UNSUPPORTED`: the store is a snapshot, or was opened for reading only
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_watch_from(
    store: *const kvds_store,
    range: *const kvds_range,
    sequence: u64,
    out: *mut *mut kvds_watch,
) -> kvds_status {
    boundary::status("kvds_watch_from", || open(store, range, Some(sequence), out))
}

/// Waits for the next change.
///
/// @param timeout_ms  0 to return at once, -1 to wait without a limit.
/// @param[out] change  its key and value belong to the watch and are valid until the next call with
///   the watch.
/// @return
/// - `KVDS_OK`
/// - `KVDS_NOT_FOUND`: there was no change in that time
/// - `KVDS_EXPIRED`: changes were missed; read the range again, and continue with the watch
/// - `KVDS_CLOSED`: the store was closed
/// - `KVDS_INVALID_ARGUMENT`: a NULL
/// - `KVDS_FORKED`: on disk and cluster stores
/// - `KVDS_BUSY`, `KVDS_DENIED`, `KVDS_IO`: on cluster stores; the next call connects again
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_watch_next(
    watch: *mut kvds_watch,
    timeout_ms: i64,
    change: *mut kvds_change,
) -> kvds_status {
    boundary::status("kvds_watch_next", || {
        let out = arg::out("change", change, kvds_change::EMPTY)?;
        let watch = watch.as_mut().ok_or_else(null)?;
        let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
        // A time that is too far away for the clock is no limit.
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let Some(next) = watch.0.next(until)? else { return Ok(KVDS_NOT_FOUND) };
        let (kind, value): (_, &[u8]) = match next.kind {
            ChangeKind::Set(value) => (KVDS_CHANGE_SET, value),
            ChangeKind::Delete => (KVDS_CHANGE_DELETE, b""),
            ChangeKind::DeleteRange { end } => (KVDS_CHANGE_DELETE_RANGE, end.unwrap_or(b"")),
        };
        out.set(kvds_change {
            kind,
            last: next.is_last.into(),
            sequence: next.sequence,
            key: next.key.as_ptr().cast(),
            key_len: next.key.len(),
            value: value.as_ptr().cast(),
            value_len: value.len(),
        });
        Ok(KVDS_OK)
    })
}

/// Returns a descriptor for poll() and event loops, or -1 on an error.
///
/// It is readable while there may be a change, and once the store is closed. Then call
/// `kvds_watch_next()` with a timeout of 0 until it returns another status than `KVDS_OK`. The
/// descriptor belongs to the watch: do not read or close it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_watch_fd(watch: *mut kvds_watch) -> c_int {
    boundary::value("kvds_watch_fd", -1, || watch.as_mut().ok_or_else(null)?.0.descriptor())
}

/// Frees a watch. No other thread may wait in it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_watch_free(watch: *mut kvds_watch) {
    boundary::value("kvds_watch_free", (), || {
        if !watch.is_null() {
            drop(Box::from_raw(watch));
        }
        Ok(())
    });
}

unsafe fn open(
    store: *const kvds_store,
    range: *const kvds_range,
    after: Option<u64>,
    out: *mut *mut kvds_watch,
) -> Result<kvds_status> {
    let out = arg::out("out", out, ptr::null_mut())?;
    let store = handle::get(store)?;
    let watch = store.watch(arg::range(range)?, after)?;
    out.set(Box::into_raw(Box::new(kvds_watch(watch))));
    Ok(KVDS_OK)
}

fn null() -> Error {
    Error::invalid("the kvds_watch is NULL")
}
