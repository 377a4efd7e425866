//! The numbers that calls answer with.

use std::ffi::c_char;

use crate::batch::{Outcome, Refusal};
use crate::error::{Error, Kind};

/// What a call answers. Zero is yes, a positive number a plain "no" with nothing broken, a negative number a failure, of
/// which `kvds_last_error` has the text.
pub type kvds_status = i32;

/// Done.
pub const KVDS_OK: kvds_status = 0;
/// The key (or store) is not there.
pub const KVDS_NOT_FOUND: kvds_status = 1;
/// The key is already there; nothing was changed.
pub const KVDS_EXISTS: kvds_status = 2;
/// A compared value differs; nothing was changed.
pub const KVDS_MISMATCH: kvds_status = 3;
/// The callback ended the iteration.
pub const KVDS_STOPPED: kvds_status = 4;
/// The caller's buffer is too small; nothing was copied, the needed length is reported.
pub const KVDS_TRUNCATED: kvds_status = 5;
/// The call is wrong: mend it. The text says which argument and what is allowed.
pub const KVDS_INVALID_ARGUMENT: kvds_status = -1;
/// The store or distributor was closed.
pub const KVDS_CLOSED: kvds_status = -2;
/// This view does not allow the operation.
pub const KVDS_DENIED: kvds_status = -3;
/// Another process, or another distributor of this one, has this disk store open.
pub const KVDS_LOCKED: kvds_status = -4;
/// The file system failed. Nothing acknowledged was lost. A disk store works again, with the same handle, when the file system
/// does: each call that writes tries.
pub const KVDS_IO: kvds_status = -5;
/// The disk is full, or a quota or the limit of file sizes is reached (`SIGXFSZ`, which the system then sends, is for the program
/// to ignore). Nothing acknowledged was lost. Try again after making room: the same handle works again; if it goes on, there is
/// not enough of it for what was written last, which is in memory.
pub const KVDS_NO_SPACE: kvds_status = -6;
/// Stored bytes do not check out.
pub const KVDS_CORRUPTION: kvds_status = -7;
/// An allocation or a configured memory limit failed.
pub const KVDS_NO_MEMORY: kvds_status = -8;
/// This backend or build cannot do it.
pub const KVDS_UNSUPPORTED: kvds_status = -9;
/// Try again later.
pub const KVDS_BUSY: kvds_status = -10;
/// A write to a remote engine may or may not have happened. The library never tries it again by itself.
pub const KVDS_UNKNOWN_OUTCOME: kvds_status = -11;
/// The handle came through fork(): open the store anew in this process.
pub const KVDS_FORKED: kvds_status = -12;
/// A bug of the library was caught at its boundary. The process and the store are intact; please report it.
pub const KVDS_INTERNAL: kvds_status = -13;

/// The name of a status as the constant is spelt, such as "KVDS_NOT_FOUND"; "KVDS_?" for a number that is none. The text is
/// static, never NULL. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn kvds_status_name(status: kvds_status) -> *const c_char {
    let name = match status {
        KVDS_OK => c"KVDS_OK",
        KVDS_NOT_FOUND => c"KVDS_NOT_FOUND",
        KVDS_EXISTS => c"KVDS_EXISTS",
        KVDS_MISMATCH => c"KVDS_MISMATCH",
        KVDS_STOPPED => c"KVDS_STOPPED",
        KVDS_TRUNCATED => c"KVDS_TRUNCATED",
        KVDS_INVALID_ARGUMENT => c"KVDS_INVALID_ARGUMENT",
        KVDS_CLOSED => c"KVDS_CLOSED",
        KVDS_DENIED => c"KVDS_DENIED",
        KVDS_LOCKED => c"KVDS_LOCKED",
        KVDS_IO => c"KVDS_IO",
        KVDS_NO_SPACE => c"KVDS_NO_SPACE",
        KVDS_CORRUPTION => c"KVDS_CORRUPTION",
        KVDS_NO_MEMORY => c"KVDS_NO_MEMORY",
        KVDS_UNSUPPORTED => c"KVDS_UNSUPPORTED",
        KVDS_BUSY => c"KVDS_BUSY",
        KVDS_UNKNOWN_OUTCOME => c"KVDS_UNKNOWN_OUTCOME",
        KVDS_FORKED => c"KVDS_FORKED",
        KVDS_INTERNAL => c"KVDS_INTERNAL",
        _ => c"KVDS_?",
    };
    name.as_ptr()
}

/// The status of a failure.
pub(super) fn of(error: &Error) -> kvds_status {
    match error.kind() {
        Kind::InvalidArgument => KVDS_INVALID_ARGUMENT,
        Kind::Closed => KVDS_CLOSED,
        Kind::Denied => KVDS_DENIED,
        Kind::Locked => KVDS_LOCKED,
        Kind::Io => KVDS_IO,
        Kind::NoSpace => KVDS_NO_SPACE,
        Kind::Corruption => KVDS_CORRUPTION,
        Kind::NoMemory => KVDS_NO_MEMORY,
        Kind::Unsupported => KVDS_UNSUPPORTED,
        Kind::Busy => KVDS_BUSY,
        Kind::UnknownOutcome => KVDS_UNKNOWN_OUTCOME,
        Kind::Forked => KVDS_FORKED,
        Kind::Internal => KVDS_INTERNAL,
    }
}

/// The status of a write that did not fail.
pub(super) fn after(outcome: Outcome) -> kvds_status {
    match outcome {
        Outcome::Applied => KVDS_OK,
        Outcome::Refused(Refusal::NotFound) => KVDS_NOT_FOUND,
        Outcome::Refused(Refusal::Exists) => KVDS_EXISTS,
        Outcome::Refused(Refusal::Mismatch) => KVDS_MISMATCH,
    }
}

/// Yes, or the plain "no" of something that is not there.
pub(super) fn found(there: bool) -> kvds_status {
    if there { KVDS_OK } else { KVDS_NOT_FOUND }
}

/// How an iteration ended.
pub(super) fn finished(complete: bool) -> kvds_status {
    if complete { KVDS_OK } else { KVDS_STOPPED }
}
