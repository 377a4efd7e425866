//! Values that reads return, and buffers that own copies of them.
#![allow(unsafe_code)]

use std::ops::Deref;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

use crate::error::{Error, Kind, Result};

/// An owned copy of bytes, from `malloc`.
pub struct Buffer {
    bytes: NonNull<u8>,
    len: usize,
}

// SAFETY: the buffer owns the bytes, and they do not change.
unsafe impl Send for Buffer {}
// SAFETY: as above.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// Copies `bytes`.
    #[inline]
    pub fn of(bytes: &[u8]) -> Result<Buffer> {
        // At least 1, because malloc(0) may return NULL.
        // SAFETY: malloc accepts any size.
        let block = unsafe { libc::malloc(bytes.len().max(1)) }.cast::<u8>();
        let Some(block) = NonNull::new(block) else {
            return Err(Error::new(
                Kind::NoMemory,
                format!("no memory for a value of {} bytes", bytes.len()),
            ));
        };
        // SAFETY: the block is new and has that size.
        unsafe { block.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
        Ok(Buffer { bytes: block, len: bytes.len() })
    }

    /// Returns the first byte, for [`Buffer::free`].
    #[inline]
    pub fn into_raw(self) -> NonNull<u8> {
        let bytes = self.bytes;
        std::mem::forget(self);
        bytes
    }

    /// Frees a copy.
    ///
    /// # Safety
    ///
    /// `bytes` came from [`Buffer::into_raw`] and is not used any more.
    pub unsafe fn free(bytes: NonNull<u8>) {
        // SAFETY: the caller promises that it came from malloc.
        unsafe { libc::free(bytes.as_ptr().cast()) };
    }
}

impl Deref for Buffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: `of` wrote `len` bytes.
        unsafe { slice::from_raw_parts(self.bytes.as_ptr(), self.len) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: the bytes came from malloc, and the borrows of them have ended.
        unsafe { Buffer::free(self.bytes) };
    }
}

/// The value of a key. Its bytes do not change while it lives.
pub enum Value {
    /// Bytes that the engine shares.
    Shared(Arc<Box<[u8]>>),
    /// A copy.
    Owned(Buffer),
    /// Bytes in a buffer of the engine, which this keeps in memory.
    Pinned(Box<dyn AsRef<[u8]> + Send + Sync>),
}

impl Deref for Value {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Value::Shared(bytes) => bytes,
            Value::Owned(bytes) => bytes,
            Value::Pinned(bytes) => (**bytes).as_ref(),
        }
    }
}
