//! Calls on references to stores, and on views.

use std::ptr;

use arbitrary::{Result, Unstructured};
use kvds::testing::ffi::*;

use super::inputs::slice;
use super::{Objects, checked, succeeded};

impl Objects {
    pub fn store(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        let store = self.some_store(bytes)?;
        let mut view = ptr::null_mut();
        // SAFETY: an invalid argument is one that the library detects.
        unsafe {
            match bytes.int_in_range(0..=9_u8)? {
                0 => {
                    let same = kvds_store_retain(store);
                    if !same.is_null() {
                        assert_eq!(same, store);
                        self.keep_store(same);
                    }
                }
                1..=2 => {
                    if !self.stores.is_empty() {
                        let index = bytes.choose_index(self.stores.len())?;
                        assert!(kvds_store_release(self.stores.swap_remove(index)) >= 0);
                    }
                }
                3 if bytes.ratio(1, 4)? => drop(checked(kvds_close(store))),
                3 | 4 => {
                    if succeeded(
                        kvds_store_view(store, bytes.int_in_range(-1..=4)?, &mut view),
                        view,
                    ) {
                        self.keep_store(view);
                    }
                }
                5..=6 => {
                    let (data, len) = slice(bytes)?;
                    if succeeded(kvds_store_scope(store, data, len, &mut view), view) {
                        self.keep_store(view);
                    }
                }
                7 => {
                    if succeeded(kvds_store_snapshot(store, &mut view), view) {
                        self.keep_store(view);
                    }
                }
                8 => {
                    checked(kvds_store_snapshot(store, ptr::null_mut()));
                    kvds_store_release(ptr::null_mut());
                    kvds_value_release(ptr::null_mut());
                }
                _ => {
                    kvds_store_ref_count(store);
                    kvds_store_tag(store);
                    kvds_store_id(store);
                    kvds_store_backend(store);
                    kvds_is_open(store);
                }
            }
        }
        Ok(())
    }
}
