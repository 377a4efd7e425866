//! Cursors.

use std::ffi::{c_int, c_void};
use std::ptr;

use super::arg;
use super::boundary;
use super::handle::{self, kvds_store};
use super::status::{self, KVDS_NOT_FOUND, KVDS_OK, kvds_status};
use super::types::{kvds_bytes, kvds_range};
use crate::engine::{Cursor, Range};
use crate::error::{Error, Result};

/// A movable position in a range of keys, over one moment: it sees no write made after it was made. To be used by one
/// thread at a time, any thread. It needs its store no more: that may be written, closed and released meanwhile; the files
/// of a disk store stay open as long as the cursor lives.
pub struct kvds_cursor(Box<dyn Cursor>);

/// A cursor over the keys of `store` (or view) that are in `range`, as of now. NULL for the range is every key. It stands on
/// no entry yet: move it first.
///
/// The range is copied. `*out` becomes a cursor that the caller frees with `kvds_cursor_free`, or NULL. Answers `KVDS_OK`, also
/// when there are no such keys; fails as `kvds_get` does. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_cursor_new(
    store: *const kvds_store,
    range: *const kvds_range,
    out: *mut *mut kvds_cursor,
) -> kvds_status {
    boundary::status("kvds_cursor_new", || {
        // SAFETY: the caller keeps the rules for pointers.
        unsafe {
            let out = arg::out("out", out, ptr::null_mut())?;
            let store = handle::get(store)?;
            let cursor = store.cursor(read(range)?)?;
            out.set(Box::into_raw(Box::new(kvds_cursor(cursor))));
        }
        Ok(KVDS_OK)
    })
}

/// Frees a cursor. NULL does nothing. Threads: any, when no other uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_cursor_free(cursor: *mut kvds_cursor) {
    boundary::value("kvds_cursor_free", (), || {
        if !cursor.is_null() {
            // SAFETY: the caller gives up what `kvds_cursor_new` made.
            drop(unsafe { Box::from_raw(cursor) });
        }
        Ok(())
    });
}

/// Moves to the first entry of the range.
///
/// What holds for every move: `KVDS_OK` if the cursor stands on an entry then, `KVDS_NOT_FOUND` if there is none;
/// `KVDS_INVALID_ARGUMENT` for NULL; on disk also `KVDS_IO`, `KVDS_CORRUPTION` and `KVDS_FORKED`. What `kvds_cursor_key` and
/// `kvds_cursor_value` gave before is valid no more. Threads: one at a time on one cursor.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_cursor_first(cursor: *mut kvds_cursor) -> kvds_status {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe { go("kvds_cursor_first", cursor, |cursor| cursor.first()) }
}

/// Moves to the last entry of the range. Answers as `kvds_cursor_first` does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_cursor_last(cursor: *mut kvds_cursor) -> kvds_status {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe { go("kvds_cursor_last", cursor, |cursor| cursor.last()) }
}

/// Moves to the first entry whose key is `key` or greater, within the range. Answers as `kvds_cursor_first` does, and
/// `KVDS_INVALID_ARGUMENT` also for a key longer than `KVDS_MAX_KEY_LEN`; the cursor then stays where it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_cursor_seek(cursor: *mut kvds_cursor, key: *const c_void, key_len: usize) -> kvds_status {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe { go("kvds_cursor_seek", cursor, |cursor| cursor.seek(arg::key("key", key, key_len)?)) }
}

/// Moves one entry on. From no entry it stays on none. Answers as `kvds_cursor_first` does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_cursor_next(cursor: *mut kvds_cursor) -> kvds_status {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe { go("kvds_cursor_next", cursor, |cursor| cursor.next()) }
}

/// Moves one entry back. From no entry it stays on none. Answers as `kvds_cursor_first` does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_cursor_prev(cursor: *mut kvds_cursor) -> kvds_status {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe { go("kvds_cursor_prev", cursor, |cursor| cursor.prev()) }
}

/// 1 if the cursor stands on an entry, 0 if not; 0 for NULL. Threads: one at a time on one cursor.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_cursor_valid(cursor: *const kvds_cursor) -> c_int {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe { cursor.as_ref() }.is_some_and(|cursor| cursor.0.entry().is_some()).into()
}

/// The key that the cursor stands on.
///
/// `*key` becomes the cursor's own bytes, valid until its next move or its end, or is emptied. Answers `KVDS_OK`, or
/// `KVDS_NOT_FOUND` if it stands on no entry; `KVDS_INVALID_ARGUMENT` for a NULL. Threads: one at a time on one cursor.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_cursor_key(cursor: *const kvds_cursor, key: *mut kvds_bytes) -> kvds_status {
    // SAFETY: the caller keeps the rules for pointers.
    boundary::status("kvds_cursor_key", || unsafe { show(cursor, "key", key, |(key, _)| key) })
}

/// The value of the key that the cursor stands on. Answers as `kvds_cursor_key` does, and the bytes are as long valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_cursor_value(cursor: *const kvds_cursor, value: *mut kvds_bytes) -> kvds_status {
    // SAFETY: the caller keeps the rules for pointers.
    boundary::status("kvds_cursor_value", || unsafe { show(cursor, "value", value, |(_, value)| value) })
}

unsafe fn go(
    function: &'static str,
    cursor: *mut kvds_cursor,
    go: impl FnOnce(&mut dyn Cursor) -> Result<()>,
) -> kvds_status {
    boundary::status(function, || {
        // SAFETY: the caller passed what `kvds_cursor_new` made, and no other thread uses it.
        let cursor = unsafe { cursor.as_mut() }.ok_or_else(null)?;
        go(&mut *cursor.0)?;
        Ok(status::found(cursor.0.entry().is_some()))
    })
}

/// The half of an entry that is asked for.
type Part = for<'a> fn((&'a [u8], &'a [u8])) -> &'a [u8];

unsafe fn show(cursor: *const kvds_cursor, name: &str, out: *mut kvds_bytes, part: Part) -> Result<kvds_status> {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe {
        let out = arg::out(name, out, kvds_bytes { data: ptr::null(), len: 0 })?;
        let Some(bytes) = cursor.as_ref().ok_or_else(null)?.0.entry().map(part) else { return Ok(KVDS_NOT_FOUND) };
        out.set(kvds_bytes { data: bytes.as_ptr().cast(), len: bytes.len() });
    }
    Ok(KVDS_OK)
}

unsafe fn read(range: *const kvds_range) -> Result<Range> {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe {
        let Some(range) = range.as_ref() else { return Ok(Range::prefix(b"")) };
        let prefix = arg::key("prefix", range.prefix, range.prefix_len)?;
        let start = arg::key("start", range.start, range.start_len)?;
        let end = arg::key("end", range.end, range.end_len)?;
        let between = Range { start: start.to_vec(), end: (!end.is_empty()).then(|| end.to_vec()) };
        Ok(Range::prefix(prefix).and(between))
    }
}

fn null() -> Error {
    Error::invalid("the kvds_cursor is NULL")
}
