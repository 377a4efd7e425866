//! A store as a counted reference.

use std::ffi::{c_char, c_int};
use std::ptr;

use super::arg;
use super::boundary;
use super::handle::{self, kvds_store};
use super::options::{self, kvds_options};
use super::status::{KVDS_NOT_FOUND, KVDS_OK, kvds_status};
use super::types::{KVDS_MEMORY, kvds_backend, number};
use crate::store::Store;

/// Opens the disk store in exactly the directory `path`, without a distributor and without encoding.
///
/// The store and the directories above it are created if they are missing, unless the options say otherwise. A relative
/// path counts from the working directory at the time of the call. `options` may be NULL for the defaults, and is
/// copied. The cache and the write buffers belong to this store alone; `keep_stores` and `memory_limit_bytes` have no
/// effect. The id of the store is `path` as it was passed, its tag is 0, and its backend is `KVDS_DISK`.
///
/// `*store` becomes a reference, which the caller owns and gives back with `kvds_store_release`, or NULL. Returns
/// `KVDS_OK`; `KVDS_NOT_FOUND` if there is no store and the options say not to create it (`create_if_missing`,
/// `read_only`); `KVDS_LOCKED` if the store is open in another process or in this one, through a distributor too, or
/// if something that it handed out still keeps it open; `KVDS_INVALID_ARGUMENT` if `path` or `store` is NULL, if the
/// path is empty or not UTF-8, or if the directory holds files of others that a store would take for its own; `KVDS_IO`
/// (the text names the path that stands in the way, and where a link points), `KVDS_NO_SPACE`, `KVDS_CORRUPTION` from
/// opening the files; `KVDS_BUSY` with the option `read_only` beside a writer that is too fast;
/// `KVDS_UNSUPPORTED` in a build without disk stores. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_store_open(
    path: *const c_char,
    options: *const kvds_options,
    store: *mut *mut kvds_store,
) -> kvds_status {
    boundary::status("kvds_store_open", || {
        // SAFETY: the caller keeps the rules for pointers.
        unsafe {
            let out = arg::out("store", store, ptr::null_mut())?;
            let (id, path) = (arg::text("path", path)?, arg::path("path", path)?);
            let opened = Store::open(&path, id, &options::or_default(options))?;
            let Some(opened) = opened else { return Ok(KVDS_NOT_FOUND) };
            out.set(handle::into(opened));
        }
        Ok(KVDS_OK)
    })
}

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

/// The id that the store was asked for by, byte for byte. Owned by the store, valid as long as the caller's reference. NULL for NULL.
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
