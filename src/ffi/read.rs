//! Read.
//!
//! All functions work on stores and on views. Each also returns:
//! - `KVDS_INVALID_ARGUMENT`: a NULL, or a key or prefix longer than `KVDS_MAX_KEY_LEN`
//! - `KVDS_CLOSED`, `KVDS_DENIED`
//! - `KVDS_IO`, `KVDS_CORRUPTION`, `KVDS_FORKED`: on disk and cluster stores
//!
//! and on cluster stores:
//! - `KVDS_BUSY`: the cluster could not be reached in time
//! - `KVDS_EXPIRED`: the operator compacted the cluster, and the snapshot that the call reads is
//!   gone
//! - `KVDS_DENIED`: also if the cluster forbids it
//! - `KVDS_CLOSED`: also if another cluster is in the place of the one that the program used before

use std::ffi::{c_int, c_void};

use super::arg;
use super::boundary;
use super::bytes::{kvds_bytes, kvds_value};
use super::distributor::kvds_store;
use super::handle;
use super::status::{
    self, KVDS_INVALID_ARGUMENT, KVDS_NOT_FOUND, KVDS_OK, KVDS_TRUNCATED, kvds_status,
};

/// Gets the value of `key`.
///
/// @param[out] out  the value, to be released with kvds_value_release(). Where copying would cost
///   more than sharing, its bytes are the store's own.
/// @return
/// - `KVDS_OK`
/// - `KVDS_NOT_FOUND`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_get(
    store: *const kvds_store,
    key: *const c_void,
    key_len: usize,
    out: *mut kvds_value,
) -> kvds_status {
    boundary::status("kvds_get", || {
        let out = arg::out("out", out, kvds_value::EMPTY)?;
        let (store, key) = (handle::get(store)?, arg::key("key", key, key_len)?);
        let Some(value) = store.get(key)? else { return Ok(KVDS_NOT_FOUND) };
        out.set(value.into());
        Ok(KVDS_OK)
    })
}

/// Copies the value of `key` into `buffer`.
///
/// @param[out] buffer  room for `capacity` bytes; may be NULL if `capacity` is 0.
/// @param[out] len  the length of the value, or 0.
/// @return
/// - `KVDS_OK`
/// - `KVDS_NOT_FOUND`
/// - `KVDS_TRUNCATED`: the value is longer than `capacity`; nothing is copied, and `*len` says how
///   much room is needed
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_get_into(
    store: *const kvds_store,
    key: *const c_void,
    key_len: usize,
    buffer: *mut c_void,
    capacity: usize,
    len: *mut usize,
) -> kvds_status {
    boundary::status("kvds_get_into", || {
        let len = arg::out("len", len, 0)?;
        let (store, key) = (handle::get(store)?, arg::key("key", key, key_len)?);
        arg::array("buffer", buffer.cast_const().cast::<u8>(), capacity)?;
        let mut status = KVDS_NOT_FOUND;
        store.with_value(key, &mut |value| {
            len.set(value.len());
            status = if value.len() > capacity { KVDS_TRUNCATED } else { KVDS_OK };
            if status == KVDS_OK {
                buffer.cast::<u8>().copy_from(value.as_ptr(), value.len());
            }
        })?;
        Ok(status)
    })
}

/// Tests whether `key` exists.
///
/// @return
/// - `KVDS_OK`
/// - `KVDS_NOT_FOUND`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_exists(
    store: *const kvds_store,
    key: *const c_void,
    key_len: usize,
) -> kvds_status {
    boundary::status("kvds_exists", || {
        let (store, key) = (handle::get(store)?, arg::key("key", key, key_len)?);
        Ok(status::found(store.exists(key)?))
    })
}

/// Gets the values of `count` keys, all from one snapshot.
///
/// All three arrays have `count` elements, and may be NULL if `count` is 0. On an error, all values
/// are empty and all statuses are that error.
///
/// @param[out] values  the values, each to be released with kvds_value_release(); empty where the
///   key does not exist.
/// @param[out] statuses  `KVDS_OK` or `KVDS_NOT_FOUND` for each key.
/// @return
/// - `KVDS_OK`: all keys were looked up, whether or not they exist
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_multi_get(
    store: *const kvds_store,
    keys: *const kvds_bytes,
    count: usize,
    values: *mut kvds_value,
    statuses: *mut kvds_status,
) -> kvds_status {
    boundary::status("kvds_multi_get", || {
        let values = arg::outs("values", values, count, || kvds_value::EMPTY);
        let statuses = arg::outs("statuses", statuses, count, || KVDS_INVALID_ARGUMENT)?;
        let values = values?;
        let look_up = || {
            let store = handle::get(store)?;
            store.multi_get(&arg::keys(keys, count)?)
        };
        let found = look_up().inspect_err(|error| statuses.fill(status::of(error)))?;
        for (index, found) in found.into_iter().enumerate() {
            statuses[index] = status::found(found.is_some());
            if let Some(value) = found {
                values[index] = value.into();
            }
        }
        Ok(KVDS_OK)
    })
}

/// Called for each pair. Return 0 to stop, anything else to continue.
///
/// The pointers are valid during the call only.
pub type kvds_visit = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        key: *const c_void,
        key_len: usize,
        value: *const c_void,
        value_len: usize,
    ) -> c_int,
>;

/// Calls `callback` for every pair whose key begins with `prefix`, in the order of the keys.
///
/// The iteration reads a snapshot: it includes no write made after it began, by any thread. It
/// never blocks writers. The callback may write to the store, iterate it, close it and release it.
/// The call may return an error after the callback has seen some pairs.
///
/// @param prefix  an empty one is the prefix of all keys.
/// @return
/// - `KVDS_OK`: all pairs were shown
/// - `KVDS_STOPPED`: the callback returned 0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_iterate(
    store: *const kvds_store,
    prefix: *const c_void,
    prefix_len: usize,
    callback: kvds_visit,
    user_data: *mut c_void,
) -> kvds_status {
    boundary::status("kvds_iterate", || {
        let (store, prefix) = (handle::to_arc(store)?, arg::key("prefix", prefix, prefix_len)?);
        let visit = arg::callback("callback", callback)?;
        let complete = store.iterate(prefix, |key, value| {
            visit(user_data, key.as_ptr().cast(), key.len(), value.as_ptr().cast(), value.len())
                != 0
        })?;
        Ok(status::finished(complete))
    })
}
