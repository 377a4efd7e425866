//! Arguments: turns the pointers that a program passes into references.
//!
//! The functions are unsafe because they trust the caller: a pointer that is not NULL is valid for
//! its type and length. Everything that can be checked beyond that is checked. Handles are in
//! [`handle`](super::handle).

use std::ffi::{CStr, c_char, c_void};
use std::mem::MaybeUninit;
use std::path::PathBuf;
use std::ptr::NonNull;
use std::time::Duration;

use super::bytes::{kvds_bytes, kvds_range};
use super::distributor::{KVDS_CLUSTER, KVDS_DISK, KVDS_MEMORY, kvds_backend};
use crate::engine::{MAX_KEY_LEN, MAX_TTL, MAX_VALUE_LEN, Range};
use crate::error::{Error, Result};
use crate::store::identity::Backend;

/// An output of a function.
pub struct Out<T>(NonNull<T>);

impl<T> Out<T> {
    #[inline]
    pub fn set(&self, value: T) {
        // SAFETY: the caller of `out` has passed a valid pointer.
        unsafe { self.0.write(value) }
    }
}

/// Returns the output called `name`, and sets it to `empty`. Every function calls this before
/// anything else can fail.
#[inline]
pub unsafe fn out<T>(name: &str, pointer: *mut T, empty: T) -> Result<Out<T>> {
    let pointer = NonNull::new(pointer).ok_or_else(|| is_null(name))?;
    // SAFETY: the caller has passed a valid pointer.
    unsafe { pointer.write(empty) }
    Ok(Out(pointer))
}

/// Returns the `count` outputs called `name`, each set to the result of `empty`.
pub unsafe fn outs<'a, T>(
    name: &str,
    pointer: *mut T,
    count: usize,
    empty: impl Fn() -> T,
) -> Result<&'a mut [T]> {
    // SAFETY: the caller has passed an array. Uninitialized elements may be borrowed.
    unsafe { array(name, pointer.cast_const().cast::<MaybeUninit<T>>(), count)? };
    if count == 0 {
        return Ok(&mut []);
    }
    // SAFETY: the caller has passed so many elements, and each is written before it is borrowed.
    unsafe {
        for index in 0..count {
            pointer.add(index).write(empty());
        }
        Ok(std::slice::from_raw_parts_mut(pointer, count))
    }
}

/// Returns the keys of an array.
pub unsafe fn keys<'a>(keys: *const kvds_bytes, count: usize) -> Result<Vec<&'a [u8]>> {
    // SAFETY: the caller has passed an array.
    let keys = unsafe { array("keys", keys, count)? };
    let each = keys.iter().enumerate().map(|(index, bytes)| {
        // SAFETY: the elements point to keys.
        let key = unsafe { key("key", bytes.data, bytes.len) };
        key.map_err(|error| error.within(|| format!("keys[{index}]")))
    });
    each.collect()
}

/// Returns the key or prefix called `name`.
#[inline]
pub unsafe fn key<'a>(name: &str, data: *const c_void, len: usize) -> Result<&'a [u8]> {
    // SAFETY: the caller has passed bytes.
    unsafe { bytes(name, data, len, MAX_KEY_LEN) }
}

/// Returns the value called `name`.
#[inline]
pub unsafe fn value<'a>(name: &str, data: *const c_void, len: usize) -> Result<&'a [u8]> {
    // SAFETY: the caller has passed bytes.
    unsafe { bytes(name, data, len, MAX_VALUE_LEN) }
}

#[inline]
unsafe fn bytes<'a>(name: &str, data: *const c_void, len: usize, most: usize) -> Result<&'a [u8]> {
    if len > most {
        return Err(is_too_long(name, len, most));
    }
    // SAFETY: the caller has passed bytes.
    unsafe { array(name, data.cast(), len) }
}

/// Returns the array called `name`.
#[inline]
pub unsafe fn array<'a, T>(name: &str, data: *const T, count: usize) -> Result<&'a [T]> {
    if count == 0 {
        return Ok(&[]);
    }
    if data.is_null() || !data.is_aligned() || count > isize::MAX as usize / size_of::<T>() {
        return Err(is_no_array(name, data, count));
    }
    // SAFETY: the caller has passed so many elements, and does not change them during the call.
    Ok(unsafe { std::slice::from_raw_parts(data, count) })
}

// Error paths are kept out of line.

#[cold]
fn is_null(name: &str) -> Error {
    Error::invalid(format!("{name} is NULL"))
}

#[cold]
fn is_too_long(name: &str, len: usize, most: usize) -> Error {
    Error::invalid(format!("{name} has {len} bytes; {most} is the most"))
}

#[cold]
fn is_no_array<T>(name: &str, data: *const T, count: usize) -> Error {
    Error::invalid(if data.is_null() {
        format!("{name} is NULL, but its length is {count}")
    } else if !data.is_aligned() {
        format!("{name} is not aligned")
    } else {
        format!("{name} cannot have a length of {count}")
    })
}

/// Returns the text called `name`.
pub unsafe fn text<'a>(name: &str, data: *const c_char) -> Result<&'a CStr> {
    if data.is_null() {
        return Err(is_null(name));
    }
    // SAFETY: the caller has passed a text that ends with a NUL, and does not change it during the
    // call.
    Ok(unsafe { CStr::from_ptr(data) })
}

/// Returns the UTF-8 text called `name`.
pub unsafe fn utf8<'a>(name: &str, data: *const c_char) -> Result<&'a str> {
    // SAFETY: the caller has passed a text.
    let text = unsafe { text(name, data)? };
    text.to_str().map_err(|cause| Error::invalid(format!("{name} is not UTF-8")).because(cause))
}

/// Returns the callback called `name`.
pub fn callback<F>(name: &str, function: Option<F>) -> Result<F> {
    function.ok_or_else(|| is_null(name))
}

/// Returns the backend with this number.
pub fn backend(number: kvds_backend) -> Result<Backend> {
    match number {
        KVDS_MEMORY => Ok(Backend::Memory),
        KVDS_DISK => Ok(Backend::Disk),
        KVDS_CLUSTER => Ok(Backend::Cluster),
        _ => Err(Error::invalid(format!(
            "there is no backend {number}; KVDS_MEMORY is {KVDS_MEMORY}, KVDS_DISK {KVDS_DISK}, \
             KVDS_CLUSTER {KVDS_CLUSTER}"
        ))),
    }
}

/// Returns the path called `name` as an absolute path.
pub unsafe fn path(name: &str, data: *const c_char) -> Result<PathBuf> {
    // SAFETY: the caller has passed a text.
    let text = unsafe { utf8(name, data)? };
    if text.is_empty() {
        return Err(Error::invalid(format!("{name} is empty")));
    }
    std::path::absolute(text).map_err(|cause| Error::io(format!("cannot resolve {name}"), cause))
}

/// Returns a range; NULL stands for all keys.
pub unsafe fn range(range: *const kvds_range) -> Result<Range> {
    // SAFETY: the caller has passed a range, whose parts are what their lengths say.
    unsafe {
        let Some(range) = range.as_ref() else { return Ok(Range::prefix(b"")) };
        let prefix = key("prefix", range.prefix, range.prefix_len)?;
        let start = key("start", range.start, range.start_len)?;
        let end = key("end", range.end, range.end_len)?;
        let between = Range { start: start.to_vec(), end: (!end.is_empty()).then(|| end.to_vec()) };
        Ok(Range::prefix(prefix).and(between))
    }
}

/// Returns a time to live.
pub fn ttl(milliseconds: u64) -> Result<Duration> {
    let valid = 1..=MAX_TTL.as_millis();
    if valid.contains(&u128::from(milliseconds)) {
        return Ok(Duration::from_millis(milliseconds));
    }
    Err(Error::invalid(format!(
        "ttl_ms is {milliseconds}; a time to live has 1 to {} milliseconds",
        valid.end()
    )))
}

/// Returns a time to live, or `None` for 0.
pub fn optional_ttl(milliseconds: u64) -> Result<Option<Duration>> {
    if milliseconds == 0 { Ok(None) } else { ttl(milliseconds).map(Some) }
}
