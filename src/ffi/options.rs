//! Options of a distributor.

use std::ffi::{c_char, c_int};
use std::ptr;

use super::arg;
use super::boundary;
use super::status::{KVDS_OK, kvds_status};
use crate::error::{Error, Result};
use crate::options::Options;

/// Settings for `kvds_distributor_open`, each at its default until it is set. To be used by one thread at a time. A
/// distributor copies what it needs, so the options may be changed, used again or freed after opening.
pub struct kvds_options(Options);

/// Options at their defaults; to be freed with `kvds_options_free`. NULL only if the library has a bug. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn kvds_options_new() -> *mut kvds_options {
    boundary::value("kvds_options_new", ptr::null_mut(), || {
        Ok(Box::into_raw(Box::new(kvds_options(Options::default()))))
    })
}

/// Frees options. NULL does nothing. Threads: any, when no other uses them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_options_free(options: *mut kvds_options) {
    boundary::value("kvds_options_free", (), || {
        if !options.is_null() {
            // SAFETY: the caller gives up what `kvds_options_new` made.
            drop(unsafe { Box::from_raw(options) });
        }
        Ok(())
    });
}

/// Sets the option called `name` from text, for other languages and configuration files. A switch takes "1", "true", "on"
/// or "yes", and "0", "false", "off" or "no". The names are those of the setters behind `kvds_options_set_`.
///
/// Answers `KVDS_OK`, or `KVDS_INVALID_ARGUMENT` for a NULL, an unknown name or a value that the option does not take; the
/// text then says what there is, and nothing is changed. Inputs are copied. Threads: one at a time on one object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_options_set(
    options: *mut kvds_options,
    name: *const c_char,
    value: *const c_char,
) -> kvds_status {
    boundary::status("kvds_options_set", || {
        // SAFETY: the caller keeps the rules for pointers.
        let (options, name, value) = unsafe { (get(options)?, arg::utf8("name", name)?, arg::utf8("value", value)?) };
        options.set(name, value)?;
        Ok(KVDS_OK)
    })
}

/// Whether the distributor holds one reference to each store it made, until `kvds_distributor_evict`, shutdown or its own
/// end: a memory store then outlives the program's last reference to it. 0 (the default) or 1.
///
/// Answers `KVDS_OK`, or `KVDS_INVALID_ARGUMENT` for NULL or another number; nothing is changed then. Threads: one at a time
/// on one object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_options_set_keep_stores(options: *mut kvds_options, keep: c_int) -> kvds_status {
    boundary::status("kvds_options_set_keep_stores", || {
        // SAFETY: the caller keeps the rules for pointers.
        unsafe { get(options)? }.keep_stores = arg::truth("keep", keep)?;
        Ok(KVDS_OK)
    })
}

unsafe fn get<'a>(options: *mut kvds_options) -> Result<&'a mut Options> {
    if options.is_null() {
        return Err(Error::invalid("the kvds_options is NULL"));
    }
    // SAFETY: the caller passed what `kvds_options_new` made, and no other thread uses it.
    Ok(unsafe { &mut (*options).0 })
}

/// What is in `options`, the defaults for NULL.
pub(super) unsafe fn or_default(options: *const kvds_options) -> Options {
    // SAFETY: the caller passed what `kvds_options_new` made, and no other thread changes it.
    unsafe { options.as_ref() }.map(|options| options.0.clone()).unwrap_or_default()
}
