//! A batch of writes that are applied in one step.

use std::ptr::NonNull;

use super::{Error, Result, check, ffi};

/// A batch, freed when this is dropped.
pub struct Batch(NonNull<ffi::Batch>);

impl Batch {
    /// Creates an empty batch.
    pub fn new() -> Result<Batch> {
        // SAFETY: the call takes nothing.
        let batch = unsafe { ffi::kvds_batch_new() };
        Ok(Batch(NonNull::new(batch).ok_or_else(Error::null)?))
    }

    /// Adds an operation that sets `key` to `value`, for a time if there is one.
    pub fn set(&mut self, key: &[u8], value: &[u8], ttl_ms: Option<u64>) -> Result<()> {
        let (key, key_len) = (key.as_ptr().cast(), key.len());
        let (value, value_len) = (value.as_ptr().cast(), value.len());
        let batch = self.0.as_ptr();
        // SAFETY: the handle is live, and all pointers are valid for their lengths.
        check(unsafe {
            match ttl_ms {
                None => ffi::kvds_batch_set(batch, key, key_len, value, value_len),
                Some(ttl) => ffi::kvds_batch_set_ttl(batch, key, key_len, value, value_len, ttl),
            }
        })?;
        Ok(())
    }

    /// Removes everything and keeps the memory.
    pub fn clear(&mut self) {
        // SAFETY: the handle is live.
        unsafe { ffi::kvds_batch_clear(self.0.as_ptr()) }
    }

    /// Returns the number of operations.
    pub fn count(&self) -> usize {
        // SAFETY: the handle is live.
        unsafe { ffi::kvds_batch_count(self.0.as_ptr()) }
    }

    pub(super) fn as_ptr(&self) -> *const ffi::Batch {
        self.0.as_ptr()
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        // SAFETY: the handle is live, and not used again.
        unsafe { ffi::kvds_batch_free(self.0.as_ptr()) }
    }
}
