//! The plain types that calls take and give.

use std::ffi::{c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::boundary;
use crate::engine::{self, Buffer, Value};
use crate::lifetime::Backend;

/// The longest key and prefix, in bytes: 64 KiB. A longer one is `KVDS_INVALID_ARGUMENT`.
pub const KVDS_MAX_KEY_LEN: usize = 65536;
/// The longest value, in bytes: 1 GiB. A longer one is `KVDS_INVALID_ARGUMENT`.
pub const KVDS_MAX_VALUE_LEN: usize = 1073741824;

const _: () = assert!(KVDS_MAX_KEY_LEN == engine::MAX_KEY_LEN && KVDS_MAX_VALUE_LEN == engine::MAX_VALUE_LEN);

/// Where a store keeps its data: `KVDS_MEMORY` or `KVDS_DISK`. The number 2 is kept for a remote engine.
pub type kvds_backend = i32;

/// In the memory of the process: fast, and gone with the store's last reference.
pub const KVDS_MEMORY: kvds_backend = 0;
/// In a directory under the distributor's base path.
pub const KVDS_DISK: kvds_backend = 1;

/// Bytes that the caller owns, such as a key.
#[repr(C)]
pub struct kvds_bytes {
    /// The first byte. May be NULL when `len` is 0.
    pub data: *const c_void,
    /// How many bytes.
    pub len: usize,
}

/// A key and its value, both owned by the caller.
#[repr(C)]
pub struct kvds_pair {
    /// The key. May be NULL when `key_len` is 0.
    pub key: *const c_void,
    /// The key's length in bytes.
    pub key_len: usize,
    /// The value. May be NULL when `value_len` is 0.
    pub value: *const c_void,
    /// The value's length in bytes.
    pub value_len: usize,
}

/// Which keys a cursor goes over: those that begin with `prefix`, are not less than `start` and are less than `end`. All
/// zeros is every key.
#[repr(C)]
pub struct kvds_range {
    /// What the keys begin with. May be NULL when `prefix_len` is 0.
    pub prefix: *const c_void,
    /// The prefix's length in bytes; 0 for any key.
    pub prefix_len: usize,
    /// The first key. May be NULL when `start_len` is 0.
    pub start: *const c_void,
    /// The first key's length in bytes; 0 for no lower bound.
    pub start_len: usize,
    /// The first key that does not belong to the range any more. May be NULL when `end_len` is 0.
    pub end: *const c_void,
    /// That key's length in bytes; 0 for no upper bound.
    pub end_len: usize,
}

/// A value that a call gave. Its address has no particular alignment, so copy numbers and structs out of it
/// with memcpy. Read-only, valid until `kvds_value_release`, whatever happens to the key or to the store
/// meanwhile. Any thread may read and release it, one at a time. Do not copy the struct and release both.
#[repr(C)]
pub struct kvds_value {
    /// The first byte; not NULL after `KVDS_OK`, also when `len` is 0. No NUL follows the bytes.
    pub data: *const c_void,
    /// How many bytes.
    pub len: usize,
    /// The library's own.
    pub owner: *mut c_void,
}

impl kvds_value {
    pub(super) const EMPTY: kvds_value = kvds_value { data: ptr::null(), len: 0, owner: ptr::null_mut() };
}

/// What the owner of a value is: told by the last bits of the pointer, which are free in all of them.
mod owner {
    /// The bytes themselves, a `Buffer`.
    pub(super) const BUFFER: usize = 0;
    /// An `Arc<Box<[u8]>>`.
    pub(super) const SHARED: usize = 1;
    /// A `Box` of what a `Value::Pinned` has.
    pub(super) const PINNED: usize = 2;
    /// All the bits.
    pub(super) const MASK: usize = 3;
}

type Pinned = Box<dyn AsRef<[u8]> + Send + Sync>;

impl From<Value> for kvds_value {
    // The bytes stay where they are: what a `Value` owns lies elsewhere.
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

/// The same for what is no copy: apart, as most values are short and copied.
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

/// Drops what `From<Value>` made the owner of a value.
#[inline(always)]
unsafe fn release(owner: *mut c_void) {
    // SAFETY: the bits tell what the pointer was made from, and it is used for the last time.
    unsafe {
        match owner.addr() & owner::MASK {
            owner::BUFFER => NonNull::new(owner).into_iter().for_each(|at| Buffer::free(at.cast())),
            kind => release_shared(kind, owner.map_addr(|at| at & !owner::MASK)),
        }
    }
}

/// The same for what is no copy.
#[cold]
unsafe fn release_shared(kind: usize, owner: *mut c_void) {
    // SAFETY: passed on.
    unsafe {
        match kind {
            owner::SHARED => drop(Arc::from_raw(owner.cast::<Box<[u8]>>())),
            owner::PINNED => drop(Box::from_raw(owner.cast::<Pinned>())),
            _ => {}
        }
    }
}

/// Gives back a value and empties the struct. Releasing an empty one, or NULL, does nothing, so it may be called again.
/// A value that was not released keeps its bytes in memory, and on disk may keep the store's files open. Threads: any, one at
/// a time on one value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_value_release(value: *mut kvds_value) {
    boundary::value("kvds_value_release", (), || {
        if value.is_null() {
            return Ok(());
        }
        // SAFETY: the caller passed a value that it owns; an owner comes from `From<Value>` and is taken out here.
        unsafe { release(std::mem::replace(&mut *value, kvds_value::EMPTY).owner) };
        Ok(())
    });
}

/// Is shown pairs. The pointers are valid during the call only. Answers 0 to stop and anything else to go on. It may call
/// any function of this library, on the store that is being iterated too. It must not throw, longjmp or unwind out.
pub type kvds_visit = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        key: *const c_void,
        key_len: usize,
        value: *const c_void,
        value_len: usize,
    ) -> c_int,
>;

/// Is shown live stores. `id` is valid during the call only. Answers 0 to stop and anything else to go on. It may call any
/// function of this library. It must not throw, longjmp or unwind out.
pub type kvds_store_visit = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        id: *const c_char,
        backend: kvds_backend,
        tag: u64,
        ref_count: i64,
    ) -> c_int,
>;

/// Is told that a store died. `id` is valid during the call only. It may call any function of this library, also
/// `kvds_distributor_get_or_create` of the same id. It must not throw, longjmp or unwind out.
pub type kvds_death =
    Option<unsafe extern "C" fn(user_data: *mut c_void, tag: u64, id: *const c_char, backend: kvds_backend)>;

/// Frees what a callback was given as `user_data`. May call any function of this library.
pub type kvds_user_data_free = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// How important a line of the log is: one of the four that follow.
pub type kvds_log_level = i32;

/// Something failed.
pub const KVDS_LOG_ERROR: kvds_log_level = 0;
/// Something is not as it should be.
pub const KVDS_LOG_WARN: kvds_log_level = 1;
/// Something happened.
pub const KVDS_LOG_INFO: kvds_log_level = 2;
/// Details.
pub const KVDS_LOG_DEBUG: kvds_log_level = 3;

/// Is told what goes on. `text` is one message, UTF-8, valid during the call only. It may call any function of this library.
pub type kvds_log = Option<unsafe extern "C" fn(user_data: *mut c_void, level: kvds_log_level, text: *const c_char)>;

/// The number of a backend.
pub(super) fn number(backend: Backend) -> kvds_backend {
    match backend {
        Backend::Memory => KVDS_MEMORY,
        Backend::Disk => KVDS_DISK,
    }
}
