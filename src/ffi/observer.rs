//! Death observers.

use std::ffi::c_void;

use super::arg;
use super::boundary;
use super::handle::{self, kvds_distributor};
use super::status::{self, KVDS_OK, kvds_status};
use super::types::{kvds_death, kvds_user_data_free, number};
use crate::callback;

/// What the host gave an observer to remember, and how to free it: once, when this is dropped.
struct UserData {
    data: *mut c_void,
    free: kvds_user_data_free,
}

// SAFETY: the header says that observers are called and freed on any thread.
unsafe impl Send for UserData {}
// SAFETY: as above; the host's function sees to its own data.
unsafe impl Sync for UserData {}

impl Drop for UserData {
    fn drop(&mut self) {
        if let Some(free) = self.free {
            // SAFETY: the caller passed a function of this type.
            callback::run(|| unsafe { free(self.data) });
        }
    }
}

/// Has `on_death` called when a store of `distributor` dies: once per store, on the thread that released it last, after its
/// resources are freed and its name is free again, and with no lock of the library held.
///
/// `user_data` is passed to each call. `user_data_free`, if not NULL, is called with it exactly once: when the observer is
/// taken away, or when the distributor and all its stores are gone, or at once if this call fails.
/// `*observer_id` becomes a number for `kvds_distributor_unobserve`, unique in the distributor.
///
/// Answers `KVDS_OK`, or `KVDS_INVALID_ARGUMENT` for a NULL. Threads: any; calls of one observer may overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_observe(
    distributor: *const kvds_distributor,
    on_death: kvds_death,
    user_data: *mut c_void,
    user_data_free: kvds_user_data_free,
    observer_id: *mut u64,
) -> kvds_status {
    boundary::status("kvds_distributor_observe", || {
        let user_data = UserData { data: user_data, free: user_data_free };
        // SAFETY: the caller keeps the rules for pointers.
        unsafe {
            let observer_id = arg::out("observer_id", observer_id, 0)?;
            let distributor = handle::get(distributor)?;
            let on_death = arg::callback("on_death", on_death)?;
            observer_id.set(distributor.observers().add(move |death| {
                // The whole of it moves in, not only the pointer in it.
                let user_data = &user_data;
                on_death(user_data.data, death.tag, death.id.as_ptr(), number(death.backend));
            }));
        }
        Ok(KVDS_OK)
    })
}

/// Takes an observer away. When this returns, no call of it is running or will come, and its `user_data_free` has run.
///
/// Only from inside a callback, calls that are still running, further down on this thread or on others, are not waited for,
/// as they could be waiting in turn; `user_data_free` then runs when the last of them ends.
///
/// Answers `KVDS_OK`; `KVDS_NOT_FOUND` if there is no such observer; `KVDS_INVALID_ARGUMENT` for NULL. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_distributor_unobserve(
    distributor: *const kvds_distributor,
    observer_id: u64,
) -> kvds_status {
    boundary::status("kvds_distributor_unobserve", || {
        // SAFETY: the caller keeps the rules for pointers.
        let distributor = unsafe { handle::kept(distributor)? };
        Ok(status::found(distributor.observers().remove(observer_id)))
    })
}
