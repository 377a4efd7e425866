//! Observers.
//!
//! An observer is a callback that is called when a store of a distributor dies: once per store, on
//! the thread that released the last reference, after the store's resources are freed and its name
//! is free again, and without any lock of the library held.

use std::ffi::{c_char, c_void};

use super::arg;
use super::boundary;
use super::distributor::{backend_number, kvds_backend, kvds_distributor};
use super::handle;
use super::status::{self, KVDS_OK, kvds_status};
use crate::sys::reentrancy;

/// Called when a store is destroyed.
///
/// `id` is valid during the call only. The callback may ask the distributor for the same id again.
pub type kvds_death = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        tag: u64,
        id: *const c_char,
        backend: kvds_backend,
    ),
>;

/// Frees the `user_data` of a callback. It may call any function of the library.
pub type kvds_user_data_free = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// Registers an observer of the deaths of the distributor's stores.
///
/// Calls of one observer may overlap.
///
/// @param user_data  passed to each call.
/// @param user_data_free  called with `user_data` exactly once: when the observer is removed, when
///   the distributor and all its stores are gone, or at once if this function fails. May be NULL.
/// @param[out] observer_id  the number for kvds_distributor_unobserve(), unique in the distributor.
/// @return
/// - `KVDS_OK`
/// - `KVDS_INVALID_ARGUMENT`: a NULL
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_observe(
    distributor: *mut kvds_distributor,
    on_death: kvds_death,
    user_data: *mut c_void,
    user_data_free: kvds_user_data_free,
    observer_id: *mut u64,
) -> kvds_status {
    boundary::status("kvds_distributor_observe", || {
        let user_data = UserData { data: user_data, free: user_data_free };
        let observer_id = arg::out("observer_id", observer_id, 0)?;
        let distributor = handle::get(distributor)?;
        let on_death = arg::callback("on_death", on_death)?;
        observer_id.set(distributor.observers().add(move |death| {
            // The closure captures the whole struct, which is `Send`, and not only the pointer.
            let user_data = &user_data;
            on_death(user_data.data, death.tag, death.id.as_ptr(), backend_number(death.backend));
        }));
        Ok(KVDS_OK)
    })
}

/// Removes an observer.
///
/// When this function returns, no call of the observer is running or will come, and its
/// `user_data_free` has been called. If a callback calls it, it does not wait for calls that are
/// still running; `user_data_free` is then called when the last of them ends.
///
/// @return
/// - `KVDS_OK`
/// - `KVDS_NOT_FOUND`: there is no such observer
/// - `KVDS_INVALID_ARGUMENT`: NULL
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_unobserve(
    distributor: *mut kvds_distributor,
    observer_id: u64,
) -> kvds_status {
    boundary::status("kvds_distributor_unobserve", || {
        let distributor = handle::to_arc(distributor)?;
        Ok(status::found(distributor.observers().remove(observer_id)))
    })
}

/// The `user_data` of an observer. Dropping it frees it.
struct UserData {
    data: *mut c_void,
    free: kvds_user_data_free,
}

// SAFETY: the header says that any thread may call an observer and free its data.
unsafe impl Send for UserData {}
// SAFETY: as above; the caller's function synchronizes its own data.
unsafe impl Sync for UserData {}

impl Drop for UserData {
    fn drop(&mut self) {
        if let Some(free) = self.free {
            // SAFETY: the caller of `kvds_distributor_observe` passed a function of this type for
            // this data.
            reentrancy::run(|| unsafe { free(self.data) });
        }
    }
}
