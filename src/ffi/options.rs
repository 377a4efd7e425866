//! Options.
//!
//! Options of a distributor, or of a single store. Each has a setter; `kvds_options_set()` sets any
//! of them by name, for configuration files and other languages.
//!
//! Every setter returns `KVDS_OK`, or `KVDS_INVALID_ARGUMENT` if `options` is NULL or the option
//! does not take the value; the error text says what it takes, and nothing is changed.

use std::ffi::{c_char, c_int};
use std::ptr;

use super::arg;
use super::boundary;
use super::status::{KVDS_OK, kvds_status};
use crate::error::{Error, Result};
use crate::options::{Compression, Durability, Options};

/// Options, each at its default until it is set.
///
/// One thread at a time may use an options object. Opening copies what it needs, so the object may
/// be changed, used again or freed afterwards.
pub struct kvds_options(Options);

/// Creates options at their defaults.
///
/// @return the options, to be freed with kvds_options_free(); NULL only because of a bug in the
///   library.
#[unsafe(no_mangle)]
pub extern "C" fn kvds_options_new() -> *mut kvds_options {
    boundary::value("kvds_options_new", ptr::null_mut(), || {
        Ok(Box::into_raw(Box::new(kvds_options(Options::default()))))
    })
}

/// Frees options.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_options_free(options: *mut kvds_options) {
    boundary::value("kvds_options_free", (), || {
        if !options.is_null() {
            drop(Box::from_raw(options));
        }
        Ok(())
    });
}

/// Sets the option `name` from text.
///
/// The name is the part of the setter's name after `kvds_options_set_`, unless the setter says
/// otherwise. A switch takes "1", "true", "on" or "yes", and "0", "false", "off" or "no". A size in
/// bytes may end with K, M, G or T, for KiB and so on. A choice takes its name or its number.
///
/// @return
/// - `KVDS_OK`
/// - `KVDS_INVALID_ARGUMENT`: a NULL, an unknown name, or a value that the option does not take
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_options_set(
    options: *mut kvds_options,
    name: *const c_char,
    value: *const c_char,
) -> kvds_status {
    boundary::status("kvds_options_set", || {
        let (options, name, value) =
            (get(options)?, arg::utf8("name", name)?, arg::utf8("value", value)?);
        options.set(name, value)?;
        Ok(KVDS_OK)
    })
}

/// What an acknowledged write survives: one of the three constants below.
pub type kvds_durability = i32;

/// The death of the process at once, and a power failure after at most one second: the log is
/// synced in the background and when the store is closed.
pub const KVDS_DURABILITY_PROCESS: kvds_durability = 0;
/// A power failure at once. Concurrent writers share a sync.
pub const KVDS_DURABILITY_SYNC: kvds_durability = 1;
/// Nothing, until a later `kvds_sync()` or a clean close: if the process dies before, acknowledged
/// writes may be lost.
pub const KVDS_DURABILITY_NONE: kvds_durability = 2;

const _: () = assert!(
    KVDS_DURABILITY_PROCESS == Durability::Process as i32
        && KVDS_DURABILITY_SYNC == Durability::Sync as i32
        && KVDS_DURABILITY_NONE == Durability::None as i32
);

/// Sets what an acknowledged write to a disk store survives.
///
/// Default: `KVDS_DURABILITY_PROCESS`. By name: "process", "sync" or "none".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_options_set_durability(
    options: *mut kvds_options,
    durability: kvds_durability,
) -> kvds_status {
    set("kvds_options_set_durability", options, "durability", durability)
}

/// Sets how much memory all disk stores of the distributor together use for data that was read.
///
/// One half caches blocks with their indexes and filters, the other half single values that are
/// read often. Memory is taken when it is needed. Indexes and filters of tables are pinned in at
/// most half of the room for blocks. A block larger than an eighth of that room, such as one with a
/// large value, is not cached.
///
/// All memory of the distributor's disk stores stays within the block cache, one and a half times
/// the write buffers, 64 MiB, and 256 KiB for each open store. Values that a call reads or the
/// program holds come on top.
///
/// Range: 1 MiB to 1 TiB. Default: 256 MiB (268435456).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_options_set_block_cache_bytes(
    options: *mut kvds_options,
    bytes: u64,
) -> kvds_status {
    set("kvds_options_set_block_cache_bytes", options, "block_cache_bytes", bytes)
}

/// Sets how much memory all disk stores of the distributor together use for writes that are in the
/// log and not yet in a table file.
///
/// When it is used up, the stores that hold the most are flushed. Each open store may hold 64 KiB,
/// even if that is more than this limit for all of them.
///
/// Range: 1 MiB to 1 TiB. Default: 128 MiB (134217728).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_options_set_write_buffer_bytes(
    options: *mut kvds_options,
    bytes: u64,
) -> kvds_status {
    set("kvds_options_set_write_buffer_bytes", options, "write_buffer_bytes", bytes)
}

/// Sets how much all memory stores of the distributor together may hold.
///
/// Keys, values, about 96 bytes per pair, and old versions kept for snapshots count. A write beyond
/// the limit returns `KVDS_NO_MEMORY` and changes nothing. Nothing is evicted, and deleting always
/// works.
///
/// Range: 0 to 2^63 - 1. Default: 0, no limit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_options_set_memory_limit_bytes(
    options: *mut kvds_options,
    bytes: u64,
) -> kvds_status {
    set("kvds_options_set_memory_limit_bytes", options, "memory_limit_bytes", bytes)
}

/// How table files are compressed: one of the three constants below.
pub type kvds_compression = i32;

/// No compression.
pub const KVDS_COMPRESSION_NONE: kvds_compression = 0;
/// LZ4: fast.
pub const KVDS_COMPRESSION_LZ4: kvds_compression = 1;
/// Zstandard: small.
pub const KVDS_COMPRESSION_ZSTD: kvds_compression = 2;

const _: () = assert!(
    KVDS_COMPRESSION_NONE == Compression::None as i32
        && KVDS_COMPRESSION_LZ4 == Compression::Lz4 as i32
        && KVDS_COMPRESSION_ZSTD == Compression::Zstd as i32
);

/// Sets how the table files of disk stores are compressed.
///
/// Files that were written with another setting stay readable. Default: `KVDS_COMPRESSION_LZ4`. By
/// name: "none", "lz4" or "zstd".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_options_set_compression(
    options: *mut kvds_options,
    compression: kvds_compression,
) -> kvds_status {
    set("kvds_options_set_compression", options, "compression", compression)
}

/// Sets whether disk stores are opened for reading only, also while another process writes them.
///
/// Such a store shows the data as of its opening, or of the last `kvds_refresh()`; writes return
/// `KVDS_DENIED`. A store that does not exist is not created (`KVDS_NOT_FOUND`), so no memory
/// store is either. Opening returns `KVDS_BUSY` if the other process writes too fast for it.
///
/// Range: 0 or 1. Default: 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_options_set_read_only(
    options: *mut kvds_options,
    read_only: c_int,
) -> kvds_status {
    set("kvds_options_set_read_only", options, "read_only", read_only)
}

/// Sets whether a store that does not exist is created.
///
/// With 0, opening returns `KVDS_NOT_FOUND` instead. A memory store exists only while it is live,
/// so with 0 none is ever created.
///
/// Range: 0 or 1. Default: 1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_options_set_create_if_missing(
    options: *mut kvds_options,
    create: c_int,
) -> kvds_status {
    set("kvds_options_set_create_if_missing", options, "create_if_missing", create)
}

/// Sets whether the distributor holds one reference to each store that it creates.
///
/// A memory store then outlives the program's last reference to it. The distributor gives its
/// references up in `kvds_distributor_evict()`, at shutdown, and when it is destroyed itself.
///
/// Range: 0 or 1. Default: 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_options_set_keep_stores(
    options: *mut kvds_options,
    keep: c_int,
) -> kvds_status {
    set("kvds_options_set_keep_stores", options, "keep_stores", keep)
}

/// Sets how many files each disk store keeps open at most.
///
/// A store with more files opens and closes them as it reads. Range: 16 to 1048576, or -1 for all.
/// Default: 500.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_options_set_max_open_files(
    options: *mut kvds_options,
    files: i64,
) -> kvds_status {
    set("kvds_options_set_max_open_files", options, "max_open_files", files)
}

/// Sets the memory that each memory or disk store with watches uses for changes that were not
/// returned yet.
///
/// A watch that is further behind gets `KVDS_EXPIRED`. Range: 4096 to 2^40 bytes. Default: 8 MiB.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_options_set_watch_buffer_bytes(
    options: *mut kvds_options,
    bytes: u64,
) -> kvds_status {
    set("kvds_options_set_watch_buffer_bytes", options, "watch_buffer_bytes", bytes)
}

/// Sets the servers and the namespace of cluster stores, as a URL.
///
/// `etcd://HOST:PORT,HOST:PORT/NAMESPACE`, or `etcds://` for TLS, which needs
/// `kvds_options_set_cluster_tls()`. The port is 2379 if it is left out. An IPv6 address is in
/// brackets. The namespace is percent-decoded; it is `kvds` if it is empty. All keys that the
/// library writes begin with the namespace and a `/`. A login in the URL is refused, because
/// programs log URLs: see `kvds_options_set_cluster_login()`.
///
/// This function takes any text. `kvds_distributor_open()` checks the URL, and the network is first
/// used when a cluster store is opened.
///
/// Default: "", no cluster: opening a cluster store returns `KVDS_INVALID_ARGUMENT`.
///
/// @param url  NULL for "".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_options_set_cluster(
    options: *mut kvds_options,
    url: *const c_char,
) -> kvds_status {
    boundary::status("kvds_options_set_cluster", || set_texts(options, &[("cluster", url)]))
}

/// Sets the files for TLS, in PEM format.
///
/// They are read when the first cluster store is opened, and used with `etcds://` alone.
///
/// By name: "cluster_ca", "cluster_cert" and "cluster_key". Default: "" for each, no file.
///
/// @param ca  the certificate of the authority that signed those of the servers. `etcds://` needs
///   it: the authorities that the system trusts are not used. NULL for "".
/// @param cert  the certificate of this program, for servers that ask for one; NULL for "".
/// @param key  the key of this program's certificate; NULL for "".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_options_set_cluster_tls(
    options: *mut kvds_options,
    ca: *const c_char,
    cert: *const c_char,
    key: *const c_char,
) -> kvds_status {
    boundary::status("kvds_options_set_cluster_tls", || {
        set_texts(options, &[("cluster_ca", ca), ("cluster_cert", cert), ("cluster_key", key)])
    })
}

/// Sets the user that logs in to the cluster, and the password; NULL or "" for none.
///
/// No text of an error or a log shows the password.
///
/// By name: "cluster_user" and "cluster_password". Default: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_options_set_cluster_login(
    options: *mut kvds_options,
    user: *const c_char,
    password: *const c_char,
) -> kvds_status {
    boundary::status("kvds_options_set_cluster_login", || {
        set_texts(options, &[("cluster_user", user), ("cluster_password", password)])
    })
}

/// Sets how long any call on a cluster store may take, with all its attempts, in milliseconds.
///
/// Range: 100 to 600000. Default: 10000.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvds_options_set_cluster_timeout_ms(
    options: *mut kvds_options,
    milliseconds: u64,
) -> kvds_status {
    set("kvds_options_set_cluster_timeout_ms", options, "cluster_timeout_ms", milliseconds)
}

/// Sets options to texts. NULL stands for "".
unsafe fn set_texts(
    options: *mut kvds_options,
    texts: &[(&str, *const c_char)],
) -> Result<kvds_status> {
    let options = get(options)?;
    let mut changed = options.clone();
    for (name, text) in texts {
        let text = if text.is_null() { "" } else { arg::utf8(name, *text)? };
        changed.set(name, text)?;
    }
    *options = changed;
    Ok(KVDS_OK)
}

/// Sets an option of the table in `src/options.rs`.
unsafe fn set(
    function: &'static str,
    options: *mut kvds_options,
    name: &str,
    number: impl Into<i128>,
) -> kvds_status {
    boundary::status(function, || {
        get(options)?.set_number(name, number)?;
        Ok(KVDS_OK)
    })
}

unsafe fn get<'a>(options: *mut kvds_options) -> Result<&'a mut Options> {
    if options.is_null() {
        return Err(Error::invalid("the kvds_options is NULL"));
    }
    Ok(&mut (*options).0)
}

/// Copies `options`; NULL stands for the defaults.
pub(super) unsafe fn or_default(options: *const kvds_options) -> Options {
    options.as_ref().map(|options| options.0.clone()).unwrap_or_default()
}
