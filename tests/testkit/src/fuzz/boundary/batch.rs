//! Calls on batches.

use std::ptr;

use arbitrary::{Result, Unstructured};
use kvds::testing::ffi::*;

use super::inputs::slice;
use super::{KEPT, Objects, checked};

impl Objects {
    pub fn batch(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        let batch =
            if bytes.ratio(7, 8)? { *bytes.choose(&self.batches)? } else { ptr::null_mut() };
        let ((key, key_len), (value, value_len)) = (slice(bytes)?, slice(bytes)?);
        // SAFETY: an invalid argument is one that the library detects.
        unsafe {
            match bytes.int_in_range(0..=8_u8)? {
                0 if self.batches.len() < KEPT => self.batches.push(kvds_batch_new()),
                0 | 1 => kvds_batch_clear(batch),
                2 | 3 => drop(checked(kvds_batch_set(batch, key, key_len, value, value_len))),
                4 => drop(checked(kvds_batch_del(batch, key, key_len))),
                5 => drop(checked(kvds_batch_expect(batch, key, key_len, value, value_len))),
                6 => drop(checked(kvds_batch_expect_absent(batch, key, key_len))),
                _ => {
                    let store = self.some_store(bytes)?;
                    let count = kvds_batch_count(batch);
                    checked(kvds_write(store, batch));
                    assert_eq!(
                        kvds_batch_count(batch),
                        count,
                        "writing a batch must not change it"
                    );
                }
            }
        }
        Ok(())
    }
}
