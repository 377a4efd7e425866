//! Store: references, identity, open and close.
//!
//! A `kvds_store *` is one counted reference to a store. When the last reference is released, the
//! store is closed and its death is observed. Closing a cluster store closes it in this process
//! alone, and its keys stay. If another process destroys it, the calls here return `KVDS_CLOSED`.

use std::ffi::{c_char, c_int};
use std::ptr;

use super::arg;
use super::boundary;
use super::distributor::{KVDS_MEMORY, backend_number, kvds_backend, kvds_store};
use super::handle;
use super::options::{self, kvds_options};
use super::status::{KVDS_NOT_FOUND, KVDS_OK, kvds_status};
use crate::store::Store;

/// Opens the disk store in exactly the directory `path`, without a distributor.
///
/// The store and the directories above it are created if they are missing, unless the options
/// forbid it. The cache and the write buffers belong to this store alone; the options `keep_stores`
/// and `memory_limit_bytes` have no effect. The store's id is `path` as it was passed, its tag is
/// 0, and its backend is `KVDS_DISK`.
///
/// For locks, file modes and directories that are moved see kvds_distributor_get_or_create(). To
/// delete such a store, release it and delete the directory.
///
/// @param path  relative to the working directory at the time of the call; not encoded.
/// @param options  copied; NULL for the defaults.
/// @param[out] store  a reference that the caller owns and releases with kvds_store_release().
/// @return
/// - `KVDS_OK`
/// - `KVDS_NOT_FOUND`: there is no store, and the options forbid creating it
/// - `KVDS_LOCKED`: the store is open in another process or in this one, through a distributor too,
///   or a value, cursor or iteration of it is still in use
/// - `KVDS_INVALID_ARGUMENT`: a NULL, a path that is empty or not UTF-8, or a directory that holds
///   files of others whose names a store would use
/// - `KVDS_IO`, `KVDS_NO_SPACE`, `KVDS_CORRUPTION`: the files cannot be opened; the error text
///   names the path that stands in the way, and where a link points
/// - `KVDS_BUSY`: with `read_only`, another process writes the store too fast
/// - `KVDS_UNSUPPORTED`: a build without disk stores
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_store_open(
    path: *const c_char,
    options: *const kvds_options,
    store: *mut *mut kvds_store,
) -> kvds_status {
    boundary::status("kvds_store_open", || {
        let out = arg::out("store", store, ptr::null_mut())?;
        let (id, path) = (arg::text("path", path)?, arg::path("path", path)?);
        let opened = Store::open(&path, id, &options::or_default(options))?;
        let Some(opened) = opened else { return Ok(KVDS_NOT_FOUND) };
        out.set(handle::from_ref(opened));
        Ok(KVDS_OK)
    })
}

/// Adds a reference and returns `store`; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_store_retain(store: *mut kvds_store) -> *mut kvds_store {
    handle::retain("kvds_store_retain", store)
}

/// Releases a reference and returns how many are left; 0 for NULL.
///
/// At 0 the store is closed, and its death has been observed, before the call returns. Values that
/// it returned stay valid. Values, cursors and iterations that are still in use keep the files of a
/// disk store open until they end. The data of a memory store is lost; another can be opened again.
/// A view holds a reference to its store. Closing does not report a failed sync: call `kvds_sync()`
/// before where that matters.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_store_release(store: *mut kvds_store) -> i64 {
    handle::release("kvds_store_release", store)
}

/// Returns the number of references; 0 for NULL.
///
/// It is useful in tests and logs: other threads may change it at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_store_ref_count(store: *const kvds_store) -> i64 {
    handle::get(store).map_or(0, |store| store.references())
}

/// Returns the store's tag: unique in its distributor, counting from 0 in order of creation.
///
/// @return the tag; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_store_tag(store: *const kvds_store) -> u64 {
    handle::get(store).map_or(0, |store| store.identity().tag)
}

/// Returns the id under which the store was opened, byte for byte; NULL for NULL.
///
/// @return text that the store owns, valid as long as the caller's reference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_store_id(store: *const kvds_store) -> *const c_char {
    handle::get(store).map_or(ptr::null(), |store| store.identity().id.as_ptr())
}

/// Returns the backend of the store; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_store_backend(store: *const kvds_store) -> kvds_backend {
    handle::get(store).map_or(KVDS_MEMORY, |store| backend_number(store.identity().backend))
}

/// Returns 1 if the store can be used, else 0.
///
/// A store cannot be used if it was closed, if it is a view of a store that was closed, or if it is
/// on disk or a cluster and was inherited through fork(). NULL cannot be used either. Nothing is
/// sent to a cluster to find out.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_is_open(store: *const kvds_store) -> c_int {
    handle::get(store).is_ok_and(|store| store.is_usable()).into()
}

/// Closes the store for every holder, without waiting for the last reference.
///
/// Running calls finish first; later calls return `KVDS_CLOSED`. The name is free again: the next
/// caller that asks the distributor for it gets a new store. References must still be released, and
/// the death of the store is observed when the last one is. Called from a callback, it does not
/// wait for running calls: the last of them to finish closes the store.
///
/// @return
/// - `KVDS_OK`
/// - `KVDS_CLOSED`: it was closed already
/// - `KVDS_INVALID_ARGUMENT`: NULL
/// - `KVDS_FORKED`: a disk or cluster store that was inherited through fork()
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_close(store: *mut kvds_store) -> kvds_status {
    boundary::status("kvds_close", || {
        handle::to_arc(store)?.close()?;
        Ok(KVDS_OK)
    })
}
