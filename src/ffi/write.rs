//! Write.
//!
//! Every write is one atomic step: no reader sees a part of it, and no other write comes between
//! the check and the change of a conditional one. After `KVDS_OK`, every later read on every thread
//! sees it, and on disk it survives what `kvds_durability` says. On a cluster every process sees
//! it, and it survives the failure of any minority of the members. All functions work on stores
//! and on views. Each also returns:
//! - `KVDS_INVALID_ARGUMENT`: a NULL, or a key or value that is too long
//! - `KVDS_CLOSED`, `KVDS_DENIED`, `KVDS_NO_MEMORY`
//! - `KVDS_IO`, `KVDS_NO_SPACE`, `KVDS_CORRUPTION`, `KVDS_FORKED`: on disk and cluster stores
//!
//! and on cluster stores:
//! - `KVDS_BUSY`: the cluster could not be reached in time; nothing was changed, so the program may
//!   repeat the call
//! - `KVDS_UNKNOWN_OUTCOME`: the request was sent, and the time limit (`cluster_timeout_ms`) ended
//!   before the library knew whether it was applied
//! - `KVDS_UNSUPPORTED`: the keys and values of the call are larger, or there are more of them,
//!   than the server accepts in one request; nothing was changed, and the error text has the limit
//! - `KVDS_NO_SPACE`: the server's quota is used up; deleting still works
//! - `KVDS_DENIED`: also if the cluster forbids it
//! - `KVDS_CLOSED`: also if another process destroyed the store
//!
//! A write that fails changes nothing that can be read (but after `KVDS_UNKNOWN_OUTCOME`, it may
//! have been applied). On disk, after `KVDS_IO` or `KVDS_NO_SPACE` it may already be in a file,
//! though: if the process ends before another write to the store is acknowledged, the failed write
//! may be there when the store is opened again. Returning these statuses can take a second or two,
//! because the library retries first.

use std::ffi::c_void;

use super::arg;
use super::boundary;
use super::bytes::{kvds_bytes, kvds_pair};
use super::distributor::kvds_store;
use super::handle;
use super::status::{self, KVDS_OK, kvds_status};
use crate::batch::{Operation, WriteBatch};
use crate::error::Result;

/// Sets `key` to `value`, whether or not the key exists.
///
/// @return
/// - `KVDS_OK`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_set(
    store: *mut kvds_store,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
) -> kvds_status {
    boundary::status("kvds_set", || {
        let (store, key, value) = (
            handle::get(store)?,
            arg::key("key", key, key_len)?,
            arg::value("value", value, value_len)?,
        );
        store.set(key, value).map(status::after)
    })
}

/// Deletes `key`.
///
/// @return
/// - `KVDS_OK`: it existed
/// - `KVDS_NOT_FOUND`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_del(
    store: *mut kvds_store,
    key: *const c_void,
    key_len: usize,
) -> kvds_status {
    boundary::status("kvds_del", || {
        let (store, key) = (handle::get(store)?, arg::key("key", key, key_len)?);
        store.delete(key).map(status::after)
    })
}

/// Sets `count` keys, all or none.
///
/// `kvds_write()` also deletes in the same step, and can make the writes conditional.
///
/// If a key appears twice, the last value wins. If a pair is invalid, the error text says which
/// one.
///
/// @param pairs  may be NULL if `count` is 0.
/// @return
/// - `KVDS_OK`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_set_batch(
    store: *mut kvds_store,
    pairs: *const kvds_pair,
    count: usize,
) -> kvds_status {
    boundary::status("kvds_set_batch", || {
        let (store, pairs) = (handle::get(store)?, arg::array("pairs", pairs, count)?);
        let set = |(index, pair): (usize, &kvds_pair)| -> Result<Operation<'_>> {
            let named = |error: crate::error::Error| error.within(|| format!("pairs[{index}]"));
            Ok(Operation::Set {
                key: arg::key("key", pair.key, pair.key_len).map_err(named)?,
                value: arg::value("value", pair.value, pair.value_len).map_err(named)?,
            })
        };
        let operations = pairs.iter().enumerate().map(set).collect::<Result<Vec<_>>>()?;
        store.write(&WriteBatch { expectations: &[], operations: &operations }).map(status::after)
    })
}

/// Deletes `count` keys, all or none.
///
/// Keys that do not exist are skipped. If a key is invalid, the error text says which one.
///
/// @param keys  may be NULL if `count` is 0.
/// @return
/// - `KVDS_OK`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_delete_batch(
    store: *mut kvds_store,
    keys: *const kvds_bytes,
    count: usize,
) -> kvds_status {
    boundary::status("kvds_delete_batch", || {
        let (store, keys) = (handle::get(store)?, arg::keys(keys, count)?);
        let operations: Vec<_> = keys.into_iter().map(|key| Operation::Delete { key }).collect();
        store.write(&WriteBatch { expectations: &[], operations: &operations }).map(status::after)
    })
}

/// Sets `key` to `value` if the key does not exist.
///
/// @return
/// - `KVDS_OK`
/// - `KVDS_EXISTS`: it exists; nothing was changed
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_set_nx(
    store: *mut kvds_store,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
) -> kvds_status {
    boundary::status("kvds_set_nx", || {
        let (store, key, value) = (
            handle::get(store)?,
            arg::key("key", key, key_len)?,
            arg::value("value", value, value_len)?,
        );
        store.set_nx(key, value).map(status::after)
    })
}

/// Sets `key` to `value` if its value is `expected`.
///
/// @return
/// - `KVDS_OK`
/// - `KVDS_NOT_FOUND`: the key does not exist; nothing was changed
/// - `KVDS_MISMATCH`: it has another value; nothing was changed
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_compare_and_swap(
    store: *mut kvds_store,
    key: *const c_void,
    key_len: usize,
    expected: *const c_void,
    expected_len: usize,
    value: *const c_void,
    value_len: usize,
) -> kvds_status {
    boundary::status("kvds_compare_and_swap", || {
        let (store, key, expected, value) = (
            handle::get(store)?,
            arg::key("key", key, key_len)?,
            arg::value("expected", expected, expected_len)?,
            arg::value("value", value, value_len)?,
        );
        store.compare_and_swap(key, expected, value).map(status::after)
    })
}

/// Deletes `key` if its value is `expected`.
///
/// The owner of a lock taken with `kvds_set_nx()` releases it with this function.
///
/// @return
/// - `KVDS_OK`
/// - `KVDS_NOT_FOUND`: the key does not exist
/// - `KVDS_MISMATCH`: it has another value; nothing was changed
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_compare_and_delete(
    store: *mut kvds_store,
    key: *const c_void,
    key_len: usize,
    expected: *const c_void,
    expected_len: usize,
) -> kvds_status {
    boundary::status("kvds_compare_and_delete", || {
        let (store, key, expected) = (
            handle::get(store)?,
            arg::key("key", key, key_len)?,
            arg::value("expected", expected, expected_len)?,
        );
        store.compare_and_delete(key, expected).map(status::after)
    })
}

/// Adds `delta` to the number stored under `key`.
///
/// The value is decimal text, such as "-12". A key that does not exist counts as 0 and is created.
/// A view must permit reading and writing.
///
/// @param[out] result  the sum; may be NULL.
/// @return
/// - `KVDS_OK`
/// - `KVDS_INVALID_ARGUMENT`: also if the value is not such a number, or the sum does not fit 64
///   bits; nothing was changed
/// - `KVDS_BUSY`: other writes changed the key at each of a thousand attempts
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_add(
    store: *mut kvds_store,
    key: *const c_void,
    key_len: usize,
    delta: i64,
    result: *mut i64,
) -> kvds_status {
    boundary::status("kvds_add", || {
        let result = if result.is_null() { None } else { Some(arg::out("result", result, 0)?) };
        // An Arc, because this uses the store several times, and an observer may run in between.
        let (store, key) = (handle::to_arc(store)?, arg::key("key", key, key_len)?);
        let sum = store.add(key, delta)?;
        if let Some(result) = result {
            result.set(sum);
        }
        Ok(KVDS_OK)
    })
}

/// Deletes every key that begins with `prefix`.
///
/// On disk, the keys of a small prefix are deleted one by one; a large prefix is one entry in the
/// log. On a cluster, no other write to the cluster proceeds meanwhile: 100,000 keys take a second.
///
/// @param prefix  an empty one is the prefix of all keys.
/// @return
/// - `KVDS_OK`: also if there are no such keys
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_delete_prefix(
    store: *mut kvds_store,
    prefix: *const c_void,
    prefix_len: usize,
) -> kvds_status {
    boundary::status("kvds_delete_prefix", || {
        let (store, prefix) = (handle::get(store)?, arg::key("prefix", prefix, prefix_len)?);
        store.delete_prefix(prefix).map(status::after)
    })
}
