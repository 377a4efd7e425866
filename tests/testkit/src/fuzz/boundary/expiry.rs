//! Calls about times to live.

use std::ptr;

use arbitrary::{Result, Unstructured};
use kvds::testing::ffi::*;

use super::inputs::slice;
use super::{Objects, checked};

impl Objects {
    pub fn expiry(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        let store = self.some_store(bytes)?;
        let batch =
            if bytes.ratio(7, 8)? { *bytes.choose(&self.batches)? } else { ptr::null_mut() };
        let ((key, key_len), (value, value_len)) = (slice(bytes)?, slice(bytes)?);
        let ttl =
            if bytes.arbitrary()? { bytes.int_in_range(0..=9)? } else { bytes.arbitrary()? };
        // SAFETY: an invalid argument is one that the library detects.
        unsafe {
            checked(match bytes.int_in_range(0..=5_u8)? {
                0 => kvds_set_ttl(store, key, key_len, value, value_len, ttl),
                1 => kvds_set_nx_ttl(store, key, key_len, value, value_len, ttl),
                2 => kvds_expire(store, key, key_len, ttl),
                3 => kvds_batch_set_ttl(batch, key, key_len, value, value_len, ttl),
                4 => kvds_batch_expire(batch, key, key_len, ttl),
                _ => {
                    let mut left = 7;
                    let out = if bytes.ratio(7, 8)? { &raw mut left } else { ptr::null_mut() };
                    let status = kvds_ttl(store, key, key_len, out);
                    assert!(
                        status == KVDS_OK || out.is_null() || left == 0,
                        "the output of a failed call must be empty"
                    );
                    status
                }
            });
        }
        Ok(())
    }
}
