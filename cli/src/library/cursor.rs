//! Ranges of keys, and cursors over them.

use std::ptr::{self, NonNull};

use super::{Error, Result, Store, check, ffi, lent, yes};

/// The keys that begin with `prefix`, are not less than `start`, and are less than `end`.
///
/// An empty one of these is no bound.
#[derive(Clone, Default)]
pub struct Range {
    pub prefix: Vec<u8>,
    pub start: Vec<u8>,
    pub end: Vec<u8>,
}

impl Range {
    /// Returns the range of the keys that begin with `prefix`.
    pub fn of_prefix(prefix: &[u8]) -> Range {
        Range { prefix: prefix.to_vec(), ..Range::default() }
    }

    /// Returns the range for the library, which borrows from this one.
    pub(super) fn to_raw(&self) -> ffi::Range {
        ffi::Range {
            prefix: self.prefix.as_ptr().cast(),
            prefix_len: self.prefix.len(),
            start: self.start.as_ptr().cast(),
            start_len: self.start.len(),
            end: self.end.as_ptr().cast(),
            end_len: self.end.len(),
        }
    }
}

/// A cursor over a range, in a snapshot of the time of its creation.
pub struct Cursor(NonNull<ffi::Cursor>);

impl Cursor {
    /// Creates a cursor that is on no entry.
    pub fn new(store: &Store, range: &Range) -> Result<Cursor> {
        let mut out = ptr::null_mut();
        // SAFETY: the handle is live, the range is copied, and `out` is valid.
        check(unsafe { ffi::kvds_cursor_new(store.as_ptr(), &range.to_raw(), &mut out) })?;
        Ok(Cursor(NonNull::new(out).ok_or_else(Error::null)?))
    }

    /// Moves to the first entry. Returns whether there is one.
    pub fn first(&mut self) -> Result<bool> {
        // SAFETY: the handle is live, here and below.
        yes(unsafe { ffi::kvds_cursor_first(self.0.as_ptr()) })
    }

    /// Moves to the last entry. Returns whether there is one.
    pub fn last(&mut self) -> Result<bool> {
        // SAFETY: see above.
        yes(unsafe { ffi::kvds_cursor_last(self.0.as_ptr()) })
    }

    /// Moves to the next entry. Returns whether there is one.
    pub fn next(&mut self) -> Result<bool> {
        // SAFETY: see above.
        yes(unsafe { ffi::kvds_cursor_next(self.0.as_ptr()) })
    }

    /// Moves to the previous entry. Returns whether there is one.
    pub fn prev(&mut self) -> Result<bool> {
        // SAFETY: see above.
        yes(unsafe { ffi::kvds_cursor_prev(self.0.as_ptr()) })
    }

    /// Returns the key of the current entry; empty if there is none.
    pub fn key(&self) -> Result<&[u8]> {
        let mut bytes = ffi::Bytes { data: ptr::null(), len: 0 };
        // SAFETY: see above. The bytes are valid until the cursor moves, which takes it mutably.
        unsafe {
            check(ffi::kvds_cursor_key(self.0.as_ptr(), &mut bytes))?;
            Ok(lent(bytes.data, bytes.len))
        }
    }

    /// Returns the value of the current entry; empty if there is none.
    pub fn value(&self) -> Result<&[u8]> {
        let mut bytes = ffi::Bytes { data: ptr::null(), len: 0 };
        // SAFETY: as for the key.
        unsafe {
            check(ffi::kvds_cursor_value(self.0.as_ptr(), &mut bytes))?;
            Ok(lent(bytes.data, bytes.len))
        }
    }

    /// Returns the milliseconds that the current entry has left, or `None` if it does not expire.
    pub fn ttl(&mut self) -> Result<Option<u64>> {
        let mut left = -1;
        // SAFETY: the handle is live, and `left` is valid.
        yes(unsafe { ffi::kvds_cursor_ttl(self.0.as_ptr(), &mut left) })?;
        Ok(u64::try_from(left).ok())
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        // SAFETY: the handle is live, and not used again.
        unsafe { ffi::kvds_cursor_free(self.0.as_ptr()) }
    }
}
