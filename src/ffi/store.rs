//! A store as a counted reference.

use std::ffi::{c_char, c_int};
use std::ptr;

use super::boundary;
use super::handle::{self, kvds_store};
use super::status::{KVDS_OK, kvds_status};
use super::types::{KVDS_MEMORY, kvds_backend, number};

/// One more reference to `store`, which is returned; NULL for NULL. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_store_retain(store: *mut kvds_store) -> *mut kvds_store {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe { handle::retain("kvds_store_retain", store) }
}

/// Gives up a reference. Returns how many are left; 0 for NULL.
///
/// At 0 the store is closed and its death has been observed when this returns. Values that it gave stay valid; what is
/// still in use (a value, an iteration of which this is called in a callback) keeps the files open until it ends. A memory
/// store's data is gone; a disk store's can be opened again. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_store_release(store: *mut kvds_store) -> i64 {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe { handle::release("kvds_store_release", store) }
}

/// How many references there are; 0 for NULL. Of use for tests and logs: other threads may change it at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_store_ref_count(store: *const kvds_store) -> i64 {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe { handle::get(store) }.map_or(0, |store| store.references())
}

/// The number of the store: unique in its distributor, counting from 0 in order of creation. 0 for NULL. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_store_tag(store: *const kvds_store) -> u64 {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe { handle::get(store) }.map_or(0, |store| store.identity().tag)
}

/// The id that the store was asked for by. Owned by the store, valid as long as the caller's reference. NULL for NULL.
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_store_id(store: *const kvds_store) -> *const c_char {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe { handle::get(store) }.map_or(ptr::null(), |store| store.identity().id.as_ptr())
}

/// The backend that the store was asked for with. 0 for NULL. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_store_backend(store: *const kvds_store) -> kvds_backend {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe { handle::get(store) }.map_or(KVDS_MEMORY, |store| number(store.identity().backend))
}

/// 1 if the store can be used; 0 if it was closed, if it is a view of a store that was closed, if it is on disk and came
/// through fork(), or for NULL. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_is_open(store: *const kvds_store) -> c_int {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe { handle::get(store) }.is_ok_and(|store| store.is_usable()).into()
}

/// Closes the store for every holder, without waiting for the last reference to go. Running calls finish first; later calls
/// answer `KVDS_CLOSED`. The name is free again: who asks the distributor for it gets a new store. References must still
/// be released, and the store's death is observed when the last one is.
///
/// Answers `KVDS_OK`; `KVDS_CLOSED` if it was closed already; `KVDS_INVALID_ARGUMENT` for NULL; `KVDS_FORKED` for a disk
/// store that came through fork(). Threads: any. From inside a callback it does not wait for running calls, as they could
/// be waiting for this one: the last of them to end ends the store.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_close(store: *const kvds_store) -> kvds_status {
    boundary::status("kvds_close", || {
        // SAFETY: the caller keeps the rules for pointers.
        unsafe { handle::kept(store)? }.close()?;
        Ok(KVDS_OK)
    })
}
