//! Durability and maintenance.
//!
//! All functions work on stores and on views. Each also returns:
//! - `KVDS_INVALID_ARGUMENT`: a NULL
//! - `KVDS_CLOSED`
//! - `KVDS_IO`, `KVDS_NO_SPACE`, `KVDS_FORKED`: on disk stores
//!
//! On a cluster store, `kvds_sync()`, `kvds_compact()` and `kvds_refresh()` have no effect: a
//! majority of the members has synced an acknowledged write, compaction is the operator's, and
//! every read sees the writes of other processes. `kvds_checkpoint()` also returns `KVDS_BUSY`,
//! `KVDS_EXPIRED`, `KVDS_DENIED` and `KVDS_FORKED`, as the section "Read" says.

use std::ffi::c_char;
use std::path::Path;

use super::arg;
use super::boundary;
use super::distributor::kvds_store;
use super::handle;
use super::status::{KVDS_OK, kvds_status};

/// Makes every acknowledged write to `store` survive a power failure, whatever `durability` says.
///
/// No effect in memory and on a cluster. After an error, no more than before is certain to survive.
///
/// @return
/// - `KVDS_OK`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_sync(store: *mut kvds_store) -> kvds_status {
    boundary::status("kvds_sync", || handle::get(store)?.sync().map(|()| KVDS_OK))
}

/// Reclaims the disk space of overwritten and deleted entries at once, instead of over time.
///
/// It can take long; reads and writes continue in the meantime. No effect in memory and on a
/// cluster. Merging files takes disk space until it is done. Where there is too little, files stay
/// as they are. That is no error, and the log callback gets a warning.
///
/// @return
/// - `KVDS_OK`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_compact(store: *mut kvds_store) -> kvds_status {
    boundary::status("kvds_compact", || handle::get(store)?.compact().map(|()| KVDS_OK))
}

/// Shows what another process has written to a store that was opened with the option `read_only`.
///
/// Snapshots and cursors do not change. No effect on other stores.
///
/// @return
/// - `KVDS_OK`
/// - `KVDS_CORRUPTION`
/// - `KVDS_BUSY`: the other process writes faster than the store can be opened; try again
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_refresh(store: *mut kvds_store) -> kvds_status {
    boundary::status("kvds_refresh", || handle::get(store)?.refresh().map(|()| KVDS_OK))
}

/// Copies what `store` shows now to a new disk store in the directory `path`.
///
/// Another distributor can open the copy: the parent directory is its base path, and the last
/// component is the id; `kvds_store_open()` opens it by its path. A disk store is copied by hard
/// links where the file system supports them, which takes little time and space. Anything else is
/// read and written. Writes to the store continue in the meantime. The copy is made in a directory
/// `.kvds-copy-*` beside `path`; the next copy removes those of processes that died.
///
/// @param path  must not exist; the directories above it are created.
/// @return
/// - `KVDS_OK`
/// - `KVDS_INVALID_ARGUMENT`: also if `path` exists
/// - `KVDS_DENIED`: a view that does not permit reading
/// - `KVDS_UNSUPPORTED`: a build without disk stores
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_checkpoint(
    store: *const kvds_store,
    path: *const c_char,
) -> kvds_status {
    boundary::status("kvds_checkpoint", || {
        let (store, path) = (handle::get(store)?, arg::path("path", path)?);
        store.checkpoint(Path::new(&path)).map(|()| KVDS_OK)
    })
}
