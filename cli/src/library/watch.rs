//! A watch, which returns the changes of a range.

use std::ptr::{self, NonNull};

use super::{Error, Range, Result, Store, check, ffi, lent};

/// A watch, freed when this is dropped.
pub struct Watch(NonNull<ffi::Watch>);

/// A change of a watched range.
pub enum Change<'a> {
    Set { key: &'a [u8], value: &'a [u8] },
    Delete { key: &'a [u8] },
    DeleteRange { start: &'a [u8], end: &'a [u8] },
}

/// What came out of waiting for a change.
pub enum Event<'a> {
    Changed(Change<'a>),
    /// There was no change in that time.
    Nothing,
    /// Changes were missed.
    Missed,
}

impl Watch {
    /// Creates a watch of `range`, from now on.
    pub fn new(store: &Store, range: &Range) -> Result<Watch> {
        let mut out = ptr::null_mut();
        // SAFETY: the handle is live, the range is copied, and `out` is valid.
        check(unsafe { ffi::kvds_watch_new(store.as_ptr(), &range.to_raw(), &mut out) })?;
        Ok(Watch(NonNull::new(out).ok_or_else(Error::null)?))
    }

    /// Waits for the next change, at most `timeout_ms`.
    pub fn next(&mut self, timeout_ms: i64) -> Result<Event<'_>> {
        let mut raw = ffi::Change {
            kind: 0,
            last: 0,
            sequence: 0,
            key: ptr::null(),
            key_len: 0,
            value: ptr::null(),
            value_len: 0,
        };
        // SAFETY: the handle is live, and `raw` is valid.
        let status = unsafe { ffi::kvds_watch_next(self.0.as_ptr(), timeout_ms, &mut raw) };
        match status {
            ffi::NOT_FOUND => return Ok(Event::Nothing),
            ffi::EXPIRED => return Ok(Event::Missed),
            _ => check(status)?,
        };
        // SAFETY: the bytes are valid until the next call, which takes the watch mutably.
        let (key, value) = unsafe { (lent(raw.key, raw.key_len), lent(raw.value, raw.value_len)) };
        Ok(Event::Changed(match raw.kind {
            ffi::CHANGE_SET => Change::Set { key, value },
            ffi::CHANGE_DELETE => Change::Delete { key },
            _ => Change::DeleteRange { start: key, end: value },
        }))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // SAFETY: the handle is live, and not used again.
        unsafe { ffi::kvds_watch_free(self.0.as_ptr()) }
    }
}
