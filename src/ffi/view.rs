//! Views of a store.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::Arc;

use super::arg;
use super::boundary;
use super::handle::{self, kvds_store};
use super::status::{KVDS_OK, kvds_status};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::view::{self, Moment, Restricted, Rights, Scoped};

/// The view may be read.
pub const KVDS_VIEW_READ: c_int = 1;
/// The view may be written: sets, dels, batches and conditional writes, which tell whether a key is there.
pub const KVDS_VIEW_WRITE: c_int = 2;

/// A view of `store` that allows only what `rights` names, of what `store` allows: `KVDS_VIEW_READ`, `KVDS_VIEW_WRITE`, or
/// both (or-ed). What it does not allow answers `KVDS_DENIED`.
///
/// What holds for every view: it is a store like any other, so that every function works on it. It has a reference count
/// of its own, and holds one reference to the store that it is a view of, which so stays alive (views made from a view share
/// its one); its tag, id and backend are that store's. Closing it closes the view alone; closing the store answers `KVDS_CLOSED` on its views too. Its end is not
/// observed. A view of a view is a view of the same store and does not need the view it was made from.
///
/// `*out` becomes a reference that the caller owns, or NULL. Answers `KVDS_OK`; `KVDS_INVALID_ARGUMENT` for a NULL or other
/// rights; `KVDS_CLOSED`; `KVDS_FORKED`. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_store_view(
    store: *const kvds_store,
    rights: c_int,
    out: *mut *mut kvds_store,
) -> kvds_status {
    // SAFETY: the caller keeps the rules for pointers.
    boundary::status("kvds_store_view", || unsafe {
        open(store, out, || {
            if rights & !(KVDS_VIEW_READ | KVDS_VIEW_WRITE) != 0 || rights == 0 {
                return Err(Error::invalid(format!(
                    "rights is {rights}; KVDS_VIEW_READ is 1, KVDS_VIEW_WRITE 2, both 3"
                )));
            }
            let rights = Rights { read: rights & KVDS_VIEW_READ != 0, write: rights & KVDS_VIEW_WRITE != 0 };
            Ok(move |engine| -> Result<Arc<dyn Engine>> { Ok(Arc::new(Restricted::new(engine, rights))) })
        })
    })
}

/// A view of the part of `store` whose keys begin with `prefix`. Through it every key is without the prefix, in what is
/// passed and in what is shown; no other key can be reached. Writes go to the store. See `kvds_store_view` for what holds
/// for every view.
///
/// The prefix is copied. It and a key together may have `KVDS_MAX_KEY_LEN` bytes. `*out` becomes a reference that the
/// caller owns, or NULL. Answers `KVDS_OK`; `KVDS_INVALID_ARGUMENT` for a NULL or a prefix longer than `KVDS_MAX_KEY_LEN`;
/// `KVDS_CLOSED`; `KVDS_FORKED`. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_store_scope(
    store: *const kvds_store,
    prefix: *const c_void,
    prefix_len: usize,
    out: *mut *mut kvds_store,
) -> kvds_status {
    // SAFETY: the caller keeps the rules for pointers.
    boundary::status("kvds_store_scope", || unsafe {
        open(store, out, || {
            let prefix = arg::key("prefix", prefix, prefix_len)?;
            Ok(move |engine| -> Result<Arc<dyn Engine>> { Ok(Arc::new(Scoped::new(engine, prefix))) })
        })
    })
}

/// A view of `store` as it is now, for as long as the view lives, whatever is written to the store. It cannot be written:
/// `KVDS_DENIED`. It costs no copy of the data; what is overwritten or removed while it lives is kept for it. See
/// `kvds_store_view` for what holds for every view.
///
/// `*out` becomes a reference that the caller owns, or NULL. Answers `KVDS_OK`; `KVDS_INVALID_ARGUMENT` for a NULL;
/// `KVDS_DENIED` of a view that can't be read; `KVDS_CLOSED`; on disk also `KVDS_IO` and `KVDS_FORKED`. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_store_snapshot(store: *const kvds_store, out: *mut *mut kvds_store) -> kvds_status {
    // SAFETY: the caller keeps the rules for pointers.
    boundary::status("kvds_store_snapshot", || unsafe {
        open(store, out, || Ok(|engine| -> Result<Arc<dyn Engine>> { Ok(Arc::new(Moment::new(engine)?)) }))
    })
}

/// Opens a view of `store` with what `check` gives, once the output is emptied.
unsafe fn open<M: FnOnce(Arc<dyn Engine>) -> Result<Arc<dyn Engine>>>(
    store: *const kvds_store,
    out: *mut *mut kvds_store,
    check: impl FnOnce() -> Result<M>,
) -> Result<kvds_status> {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe {
        let out = arg::out("out", out, ptr::null_mut())?;
        let store = handle::counted(store)?;
        out.set(handle::into(view::open(&store, check()?)?));
    }
    Ok(KVDS_OK)
}
