//! Writing.

use std::ffi::c_void;

use super::arg;
use super::boundary;
use super::handle::{self, kvds_store};
use super::status::{self, KVDS_OK, kvds_status};
use super::types::{kvds_bytes, kvds_pair};
use crate::batch::{Operation, WriteBatch};
use crate::error::Result;

/// Sets `key` to `value`, whether or not it was there.
///
/// Inputs are copied. When this answers `KVDS_OK`, every later read on every thread sees the value, and on disk it survives
/// the death of the process. Answers `KVDS_OK`; `KVDS_INVALID_ARGUMENT` for a NULL, a key longer than `KVDS_MAX_KEY_LEN` or
/// a value longer than `KVDS_MAX_VALUE_LEN`; `KVDS_CLOSED`; `KVDS_NO_MEMORY`; on disk also `KVDS_IO`, `KVDS_NO_SPACE`,
/// `KVDS_CORRUPTION` and `KVDS_FORKED`. Threads: any. Atomic with every other call on the store, as all writes are.
///
/// A write that fails changes nothing that can be read. But after `KVDS_IO` or `KVDS_NO_SPACE` it may be in a file already: if the
/// process ends before another write to the store is acknowledged, it may be there when the store is opened again. Such an
/// answer can take a second or two, as writing is tried again before it is given.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_set(
    store: *const kvds_store,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
) -> kvds_status {
    boundary::status("kvds_set", || {
        // SAFETY: the caller keeps the rules for pointers.
        let (store, key, value) =
            unsafe { (handle::get(store)?, arg::key("key", key, key_len)?, arg::value("value", value, value_len)?) };
        store.set(key, value).map(status::after)
    })
}

/// Removes `key` and its value.
///
/// Answers `KVDS_OK` if it was there, `KVDS_NOT_FOUND` if not. Fails as `kvds_set` does. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_del(store: *const kvds_store, key: *const c_void, key_len: usize) -> kvds_status {
    boundary::status("kvds_del", || {
        // SAFETY: the caller keeps the rules for pointers.
        let (store, key) = unsafe { (handle::get(store)?, arg::key("key", key, key_len)?) };
        store.delete(key).map(status::after)
    })
}

/// Sets `count` keys in one atomic step: all or nothing, and no reader sees a part. If a key comes twice, the last wins.
///
/// `pairs` may be NULL when `count` is 0; inputs are copied. Answers `KVDS_OK`, and fails as `kvds_set` does; if one pair is
/// bad, the text says which, and nothing is changed. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_set_batch(
    store: *const kvds_store,
    pairs: *const kvds_pair,
    count: usize,
) -> kvds_status {
    boundary::status("kvds_set_batch", || {
        // SAFETY: the caller keeps the rules for pointers.
        unsafe {
            let (store, pairs) = (handle::get(store)?, arg::array("pairs", pairs, count)?);
            let set = |(index, pair): (usize, &kvds_pair)| -> Result<Operation<'_>> {
                let named = |error: crate::Error| error.within(|| format!("pairs[{index}]"));
                Ok(Operation::Set {
                    key: arg::key("key", pair.key, pair.key_len).map_err(named)?,
                    value: arg::value("value", pair.value, pair.value_len).map_err(named)?,
                })
            };
            let operations = pairs.iter().enumerate().map(set).collect::<Result<Vec<_>>>()?;
            store.write(&WriteBatch { expectations: &[], operations: &operations }).map(status::after)
        }
    })
}

/// Removes `count` keys in one atomic step: all or nothing, and no reader sees a part. Absent keys are fine.
///
/// `keys` may be NULL when `count` is 0; inputs are copied. Answers `KVDS_OK`, and fails as `kvds_set` does; if one key is
/// bad, the text says which, and nothing is changed. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_delete_batch(
    store: *const kvds_store,
    keys: *const kvds_bytes,
    count: usize,
) -> kvds_status {
    boundary::status("kvds_delete_batch", || {
        // SAFETY: the caller keeps the rules for pointers.
        unsafe {
            let (store, keys) = (handle::get(store)?, arg::keys(keys, count)?);
            let operations: Vec<_> = keys.into_iter().map(|key| Operation::Delete { key }).collect();
            store.write(&WriteBatch { expectations: &[], operations: &operations }).map(status::after)
        }
    })
}

/// Sets `key` to `value` if `key` is not there yet, in one atomic step.
///
/// Inputs are copied. Answers `KVDS_OK`, or `KVDS_EXISTS` if it was there: then nothing is changed. Fails as `kvds_set`
/// does. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_set_nx(
    store: *const kvds_store,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
) -> kvds_status {
    boundary::status("kvds_set_nx", || {
        // SAFETY: the caller keeps the rules for pointers.
        let (store, key, value) =
            unsafe { (handle::get(store)?, arg::key("key", key, key_len)?, arg::value("value", value, value_len)?) };
        store.set_nx(key, value).map(status::after)
    })
}

/// Sets `key` to `value` if it has the value `expected`, in one atomic step: no other write of any kind comes between the
/// comparison and the change.
///
/// Inputs are copied. Answers `KVDS_OK`; `KVDS_NOT_FOUND` if the key is not there, `KVDS_MISMATCH` if it has another value:
/// then nothing is changed. Fails as `kvds_set` does. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_compare_and_swap(
    store: *const kvds_store,
    key: *const c_void,
    key_len: usize,
    expected: *const c_void,
    expected_len: usize,
    value: *const c_void,
    value_len: usize,
) -> kvds_status {
    boundary::status("kvds_compare_and_swap", || {
        // SAFETY: the caller keeps the rules for pointers.
        let (store, key, expected, value) = unsafe {
            (
                handle::get(store)?,
                arg::key("key", key, key_len)?,
                arg::value("expected", expected, expected_len)?,
                arg::value("value", value, value_len)?,
            )
        };
        store.compare_and_swap(key, expected, value).map(status::after)
    })
}

/// Removes `key` if it has the value `expected`, in one atomic step: how a lock that was taken with `kvds_set_nx` is released
/// by its owner alone.
///
/// Inputs are copied. Answers `KVDS_OK`; `KVDS_NOT_FOUND` if the key is not there, `KVDS_MISMATCH` if it has another value:
/// then nothing is changed. Fails as `kvds_set` does. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_compare_and_delete(
    store: *const kvds_store,
    key: *const c_void,
    key_len: usize,
    expected: *const c_void,
    expected_len: usize,
) -> kvds_status {
    boundary::status("kvds_compare_and_delete", || {
        // SAFETY: the caller keeps the rules for pointers.
        let (store, key, expected) = unsafe {
            (handle::get(store)?, arg::key("key", key, key_len)?, arg::value("expected", expected, expected_len)?)
        };
        store.compare_and_delete(key, expected).map(status::after)
    })
}

/// Adds `delta` to the number that `key` has as its value, in one atomic step. The value is decimal text ("-12"); an absent
/// key counts as 0, and is set.
///
/// `*result` becomes the sum, or 0; NULL if it is not wanted. Answers `KVDS_OK`; `KVDS_INVALID_ARGUMENT` also if the value is
/// not such a number or the sum does not fit 64 bits: then nothing is changed; `KVDS_BUSY` if other writes
/// changed the key at each of a thousand attempts. Fails as `kvds_set` does, and needs a view that can
/// be read and written. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_add(
    store: *const kvds_store,
    key: *const c_void,
    key_len: usize,
    delta: i64,
    result: *mut i64,
) -> kvds_status {
    boundary::status("kvds_add", || {
        // SAFETY: the caller keeps the rules for pointers.
        unsafe {
            let result = if result.is_null() { None } else { Some(arg::out("result", result, 0)?) };
            // Kept, as this uses the store more than once, and a death may be told in between.
            let (store, key) = (handle::kept(store)?, arg::key("key", key, key_len)?);
            let sum = store.add(key, delta)?;
            if let Some(result) = result {
                result.set(sum);
            }
        }
        Ok(KVDS_OK)
    })
}

/// Removes every key that begins with `prefix` (all for the empty one), in one atomic step: no reader sees a part.
///
/// On disk, the keys of a small prefix are listed and deleted one by one; a large prefix is one entry in the log. Answers
/// `KVDS_OK`, also if there are no such keys; `KVDS_INVALID_ARGUMENT` also for a prefix longer than `KVDS_MAX_KEY_LEN`. Fails
/// as `kvds_set` does. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_delete_prefix(
    store: *const kvds_store,
    prefix: *const c_void,
    prefix_len: usize,
) -> kvds_status {
    boundary::status("kvds_delete_prefix", || {
        // SAFETY: the caller keeps the rules for pointers.
        let (store, prefix) = unsafe { (handle::get(store)?, arg::key("prefix", prefix, prefix_len)?) };
        store.delete_prefix(prefix).map(status::after)
    })
}
