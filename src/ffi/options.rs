//! Options of a distributor.

use std::ffi::{c_char, c_int};
use std::ptr;

use super::arg;
use super::boundary;
use super::status::{KVDS_OK, kvds_status};
use crate::error::{Error, Result};
use crate::options::Options;

/// What a write that was acknowledged survives; see `kvds_options_set_durability`.
pub type kvds_durability = i32;

/// The death of the process at once; a power cut after at most a second, as the log is synced in the background and when the
/// store is closed. What a process leaves behind unsynced when it dies, the system writes in its own time.
pub const KVDS_DURABILITY_PROCESS: kvds_durability = 0;
/// A power cut at once. Concurrent writers share a sync.
pub const KVDS_DURABILITY_SYNC: kvds_durability = 1;
/// A clean close or `kvds_sync` only.
pub const KVDS_DURABILITY_NONE: kvds_durability = 2;

/// How tables are compressed; see `kvds_options_set_compression`.
pub type kvds_compression = i32;

/// Not at all.
pub const KVDS_COMPRESSION_NONE: kvds_compression = 0;
/// LZ4: fast.
pub const KVDS_COMPRESSION_LZ4: kvds_compression = 1;
/// Zstandard: small.
pub const KVDS_COMPRESSION_ZSTD: kvds_compression = 2;

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

/// Sets the option called `name` from text, for other languages and configuration files. The names are those of the setters
/// behind `kvds_options_set_`. A switch takes "1", "true", "on" or "yes", and "0", "false", "off" or "no"; bytes may have K,
/// M, G or T behind the number, for KiB and so on; a choice takes its name or its number.
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

/// What a write that answered `KVDS_OK` to a disk store survives: one of `KVDS_DURABILITY_PROCESS` (the default),
/// `KVDS_DURABILITY_SYNC` and `KVDS_DURABILITY_NONE`. By name: "process", "sync" or "none".
///
/// Answers `KVDS_OK`, or `KVDS_INVALID_ARGUMENT` for NULL or another number; nothing is changed then. Threads: one at a time
/// on one object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_options_set_durability(
    options: *mut kvds_options,
    durability: kvds_durability,
) -> kvds_status {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe { set("kvds_options_set_durability", options, "durability", durability) }
}

/// How much memory all disk stores of the distributor together use for what was read: one half for blocks, with their indexes
/// and filters, the other for single values that are read often. It is taken as it is needed. In bytes, from 1 MiB to 1 TiB;
/// the default is 256 MiB (268435456).
///
/// All memory of a distributor's disk stores, while they are written to, stays within the block cache, one and a half times
/// the write buffers, and 64 MiB.
///
/// Answers `KVDS_OK`, or `KVDS_INVALID_ARGUMENT` for NULL or another number; nothing is changed then. Threads: one at a time
/// on one object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_options_set_block_cache_bytes(options: *mut kvds_options, bytes: u64) -> kvds_status {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe { set("kvds_options_set_block_cache_bytes", options, "block_cache_bytes", bytes) }
}

/// How much memory all disk stores of the distributor together use for writes that are in the log, but not in a table file
/// yet. In bytes, from 1 MiB to 1 TiB; the default is 128 MiB (134217728).
///
/// Answers `KVDS_OK`, or `KVDS_INVALID_ARGUMENT` for NULL or another number; nothing is changed then. Threads: one at a time
/// on one object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_options_set_write_buffer_bytes(options: *mut kvds_options, bytes: u64) -> kvds_status {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe { set("kvds_options_set_write_buffer_bytes", options, "write_buffer_bytes", bytes) }
}

/// How much all memory stores of the distributor together may hold: keys, values, about 96 bytes for each pair, and what is
/// kept for snapshots. A write beyond it answers `KVDS_NO_MEMORY` and changes nothing; nothing is thrown out, and removing
/// is always possible. In bytes, to 2^63 - 1; 0, the default, is no limit.
///
/// Answers `KVDS_OK`, or `KVDS_INVALID_ARGUMENT` for NULL or another number; nothing is changed then. Threads: one at a time
/// on one object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_options_set_memory_limit_bytes(options: *mut kvds_options, bytes: u64) -> kvds_status {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe { set("kvds_options_set_memory_limit_bytes", options, "memory_limit_bytes", bytes) }
}

/// How the tables of disk stores are compressed: one of `KVDS_COMPRESSION_NONE`, `KVDS_COMPRESSION_LZ4` (the default) and
/// `KVDS_COMPRESSION_ZSTD`. What was written with another setting stays readable. By name: "none", "lz4" or "zstd".
///
/// Answers `KVDS_OK`, or `KVDS_INVALID_ARGUMENT` for NULL or another number; nothing is changed then. Threads: one at a time
/// on one object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_options_set_compression(
    options: *mut kvds_options,
    compression: kvds_compression,
) -> kvds_status {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe { set("kvds_options_set_compression", options, "compression", compression) }
}

/// Whether disk stores are opened for reading only: 0 (the default) or 1. A store can so be read while another process writes
/// it. It shows the moment of its opening, or of the last `kvds_refresh`; writing answers `KVDS_DENIED`. A store that is not
/// there is not made: `KVDS_NOT_FOUND`, also for memory stores, as an empty one could only stay empty. Opening
/// answers `KVDS_BUSY` if the other process writes too fast for it.
///
/// Answers `KVDS_OK`, or `KVDS_INVALID_ARGUMENT` for NULL or another number; nothing is changed then. Threads: one at a time
/// on one object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_options_set_read_only(options: *mut kvds_options, read_only: c_int) -> kvds_status {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe { set("kvds_options_set_read_only", options, "read_only", read_only) }
}

/// Whether `kvds_distributor_get_or_create` makes a store that is not there: 0 or 1 (the default). With 0 it answers
/// `KVDS_NOT_FOUND`; a memory store is there only while it is live, so none is ever made.
///
/// Answers `KVDS_OK`, or `KVDS_INVALID_ARGUMENT` for NULL or another number; nothing is changed then. Threads: one at a time
/// on one object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_options_set_create_if_missing(options: *mut kvds_options, create: c_int) -> kvds_status {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe { set("kvds_options_set_create_if_missing", options, "create_if_missing", create) }
}

/// Whether the distributor holds one reference to each store it made, until `kvds_distributor_evict`, shutdown or its own
/// end: a memory store then outlives the program's last reference to it. 0 (the default) or 1.
///
/// Answers `KVDS_OK`, or `KVDS_INVALID_ARGUMENT` for NULL or another number; nothing is changed then. Threads: one at a time
/// on one object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_options_set_keep_stores(options: *mut kvds_options, keep: c_int) -> kvds_status {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe { set("kvds_options_set_keep_stores", options, "keep_stores", keep) }
}

/// How many files each disk store keeps open at most, from 16 to 1048576, or -1 for all; the default is 500. A store whose
/// files are more opens and closes them as it reads.
///
/// Answers `KVDS_OK`, or `KVDS_INVALID_ARGUMENT` for NULL or another number; nothing is changed then. Threads: one at a time
/// on one object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_options_set_max_open_files(options: *mut kvds_options, files: i64) -> kvds_status {
    // SAFETY: the caller keeps the rules for pointers.
    unsafe { set("kvds_options_set_max_open_files", options, "max_open_files", files) }
}

unsafe fn set(
    function: &'static str,
    options: *mut kvds_options,
    name: &str,
    number: impl std::fmt::Display,
) -> kvds_status {
    boundary::status(function, || {
        // SAFETY: the caller keeps the rules for pointers.
        unsafe { get(options)? }.set(name, number)?;
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
