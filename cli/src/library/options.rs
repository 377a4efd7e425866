//! Options of a store or a distributor.

use std::ptr::NonNull;

use super::{Error, Result, check, ffi, text};

/// Options, each at its default until it is set.
pub struct Options(NonNull<ffi::Options>);

impl Options {
    /// Creates options at their defaults.
    pub fn new() -> Result<Options> {
        // SAFETY: the call takes nothing.
        let options = unsafe { ffi::kvds_options_new() };
        Ok(Options(NonNull::new(options).ok_or_else(Error::null)?))
    }

    /// Sets the option `name` from text.
    pub fn set(&mut self, name: &str, value: &[u8]) -> Result<()> {
        let (name, value) = (text(name.as_bytes())?, text(value)?);
        // SAFETY: the handle is live, and both texts end with a NUL.
        check(unsafe { ffi::kvds_options_set(self.0.as_ptr(), name.as_ptr(), value.as_ptr()) })?;
        Ok(())
    }

    pub(super) fn as_ptr(&self) -> *const ffi::Options {
        self.0.as_ptr()
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: the handle is live, and not used again.
        unsafe { ffi::kvds_options_free(self.0.as_ptr()) }
    }
}
