//! Arguments: valid ones most of the time, and invalid ones that C allows.

use std::ffi::{CString, c_void};
use std::ptr;

use arbitrary::{Result, Unstructured};
use kvds::testing::ffi::*;

/// Longer than any key, so that every length up to this one is valid.
pub static BYTES: [u8; 2 * KVDS_MAX_KEY_LEN] = [b'k'; 2 * KVDS_MAX_KEY_LEN];

/// Returns a pointer that is neither NULL nor aligned.
pub fn odd<T>() -> *mut T {
    BYTES.as_ptr().map_addr(|at| at | 1).cast_mut().cast()
}

pub fn text(bytes: &[u8]) -> CString {
    CString::new(bytes.iter().copied().filter(|byte| *byte != 0).collect::<Vec<u8>>())
        .expect("there is no NUL in it")
}

/// Returns one of the constants, or any number.
pub fn number(bytes: &mut Unstructured<'_>, constants: &[i32]) -> Result<i32> {
    if bytes.ratio(7, 8)? { bytes.choose(constants).copied() } else { bytes.arbitrary() }
}

/// Returns a key or a value: a valid one, or one whose length alone is wrong.
pub fn slice(bytes: &mut Unstructured<'_>) -> Result<(*const c_void, usize)> {
    let at = BYTES.as_ptr().cast();
    Ok(match bytes.int_in_range(0..=15_u8)? {
        0 => (ptr::null(), 0),
        1 => (ptr::null(), bytes.int_in_range(1..=usize::MAX)?),
        2 => (odd::<c_void>(), 0),
        3 => (at, KVDS_MAX_VALUE_LEN + 1),
        4 => (at, usize::MAX),
        5 => (at, bytes.int_in_range(0..=BYTES.len())?),
        6 => (at, KVDS_MAX_KEY_LEN + bytes.int_in_range(0..=1)?),
        _ => (at, bytes.int_in_range(0..=4)?),
    })
}

pub fn keys(bytes: &mut Unstructured<'_>) -> Result<[kvds_bytes; 3]> {
    let mut key = || slice(bytes).map(|(data, len)| kvds_bytes { data, len });
    Ok([key()?, key()?, key()?])
}

/// Returns an array: a valid one, or one whose pointer or count alone is wrong.
pub fn array<T>(bytes: &mut Unstructured<'_>, things: &[T]) -> Result<(*const T, usize)> {
    Ok(match bytes.int_in_range(0..=9_u8)? {
        0 => (ptr::null(), 0),
        1 => (ptr::null(), bytes.int_in_range(1..=usize::MAX)?),
        2 => (odd(), bytes.int_in_range(0..=usize::MAX)?),
        3 => (things.as_ptr(), usize::MAX),
        4 => (things.as_ptr(), usize::MAX / size_of::<T>()),
        _ => (things.as_ptr(), bytes.int_in_range(0..=things.len())?),
    })
}

/// Returns an id or the name of a property, or a text that is neither.
pub fn some_text(bytes: &mut Unstructured<'_>) -> Result<Option<CString>> {
    Ok(match bytes.int_in_range(0..=9_u8)? {
        0 => None,
        1 => Some(text(bytes.arbitrary::<&[u8]>()?)),
        2 => Some(text(&[b'i'; 256])),
        3 => Some(text(b"../..")),
        4 => Some(text(b"kvds.keys")),
        5 => Some(text(b"rocksdb.stats")),
        _ => Some(text(&[b'a' + bytes.int_in_range(0..=2)?])),
    })
}

/// Returns the name or the value of an option, or any text.
pub fn option_text(bytes: &mut Unstructured<'_>) -> Result<Option<CString>> {
    let names = [
        "memory_limit_bytes",
        "durability",
        "compression",
        "read_only",
        "keep_stores",
        "max_open_files",
    ];
    let values = [
        "",
        "0",
        "-1",
        "1K",
        "2M",
        "9223372036854775807",
        "99999999999999999999T",
        "on",
        "zstd",
        " 1 ",
    ];
    Ok(match bytes.int_in_range(0..=3_u8)? {
        0 => some_text(bytes)?,
        1 => Some(text(bytes.choose(&values)?.as_bytes())),
        _ => Some(text(bytes.choose(&names)?.as_bytes())),
    })
}
