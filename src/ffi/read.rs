//! Reading.

use std::ffi::c_void;

use super::arg;
use super::boundary;
use super::handle::{self, kvds_store};
use super::status::{self, KVDS_INVALID_ARGUMENT, KVDS_NOT_FOUND, KVDS_OK, KVDS_TRUNCATED, kvds_status};
use super::types::{kvds_bytes, kvds_value, kvds_visit};

/// The value of `key`.
///
/// `*out` becomes the value, which the caller gives back with `kvds_value_release`, or is emptied. Where copying would cost
/// more than sharing, the bytes are the store's own. Answers `KVDS_OK`, or `KVDS_NOT_FOUND`; `KVDS_INVALID_ARGUMENT` for a
/// NULL or a key longer than `KVDS_MAX_KEY_LEN`; `KVDS_CLOSED`; on disk also `KVDS_IO`, `KVDS_CORRUPTION` and
/// `KVDS_FORKED`. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_get(
    store: *const kvds_store,
    key: *const c_void,
    key_len: usize,
    out: *mut kvds_value,
) -> kvds_status {
    boundary::status("kvds_get", || {
        // SAFETY: the caller keeps the rules for pointers.
        unsafe {
            let out = arg::out("out", out, kvds_value::EMPTY)?;
            let (store, key) = (handle::get(store)?, arg::key("key", key, key_len)?);
            let Some(value) = store.get(key)? else { return Ok(KVDS_NOT_FOUND) };
            out.set(value.into());
        }
        Ok(KVDS_OK)
    })
}

/// Copies the value of `key` into `buffer`, which has room for `capacity` bytes (NULL is fine for 0).
///
/// `*len` becomes the value's length in bytes, or 0. Answers `KVDS_OK`, or `KVDS_NOT_FOUND`, or `KVDS_TRUNCATED` if the
/// value is longer than `capacity`: then nothing is copied, and `*len` says how much room is needed. Fails as `kvds_get`
/// does. Threads: any.
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
        // SAFETY: the caller keeps the rules for pointers; `buffer` has room for `capacity` bytes.
        unsafe {
            let len = arg::out("len", len, 0)?;
            let (store, key) = (handle::get(store)?, arg::key("key", key, key_len)?);
            arg::array("buffer", buffer.cast_const().cast::<u8>(), capacity)?;
            let mut status = KVDS_NOT_FOUND;
            store.look(key, &mut |value| {
                len.set(value.len());
                status = if value.len() > capacity { KVDS_TRUNCATED } else { KVDS_OK };
                if status == KVDS_OK {
                    buffer.cast::<u8>().copy_from(value.as_ptr(), value.len());
                }
            })?;
            Ok(status)
        }
    })
}

/// Whether `key` is there: `KVDS_OK` or `KVDS_NOT_FOUND`. Fails as `kvds_get` does. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_exists(store: *const kvds_store, key: *const c_void, key_len: usize) -> kvds_status {
    boundary::status("kvds_exists", || {
        // SAFETY: the caller keeps the rules for pointers.
        let (store, key) = unsafe { (handle::get(store)?, arg::key("key", key, key_len)?) };
        Ok(status::found(store.exists(key)?))
    })
}

/// The values of `count` keys, all as of one moment.
///
/// `values[i]` and `statuses[i]` (both of `count` elements) become the value of `keys[i]` and `KVDS_OK`, or an empty value and
/// `KVDS_NOT_FOUND`. Each value is given back with `kvds_value_release`. All three may be NULL when `count` is 0. Answers
/// `KVDS_OK` if all keys were looked up, whether or not they were there; if it fails, as `kvds_get` does, all values are empty
/// and all statuses are that failure's. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_multi_get(
    store: *const kvds_store,
    keys: *const kvds_bytes,
    count: usize,
    values: *mut kvds_value,
    statuses: *mut kvds_status,
) -> kvds_status {
    boundary::status("kvds_multi_get", || {
        // SAFETY: the caller keeps the rules for pointers.
        unsafe {
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
        }
        Ok(KVDS_OK)
    })
}

/// Shows every pair whose key begins with `prefix` (all for the empty one) to `callback`, in `memcmp` order of the keys,
/// each once, as of one moment: no write made during the iteration, by anyone, is seen.
///
/// The callback may write to the store, iterate it, close it and release it. Writers are never held up by an iteration.
/// Answers `KVDS_OK` when the end was reached, `KVDS_STOPPED` if the callback ended it; `KVDS_INVALID_ARGUMENT` for a NULL
/// or a prefix longer than `KVDS_MAX_KEY_LEN`; `KVDS_CLOSED`; on disk also `KVDS_IO`, `KVDS_CORRUPTION` and `KVDS_FORKED`,
/// maybe after some pairs were shown. Threads: any; the callback runs on the calling one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_iterate(
    store: *const kvds_store,
    prefix: *const c_void,
    prefix_len: usize,
    callback: kvds_visit,
    user_data: *mut c_void,
) -> kvds_status {
    boundary::status("kvds_iterate", || {
        // SAFETY: the caller keeps the rules for pointers.
        let (store, prefix) = unsafe { (handle::kept(store)?, arg::key("prefix", prefix, prefix_len)?) };
        let visit = arg::callback("callback", callback)?;
        let complete = store.iterate(prefix, |key, value| {
            // SAFETY: the caller passed a function of this type.
            unsafe { visit(user_data, key.as_ptr().cast(), key.len(), value.as_ptr().cast(), value.len()) != 0 }
        })?;
        Ok(status::finished(complete))
    })
}
