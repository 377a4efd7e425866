//! Bytes, pairs, values and ranges.

use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::boundary;
use crate::engine::{self, Buffer, Value};

/// Maximum length of a key or a prefix: 64 KiB. A longer one is `KVDS_INVALID_ARGUMENT`.
pub const KVDS_MAX_KEY_LEN: usize = 65536;
/// Maximum length of a value: 1 GiB. A longer one is `KVDS_INVALID_ARGUMENT`.
pub const KVDS_MAX_VALUE_LEN: usize = 1073741824;

const _: () =
    assert!(KVDS_MAX_KEY_LEN == engine::MAX_KEY_LEN && KVDS_MAX_VALUE_LEN == engine::MAX_VALUE_LEN);

/// Bytes that the caller owns, such as a key.
#[repr(C)]
pub struct kvds_bytes {
    /// First byte; may be NULL if `len` is 0.
    pub data: *const c_void,
    /// Length in bytes.
    pub len: usize,
}

/// A key and its value, both owned by the caller.
#[repr(C)]
pub struct kvds_pair {
    /// First byte of the key; may be NULL if `key_len` is 0.
    pub key: *const c_void,
    /// Length of the key in bytes.
    pub key_len: usize,
    /// First byte of the value; may be NULL if `value_len` is 0.
    pub value: *const c_void,
    /// Length of the value in bytes.
    pub value_len: usize,
}

/// The keys that begin with `prefix`, are not less than `start`, and are less than `end`.
///
/// A struct of zeros is the range of all keys.
#[repr(C)]
pub struct kvds_range {
    /// What all keys of the range begin with; may be NULL if `prefix_len` is 0.
    pub prefix: *const c_void,
    /// Length of the prefix in bytes; 0 for no prefix.
    pub prefix_len: usize,
    /// Lower bound, inclusive; may be NULL if `start_len` is 0.
    pub start: *const c_void,
    /// Length of the lower bound in bytes; 0 for no lower bound.
    pub start_len: usize,
    /// Upper bound, exclusive; may be NULL if `end_len` is 0.
    pub end: *const c_void,
    /// Length of the upper bound in bytes; 0 for no upper bound.
    pub end_len: usize,
}

/// A value that the library returned.
///
/// Its address has no particular alignment: copy numbers and structs out of it with memcpy(). It is
/// read-only and valid until `kvds_value_release()`, whatever happens to the key or to the store in
/// the meantime. Any thread may read and release it, one thread at a time. Do not copy the struct
/// and release both copies.
#[repr(C)]
pub struct kvds_value {
    /// First byte; not NULL after `KVDS_OK`, even if `len` is 0. No NUL follows the bytes.
    pub data: *const c_void,
    /// Length in bytes.
    pub len: usize,
    /// For the library's use.
    pub owner: *mut c_void,
}

impl kvds_value {
    pub(super) const EMPTY: kvds_value =
        kvds_value { data: ptr::null(), len: 0, owner: ptr::null_mut() };
}

/// Releases a value and empties the struct.
///
/// Releasing an empty value, or NULL, does nothing, so it may be called twice. A value that is not
/// released keeps its bytes in memory and may keep the files of a disk store open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_value_release(value: *mut kvds_value) {
    boundary::value("kvds_value_release", (), || {
        if !value.is_null() {
            release(std::mem::replace(&mut *value, kvds_value::EMPTY).owner);
        }
        Ok(())
    });
}

/// The kind of owner of a value's bytes, in the low bits of the pointer. All owners are aligned to
/// at least 4 bytes.
mod owner {
    /// The bytes themselves, a `Buffer`.
    pub(super) const BUFFER: usize = 0;
    /// An `Arc<Box<[u8]>>`.
    pub(super) const SHARED: usize = 1;
    /// A boxed `Value::Pinned`.
    pub(super) const PINNED: usize = 2;
    pub(super) const MASK: usize = 3;
}

type Pinned = Box<dyn AsRef<[u8]> + Send + Sync>;

impl From<Value> for kvds_value {
    // Moving a `Value` does not move its bytes, which are behind a pointer.
    #[inline(always)]
    fn from(value: Value) -> kvds_value {
        match value {
            Value::Owned(buffer) => {
                let len = buffer.len();
                let bytes = buffer.into_raw().as_ptr().cast::<c_void>();
                kvds_value { data: bytes, len, owner: bytes }
            }
            shared => from_shared(shared),
        }
    }
}

/// Converts a value that is no copy. Out of line, because most values are short and copied.
#[cold]
fn from_shared(value: Value) -> kvds_value {
    let (data, len) = (value.as_ptr().cast(), value.len());
    let (pointer, kind) = match value {
        Value::Owned(buffer) => (buffer.into_raw().as_ptr().cast::<c_void>(), owner::BUFFER),
        Value::Shared(bytes) => (Arc::into_raw(bytes).cast_mut().cast(), owner::SHARED),
        Value::Pinned(bytes) => (Box::into_raw(Box::new(bytes)).cast(), owner::PINNED),
    };
    kvds_value { data, len, owner: pointer.map_addr(|at| at | kind) }
}

/// Drops the owner of a value.
#[inline(always)]
unsafe fn release(owner: *mut c_void) {
    // SAFETY: the low bits tell what `From<Value>` made the pointer from. Nothing uses it later.
    unsafe {
        match owner.addr() & owner::MASK {
            owner::BUFFER => NonNull::new(owner).into_iter().for_each(|at| Buffer::free(at.cast())),
            kind => release_shared(kind, owner.map_addr(|at| at & !owner::MASK)),
        }
    }
}

/// Drops the owner of a value that is no copy.
#[cold]
unsafe fn release_shared(kind: usize, owner: *mut c_void) {
    // SAFETY: `kind` tells what `from_shared` made the pointer from.
    unsafe {
        match kind {
            owner::SHARED => drop(Arc::from_raw(owner.cast::<Box<[u8]>>())),
            owner::PINNED => drop(Box::from_raw(owner.cast::<Pinned>())),
            _ => {}
        }
    }
}
