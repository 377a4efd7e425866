//! A value that the library returned.

use std::ops::Deref;
use std::ptr;

use super::{ffi, lent};

/// A value, released when this is dropped.
pub struct Value(ffi::Value);

impl Value {
    /// Returns room for the library to return a value in.
    pub(super) fn empty() -> Value {
        Value(ffi::Value { data: ptr::null(), len: 0, owner: ptr::null_mut() })
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut ffi::Value {
        &mut self.0
    }
}

impl Deref for Value {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the bytes are valid until the value is released.
        unsafe { lent(self.0.data, self.0.len) }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        // SAFETY: the value is empty or was returned by the library.
        unsafe { ffi::kvds_value_release(&mut self.0) }
    }
}
