//! Cursors.
//!
//! A cursor moves over the pairs of a range in both directions, in a snapshot of the time of its
//! creation. It sees no later write. A new cursor is on no entry: move it first. Every function
//! that moves a cursor returns:
//! - `KVDS_OK`: the cursor is on an entry
//! - `KVDS_NOT_FOUND`: it is on no entry, for example because it passed an end of the range
//! - `KVDS_INVALID_ARGUMENT`: NULL
//! - `KVDS_IO`, `KVDS_CORRUPTION`, `KVDS_FORKED`: on disk and cluster stores
//! - `KVDS_BUSY`, `KVDS_EXPIRED`, `KVDS_DENIED`: on cluster stores, as the section "Read" says
//!
//! To visit all entries, call `kvds_cursor_first()`, and then `kvds_cursor_next()` while they
//! return `KVDS_OK`. `KVDS_NOT_FOUND` is the end of the range; any other status is an error. A move
//! invalidates what `kvds_cursor_key()` and `kvds_cursor_value()` returned before. On a cluster, a
//! cursor reads pages of many pairs. Moving backward is slower there than moving forward.

use std::ffi::{c_int, c_void};
use std::ptr;

use super::arg;
use super::boundary;
use super::bytes::{kvds_bytes, kvds_range};
use super::distributor::kvds_store;
use super::handle;
use super::status::{self, KVDS_NOT_FOUND, KVDS_OK, kvds_status};
use super::ttl;
use crate::engine::Cursor;
use crate::error::{Error, Result};

/// A cursor. One thread at a time may use it.
///
/// Its store may be written, closed and released while the cursor is in use; the cursor continues
/// on its snapshot. The files of a disk store stay open as long as the cursor exists.
pub struct kvds_cursor(Box<dyn Cursor>);

/// Creates a cursor over the keys of `store` that are in `range`, as of now.
///
/// The call also returns what the section "Read" lists.
///
/// @param range  copied; NULL for all keys.
/// @param[out] out  the cursor, to be freed with kvds_cursor_free().
/// @return
/// - `KVDS_OK`: also if there are no such keys
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_cursor_new(
    store: *const kvds_store,
    range: *const kvds_range,
    out: *mut *mut kvds_cursor,
) -> kvds_status {
    boundary::status("kvds_cursor_new", || {
        let out = arg::out("out", out, ptr::null_mut())?;
        let store = handle::get(store)?;
        let cursor = store.cursor(arg::range(range)?)?;
        out.set(Box::into_raw(Box::new(kvds_cursor(cursor))));
        Ok(KVDS_OK)
    })
}

/// Frees a cursor.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_cursor_free(cursor: *mut kvds_cursor) {
    boundary::value("kvds_cursor_free", (), || {
        if !cursor.is_null() {
            drop(Box::from_raw(cursor));
        }
        Ok(())
    });
}

/// Moves to the first entry of the range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_cursor_first(cursor: *mut kvds_cursor) -> kvds_status {
    move_cursor("kvds_cursor_first", cursor, |cursor| cursor.first())
}

/// Moves to the last entry of the range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_cursor_last(cursor: *mut kvds_cursor) -> kvds_status {
    move_cursor("kvds_cursor_last", cursor, |cursor| cursor.last())
}

/// Moves to the first entry of the range whose key is `key` or greater.
///
/// A key longer than `KVDS_MAX_KEY_LEN` is `KVDS_INVALID_ARGUMENT`, and the cursor does not move.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_cursor_seek(
    cursor: *mut kvds_cursor,
    key: *const c_void,
    key_len: usize,
) -> kvds_status {
    move_cursor("kvds_cursor_seek", cursor, |cursor| cursor.seek(arg::key("key", key, key_len)?))
}

/// Moves to the next entry. A cursor that is on no entry stays there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_cursor_next(cursor: *mut kvds_cursor) -> kvds_status {
    move_cursor("kvds_cursor_next", cursor, |cursor| cursor.next())
}

/// Moves to the previous entry. A cursor that is on no entry stays there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_cursor_prev(cursor: *mut kvds_cursor) -> kvds_status {
    move_cursor("kvds_cursor_prev", cursor, |cursor| cursor.prev())
}

/// Returns 1 if the cursor is on an entry, else 0; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_cursor_valid(cursor: *const kvds_cursor) -> c_int {
    cursor.as_ref().is_some_and(|cursor| cursor.0.entry().is_some()).into()
}

/// Gets the key of the current entry.
///
/// @param[out] key  bytes that the cursor owns, valid until it moves or is freed.
/// @return
/// - `KVDS_OK`
/// - `KVDS_NOT_FOUND`: the cursor is on no entry
/// - `KVDS_INVALID_ARGUMENT`: a NULL
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_cursor_key(
    cursor: *const kvds_cursor,
    key: *mut kvds_bytes,
) -> kvds_status {
    boundary::status("kvds_cursor_key", || show(cursor, "key", key, |(key, _)| key))
}

/// Gets the value of the current entry.
///
/// @param[out] value  bytes that the cursor owns, valid until it moves or is freed.
/// @return
/// - `KVDS_OK`
/// - `KVDS_NOT_FOUND`: the cursor is on no entry
/// - `KVDS_INVALID_ARGUMENT`: a NULL
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_cursor_value(
    cursor: *const kvds_cursor,
    value: *mut kvds_bytes,
) -> kvds_status {
    boundary::status("kvds_cursor_value", || show(cursor, "value", value, |(_, value)| value))
}

/// Gets the time that the key of a cursor's current entry has left.
///
/// It is that of the cursor's snapshot: the time that the entry's value has left now. The call also
/// returns what moving a cursor returns.
///
/// @param[out] left_ms  as in `kvds_ttl()`.
/// @return
/// - `KVDS_OK`
/// - `KVDS_NOT_FOUND`: the cursor is on no entry
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_cursor_ttl(
    cursor: *mut kvds_cursor,
    left_ms: *mut i64,
) -> kvds_status {
    boundary::status("kvds_cursor_ttl", || {
        let left_ms = arg::out("left_ms", left_ms, 0)?;
        let cursor = get(cursor)?;
        if cursor.entry().is_none() {
            return Ok(KVDS_NOT_FOUND);
        }
        left_ms.set(ttl::milliseconds(cursor.time_left()?));
        Ok(KVDS_OK)
    })
}

unsafe fn move_cursor(
    function: &'static str,
    cursor: *mut kvds_cursor,
    step: impl FnOnce(&mut dyn Cursor) -> Result<()>,
) -> kvds_status {
    boundary::status(function, || {
        let cursor = get(cursor)?;
        step(&mut *cursor)?;
        Ok(status::found(cursor.entry().is_some()))
    })
}

/// Returns the cursor behind a pointer.
pub unsafe fn get<'a>(cursor: *mut kvds_cursor) -> Result<&'a mut dyn Cursor> {
    Ok(&mut *cursor.as_mut().ok_or_else(null)?.0)
}

/// Returns the key or the value of an entry.
type KeyOrValue = for<'a> fn((&'a [u8], &'a [u8])) -> &'a [u8];

unsafe fn show(
    cursor: *const kvds_cursor,
    name: &str,
    out: *mut kvds_bytes,
    part: KeyOrValue,
) -> Result<kvds_status> {
    let out = arg::out(name, out, kvds_bytes { data: ptr::null(), len: 0 })?;
    let Some(bytes) = cursor.as_ref().ok_or_else(null)?.0.entry().map(part) else {
        return Ok(KVDS_NOT_FOUND);
    };
    out.set(kvds_bytes { data: bytes.as_ptr().cast(), len: bytes.len() });
    Ok(KVDS_OK)
}

fn null() -> Error {
    Error::invalid("the kvds_cursor is NULL")
}
