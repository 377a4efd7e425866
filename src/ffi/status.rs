//! Status and errors.

use std::ffi::{CStr, c_char};

use super::boundary;
use crate::batch::{Conflict, Outcome};
use crate::error::{Error, Kind};

/// The result of a call: 0 is success, a positive number an expected negative result, a negative
/// number an error. Numbers are never reused.
pub type kvds_status = i32;

/// Success.
pub const KVDS_OK: kvds_status = 0;
/// The key, store or file does not exist.
pub const KVDS_NOT_FOUND: kvds_status = 1;
/// The key exists already. Nothing was changed.
pub const KVDS_EXISTS: kvds_status = 2;
/// A compared value differs. Nothing was changed.
pub const KVDS_MISMATCH: kvds_status = 3;
/// The callback ended the iteration.
pub const KVDS_STOPPED: kvds_status = 4;
/// The buffer is too small. Nothing was copied; the call reports the needed length.
pub const KVDS_TRUNCATED: kvds_status = 5;
/// Invalid argument; `kvds_last_error()` says which one and what is allowed.
pub const KVDS_INVALID_ARGUMENT: kvds_status = -1;
/// The store or distributor was closed; or another process destroyed the cluster store.
pub const KVDS_CLOSED: kvds_status = -2;
/// The view, the option `read_only`, or the cluster does not permit the operation.
pub const KVDS_DENIED: kvds_status = -3;
/// Another process, or another distributor of this process, has the disk store open.
pub const KVDS_LOCKED: kvds_status = -4;
/// The file system or the network returned an error. No acknowledged write is lost. The handle
/// works again as soon as the file system or the network does: every call that writes retries.
pub const KVDS_IO: kvds_status = -5;
/// The disk is full, or a quota or the limit on file sizes is reached. No acknowledged write is
/// lost. The handle works again after space is freed. If this status persists, there is still too
/// little space for the latest writes, which are held in memory. (The program must ignore SIGXFSZ,
/// which the system sends when a file reaches its size limit.) On a cluster, the quota of its
/// database is used up, and deletions still work.
pub const KVDS_NO_SPACE: kvds_status = -6;
/// Stored data is corrupt (checksum mismatch, missing or truncated file).
pub const KVDS_CORRUPTION: kvds_status = -7;
/// An allocation failed, or a configured memory limit is reached.
pub const KVDS_NO_MEMORY: kvds_status = -8;
/// This backend or this build does not support the operation. Or a write is larger than the cluster
/// accepts: the error text says how much that is.
pub const KVDS_UNSUPPORTED: kvds_status = -9;
/// Temporarily not possible: try again later. After a write, nothing was changed.
pub const KVDS_BUSY: kvds_status = -10;
/// A write to a cluster store may or may not have happened. The time limit ended before the cluster
/// said which. The library never repeats a write that may have happened.
pub const KVDS_UNKNOWN_OUTCOME: kvds_status = -11;
/// The handle was inherited through fork(): open the store again in this process.
pub const KVDS_FORKED: kvds_status = -12;
/// The library caught a bug of its own at its boundary. The process and the store are intact;
/// please report it.
pub const KVDS_INTERNAL: kvds_status = -13;
/// The snapshot, or that of the cursor, is gone: take a new one. The operator compacted the
/// cluster, which ends the snapshots of its stores.
pub const KVDS_EXPIRED: kvds_status = -14;

/// Lists every status once: the negative ones with the kind of error that they report.
macro_rules! statuses {
    ($($result:ident),*; $($status:ident = $kind:ident),* $(,)?) => {
        fn name(status: kvds_status) -> Option<&'static CStr> {
            let name = match status {
                $($result => concat!(stringify!($result), "\0"),)*
                $($status => concat!(stringify!($status), "\0"),)*
                _ => return None,
            };
            CStr::from_bytes_with_nul(name.as_bytes()).ok()
        }

        /// Returns the status of an error.
        pub(super) fn of(error: &Error) -> kvds_status {
            match error.kind() {
                $(Kind::$kind => $status,)*
            }
        }
    };
}

statuses! {
    KVDS_OK,
    KVDS_NOT_FOUND,
    KVDS_EXISTS,
    KVDS_MISMATCH,
    KVDS_STOPPED,
    KVDS_TRUNCATED;
    KVDS_INVALID_ARGUMENT = InvalidArgument,
    KVDS_CLOSED = Closed,
    KVDS_DENIED = Denied,
    KVDS_LOCKED = Locked,
    KVDS_IO = Io,
    KVDS_NO_SPACE = NoSpace,
    KVDS_CORRUPTION = Corruption,
    KVDS_NO_MEMORY = NoMemory,
    KVDS_UNSUPPORTED = Unsupported,
    KVDS_BUSY = Busy,
    KVDS_UNKNOWN_OUTCOME = UnknownOutcome,
    KVDS_FORKED = Forked,
    KVDS_INTERNAL = Internal,
    KVDS_EXPIRED = Expired,
}

/// Returns the name of a status, such as "KVDS_NOT_FOUND", or "KVDS_?" for an unknown number.
///
/// The text is static and never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvds_status_name(status: kvds_status) -> *const c_char {
    name(status).unwrap_or(c"KVDS_?").as_ptr()
}

/// Returns the text of the last error on the calling thread, in English.
///
/// The text names the function, the store, the path and the cause, as far as they apply. It is
/// meaningful after a negative status, or after NULL where NULL reports an error. Calls that
/// succeed or return a positive status leave it unchanged.
///
/// @return the text, valid until the next call on this thread that fails; empty before the first
///   error; never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvds_last_error() -> *const c_char {
    boundary::last_error()
}

/// Returns the status of a write that did not fail.
pub(super) fn after(outcome: Outcome) -> kvds_status {
    match outcome {
        Outcome::Applied => KVDS_OK,
        Outcome::Refused(Conflict::NotFound) => KVDS_NOT_FOUND,
        Outcome::Refused(Conflict::Exists) => KVDS_EXISTS,
        Outcome::Refused(Conflict::Mismatch) => KVDS_MISMATCH,
    }
}

/// Returns the status of a lookup.
pub(super) fn found(exists: bool) -> kvds_status {
    if exists { KVDS_OK } else { KVDS_NOT_FOUND }
}

/// Returns the status of an iteration.
pub(super) fn finished(complete: bool) -> kvds_status {
    if complete { KVDS_OK } else { KVDS_STOPPED }
}
