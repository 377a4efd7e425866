//! Calls on cursors.

use std::ffi::c_void;
use std::ptr;

use arbitrary::{Result, Unstructured};
use kvds::testing::ffi::*;

use super::inputs::{odd, slice};
use super::{KEPT, Objects, checked, succeeded};

impl Objects {
    pub fn cursor(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        let cursor = match bytes.int_in_range(0..=7_u8)? {
            0 => ptr::null_mut(),
            _ if self.cursors.is_empty() => ptr::null_mut(),
            _ => *bytes.choose(&self.cursors)?,
        };
        // SAFETY: an invalid argument is one that the library detects.
        unsafe {
            match bytes.int_in_range(0..=9_u8)? {
                0..=1 => {
                    let store = self.some_store(bytes)?;
                    let ((prefix, prefix_len), (start, start_len), (end, end_len)) =
                        (slice(bytes)?, slice(bytes)?, slice(bytes)?);
                    let range = kvds_range { prefix, prefix_len, start, start_len, end, end_len };
                    let range: *const kvds_range =
                        if bytes.arbitrary()? { &raw const range } else { ptr::null() };
                    let mut made = ptr::null_mut();
                    if succeeded(kvds_cursor_new(store, range, &mut made), made) {
                        self.cursors.push(made);
                    }
                    if self.cursors.len() > KEPT {
                        kvds_cursor_free(self.cursors.remove(0));
                    }
                }
                2 => drop(checked(kvds_cursor_first(cursor))),
                3 => drop(checked(kvds_cursor_last(cursor))),
                4 => {
                    let (key, len) = slice(bytes)?;
                    checked(kvds_cursor_seek(cursor, key, len));
                }
                5 => drop(checked(kvds_cursor_next(cursor))),
                6 => drop(checked(kvds_cursor_prev(cursor))),
                7 => {
                    kvds_cursor_valid(cursor);
                    checked(kvds_cursor_key(cursor, ptr::null_mut()));
                    let mut left = 99;
                    checked(kvds_cursor_ttl(cursor, &mut left));
                    assert!(left >= -1);
                }
                _ => {
                    let mut key = kvds_bytes { data: odd::<c_void>(), len: 1 };
                    let mut value = kvds_bytes { data: odd::<c_void>(), len: 1 };
                    let status = checked(kvds_cursor_key(cursor, &mut key));
                    assert_eq!(status, checked(kvds_cursor_value(cursor, &mut value)));
                    assert!(status == KVDS_OK || key.data.is_null() && value.data.is_null());
                    assert!(
                        cursor.is_null() || (status == KVDS_OK) == (kvds_cursor_valid(cursor) == 1)
                    );
                    if status == KVDS_OK && key.len > 0 {
                        // All bytes of the pair are readable.
                        let shown = std::slice::from_raw_parts(key.data.cast::<u8>(), key.len);
                        std::hint::black_box(shown.iter().fold(0_u8, |sum, byte| sum ^ byte));
                    }
                }
            }
        }
        Ok(())
    }
}
