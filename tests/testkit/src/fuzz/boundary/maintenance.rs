//! Calls for maintenance, statistics and the log.

use std::ffi::CStr;
use std::ptr;

use arbitrary::{Result, Unstructured};
use kvds::testing::ffi::*;

use super::inputs::{some_text, text};
use super::{NO_VALUE, Objects, checked, succeeded};

impl Objects {
    pub fn maintenance(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        let store = self.some_store(bytes)?;
        // SAFETY: an invalid handle is NULL or a handle of another kind; a copy is written to our
        // own directory or not at all.
        unsafe {
            match bytes.int_in_range(0..=7_u8)? {
                0 => drop(checked(kvds_sync(store))),
                1 => drop(checked(kvds_compact(store))),
                2 => drop(checked(kvds_refresh(store))),
                3 => {
                    let base = self
                        .directory
                        .as_ref()
                        .map(|directory| directory.path().to_str().expect("UTF-8"));
                    let path = match (bytes.int_in_range(0..=4_u8)?, base) {
                        (0, _) => None,
                        (1, _) | (_, None) => Some(text(b"")),
                        (2, _) => Some(text(b"\xFF/\xFE")),
                        (3, Some(base)) => Some(text(base.as_bytes())),
                        (_, Some(base)) => {
                            self.copies += 1;
                            Some(text(format!("{base}/copy {}", self.copies).as_bytes()))
                        }
                    };
                    checked(kvds_checkpoint(
                        store,
                        path.as_deref().map_or(ptr::null(), CStr::as_ptr),
                    ));
                }
                4 => {
                    // Of no store, or of one that is open.
                    let path = match (&self.directory, bytes.ratio(1, 2)?) {
                        (Some(directory), true) => directory.path().join("a").into_os_string(),
                        _ => "absent".into(),
                    };
                    let path = text(path.as_encoded_bytes());
                    let mut salvaged = kvds_salvaged::default();
                    let out = if bytes.ratio(7, 8)? { &raw mut salvaged } else { ptr::null_mut() };
                    checked(kvds_verify(path.as_ptr(), ptr::null(), None, ptr::null_mut()));
                    checked(kvds_salvage(
                        path.as_ptr(),
                        path.as_ptr(),
                        ptr::null(),
                        None,
                        ptr::null_mut(),
                        out,
                    ));
                }
                5 => {
                    let mut room = [u64::MAX; 12];
                    let size = bytes.int_in_range(0..=size_of_val(&room))?;
                    let out =
                        if bytes.ratio(7, 8)? { room.as_mut_ptr().cast() } else { ptr::null_mut() };
                    checked(kvds_store_stats(store, out, size));
                    let beyond = &room[size.div_ceil(size_of::<u64>())..];
                    assert!(
                        beyond.iter().all(|word| *word == u64::MAX),
                        "the output must not overflow"
                    );
                }
                6 => {
                    let name = some_text(bytes)?;
                    let mut value = NO_VALUE;
                    let name = name.as_deref().map_or(ptr::null(), CStr::as_ptr);
                    if succeeded(
                        kvds_store_property(store, name, &mut value),
                        value.data.cast_mut(),
                    ) {
                        self.keep_value(value);
                    }
                }
                _ => {
                    checked(kvds_set_log_callback(
                        bytes.int_in_range(-1..=5)?,
                        None,
                        ptr::null_mut(),
                    ));
                    kvds_status_name(bytes.arbitrary()?);
                }
            }
        }
        Ok(())
    }
}
