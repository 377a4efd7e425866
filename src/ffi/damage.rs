//! Damaged stores.
//!
//! A disk store that is damaged, by a failing disk or a file that is missing, returns
//! `KVDS_CORRUPTION` where the damage is. `kvds_verify()` finds all damage of a store, and
//! `kvds_salvage()` copies what can still be read into a new store. Both read the files of the
//! store and change none.

use std::ffi::{CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

use super::arg;
use super::boundary;
use super::options::{self, kvds_options};
use super::status::{KVDS_CORRUPTION, KVDS_NOT_FOUND, KVDS_OK, KVDS_STOPPED, kvds_status};
use crate::engine::damage::{Damage, Loss, Progress, Rescue, Salvaged, Verdict};
use crate::store;

/// Nothing is lost: what is damaged can be derived from the rest.
pub const KVDS_LOSS_NONE: c_int = 0;
/// Pairs are lost, or may be.
pub const KVDS_LOSS_PAIRS: c_int = 1;
/// Times to live are lost, or may be. The pairs are not.
pub const KVDS_LOSS_TTLS: c_int = 2;

/// A damage of one file. The pointers are valid during the call only.
#[repr(C)]
pub struct kvds_damage {
    /// Path of the damaged file, or of the store's directory if no single file is damaged.
    pub file: *const c_char,
    /// A sentence in English that says what is damaged, and where in the file.
    pub problem: *const c_char,
    /// `KVDS_LOSS_NONE`, `KVDS_LOSS_PAIRS` or `KVDS_LOSS_TTLS`.
    pub loss: c_int,
    /// The loss affects no key before this one; NULL if that is not known.
    pub first: *const c_void,
    /// Length of `first` in bytes.
    pub first_len: usize,
    /// The loss affects no key after this one; NULL if that is not known.
    pub last: *const c_void,
    /// Length of `last` in bytes.
    pub last_len: usize,
}

/// Called for each damage, and in between. Return 0 to stop, anything else to continue.
///
/// `damage` is NULL for calls that only report progress: at least one for each MiB that is read.
/// `bytes_done` and `bytes_total` are an estimate of the work.
pub type kvds_damage_visit = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        damage: *const kvds_damage,
        bytes_done: u64,
        bytes_total: u64,
    ) -> c_int,
>;

/// What `kvds_salvage()` has saved.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct kvds_salvaged {
    /// How many pairs were copied.
    pub pairs: u64,
    /// How many keys were found only with a value that may be an older one. They were left out.
    /// Keys of which nothing was found are not counted.
    pub lost: u64,
    /// How many of the copied pairs may have had a time to live that cannot be read. They have none
    /// in the copy.
    pub ttls_lost: u64,
}

/// Reads all files of the disk store in the directory `path`, and verifies every checksum.
///
/// That includes the list of files, every block of every table file and the logs. The store need
/// not be open. If a process writes to it in the meantime, files that it deletes are left out. The
/// call reports all damage, not only the first, and writes nothing.
///
/// @param options  copied; NULL for the defaults.
/// @param callback  may be NULL.
/// @return
/// - `KVDS_OK`: there is no damage
/// - `KVDS_NOT_FOUND`: there is no store
/// - `KVDS_STOPPED`: the callback returned 0
/// - `KVDS_CORRUPTION`: there is damage
/// - `KVDS_INVALID_ARGUMENT`: `path` is NULL, empty or not UTF-8
/// - `KVDS_IO`: a file may not be opened
/// - `KVDS_BUSY`: another process writes the store too fast
/// - `KVDS_UNSUPPORTED`: a build without disk stores
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_verify(
    path: *const c_char,
    options: *const kvds_options,
    callback: kvds_damage_visit,
    user_data: *mut c_void,
) -> kvds_status {
    boundary::status("kvds_verify", || {
        let path = arg::path("path", path)?;
        let mut visit = |damage: Option<&Damage<'_>>, progress: Progress| {
            // SAFETY: the caller has passed a callback of this type.
            unsafe { call(callback, user_data, damage, progress) }
        };
        let verdict = store::damage::verify(&path, &options::or_default(options), &mut visit)?;
        Ok(match verdict {
            Verdict::Absent => KVDS_NOT_FOUND,
            Verdict::Whole => KVDS_OK,
            Verdict::Damaged(_) => KVDS_CORRUPTION,
            Verdict::Stopped => KVDS_STOPPED,
        })
    })
}

/// Copies what can be read of the damaged disk store in the directory `path` into a new disk store
/// in the directory `target`.
///
/// Each pair of the new store is a pair of the last state of the damaged one, with its time to
/// live. No pair is an older one that a lost write had replaced: a key is left out if what is lost
/// may include a newer write of it. Two kinds of damage are exceptions, and the callback reports
/// them. A damaged log ends there: the new store has the state before the first write that is lost.
/// If the list of files (`MANIFEST`) is lost, it is rebuilt, and deleted keys or older values can
/// return.
///
/// The damaged store must not be open, and is never changed. The copy is built in a directory
/// `.kvds-copy-*` beside `target`. It appears under its name when it is complete; after an error,
/// nothing of it is left. It needs as much disk space as the pairs.
///
/// @param target  must not exist; the directories above it are created.
/// @param options  copied; NULL for the defaults.
/// @param callback  may be NULL; it gets what `kvds_verify()` reports.
/// @param[out] salvaged  all 0 unless the call returns `KVDS_OK`.
/// @return
/// - `KVDS_OK`: the new store is complete, whether or not there was damage
/// - `KVDS_NOT_FOUND`: there is no store at `path`
/// - `KVDS_STOPPED`: the callback returned 0, and there is no new store
/// - `KVDS_CORRUPTION`: too little is left to find the pairs
/// - `KVDS_INVALID_ARGUMENT`: a NULL, a path that is empty or not UTF-8, or `target` exists
/// - `KVDS_LOCKED`: the damaged store is open
/// - `KVDS_IO`, `KVDS_NO_SPACE`: the files cannot be read or written
/// - `KVDS_UNSUPPORTED`: a build without disk stores
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_salvage(
    path: *const c_char,
    target: *const c_char,
    options: *const kvds_options,
    callback: kvds_damage_visit,
    user_data: *mut c_void,
    salvaged: *mut kvds_salvaged,
) -> kvds_status {
    boundary::status("kvds_salvage", || {
        let out = arg::out("salvaged", salvaged, kvds_salvaged::default())?;
        let (path, target) = (arg::path("path", path)?, arg::path("target", target)?);
        let mut visit = |damage: Option<&Damage<'_>>, progress: Progress| {
            // SAFETY: the caller has passed a callback of this type.
            unsafe { call(callback, user_data, damage, progress) }
        };
        let options = options::or_default(options);
        Ok(match store::damage::salvage(&path, &target, &options, &mut visit)? {
            Rescue::Absent => KVDS_NOT_FOUND,
            Rescue::Stopped => KVDS_STOPPED,
            Rescue::Complete(saved) => {
                out.set(saved.into());
                KVDS_OK
            }
        })
    })
}

impl From<Salvaged> for kvds_salvaged {
    fn from(salvaged: Salvaged) -> kvds_salvaged {
        let Salvaged { pairs, lost, deadlines_lost } = salvaged;
        kvds_salvaged { pairs, lost, ttls_lost: deadlines_lost }
    }
}

/// Calls the callback, if there is one. Returns whether to continue.
unsafe fn call(
    callback: kvds_damage_visit,
    user_data: *mut c_void,
    damage: Option<&Damage<'_>>,
    progress: Progress,
) -> bool {
    let Some(visit) = callback else { return true };
    let Some(damage) = damage else {
        // SAFETY: the caller has passed a callback of this type.
        return unsafe { visit(user_data, ptr::null(), progress.done, progress.total) } != 0;
    };
    // Neither a path nor the text of RocksDB has a NUL.
    let file = CString::new(damage.file.as_os_str().as_bytes()).unwrap_or_default();
    let problem = CString::new(damage.problem).unwrap_or_default();
    let (first, first_len) = bound(damage.first);
    let (last, last_len) = bound(damage.last);
    let damage = kvds_damage {
        file: file.as_ptr(),
        problem: problem.as_ptr(),
        loss: match damage.loss {
            Loss::Nothing => KVDS_LOSS_NONE,
            Loss::Pairs => KVDS_LOSS_PAIRS,
            Loss::Deadlines => KVDS_LOSS_TTLS,
        },
        first,
        first_len,
        last,
        last_len,
    };
    // SAFETY: as above.
    unsafe { visit(user_data, &raw const damage, progress.done, progress.total) != 0 }
}

fn bound(key: Option<&[u8]>) -> (*const c_void, usize) {
    key.map_or((ptr::null(), 0), |key| (key.as_ptr().cast(), key.len()))
}
