//! Calls that read, and a callback that writes and reads inside of an iteration.

use std::ffi::{c_int, c_void};
use std::ptr;

use arbitrary::{Result, Unstructured};
use kvds::testing::ffi::*;

use super::inputs::{array, keys, odd, slice};
use super::{NO_VALUE, Objects, checked, succeeded};

impl Objects {
    pub fn read(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        let store = self.some_store(bytes)?;
        let (key, key_len) = slice(bytes)?;
        // SAFETY: an invalid argument is one that the library detects.
        unsafe {
            match bytes.int_in_range(0..=5_u8)? {
                0 => {
                    let mut value = NO_VALUE;
                    if succeeded(kvds_get(store, key, key_len, &mut value), value.data.cast_mut()) {
                        self.keep_value(value);
                    }
                    checked(kvds_get(store, key, key_len, ptr::null_mut()));
                }
                1 => {
                    let mut room = [0_u8; 64];
                    let mut len = 1;
                    let (buffer, capacity) = match bytes.int_in_range(0..=3_u8)? {
                        0 => (ptr::null_mut(), bytes.arbitrary()?),
                        1 => (room.as_mut_ptr().cast(), usize::MAX),
                        _ => (room.as_mut_ptr().cast(), bytes.int_in_range(0..=room.len())?),
                    };
                    let status =
                        checked(kvds_get_into(store, key, key_len, buffer, capacity, &mut len));
                    let told = status == KVDS_OK || status == KVDS_TRUNCATED;
                    assert!(told || len == 0, "the output of a failed call must be empty");
                    checked(kvds_get_into(store, key, key_len, buffer, capacity, ptr::null_mut()));
                }
                2 => drop(checked(kvds_exists(store, key, key_len))),
                3 => {
                    let keys = keys(bytes)?;
                    let mut values = [const { NO_VALUE }; 3];
                    let mut statuses = [KVDS_OK; 3];
                    // The outputs have room for all keys, so a wrong count comes with an invalid
                    // output.
                    let (keys_at, count) = array(bytes, &keys)?;
                    let fits = count <= 3;
                    let values_at =
                        if fits && bytes.ratio(7, 8)? { values.as_mut_ptr() } else { odd() };
                    let statuses_at =
                        if fits && bytes.ratio(7, 8)? { statuses.as_mut_ptr() } else { odd() };
                    let status =
                        checked(kvds_multi_get(store, keys_at, count, values_at, statuses_at));
                    for value in values {
                        assert!(
                            status == KVDS_OK || value.data.is_null(),
                            "the output of a failed call must be empty"
                        );
                        self.keep_value(value);
                    }
                }
                _ => {
                    let callback: kvds_visit = if bytes.ratio(7, 8)? { Some(visit) } else { None };
                    let mut visitor = Visitor { store, left: bytes.int_in_range(0..=5)? };
                    checked(kvds_iterate(store, key, key_len, callback, (&raw mut visitor).cast()));
                }
            }
        }
        Ok(())
    }
}

/// The user data of an iteration.
struct Visitor {
    store: *mut kvds_store,
    left: u8,
}

/// Writes to the store of the iteration, and starts another iteration inside.
extern "C" fn visit(
    data: *mut c_void,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
) -> c_int {
    // SAFETY: the data is the `Visitor` of the call, which has it exclusively.
    unsafe {
        let visitor = data.cast::<Visitor>();
        if (*visitor).left == 0 {
            return 0;
        }
        (*visitor).left -= 1;
        let store = (*visitor).store;
        checked(kvds_set(store, value, value_len.min(KVDS_MAX_KEY_LEN), key, key_len));
        checked(kvds_iterate(store, key, key_len, Some(visit), data));
        c_int::from((*visitor).left)
    }
}
