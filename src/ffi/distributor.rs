//! The distributor: from names to stores.

use std::ffi::{c_char, c_void};
use std::path::Path;
use std::ptr;

use super::arg;
use super::boundary;
use super::handle::{self, kvds_distributor, kvds_store};
use super::options::{self, kvds_options};
use super::status::{self, KVDS_NOT_FOUND, KVDS_OK, kvds_status};
use super::types::{kvds_backend, kvds_store_visit, number};
use crate::counted::Ref;
use crate::distributor::Distributor;
use crate::error::Result;
use crate::options::Options;

/// A distributor with default options, with one reference, which the caller owns.
///
/// `base_path` is the directory under which disk stores have theirs; it is made when the first disk store is. A relative
/// path counts from the working directory of this moment. With NULL or "" there are memory stores only.
///
/// Returns NULL on failure; `kvds_last_error` says why. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_new(base_path: *const c_char) -> *mut kvds_distributor {
    boundary::value("kvds_distributor_new", ptr::null_mut(), || {
        // SAFETY: the caller keeps the rules for pointers.
        let distributor = unsafe { open(base_path, &Options::default())? };
        Ok(handle::into(distributor))
    })
}

/// `kvds_distributor_new` with options and a status. `options` may be NULL for the defaults, and is copied.
///
/// `*out` becomes a reference that the caller owns, or NULL. Answers `KVDS_OK`; `KVDS_INVALID_ARGUMENT` if `out` is NULL or
/// the path is not UTF-8; `KVDS_IO` if a relative path cannot be resolved. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_open(
    base_path: *const c_char,
    options: *const kvds_options,
    out: *mut *mut kvds_distributor,
) -> kvds_status {
    boundary::status("kvds_distributor_open", || {
        // SAFETY: the caller keeps the rules for pointers.
        unsafe {
            let out = arg::out("out", out, ptr::null_mut())?;
            let distributor = open(base_path, &options::or_default(options))?;
            out.set(handle::into(distributor));
        }
        Ok(KVDS_OK)
    })
}

unsafe fn open(base_path: *const c_char, options: &Options) -> Result<Ref<Distributor>> {
    if base_path.is_null() {
        return Distributor::open(None, options);
    }
    // SAFETY: the caller keeps the rules for pointers.
    let path = unsafe { arg::utf8("base_path", base_path)? };
    Distributor::open((!path.is_empty()).then_some(Path::new(path)), options)
}

/// One more reference to `distributor`, which is returned; NULL for NULL. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_retain(distributor: *mut kvds_distributor) -> *mut kvds_distributor {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe { handle::retain("kvds_distributor_retain", distributor) }
}

/// Gives up a reference. Returns how many are left; 0 for NULL.
///
/// At 0 the distributor is gone, and with it the references that it held by the option `keep_stores`. Stores that the
/// program still holds go on, and their deaths are still observed. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_release(distributor: *mut kvds_distributor) -> i64 {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe { handle::release("kvds_distributor_release", distributor) }
}

/// How many references there are; 0 for NULL. Of use for tests and logs: other threads may change it at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_ref_count(distributor: *const kvds_distributor) -> i64 {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe { handle::get(distributor) }.map_or(0, |distributor| distributor.references())
}

/// The live store called `id` on `backend`, made if there is none. However many threads ask at once, all get the same.
///
/// Memory and disk stores have separate names. The id of a memory store is any bytes, 1 to 65536 of them. The id of a
/// disk store is UTF-8 and not empty; the store lives in the directory `base_path/NAME`, where NAME is the id with every
/// byte outside `A-Z a-z 0-9 . _ -` percent-encoded (`.` and `..` too), 255 bytes at most. If NAME is not there, but a
/// store lies under the plain id below `base_path` (`base_path/a b` for `a b`, `base_path/a/b` for `a/b`), as programs
/// that do not encode ids leave it, that store is opened; `kvds_store_open` opens any other.
///
/// The directory and those above it are created if they are missing; a creation that fails leaves none behind. A
/// directory without a store is refused if it holds a file whose name is one of a store's, such as `000001.log`, and
/// nothing in it is touched; other files (a README, `.gitkeep`, `lost+found`) are not in the way and stay.
///
/// One process at a time has a disk store open, by locks on the directory (`flock`) and on the file
/// `LOCK` in it (`fcntl`). They hold whatever the process does with these files: it may read or remove
/// `LOCK`. Readers (`read_only`) take no locks. Where the file system or the system refuses either
/// lock, the call returns `KVDS_IO`, and no store is made. On NFS, other machines heed the lock on
/// `LOCK` alone, so it must not be removed there.
///
/// Ids that differ only in case are one directory on file systems that ignore case. Opening the second
/// then returns `KVDS_LOCKED`, as for any two names of one directory.
///
/// A directory that is moved, removed or replaced while its store is open is left alone from then on,
/// and so is a new store in its place: writes and `kvds_sync` return `KVDS_IO` as soon as they need the
/// directory, at the latest when the write buffer is full. Reads go on. Writes go on when the directory
/// is moved back.
///
/// Directories have the mode 0777 and files 0644, both less the umask. Another user reads the store
/// (`read_only`) if the mode and the directories above allow that. Only the owner of the files writes.
///
/// `*out` becomes a new reference, which the caller owns and gives back with `kvds_store_release`, or NULL. If a disk
/// store of this name is just being closed, the call waits for that. Answers `KVDS_OK`; `KVDS_NOT_FOUND` if the store
/// is not there and the options say not to make it (`create_if_missing`, `read_only`); `KVDS_INVALID_ARGUMENT` for a
/// NULL, a bad id or backend, a disk store without a base path, a directory with files of others, or stores both under
/// NAME and under the plain id; `KVDS_CLOSED` after shutdown; `KVDS_LOCKED` if another process or distributor has the
/// store open; `KVDS_IO` (the text names the path that stands in the way, and where a link points), `KVDS_NO_SPACE`,
/// `KVDS_CORRUPTION` from opening the files; `KVDS_IO` also if the system allows no more threads; `KVDS_BUSY` with the
/// option `read_only` beside a writer that is too fast;
/// `KVDS_UNSUPPORTED` for a disk store in a build without them; `KVDS_FORKED` for a disk store if the distributor came
/// through fork(). Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_get_or_create(
    distributor: *const kvds_distributor,
    id: *const c_char,
    backend: kvds_backend,
    out: *mut *mut kvds_store,
) -> kvds_status {
    boundary::status("kvds_distributor_get_or_create", || {
        // SAFETY: the caller keeps the rules for pointers.
        unsafe {
            let out = arg::out("out", out, ptr::null_mut())?;
            let (distributor, id) = (handle::kept(distributor)?, arg::text("id", id)?);
            let store = distributor.get_or_create(id, arg::backend(backend)?)?;
            let Some(store) = store else { return Ok(KVDS_NOT_FOUND) };
            out.set(handle::into(store));
        }
        Ok(KVDS_OK)
    })
}

/// The live store called `id` on `backend`, if there is one; `KVDS_NOT_FOUND` if not, also when its files are on disk.
///
/// `*out` becomes a new reference, which the caller owns, or NULL. Fails as `kvds_distributor_get_or_create` does, but
/// opens nothing. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_get(
    distributor: *const kvds_distributor,
    id: *const c_char,
    backend: kvds_backend,
    out: *mut *mut kvds_store,
) -> kvds_status {
    boundary::status("kvds_distributor_get", || {
        // SAFETY: the caller keeps the rules for pointers.
        unsafe {
            let out = arg::out("out", out, ptr::null_mut())?;
            let (distributor, id) = (handle::kept(distributor)?, arg::text("id", id)?);
            let Some(store) = distributor.get(id, arg::backend(backend)?)? else { return Ok(KVDS_NOT_FOUND) };
            out.set(handle::into(store));
        }
        Ok(KVDS_OK)
    })
}

/// Gives up the reference that the distributor holds to a store by the option `keep_stores`. If it was the last one, the
/// store is closed and dies before this returns.
///
/// Answers `KVDS_OK`; `KVDS_NOT_FOUND` if the distributor holds none; `KVDS_INVALID_ARGUMENT`, `KVDS_UNSUPPORTED` and
/// `KVDS_FORKED` as `kvds_distributor_get_or_create` does. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_evict(
    distributor: *const kvds_distributor,
    id: *const c_char,
    backend: kvds_backend,
) -> kvds_status {
    boundary::status("kvds_distributor_evict", || {
        // SAFETY: the caller keeps the rules for pointers.
        let (distributor, id) = unsafe { (handle::kept(distributor)?, arg::text("id", id)?) };
        Ok(status::found(distributor.evict(id, arg::backend(backend)?)?))
    })
}

/// Removes the files of the disk store called `id`, for good. The store is found as `kvds_distributor_get_or_create` finds it.
/// Files of others stay, and then their directory.
///
/// Answers `KVDS_OK`; `KVDS_NOT_FOUND` if there are no files; `KVDS_BUSY` while the store is live, or something it handed
/// out is; `KVDS_LOCKED` if another process or distributor has it open; `KVDS_CLOSED` after shutdown; `KVDS_DENIED`
/// with the option `read_only`; `KVDS_IO` if the files cannot be removed; `KVDS_INVALID_ARGUMENT`, `KVDS_UNSUPPORTED` and `KVDS_FORKED` as `kvds_distributor_get_or_create`
/// does. Threads: any; who asks for the store meanwhile waits, and gets a new, empty one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_destroy_store(
    distributor: *const kvds_distributor,
    id: *const c_char,
) -> kvds_status {
    boundary::status("kvds_distributor_destroy_store", || {
        // SAFETY: the caller keeps the rules for pointers.
        let (distributor, id) = unsafe { (handle::kept(distributor)?, arg::text("id", id)?) };
        Ok(status::found(distributor.destroy_store(id)?))
    })
}

/// Closes every live store as `kvds_close` does, gives up the references held by the option `keep_stores`, and from then on
/// answers `KVDS_CLOSED` to whoever asks for a store. The references that the program holds must still be released.
///
/// Answers `KVDS_OK`, also the second time; `KVDS_INVALID_ARGUMENT` for NULL. Threads: any. From inside a callback it does
/// not wait for running calls.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_shutdown(distributor: *const kvds_distributor) -> kvds_status {
    boundary::status("kvds_distributor_shutdown", || {
        // SAFETY: the caller keeps the rules for pointers.
        unsafe { handle::kept(distributor)? }.shutdown();
        Ok(KVDS_OK)
    })
}

/// How many live stores the distributor has, of both backends; 0 for NULL. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_store_count(distributor: *const kvds_distributor) -> usize {
    boundary::value("kvds_distributor_store_count", 0, || {
        // SAFETY: the caller keeps the rules for pointers.
        Ok(unsafe { handle::get(distributor) }.map_or(0, |distributor| distributor.store_count()))
    })
}

/// Shows every live store to `callback`: memory stores first, then by the name of their directory. Stores that come or go
/// meanwhile may or may not be shown.
///
/// Answers `KVDS_OK`, or `KVDS_STOPPED` if the callback ended it; `KVDS_INVALID_ARGUMENT` for a NULL. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_for_each(
    distributor: *const kvds_distributor,
    callback: kvds_store_visit,
    user_data: *mut c_void,
) -> kvds_status {
    boundary::status("kvds_distributor_for_each", || {
        // SAFETY: the caller keeps the rules for pointers.
        let distributor = unsafe { handle::kept(distributor)? };
        let visit = arg::callback("callback", callback)?;
        Ok(status::finished(distributor.for_each(|store| {
            let identity = store.identity;
            // SAFETY: the caller passed a function of this type.
            unsafe {
                visit(user_data, identity.id.as_ptr(), number(identity.backend), identity.tag, store.references) != 0
            }
        })))
    })
}
