//! Calls that write.

use std::ptr;

use arbitrary::{Result, Unstructured};
use kvds::testing::ffi::*;

use super::inputs::{array, keys, slice};
use super::{Objects, checked};

impl Objects {
    pub fn write(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        let store = self.some_store(bytes)?;
        let ((key, key_len), (value, value_len)) = (slice(bytes)?, slice(bytes)?);
        // SAFETY: an invalid handle is NULL or a handle of another kind; an invalid array is NULL,
        // not aligned, or longer than memory.
        unsafe {
            checked(match bytes.int_in_range(0..=8_u8)? {
                0..=1 => kvds_set(store, key, key_len, value, value_len),
                2 => kvds_del(store, key, key_len),
                3 => kvds_set_nx(store, key, key_len, value, value_len),
                4 => {
                    let (expected, expected_len) = slice(bytes)?;
                    kvds_compare_and_swap(
                        store,
                        key,
                        key_len,
                        expected,
                        expected_len,
                        value,
                        value_len,
                    )
                }
                5 => kvds_compare_and_delete(store, key, key_len, value, value_len),
                6 => {
                    let mut sum = 7;
                    let out = if bytes.ratio(7, 8)? { &raw mut sum } else { ptr::null_mut() };
                    let status = kvds_add(store, key, key_len, bytes.arbitrary()?, out);
                    assert!(
                        status == KVDS_OK || out.is_null() || sum == 0,
                        "the output of a failed call must be empty"
                    );
                    status
                }
                7 => {
                    let pair = |_| {
                        let ((key, key_len), (value, value_len)) = (slice(bytes)?, slice(bytes)?);
                        Ok(kvds_pair { key, key_len, value, value_len })
                    };
                    let pairs = (0..3).map(pair).collect::<Result<Vec<kvds_pair>>>()?;
                    let (pairs, count) = array(bytes, &pairs)?;
                    kvds_set_batch(store, pairs, count)
                }
                _ if bytes.arbitrary()? => kvds_delete_prefix(store, key, key_len),
                _ => {
                    let keys = keys(bytes)?;
                    let (keys, count) = array(bytes, &keys)?;
                    kvds_delete_batch(store, keys, count)
                }
            });
        }
        Ok(())
    }
}
