//! Which library this is.

use std::ffi::{c_char, c_int};

/// The version of the library that this header belongs to: changes that break programs.
pub const KVDS_VERSION_MAJOR: c_int = 0;
/// The version of the library that this header belongs to: additions.
pub const KVDS_VERSION_MINOR: c_int = 1;
/// The version of the library that this header belongs to: repairs.
pub const KVDS_VERSION_PATCH: c_int = 0;

/// The version of the library that is running, as text ("0.1.0"). Compare it with the macros to see whether the program
/// runs with the library it was compiled for. The text is static. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn kvds_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
