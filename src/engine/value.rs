//! Values that were read, and the buffers that own copies of them.
#![allow(unsafe_code)]

use std::ops::Deref;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

use crate::error::{Error, Kind, Result};

/// Bytes of its own.
pub struct Buffer {
    bytes: NonNull<u8>,
    len: usize,
}

// SAFETY: the bytes are its own and don't change.
unsafe impl Send for Buffer {}
// SAFETY: as above.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// A copy of `bytes`.
    #[inline]
    pub fn of(bytes: &[u8]) -> Result<Buffer> {
        // For nothing, malloc may answer NULL.
        // SAFETY: any size may be asked for.
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

    /// The first byte, for [`Buffer::free`].
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
        // SAFETY: it came from malloc.
        unsafe { libc::free(bytes.as_ptr().cast()) };
    }
}

impl Deref for Buffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: they were written by `of`.
        unsafe { slice::from_raw_parts(self.bytes.as_ptr(), self.len) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: nobody has the bytes any more.
        unsafe { Buffer::free(self.bytes) };
    }
}

/// A value that was read: bytes that stay as they are for as long as this lives.
pub enum Value {
    /// Shared with the engine.
    Shared(Arc<Box<[u8]>>),
    /// A copy of its own.
    Owned(Buffer),
    /// In place in some buffer of the engine, which this keeps there.
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
