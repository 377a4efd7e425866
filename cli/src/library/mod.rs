//! The library, as safe Rust: handles that release themselves, and statuses as results.
//!
//! A positive status is a plain "no", which the functions here return as a value. A negative one
//! becomes an [`Error`] with the text of `kvds_last_error()`.

mod batch;
mod cursor;
pub mod damage;
mod distributor;
mod ffi;
mod options;
mod store;
mod value;
mod watch;

use std::ffi::{CStr, CString};
use std::fmt;

pub use batch::Batch;
pub use cursor::{Cursor, Range};
pub use distributor::{Backend, Distributor};
pub use ffi::Stats;
pub use options::Options;
pub use store::{Store, Swap};
pub use value::Value;
pub use watch::{Change, Event, Watch};

/// Maximum time to live, in milliseconds.
pub const MAX_TTL_MS: u64 = ffi::MAX_TTL_MS.unsigned_abs();

/// An error of the library: a negative status and its text.
#[derive(Debug)]
pub struct Error {
    status: ffi::Status,
    text: String,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Returns whether another process, or another handle of this one, has the store open.
    pub fn is_locked(&self) -> bool {
        self.status == ffi::LOCKED
    }

    /// Returns whether the call may succeed when it is repeated.
    pub fn is_busy(&self) -> bool {
        self.status == ffi::BUSY
    }

    /// Reports a handle that the library did not create, which only a bug of it could cause.
    fn null() -> Error {
        // SAFETY: the text ends with a NUL and is valid until the next failure on this thread.
        let text = unsafe { CStr::from_ptr(ffi::kvds_last_error()) };
        Error { status: ffi::INTERNAL, text: format!("the library returned no handle: {text:?}") }
    }

    /// Reports a path or an id with a NUL, which no text of the interface may have.
    fn nul() -> Error {
        Error {
            status: ffi::INVALID_ARGUMENT,
            text: "a path, name or URL must not contain a NUL".to_owned(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl std::error::Error for Error {}

/// Returns a status that is no error, or else the error of this thread.
fn check(status: ffi::Status) -> Result<ffi::Status> {
    if status >= 0 {
        return Ok(status);
    }
    // SAFETY: the text ends with a NUL and is valid until the next failure on this thread.
    let text = unsafe { CStr::from_ptr(ffi::kvds_last_error()) };
    Err(Error { status, text: text.to_string_lossy().into_owned() })
}

/// Returns whether a status is success, where the only other one is a plain "no".
fn yes(status: ffi::Status) -> Result<bool> {
    Ok(check(status)? == ffi::OK)
}

fn text(bytes: &[u8]) -> Result<CString> {
    CString::new(bytes).map_err(|_| Error::nul())
}

/// Returns bytes that the library lends.
///
/// # Safety
///
/// `data` must be valid for `len` bytes as long as the caller uses the result, or `len` be 0.
unsafe fn lent<'a>(data: *const std::ffi::c_void, len: usize) -> &'a [u8] {
    if len == 0 {
        return &[];
    }
    // SAFETY: the caller vouches for it.
    unsafe { std::slice::from_raw_parts(data.cast(), len) }
}

/// Returns the version of the library that is loaded.
pub fn version() -> String {
    // SAFETY: the text is static and ends with a NUL.
    unsafe { CStr::from_ptr(ffi::kvds_version()) }.to_string_lossy().into_owned()
}
