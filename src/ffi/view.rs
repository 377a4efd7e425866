//! Views and snapshots.
//!
//! A view is a store like any other, and every function works on it. It shows another store with
//! fewer rights, only a part of its keys, or a snapshot of it. A view has its own reference count.
//! It holds a reference to its store, and its tag, id and backend are that store's. Closing a view
//! closes the view alone; closing the store closes its views too. The end of a view is not
//! observed. A view of a view is a view of the same store, and does not need the view that it was
//! made from. All functions here return:
//! - `KVDS_OK`
//! - `KVDS_INVALID_ARGUMENT`: a NULL
//! - `KVDS_CLOSED`, `KVDS_FORKED`
//!
//! A snapshot of a cluster store ends when the operator compacts the cluster: its reads then return
//! `KVDS_EXPIRED`. The snapshot stays an error, so take a new one. etcd alone does not compact, but
//! many clusters do so every few minutes.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::Arc;

use super::arg;
use super::boundary;
use super::distributor::kvds_store;
use super::handle;
use super::status::{KVDS_OK, kvds_status};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::store::views::{self, Restricted, Rights, Scoped, SnapshotView};

/// The view may be read.
pub const KVDS_VIEW_READ: c_int = 1;
/// The view may be written, also with conditional writes, which reveal whether a key exists.
pub const KVDS_VIEW_WRITE: c_int = 2;

/// Creates a view that permits only some operations of those that `store` permits.
///
/// Operations that the view does not permit return `KVDS_DENIED`.
///
/// @param rights  `KVDS_VIEW_READ`, `KVDS_VIEW_WRITE`, or both (or-ed).
/// @param[out] out  a reference that the caller owns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_store_view(
    store: *mut kvds_store,
    rights: c_int,
    out: *mut *mut kvds_store,
) -> kvds_status {
    boundary::status("kvds_store_view", || {
        open(store, out, || {
            if rights & !(KVDS_VIEW_READ | KVDS_VIEW_WRITE) != 0 || rights == 0 {
                return Err(Error::invalid(format!(
                    "rights is {rights}; KVDS_VIEW_READ is 1, KVDS_VIEW_WRITE 2, both 3"
                )));
            }
            let rights =
                Rights { read: rights & KVDS_VIEW_READ != 0, write: rights & KVDS_VIEW_WRITE != 0 };
            Ok(move |engine| -> Result<Arc<dyn Engine>> {
                Ok(Arc::new(Restricted::new(engine, rights)))
            })
        })
    })
}

/// Creates a view of the keys of `store` that begin with `prefix`.
///
/// Keys are without the prefix, in arguments and in results; no other key can be reached through
/// the view. Writes go to the store. The prefix and a key together may have `KVDS_MAX_KEY_LEN`
/// bytes.
///
/// @param[out] out  a reference that the caller owns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_store_scope(
    store: *mut kvds_store,
    prefix: *const c_void,
    prefix_len: usize,
    out: *mut *mut kvds_store,
) -> kvds_status {
    boundary::status("kvds_store_scope", || {
        open(store, out, || {
            let prefix = arg::key("prefix", prefix, prefix_len)?;
            Ok(move |engine| -> Result<Arc<dyn Engine>> {
                Ok(Arc::new(Scoped::new(engine, prefix)))
            })
        })
    })
}

/// Creates a snapshot: a read-only view of `store` that no later write changes.
///
/// Writes to the view return `KVDS_DENIED`. The data is not copied; what is overwritten or deleted
/// while the view exists is kept for it. The call also returns `KVDS_DENIED` if `store` is a view
/// that does not permit reading, `KVDS_IO` on disk stores, and on cluster stores `KVDS_BUSY`,
/// `KVDS_DENIED` and `KVDS_IO`, as the section "Read" says.
///
/// @param[out] out  a reference that the caller owns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_store_snapshot(
    store: *const kvds_store,
    out: *mut *mut kvds_store,
) -> kvds_status {
    boundary::status("kvds_store_snapshot", || {
        open(store, out, || {
            Ok(|engine| -> Result<Arc<dyn Engine>> { Ok(Arc::new(SnapshotView::new(engine)?)) })
        })
    })
}

/// Opens a view of `store` with the function that `check` returns. `check` runs after the output is
/// set to NULL.
unsafe fn open<M: FnOnce(Arc<dyn Engine>) -> Result<Arc<dyn Engine>>>(
    store: *const kvds_store,
    out: *mut *mut kvds_store,
    check: impl FnOnce() -> Result<M>,
) -> Result<kvds_status> {
    let out = arg::out("out", out, ptr::null_mut())?;
    let store = handle::to_ref(store)?;
    out.set(handle::from_ref(views::open(&store, check()?)?));
    Ok(KVDS_OK)
}
