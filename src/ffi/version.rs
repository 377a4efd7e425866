//! Version.

use std::ffi::{c_char, c_int};

/// Major version of this header: raised by changes that break programs.
pub const KVDS_VERSION_MAJOR: c_int = 0;
/// Minor version of this header: raised by additions.
pub const KVDS_VERSION_MINOR: c_int = 1;
/// Patch version of this header: raised by fixes.
pub const KVDS_VERSION_PATCH: c_int = 0;

/// Returns the version of the library that is running, such as "0.1.0".
///
/// Compare it with the macros to find out whether the program runs with the library that it was
/// compiled for. The text is static.
#[unsafe(no_mangle)]
pub extern "C" fn kvds_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
