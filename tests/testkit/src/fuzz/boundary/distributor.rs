//! Calls on distributors, observers and options.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

use arbitrary::{Result, Unstructured};
use kvds::testing::ffi::*;

use super::inputs::{number, option_text, some_text};
use super::{Objects, checked, succeeded};

impl Objects {
    pub fn distribute(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        let distributor = self.some_distributor(bytes)?;
        let id = some_text(bytes)?;
        let id_at = id.as_deref().map_or(ptr::null(), CStr::as_ptr);
        let backend = number(bytes, &[KVDS_MEMORY, KVDS_DISK])?;
        let mut store = ptr::null_mut();
        // SAFETY: an invalid handle or text is NULL or a handle of another kind.
        unsafe {
            match bytes.int_in_range(0..=10_u8)? {
                0..=2 => {
                    if succeeded(
                        kvds_distributor_get_or_create(distributor, id_at, backend, &mut store),
                        store,
                    ) {
                        self.keep_store(store);
                    }
                }
                3 => {
                    if succeeded(
                        kvds_distributor_get(distributor, id_at, backend, &mut store),
                        store,
                    ) {
                        self.keep_store(store);
                    }
                }
                4 => drop(checked(kvds_distributor_evict(distributor, id_at, backend))),
                5 => {
                    checked(kvds_distributor_destroy(distributor, id_at, backend));
                    checked(kvds_distributor_destroy_store(distributor, id_at));
                }
                6 if bytes.ratio(1, 8)? => drop(checked(kvds_distributor_shutdown(distributor))),
                6 => drop(checked(kvds_distributor_get_or_create(
                    distributor,
                    id_at,
                    backend,
                    ptr::null_mut(),
                ))),
                7 => {
                    let callback: kvds_store_visit =
                        if bytes.arbitrary()? { Some(visit_store) } else { None };
                    checked(kvds_distributor_for_each(distributor, callback, ptr::null_mut()));
                }
                8 => {
                    let on_death: kvds_death =
                        if bytes.ratio(7, 8)? { Some(on_death) } else { None };
                    let mut observer = 0;
                    let out = if bytes.ratio(7, 8)? { &raw mut observer } else { ptr::null_mut() };
                    let data = (&raw mut *self.freed).cast();
                    let status = checked(kvds_distributor_observe(
                        distributor,
                        on_death,
                        data,
                        Some(freed),
                        out,
                    ));
                    // The data is freed exactly once, also if registering fails.
                    self.observed += 1;
                    if status == KVDS_OK {
                        self.observers.push(observer);
                    }
                }
                9 => {
                    let observer = self.observers.pop().unwrap_or(bytes.arbitrary()?);
                    checked(kvds_distributor_unobserve(distributor, observer));
                }
                _ => {
                    let (name, value) = (option_text(bytes)?, option_text(bytes)?);
                    let at =
                        |text: &Option<CString>| text.as_deref().map_or(ptr::null(), CStr::as_ptr);
                    let options = if bytes.ratio(7, 8)? { self.options } else { ptr::null_mut() };
                    checked(kvds_options_set(options, at(&name), at(&value)));
                    checked(kvds_options_set_durability(options, bytes.arbitrary()?));
                    checked(kvds_options_set_max_open_files(options, bytes.arbitrary()?));
                    // A memory store alone, as a fuzzer cannot choose the size of a block cache.
                    let mut other = ptr::null_mut();
                    if succeeded(kvds_distributor_open(ptr::null(), options, &mut other), other) {
                        assert_eq!(kvds_distributor_release(other), 0);
                    }
                }
            }
        }
        Ok(())
    }
}

extern "C" fn visit_store(
    _: *mut c_void,
    id: *const c_char,
    backend: kvds_backend,
    _: u64,
    references: i64,
) -> c_int {
    // SAFETY: the library passes a text.
    assert!(!unsafe { CStr::from_ptr(id) }.is_empty());
    assert!((KVDS_MEMORY..=KVDS_DISK).contains(&backend) && references >= 0);
    1
}

extern "C" fn on_death(_: *mut c_void, _: u64, id: *const c_char, _: kvds_backend) {
    // SAFETY: the library passes a text.
    assert!(!unsafe { CStr::from_ptr(id) }.is_empty());
}

extern "C" fn freed(data: *mut c_void) {
    // SAFETY: the data is a number that outlives the distributor.
    unsafe { *data.cast::<c_int>() += 1 }
}
