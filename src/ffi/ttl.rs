//! Time to live.
//!
//! A key that is set with a time to live is there for at least that time, and then an ordinary
//! write deletes it: conditions, snapshots, cursors and watches see a deletion, once. The key is
//! gone at most a tenth of its time and 2 seconds later, or when a disk store is opened next. A set
//! without a time to live ends it, and so does `kvds_expire()` with 0. Times are in milliseconds,
//! at most a hundred years.
//!
//! Time is monotonic within a process. A disk store keeps deadlines as wall-clock time while it is
//! closed: a clock that is set back makes keys live longer, and one that is set forward ends them
//! early. Opening a store first deletes the keys that have expired, some 50,000 a second. On a
//! cluster the servers count the time: in whole seconds, which are rounded up (so a key
//! may live another second), and after a change of the leader from the beginning. A store that is
//! opened for reading only shows expired keys until the writer deletes them. In a forked child, the
//! keys of an inherited memory store expire once the child sets a time to live itself.
//!
//! All functions work on stores and on views, and return what the section "Write" lists, or
//! `kvds_ttl()` what the section "Read" lists. On a memory store, the functions that set a time
//! return `KVDS_IO` if the thread cannot be started that deletes expired keys.

use std::ffi::c_void;

use super::arg;
use super::batch::{self, kvds_batch};
use super::boundary;
use super::distributor::kvds_store;
use super::handle;
use super::status::{self, KVDS_NOT_FOUND, KVDS_OK, kvds_status};
use crate::engine::TimeLeft;

/// Maximum time to live: 100 years. A longer one is `KVDS_INVALID_ARGUMENT`.
pub const KVDS_MAX_TTL_MS: u64 = 3155760000000;

const _: () = assert!(KVDS_MAX_TTL_MS as u128 == crate::engine::MAX_TTL.as_millis());

/// Sets `key` to `value` for a time.
///
/// @param ttl_ms  at least 1.
/// @return
/// - `KVDS_OK`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_set_ttl(
    store: *mut kvds_store,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    ttl_ms: u64,
) -> kvds_status {
    boundary::status("kvds_set_ttl", || {
        let (store, key, value) = (
            handle::get(store)?,
            arg::key("key", key, key_len)?,
            arg::value("value", value, value_len)?,
        );
        store.set_ttl(key, value, arg::ttl(ttl_ms)?).map(status::after)
    })
}

/// Sets `key` to `value` for a time, if the key does not exist: a lock that frees itself.
///
/// The owner renews it with a batch that expects its own value and calls `kvds_batch_expire()`.
///
/// @param ttl_ms  at least 1.
/// @return
/// - `KVDS_OK`
/// - `KVDS_EXISTS`: it exists; nothing was changed
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_set_nx_ttl(
    store: *mut kvds_store,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    ttl_ms: u64,
) -> kvds_status {
    boundary::status("kvds_set_nx_ttl", || {
        let (store, key, value) = (
            handle::get(store)?,
            arg::key("key", key, key_len)?,
            arg::value("value", value, value_len)?,
        );
        store.set_nx_ttl(key, value, arg::ttl(ttl_ms)?).map(status::after)
    })
}

/// Replaces the time that `key` has left.
///
/// @param ttl_ms  counted from now; 0: the key never expires.
/// @return
/// - `KVDS_OK`
/// - `KVDS_NOT_FOUND`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_expire(
    store: *mut kvds_store,
    key: *const c_void,
    key_len: usize,
    ttl_ms: u64,
) -> kvds_status {
    boundary::status("kvds_expire", || {
        let (store, key) = (handle::get(store)?, arg::key("key", key, key_len)?);
        store.expire(key, arg::optional_ttl(ttl_ms)?).map(status::after)
    })
}

/// Adds an operation to a batch that sets `key` to `value` for a time.
///
/// @param ttl_ms  counted from each `kvds_write()`; at least 1.
/// @return
/// - `KVDS_OK`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_batch_set_ttl(
    batch: *mut kvds_batch,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    ttl_ms: u64,
) -> kvds_status {
    boundary::status("kvds_batch_set_ttl", || {
        let (batch, key, value) = (
            batch::get(batch)?,
            arg::key("key", key, key_len)?,
            arg::value("value", value, value_len)?,
        );
        batch.set_ttl(key, value, arg::ttl(ttl_ms)?).map(|()| KVDS_OK)
    })
}

/// Adds an operation to a batch that replaces the time that `key` has left.
///
/// It does nothing to a key that does not exist.
///
/// @param ttl_ms  counted from each `kvds_write()`; 0: the key never expires.
/// @return
/// - `KVDS_OK`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_batch_expire(
    batch: *mut kvds_batch,
    key: *const c_void,
    key_len: usize,
    ttl_ms: u64,
) -> kvds_status {
    boundary::status("kvds_batch_expire", || {
        let (batch, key) = (batch::get(batch)?, arg::key("key", key, key_len)?);
        batch.expire(key, arg::optional_ttl(ttl_ms)?).map(|()| KVDS_OK)
    })
}

/// Gets the time that `key` has left.
///
/// @param[out] left_ms  milliseconds; 0 if the key is about to be deleted; -1 if it never expires.
///   On a cluster whole seconds. Of a snapshot: the time that the key's value of then has left now.
/// @return
/// - `KVDS_OK`
/// - `KVDS_NOT_FOUND`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_ttl(
    store: *const kvds_store,
    key: *const c_void,
    key_len: usize,
    left_ms: *mut i64,
) -> kvds_status {
    boundary::status("kvds_ttl", || {
        let left_ms = arg::out("left_ms", left_ms, 0)?;
        let (store, key) = (handle::get(store)?, arg::key("key", key, key_len)?);
        let Some(left) = store.time_left(key)? else { return Ok(KVDS_NOT_FOUND) };
        left_ms.set(milliseconds(left));
        Ok(KVDS_OK)
    })
}

/// Returns the time as `kvds_ttl()` gets it.
pub fn milliseconds(left: TimeLeft) -> i64 {
    match left {
        TimeLeft::Forever => -1,
        TimeLeft::AtLeast(time) => i64::try_from(time.as_millis()).unwrap_or(i64::MAX),
    }
}
