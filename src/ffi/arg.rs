//! The way in: where what a host passed becomes references. Handles have a place of their own,
//! [`handle`](super::handle).
//!
//! The functions are unsafe because they believe the host: a pointer that is not NULL points to
//! what its type says, for the length that comes with it. Everything that can be checked beyond
//! that is checked.

use std::ffi::{CStr, c_char, c_void};
use std::mem::MaybeUninit;
use std::path::PathBuf;
use std::ptr::NonNull;

use super::bytes::kvds_bytes;
use super::distributor::{KVDS_DISK, KVDS_MEMORY, kvds_backend};
use crate::engine::{MAX_KEY_LEN, MAX_VALUE_LEN};
use crate::error::{Error, Result};
use crate::store::identity::Backend;

/// A place for an answer, which is emptied at once.
pub struct Out<T>(NonNull<T>);

impl<T> Out<T> {
    /// Gives the answer.
    #[inline]
    pub fn set(&self, answer: T) {
        // SAFETY: `out` was promised a place that can be written.
        unsafe { self.0.write(answer) }
    }
}

/// The place for an answer that the host calls `name`, emptied. To be called before anything else
/// can fail.
#[inline]
pub unsafe fn out<T>(name: &str, place: *mut T, empty: T) -> Result<Out<T>> {
    let place = NonNull::new(place).ok_or_else(|| is_null(name))?;
    // SAFETY: the host passed a place that can be written.
    unsafe { place.write(empty) }
    Ok(Out(place))
}

/// The `count` places for answers that the host calls `name`, emptied.
pub unsafe fn outs<'a, T>(
    name: &str,
    places: *mut T,
    count: usize,
    empty: impl Fn() -> T,
) -> Result<&'a mut [T]> {
    // SAFETY: passed on; a shared look at the places does no harm, as nothing is read.
    unsafe { array(name, places.cast_const().cast::<MaybeUninit<T>>(), count)? };
    if count == 0 {
        return Ok(&mut []);
    }
    // SAFETY: the host passed so many places that can be written, and each is written before it is
    // taken for a `T`.
    unsafe {
        for index in 0..count {
            places.add(index).write(empty());
        }
        Ok(std::slice::from_raw_parts_mut(places, count))
    }
}

/// The keys of an array of them.
pub unsafe fn keys<'a>(keys: *const kvds_bytes, count: usize) -> Result<Vec<&'a [u8]>> {
    // SAFETY: passed on.
    let keys = unsafe { array("keys", keys, count)? };
    let each = keys.iter().enumerate().map(|(index, bytes)| {
        // SAFETY: passed on.
        let key = unsafe { key("key", bytes.data, bytes.len) };
        key.map_err(|error| error.within(|| format!("keys[{index}]")))
    });
    each.collect()
}

/// The key (or prefix) that the host calls `name`.
#[inline]
pub unsafe fn key<'a>(name: &str, data: *const c_void, len: usize) -> Result<&'a [u8]> {
    // SAFETY: passed on.
    unsafe { bytes(name, data, len, MAX_KEY_LEN) }
}

/// The value that the host calls `name`.
#[inline]
pub unsafe fn value<'a>(name: &str, data: *const c_void, len: usize) -> Result<&'a [u8]> {
    // SAFETY: passed on.
    unsafe { bytes(name, data, len, MAX_VALUE_LEN) }
}

#[inline]
unsafe fn bytes<'a>(name: &str, data: *const c_void, len: usize, most: usize) -> Result<&'a [u8]> {
    if len > most {
        return Err(is_too_long(name, len, most));
    }
    // SAFETY: passed on.
    unsafe { array(name, data.cast(), len) }
}

/// The `count` things that the host calls `name`.
#[inline]
pub unsafe fn array<'a, T>(name: &str, data: *const T, count: usize) -> Result<&'a [T]> {
    if count == 0 {
        return Ok(&[]);
    }
    if data.is_null() || !data.is_aligned() || count > isize::MAX as usize / size_of::<T>() {
        return Err(is_no_array(name, data, count));
    }
    // SAFETY: the host passed so many, and leaves them alone for the time of the call.
    Ok(unsafe { std::slice::from_raw_parts(data, count) })
}

// What is wrong is told out of the way of what is right.

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

/// The text that the host calls `name`.
pub unsafe fn text<'a>(name: &str, data: *const c_char) -> Result<&'a CStr> {
    if data.is_null() {
        return Err(is_null(name));
    }
    // SAFETY: the host passed a text that ends with a NUL, and leaves it alone for the time of the
    // call.
    Ok(unsafe { CStr::from_ptr(data) })
}

/// The UTF-8 text that the host calls `name`.
pub unsafe fn utf8<'a>(name: &str, data: *const c_char) -> Result<&'a str> {
    // SAFETY: passed on.
    let text = unsafe { text(name, data)? };
    text.to_str().map_err(|cause| Error::invalid(format!("{name} is not UTF-8")).because(cause))
}

/// The function that the host calls `name`.
pub fn callback<F>(name: &str, function: Option<F>) -> Result<F> {
    function.ok_or_else(|| is_null(name))
}

/// A backend by its number.
pub fn backend(number: kvds_backend) -> Result<Backend> {
    match number {
        KVDS_MEMORY => Ok(Backend::Memory),
        KVDS_DISK => Ok(Backend::Disk),
        _ => Err(Error::invalid(format!(
            "there is no backend {number}; KVDS_MEMORY is {KVDS_MEMORY}, KVDS_DISK {KVDS_DISK}"
        ))),
    }
}

/// A path, made absolute.
pub unsafe fn path(name: &str, data: *const c_char) -> Result<PathBuf> {
    // SAFETY: passed on.
    let text = unsafe { utf8(name, data)? };
    if text.is_empty() {
        return Err(Error::invalid(format!("{name} is empty")));
    }
    std::path::absolute(text).map_err(|cause| Error::io(format!("cannot resolve {name}"), cause))
}
