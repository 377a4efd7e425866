//! Distributor.
//!
//! A distributor returns stores by name: for each id and backend at most one live store, however
//! many threads ask for it. It is reference-counted. Each backend has its own names.
//!
//! What the backends differ in:
//!
//!                        KVDS_MEMORY        KVDS_DISK             KVDS_CLUSTER
//!     data is in         the process        a directory           etcd, under a namespace
//!     ends with          its last           kvds_distributor_     kvds_distributor_
//!                        reference          destroy()             destroy()
//!     longest key        64 KiB             64 KiB                64 KiB
//!     largest value      1 GiB              1 GiB                 see the largest batch
//!     largest batch      memory             memory                one request of the server,
//!                                                                 1.5 MiB by default; at most
//!                                                                 126 expectations
//!     size of a store    memory_limit_      the disk              the server's quota, with all
//!                        bytes                                    others: 2 GiB by default
//!     processes          one                one writes, others    any number, on any number
//!                                           read (read_only)      of machines
//!     a write survives   nothing            what the option       the loss of any minority of
//!                                           durability says       the members
//!     a snapshot lasts   until released     until released        until the operator compacts
//!                                                                 the cluster
//!     a call takes       no longer than     no longer than        at most cluster_timeout_ms
//!                        the work           the disk
//!
//! Functions that take an id also return:
//! - `KVDS_INVALID_ARGUMENT`: a NULL, an invalid id or backend, a disk store without a base path,
//!   or a cluster store without the option `cluster`
//! - `KVDS_CLOSED`: the distributor was shut down
//! - `KVDS_UNSUPPORTED`: a disk or cluster store in a build without them
//! - `KVDS_FORKED`: a disk or cluster store, and the distributor was inherited through fork()

use std::ffi::{c_char, c_int, c_void};
use std::path::Path;
use std::ptr;

use super::arg;
use super::boundary;
use super::handle;
use super::options::{self, kvds_options};
use super::status::{self, KVDS_NOT_FOUND, KVDS_OK, kvds_status};
use crate::error::Result;
use crate::options::Options;
use crate::store::identity::Backend;
use crate::store::registry::Distributor;
use crate::sync::refcount::Ref;

/// A distributor. All functions may be called on it at the same time.
pub struct kvds_distributor {
    _opaque: [u8; 0],
}

/// A store. All functions may be called on it at the same time.
pub struct kvds_store {
    _opaque: [u8; 0],
}

/// Where a store keeps its data.
pub type kvds_backend = i32;

/// In the memory of the process. The data is lost with the store's last reference.
pub const KVDS_MEMORY: kvds_backend = 0;
/// In a directory under the distributor's base path.
pub const KVDS_DISK: kvds_backend = 1;
/// In an etcd cluster, which the option `cluster` names. Any number of processes on any number of
/// machines may have a store open at once.
pub const KVDS_CLUSTER: kvds_backend = 2;

/// Creates a distributor with default options and one reference, which the caller owns.
///
/// @param base_path  the directory under which each disk store has its own, created together with
///   the first disk store; relative to the working directory at the time of the call. NULL or ""
///   for no disk stores.
/// @return the distributor, or NULL on an error: see kvds_last_error().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_new(base_path: *const c_char) -> *mut kvds_distributor {
    boundary::value("kvds_distributor_new", ptr::null_mut(), || {
        let distributor = open(base_path, &Options::default())?;
        Ok(handle::from_ref(distributor))
    })
}

/// Creates a distributor with options, like `kvds_distributor_new()`.
///
/// @param options  copied; NULL for the defaults.
/// @param[out] out  a reference that the caller owns.
/// @return
/// - `KVDS_OK`
/// - `KVDS_INVALID_ARGUMENT`: `out` is NULL, the path is not UTF-8, or the option `cluster` is not
///   a URL of servers; nothing is connected yet
/// - `KVDS_IO`: a relative path cannot be resolved
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_open(
    base_path: *const c_char,
    options: *const kvds_options,
    out: *mut *mut kvds_distributor,
) -> kvds_status {
    boundary::status("kvds_distributor_open", || {
        let out = arg::out("out", out, ptr::null_mut())?;
        let distributor = open(base_path, &options::or_default(options))?;
        out.set(handle::from_ref(distributor));
        Ok(KVDS_OK)
    })
}

unsafe fn open(base_path: *const c_char, options: &Options) -> Result<Ref<Distributor>> {
    if base_path.is_null() {
        return Distributor::open(None, options);
    }
    let path = arg::utf8("base_path", base_path)?;
    Distributor::open((!path.is_empty()).then_some(Path::new(path)), options)
}

/// Adds a reference and returns `distributor`; NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_retain(
    distributor: *mut kvds_distributor,
) -> *mut kvds_distributor {
    handle::retain("kvds_distributor_retain", distributor)
}

/// Releases a reference and returns how many are left; 0 for NULL.
///
/// At 0 the distributor is destroyed and gives up the references that it holds because of the
/// option `keep_stores`. Stores that the program still holds keep working, and their deaths are
/// observed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_release(distributor: *mut kvds_distributor) -> i64 {
    handle::release("kvds_distributor_release", distributor)
}

/// Returns the number of references; 0 for NULL.
///
/// It is useful in tests and logs: other threads may change it at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_ref_count(distributor: *const kvds_distributor) -> i64 {
    handle::get(distributor).map_or(0, |distributor| distributor.references())
}

/// Gets the live store `id` on `backend`, or creates or opens it.
///
/// A disk store lives in the directory `base_path/NAME`. NAME is the id with every byte outside
/// `A-Z a-z 0-9 . _ -` percent-encoded (and `.` and `..` encoded whole), 255 bytes at most. If NAME
/// does not exist, but a store lies under the plain id below `base_path` (`base_path/a b` for "a
/// b", or `base_path/a/b` for "a/b"), as programs that do not encode ids leave it, that store is
/// opened.
///
/// The directory and those above it are created if they are missing; a creation that fails leaves
/// none behind. A directory without a store is refused if it holds a file whose name a store would
/// use, such as `000001.log`, and nothing in it is touched. Other files (a README, `.gitkeep`,
/// `lost+found`) may stay. If a disk store of this name is being closed, the call waits until it
/// is. If values, cursors or iterations of a closed one still keep its files open, the new store
/// uses these files with them.
///
/// One process at a time has a disk store open, by locks on the directory (`flock`) and on the file
/// `LOCK` in it (`fcntl`). They hold whatever the process does with these files: it may read or
/// remove `LOCK`. Readers (`read_only`) take no locks. On NFS, other machines see the lock on
/// `LOCK` alone, so it must not be removed there. Ids that differ only in case are one directory on
/// file systems that ignore case: opening the second returns `KVDS_LOCKED`.
///
/// If a directory is moved, removed or replaced while its store is open, the library leaves the old
/// and the new directory alone: writes and `kvds_sync()` return `KVDS_IO` as soon as they need the
/// directory, at the latest when the write buffer is full. Reads continue, and so do writes after
/// the directory is moved back.
///
/// Directories have the mode 0777 and files 0644, both less the umask. Another user can read the
/// store (`read_only`) if these modes and the directories above allow it. Only the owner of the
/// files writes.
///
/// The keys of a cluster store lie in etcd under `NAMESPACE/NAME/`. The namespace is that of
/// `kvds_options_set_cluster()`, and NAME is encoded like that of a directory. The store may be
/// open in any number of processes on any number of machines, and nothing is locked. The options
/// `durability`, `block_cache_bytes`, `write_buffer_bytes`, `memory_limit_bytes`, `compression` and
/// `max_open_files` do not apply. One role in etcd for that prefix is enough for a store, and a
/// role that may only read is enough with `read_only`. If the store is destroyed while it is open
/// here, its writes return `KVDS_CLOSED`, and its reads find nothing.
///
/// `cluster_timeout_ms` limits how long a call on a cluster store takes, but for looking up the
/// names of the servers, whose limits are the system's.
///
/// @param id  of a memory store: 1 to 65536 bytes of any kind; of another: UTF-8, not empty.
/// @param[out] out  a reference that the caller owns and releases with kvds_store_release().
/// @return
/// - `KVDS_OK`
/// - `KVDS_NOT_FOUND`: the store does not exist, and the options forbid creating it
///   (`create_if_missing`, `read_only`)
/// - `KVDS_INVALID_ARGUMENT`: also if the directory holds files of others, or if there are stores
///   both under NAME and under the plain id
/// - `KVDS_LOCKED`: another process or distributor has the store open
/// - `KVDS_NO_SPACE`, `KVDS_CORRUPTION`: the files cannot be opened
/// - `KVDS_IO`: the files cannot be opened or locked, or the system allows no more threads; the
///   error text names the path that stands in the way, and where a link points
/// - `KVDS_BUSY`: with `read_only`, another process writes the store too fast; or the cluster could
///   not be reached in time
/// - `KVDS_DENIED`: the cluster does not accept the login, or its user may not use these keys
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_get_or_create(
    distributor: *mut kvds_distributor,
    id: *const c_char,
    backend: kvds_backend,
    out: *mut *mut kvds_store,
) -> kvds_status {
    boundary::status("kvds_distributor_get_or_create", || {
        let out = arg::out("out", out, ptr::null_mut())?;
        let (distributor, id) = (handle::to_arc(distributor)?, arg::text("id", id)?);
        let store = distributor.get_or_create(id, arg::backend(backend)?)?;
        let Some(store) = store else { return Ok(KVDS_NOT_FOUND) };
        out.set(handle::from_ref(store));
        Ok(KVDS_OK)
    })
}

/// Gets the live store `id` on `backend`, and opens nothing.
///
/// @param[out] out  a reference that the caller owns.
/// @return
/// - `KVDS_OK`
/// - `KVDS_NOT_FOUND`: the store is not live, even if its files exist
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_get(
    distributor: *mut kvds_distributor,
    id: *const c_char,
    backend: kvds_backend,
    out: *mut *mut kvds_store,
) -> kvds_status {
    boundary::status("kvds_distributor_get", || {
        let out = arg::out("out", out, ptr::null_mut())?;
        let (distributor, id) = (handle::to_arc(distributor)?, arg::text("id", id)?);
        let Some(store) = distributor.get(id, arg::backend(backend)?)? else {
            return Ok(KVDS_NOT_FOUND);
        };
        out.set(handle::from_ref(store));
        Ok(KVDS_OK)
    })
}

/// Releases the reference that the distributor holds to a store because of the option
/// `keep_stores`.
///
/// If it was the last reference, the store is closed before the call returns. The files of a disk
/// store and the keys of a cluster store stay.
///
/// @return
/// - `KVDS_OK`
/// - `KVDS_NOT_FOUND`: the distributor holds no reference to it
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_evict(
    distributor: *mut kvds_distributor,
    id: *const c_char,
    backend: kvds_backend,
) -> kvds_status {
    boundary::status("kvds_distributor_evict", || {
        let (distributor, id) = (handle::to_arc(distributor)?, arg::text("id", id)?);
        Ok(status::found(distributor.evict(id, arg::backend(backend)?)?))
    })
}

/// Deletes the data of the store `id` on `backend`: the files of a disk store, which is found as
/// `kvds_distributor_get_or_create()` finds it, or the keys of a cluster store.
///
/// Files of others stay, and then so does their directory. Threads of this distributor that ask for
/// the store in the meantime wait, and get a new, empty one. A cluster store may be open in other
/// processes; their calls then return `KVDS_CLOSED`. A memory store ends with its last reference,
/// so there is nothing to delete.
///
/// @return
/// - `KVDS_OK`
/// - `KVDS_NOT_FOUND`: there is no such store
/// - `KVDS_BUSY`: the store is live in this distributor, or a value, cursor or iteration of it is
///   still in use; or the cluster could not be reached in time, and nothing was deleted
/// - `KVDS_LOCKED`: another process or distributor has the disk store open
/// - `KVDS_DENIED`: the distributor has the option `read_only`, or the cluster forbids it
/// - `KVDS_IO`: the files cannot be deleted
/// - `KVDS_UNKNOWN_OUTCOME`: the cluster did not say whether it deleted the keys
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_destroy(
    distributor: *mut kvds_distributor,
    id: *const c_char,
    backend: kvds_backend,
) -> kvds_status {
    boundary::status("kvds_distributor_destroy", || destroy(distributor, id, backend))
}

/// Deletes the files of the disk store `id`: `kvds_distributor_destroy()` with `KVDS_DISK`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_destroy_store(
    distributor: *mut kvds_distributor,
    id: *const c_char,
) -> kvds_status {
    boundary::status("kvds_distributor_destroy_store", || destroy(distributor, id, KVDS_DISK))
}

unsafe fn destroy(
    distributor: *mut kvds_distributor,
    id: *const c_char,
    backend: kvds_backend,
) -> Result<kvds_status> {
    let (distributor, id) = (handle::to_arc(distributor)?, arg::text("id", id)?);
    Ok(status::found(distributor.destroy(id, arg::backend(backend)?)?))
}

/// Closes every live store, as `kvds_close()` does, and refuses to hand out stores from then on.
///
/// The references held because of the option `keep_stores` are released. References that the
/// program holds must still be released. Called from a callback, it does not wait for running
/// calls.
///
/// @return
/// - `KVDS_OK`: also the second time
/// - `KVDS_INVALID_ARGUMENT`: NULL
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_shutdown(
    distributor: *mut kvds_distributor,
) -> kvds_status {
    boundary::status("kvds_distributor_shutdown", || {
        handle::to_arc(distributor)?.shutdown();
        Ok(KVDS_OK)
    })
}

/// Returns the number of live stores of all backends; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_store_count(
    distributor: *const kvds_distributor,
) -> usize {
    boundary::value("kvds_distributor_store_count", 0, || {
        Ok(handle::get(distributor).map_or(0, |distributor| distributor.store_count()))
    })
}

/// Called for each live store. Return 0 to stop, anything else to continue.
///
/// `id` is valid during the call only.
pub type kvds_store_visit = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        id: *const c_char,
        backend: kvds_backend,
        tag: u64,
        ref_count: i64,
    ) -> c_int,
>;

/// Calls `callback` for every live store: memory stores first, then disk stores, then cluster
/// stores, each by name.
///
/// Stores that are created or destroyed in the meantime may or may not be included.
///
/// @return
/// - `KVDS_OK`
/// - `KVDS_STOPPED`: the callback returned 0
/// - `KVDS_INVALID_ARGUMENT`: a NULL
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_for_each(
    distributor: *const kvds_distributor,
    callback: kvds_store_visit,
    user_data: *mut c_void,
) -> kvds_status {
    boundary::status("kvds_distributor_for_each", || {
        let distributor = handle::to_arc(distributor)?;
        let visit = arg::callback("callback", callback)?;
        Ok(status::finished(distributor.for_each(|store| {
            let identity = store.identity;
            let backend = backend_number(identity.backend);
            visit(user_data, identity.id.as_ptr(), backend, identity.tag, store.references) != 0
        })))
    })
}

/// Returns the number of a backend.
pub(super) fn backend_number(backend: Backend) -> kvds_backend {
    match backend {
        Backend::Memory => KVDS_MEMORY,
        Backend::Disk => KVDS_DISK,
        Backend::Cluster => KVDS_CLUSTER,
    }
}
