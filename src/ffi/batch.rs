//! Conditional batches.

use std::ffi::c_void;
use std::ptr;

use super::arg;
use super::boundary;
use super::handle::{self, kvds_store};
use super::status::{KVDS_MISMATCH, KVDS_OK, kvds_status};
use crate::batch::{BatchBuffer, Outcome};
use crate::error::{Error, Result};

/// Operations, and expectations of what is there before them, for `kvds_write` to apply in one step. It keeps copies of its
/// keys and values. To be used by one thread at a time. Not tied to a store, and not used up by a write.
pub struct kvds_batch(BatchBuffer);

/// An empty batch; to be freed with `kvds_batch_free`. NULL only if the library has a bug. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn kvds_batch_new() -> *mut kvds_batch {
    boundary::value("kvds_batch_new", ptr::null_mut(), || {
        Ok(Box::into_raw(Box::new(kvds_batch(BatchBuffer::default()))))
    })
}

/// Frees a batch. NULL does nothing. Threads: any, when no other uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_batch_free(batch: *mut kvds_batch) {
    boundary::value("kvds_batch_free", (), || {
        if !batch.is_null() {
            // SAFETY: the caller gives up what `kvds_batch_new` made.
            drop(unsafe { Box::from_raw(batch) });
        }
        Ok(())
    });
}

/// Empties a batch, and keeps its memory for the next use. NULL does nothing. Threads: one at a time on one batch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_batch_clear(batch: *mut kvds_batch) {
    boundary::value("kvds_batch_clear", (), || {
        // SAFETY: the caller keeps the rules for pointers.
        if let Ok(batch) = unsafe { get(batch) } {
            batch.clear();
        }
        Ok(())
    });
}

/// How many operations a batch has; expectations don't count. 0 for NULL. Threads: one at a time on one batch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_batch_count(batch: *const kvds_batch) -> usize {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe { batch.as_ref() }.map_or(0, |batch| batch.0.count())
}

/// Adds the operation to set `key` to `value`. If a key has several operations, the last one wins.
///
/// Inputs are copied. Answers `KVDS_OK`; `KVDS_INVALID_ARGUMENT` for a NULL, a key longer than `KVDS_MAX_KEY_LEN` or a value
/// longer than `KVDS_MAX_VALUE_LEN`; `KVDS_NO_MEMORY`; nothing is added then. Threads: one at a time on one batch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_batch_set(
    batch: *mut kvds_batch,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
) -> kvds_status {
    boundary::status("kvds_batch_set", || {
        // SAFETY: the caller keeps the rules for pointers.
        let (batch, key, value) =
            unsafe { (get(batch)?, arg::key("key", key, key_len)?, arg::value("value", value, value_len)?) };
        batch.set(key, value).map(|()| KVDS_OK)
    })
}

/// Adds the operation to remove `key`, which may be absent. Answers as `kvds_batch_set` does. Threads: one at a time on one
/// batch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_batch_del(batch: *mut kvds_batch, key: *const c_void, key_len: usize) -> kvds_status {
    boundary::status("kvds_batch_del", || {
        // SAFETY: the caller keeps the rules for pointers.
        let (batch, key) = unsafe { (get(batch)?, arg::key("key", key, key_len)?) };
        batch.delete(key).map(|()| KVDS_OK)
    })
}

/// Adds the expectation that `key` has the value `value` before the batch. Answers as `kvds_batch_set` does. Threads: one at
/// a time on one batch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_batch_expect(
    batch: *mut kvds_batch,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
) -> kvds_status {
    boundary::status("kvds_batch_expect", || {
        // SAFETY: the caller keeps the rules for pointers.
        let (batch, key, value) =
            unsafe { (get(batch)?, arg::key("key", key, key_len)?, arg::value("value", value, value_len)?) };
        batch.expect(key, value).map(|()| KVDS_OK)
    })
}

/// Adds the expectation that `key` is not there before the batch. Answers as `kvds_batch_set` does. Threads: one at a time
/// on one batch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_batch_expect_absent(
    batch: *mut kvds_batch,
    key: *const c_void,
    key_len: usize,
) -> kvds_status {
    boundary::status("kvds_batch_expect_absent", || {
        // SAFETY: the caller keeps the rules for pointers.
        let (batch, key) = unsafe { (get(batch)?, arg::key("key", key, key_len)?) };
        batch.expect_absent(key).map(|()| KVDS_OK)
    })
}

/// Applies `batch` to `store` in one atomic step if every expectation holds.
///
/// The batch stays as it is. Answers `KVDS_OK`, or `KVDS_MISMATCH` if an expectation does not hold: then nothing is changed.
/// Fails as `kvds_set` does. Threads: any on the store, one at a time on the batch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_write(store: *const kvds_store, batch: *const kvds_batch) -> kvds_status {
    boundary::status("kvds_write", || {
        // SAFETY: the caller keeps the rules for pointers.
        let (store, batch) = unsafe { (handle::get(store)?, batch.as_ref().ok_or_else(null)?) };
        Ok(match batch.0.lend(|batch| store.write(batch))? {
            Outcome::Applied => KVDS_OK,
            Outcome::Refused(_) => KVDS_MISMATCH,
        })
    })
}

unsafe fn get<'a>(batch: *mut kvds_batch) -> Result<&'a mut BatchBuffer> {
    // SAFETY: the caller passed what `kvds_batch_new` made, and no other thread uses it.
    unsafe { batch.as_mut() }.map(|batch| &mut batch.0).ok_or_else(null)
}

fn null() -> Error {
    Error::invalid("the kvds_batch is NULL")
}
