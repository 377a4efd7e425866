//! Batches.
//!
//! A batch is a list of operations and of expectations about the data before them. `kvds_write()`
//! applies all operations in one atomic step if every expectation holds. The functions that fill a
//! batch also return:
//! - `KVDS_INVALID_ARGUMENT`: a NULL, or a key or value that is too long; nothing is added
//! - `KVDS_NO_MEMORY`: nothing is added

use std::ffi::c_void;
use std::ptr;

use super::arg;
use super::boundary;
use super::distributor::kvds_store;
use super::handle;
use super::status::{KVDS_MISMATCH, KVDS_OK, kvds_status};
use crate::batch::{BatchBuffer, Outcome};
use crate::error::{Error, Result};

/// A batch. One thread at a time may use it.
///
/// It keeps copies of its keys and values, belongs to no store, and is not used up by a write.
pub struct kvds_batch(BatchBuffer);

/// Creates an empty batch.
///
/// @return the batch, to be freed with kvds_batch_free(); NULL only because of a bug in the
///   library.
#[unsafe(no_mangle)]
pub extern "C" fn kvds_batch_new() -> *mut kvds_batch {
    boundary::value("kvds_batch_new", ptr::null_mut(), || {
        Ok(Box::into_raw(Box::new(kvds_batch(BatchBuffer::default()))))
    })
}

/// Frees a batch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_batch_free(batch: *mut kvds_batch) {
    boundary::value("kvds_batch_free", (), || {
        if !batch.is_null() {
            drop(Box::from_raw(batch));
        }
        Ok(())
    });
}

/// Removes everything from a batch and keeps its memory for the next use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_batch_clear(batch: *mut kvds_batch) {
    boundary::value("kvds_batch_clear", (), || {
        if let Ok(batch) = get(batch) {
            batch.clear();
        }
        Ok(())
    });
}

/// Returns the number of operations, without expectations; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_batch_count(batch: *const kvds_batch) -> usize {
    batch.as_ref().map_or(0, |batch| batch.0.count())
}

/// Adds an operation that sets `key` to `value`.
///
/// If a key has several operations, the last one wins.
///
/// @return
/// - `KVDS_OK`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_batch_set(
    batch: *mut kvds_batch,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
) -> kvds_status {
    boundary::status("kvds_batch_set", || {
        let (batch, key, value) =
            (get(batch)?, arg::key("key", key, key_len)?, arg::value("value", value, value_len)?);
        batch.set(key, value).map(|()| KVDS_OK)
    })
}

/// Adds an operation that deletes `key`, which need not exist.
///
/// @return
/// - `KVDS_OK`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_batch_del(
    batch: *mut kvds_batch,
    key: *const c_void,
    key_len: usize,
) -> kvds_status {
    boundary::status("kvds_batch_del", || {
        let (batch, key) = (get(batch)?, arg::key("key", key, key_len)?);
        batch.delete(key).map(|()| KVDS_OK)
    })
}

/// Adds the expectation that the value of `key` is `value` before the batch.
///
/// @return
/// - `KVDS_OK`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_batch_expect(
    batch: *mut kvds_batch,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
) -> kvds_status {
    boundary::status("kvds_batch_expect", || {
        let (batch, key, value) =
            (get(batch)?, arg::key("key", key, key_len)?, arg::value("value", value, value_len)?);
        batch.expect(key, value).map(|()| KVDS_OK)
    })
}

/// Adds the expectation that `key` does not exist before the batch.
///
/// @return
/// - `KVDS_OK`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_batch_expect_absent(
    batch: *mut kvds_batch,
    key: *const c_void,
    key_len: usize,
) -> kvds_status {
    boundary::status("kvds_batch_expect_absent", || {
        let (batch, key) = (get(batch)?, arg::key("key", key, key_len)?);
        batch.expect_absent(key).map(|()| KVDS_OK)
    })
}

/// Applies `batch` to `store` in one atomic step if every expectation holds.
///
/// The batch is unchanged and can be applied again. The call also returns what the section "Write"
/// lists.
///
/// @return
/// - `KVDS_OK`
/// - `KVDS_MISMATCH`: an expectation does not hold; nothing was changed
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_write(
    store: *mut kvds_store,
    batch: *const kvds_batch,
) -> kvds_status {
    boundary::status("kvds_write", || {
        let (store, batch) = (handle::get(store)?, batch.as_ref().ok_or_else(null)?);
        Ok(match batch.0.with_batch(|batch| store.write(batch))? {
            Outcome::Applied => KVDS_OK,
            Outcome::Refused(_) => KVDS_MISMATCH,
        })
    })
}

pub(super) unsafe fn get<'a>(batch: *mut kvds_batch) -> Result<&'a mut BatchBuffer> {
    batch.as_mut().map(|batch| &mut batch.0).ok_or_else(null)
}

fn null() -> Error {
    Error::invalid("the kvds_batch is NULL")
}
