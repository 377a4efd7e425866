//! Calls on watches.

use std::ptr;

use arbitrary::{Result, Unstructured};
use kvds::testing::ffi::*;

use super::inputs::{odd, slice};
use super::{KEPT, Objects, checked};

/// Checks the status of a call that may find that changes were missed.
fn checked_or_expired(status: kvds_status) -> kvds_status {
    if status == KVDS_EXPIRED { status } else { checked(status) }
}

impl Objects {
    pub fn watch(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        let watch = match bytes.int_in_range(0..=7_u8)? {
            0 => ptr::null_mut(),
            _ if self.watches.is_empty() => ptr::null_mut(),
            _ => *bytes.choose(&self.watches)?,
        };
        // SAFETY: an invalid argument is one that the library detects.
        unsafe {
            match bytes.int_in_range(0..=7_u8)? {
                which @ 0..=2 => {
                    let store = self.some_store(bytes)?;
                    let ((prefix, prefix_len), (start, start_len), (end, end_len)) =
                        (slice(bytes)?, slice(bytes)?, slice(bytes)?);
                    let range = kvds_range { prefix, prefix_len, start, start_len, end, end_len };
                    let range: *const kvds_range =
                        if bytes.arbitrary()? { &raw const range } else { ptr::null() };
                    let mut made = odd();
                    let status = match which {
                        0 => kvds_watch_from(store, range, bytes.arbitrary()?, &mut made),
                        _ => kvds_watch_new(store, range, &mut made),
                    };
                    assert_eq!(checked_or_expired(status) == KVDS_OK, !made.is_null());
                    if !made.is_null() {
                        self.watches.push(made);
                    }
                    if self.watches.len() > KEPT {
                        kvds_watch_free(self.watches.remove(0));
                    }
                }
                3 => assert_eq!(kvds_watch_fd(watch) == -1, watch.is_null()),
                4 => drop(checked(kvds_watch_next(watch, 0, ptr::null_mut()))),
                _ => {
                    let mut change = std::mem::zeroed::<kvds_change>();
                    change.key = odd();
                    let timeout = bytes.int_in_range(0..=1)?;
                    let status = kvds_watch_next(watch, timeout, &mut change);
                    assert_eq!(checked_or_expired(status) == KVDS_OK, !change.key.is_null());
                    if status == KVDS_OK {
                        // All bytes are readable.
                        let key = std::slice::from_raw_parts(change.key.cast(), change.key_len);
                        let value =
                            std::slice::from_raw_parts(change.value.cast(), change.value_len);
                        let bytes: [&[u8]; 2] = [key, value];
                        std::hint::black_box(bytes.concat());
                    }
                }
            }
        }
        Ok(())
    }
}
