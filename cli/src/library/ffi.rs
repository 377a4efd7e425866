// Generated from abi/api.json by `cargo xtask declarations`. Do not edit.

//! The declarations of `kvds.h`.
//!
//! Types have no `kvds_` and are in Rust's case, and constants have no `KVDS_`.

#![allow(dead_code, reason = "the program needs a part of the library")]

use std::ffi::{c_char, c_int, c_void};

pub type Status = i32;

#[repr(C)]
pub struct Bytes {
    pub data: *const c_void,
    pub len: usize,
}

#[repr(C)]
pub struct Pair {
    pub key: *const c_void,
    pub key_len: usize,
    pub value: *const c_void,
    pub value_len: usize,
}

#[repr(C)]
pub struct Range {
    pub prefix: *const c_void,
    pub prefix_len: usize,
    pub start: *const c_void,
    pub start_len: usize,
    pub end: *const c_void,
    pub end_len: usize,
}

#[repr(C)]
pub struct Value {
    pub data: *const c_void,
    pub len: usize,
    pub owner: *mut c_void,
}

#[repr(C)]
pub struct Options {
    _private: [u8; 0],
}

pub type Durability = i32;

pub type Compression = i32;

#[repr(C)]
pub struct Distributor {
    _private: [u8; 0],
}

#[repr(C)]
pub struct Store {
    _private: [u8; 0],
}

pub type Backend = i32;

pub type StoreVisit =
    Option<unsafe extern "C" fn(*mut c_void, *const c_char, Backend, u64, i64) -> c_int>;

pub type Visit =
    Option<unsafe extern "C" fn(*mut c_void, *const c_void, usize, *const c_void, usize) -> c_int>;

#[repr(C)]
pub struct Batch {
    _private: [u8; 0],
}

#[repr(C)]
pub struct Cursor {
    _private: [u8; 0],
}

#[repr(C)]
pub struct Change {
    pub kind: c_int,
    pub last: c_int,
    pub sequence: u64,
    pub key: *const c_void,
    pub key_len: usize,
    pub value: *const c_void,
    pub value_len: usize,
}

#[repr(C)]
pub struct Watch {
    _private: [u8; 0],
}

#[repr(C)]
pub struct Damage {
    pub file: *const c_char,
    pub problem: *const c_char,
    pub loss: c_int,
    pub first: *const c_void,
    pub first_len: usize,
    pub last: *const c_void,
    pub last_len: usize,
}

pub type DamageVisit = Option<unsafe extern "C" fn(*mut c_void, *const Damage, u64, u64) -> c_int>;

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Salvaged {
    pub pairs: u64,
    pub lost: u64,
    pub ttls_lost: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Stats {
    pub keys: u64,
    pub bytes: u64,
    pub reads: u64,
    pub writes: u64,
    pub hits: u64,
    pub disk_bytes: u64,
    pub memory_bytes: u64,
}

pub type LogLevel = i32;

pub type Log = Option<unsafe extern "C" fn(*mut c_void, LogLevel, *const c_char)>;

pub type Death = Option<unsafe extern "C" fn(*mut c_void, u64, *const c_char, Backend)>;

pub type UserDataFree = Option<unsafe extern "C" fn(*mut c_void)>;

pub const VERSION_MAJOR: c_int = 0;
pub const VERSION_MINOR: c_int = 1;
pub const VERSION_PATCH: c_int = 0;
pub const OK: Status = 0;
pub const NOT_FOUND: Status = 1;
pub const EXISTS: Status = 2;
pub const MISMATCH: Status = 3;
pub const STOPPED: Status = 4;
pub const TRUNCATED: Status = 5;
pub const INVALID_ARGUMENT: Status = -1;
pub const CLOSED: Status = -2;
pub const DENIED: Status = -3;
pub const LOCKED: Status = -4;
pub const IO: Status = -5;
pub const NO_SPACE: Status = -6;
pub const CORRUPTION: Status = -7;
pub const NO_MEMORY: Status = -8;
pub const UNSUPPORTED: Status = -9;
pub const BUSY: Status = -10;
pub const UNKNOWN_OUTCOME: Status = -11;
pub const FORKED: Status = -12;
pub const INTERNAL: Status = -13;
pub const EXPIRED: Status = -14;
pub const MAX_KEY_LEN: c_int = 65536;
pub const MAX_VALUE_LEN: c_int = 1073741824;
pub const DURABILITY_PROCESS: Durability = 0;
pub const DURABILITY_SYNC: Durability = 1;
pub const DURABILITY_NONE: Durability = 2;
pub const COMPRESSION_NONE: Compression = 0;
pub const COMPRESSION_LZ4: Compression = 1;
pub const COMPRESSION_ZSTD: Compression = 2;
pub const MEMORY: Backend = 0;
pub const DISK: Backend = 1;
pub const CLUSTER: Backend = 2;
pub const MAX_TTL_MS: i64 = 3155760000000;
pub const CHANGE_SET: c_int = 0;
pub const CHANGE_DELETE: c_int = 1;
pub const CHANGE_DELETE_RANGE: c_int = 2;
pub const VIEW_READ: c_int = 1;
pub const VIEW_WRITE: c_int = 2;
pub const LOSS_NONE: c_int = 0;
pub const LOSS_PAIRS: c_int = 1;
pub const LOSS_TTLS: c_int = 2;
pub const LOG_ERROR: LogLevel = 0;
pub const LOG_WARN: LogLevel = 1;
pub const LOG_INFO: LogLevel = 2;
pub const LOG_DEBUG: LogLevel = 3;

unsafe extern "C" {
    pub fn kvds_version() -> *const c_char;

    pub fn kvds_status_name(status: Status) -> *const c_char;
    pub fn kvds_last_error() -> *const c_char;

    pub fn kvds_value_release(value: *mut Value);

    pub fn kvds_options_new() -> *mut Options;
    pub fn kvds_options_free(options: *mut Options);
    pub fn kvds_options_set(
        options: *mut Options,
        name: *const c_char,
        value: *const c_char,
    ) -> Status;
    pub fn kvds_options_set_durability(options: *mut Options, durability: Durability) -> Status;
    pub fn kvds_options_set_block_cache_bytes(options: *mut Options, bytes: u64) -> Status;
    pub fn kvds_options_set_write_buffer_bytes(options: *mut Options, bytes: u64) -> Status;
    pub fn kvds_options_set_memory_limit_bytes(options: *mut Options, bytes: u64) -> Status;
    pub fn kvds_options_set_compression(options: *mut Options, compression: Compression) -> Status;
    pub fn kvds_options_set_read_only(options: *mut Options, read_only: c_int) -> Status;
    pub fn kvds_options_set_create_if_missing(options: *mut Options, create: c_int) -> Status;
    pub fn kvds_options_set_keep_stores(options: *mut Options, keep: c_int) -> Status;
    pub fn kvds_options_set_max_open_files(options: *mut Options, files: i64) -> Status;
    pub fn kvds_options_set_watch_buffer_bytes(options: *mut Options, bytes: u64) -> Status;
    pub fn kvds_options_set_cluster(options: *mut Options, url: *const c_char) -> Status;
    pub fn kvds_options_set_cluster_tls(
        options: *mut Options,
        ca: *const c_char,
        cert: *const c_char,
        key: *const c_char,
    ) -> Status;
    pub fn kvds_options_set_cluster_login(
        options: *mut Options,
        user: *const c_char,
        password: *const c_char,
    ) -> Status;
    pub fn kvds_options_set_cluster_timeout_ms(options: *mut Options, milliseconds: u64) -> Status;

    pub fn kvds_distributor_new(base_path: *const c_char) -> *mut Distributor;
    pub fn kvds_distributor_open(
        base_path: *const c_char,
        options: *const Options,
        out: *mut *mut Distributor,
    ) -> Status;
    pub fn kvds_distributor_retain(distributor: *mut Distributor) -> *mut Distributor;
    pub fn kvds_distributor_release(distributor: *mut Distributor) -> i64;
    pub fn kvds_distributor_ref_count(distributor: *const Distributor) -> i64;
    pub fn kvds_distributor_get_or_create(
        distributor: *mut Distributor,
        id: *const c_char,
        backend: Backend,
        out: *mut *mut Store,
    ) -> Status;
    pub fn kvds_distributor_get(
        distributor: *mut Distributor,
        id: *const c_char,
        backend: Backend,
        out: *mut *mut Store,
    ) -> Status;
    pub fn kvds_distributor_evict(
        distributor: *mut Distributor,
        id: *const c_char,
        backend: Backend,
    ) -> Status;
    pub fn kvds_distributor_destroy(
        distributor: *mut Distributor,
        id: *const c_char,
        backend: Backend,
    ) -> Status;
    pub fn kvds_distributor_destroy_store(
        distributor: *mut Distributor,
        id: *const c_char,
    ) -> Status;
    pub fn kvds_distributor_shutdown(distributor: *mut Distributor) -> Status;
    pub fn kvds_distributor_store_count(distributor: *const Distributor) -> usize;
    pub fn kvds_distributor_for_each(
        distributor: *const Distributor,
        callback: StoreVisit,
        user_data: *mut c_void,
    ) -> Status;

    pub fn kvds_store_open(
        path: *const c_char,
        options: *const Options,
        store: *mut *mut Store,
    ) -> Status;
    pub fn kvds_store_retain(store: *mut Store) -> *mut Store;
    pub fn kvds_store_release(store: *mut Store) -> i64;
    pub fn kvds_store_ref_count(store: *const Store) -> i64;
    pub fn kvds_store_tag(store: *const Store) -> u64;
    pub fn kvds_store_id(store: *const Store) -> *const c_char;
    pub fn kvds_store_backend(store: *const Store) -> Backend;
    pub fn kvds_is_open(store: *const Store) -> c_int;
    pub fn kvds_close(store: *mut Store) -> Status;

    pub fn kvds_get(
        store: *const Store,
        key: *const c_void,
        key_len: usize,
        out: *mut Value,
    ) -> Status;
    pub fn kvds_get_into(
        store: *const Store,
        key: *const c_void,
        key_len: usize,
        buffer: *mut c_void,
        capacity: usize,
        len: *mut usize,
    ) -> Status;
    pub fn kvds_exists(store: *const Store, key: *const c_void, key_len: usize) -> Status;
    pub fn kvds_multi_get(
        store: *const Store,
        keys: *const Bytes,
        count: usize,
        values: *mut Value,
        statuses: *mut Status,
    ) -> Status;
    pub fn kvds_iterate(
        store: *const Store,
        prefix: *const c_void,
        prefix_len: usize,
        callback: Visit,
        user_data: *mut c_void,
    ) -> Status;

    pub fn kvds_set(
        store: *mut Store,
        key: *const c_void,
        key_len: usize,
        value: *const c_void,
        value_len: usize,
    ) -> Status;
    pub fn kvds_del(store: *mut Store, key: *const c_void, key_len: usize) -> Status;
    pub fn kvds_set_batch(store: *mut Store, pairs: *const Pair, count: usize) -> Status;
    pub fn kvds_delete_batch(store: *mut Store, keys: *const Bytes, count: usize) -> Status;
    pub fn kvds_set_nx(
        store: *mut Store,
        key: *const c_void,
        key_len: usize,
        value: *const c_void,
        value_len: usize,
    ) -> Status;
    pub fn kvds_compare_and_swap(
        store: *mut Store,
        key: *const c_void,
        key_len: usize,
        expected: *const c_void,
        expected_len: usize,
        value: *const c_void,
        value_len: usize,
    ) -> Status;
    pub fn kvds_compare_and_delete(
        store: *mut Store,
        key: *const c_void,
        key_len: usize,
        expected: *const c_void,
        expected_len: usize,
    ) -> Status;
    pub fn kvds_add(
        store: *mut Store,
        key: *const c_void,
        key_len: usize,
        delta: i64,
        result: *mut i64,
    ) -> Status;
    pub fn kvds_delete_prefix(
        store: *mut Store,
        prefix: *const c_void,
        prefix_len: usize,
    ) -> Status;

    pub fn kvds_batch_new() -> *mut Batch;
    pub fn kvds_batch_free(batch: *mut Batch);
    pub fn kvds_batch_clear(batch: *mut Batch);
    pub fn kvds_batch_count(batch: *const Batch) -> usize;
    pub fn kvds_batch_set(
        batch: *mut Batch,
        key: *const c_void,
        key_len: usize,
        value: *const c_void,
        value_len: usize,
    ) -> Status;
    pub fn kvds_batch_del(batch: *mut Batch, key: *const c_void, key_len: usize) -> Status;
    pub fn kvds_batch_expect(
        batch: *mut Batch,
        key: *const c_void,
        key_len: usize,
        value: *const c_void,
        value_len: usize,
    ) -> Status;
    pub fn kvds_batch_expect_absent(
        batch: *mut Batch,
        key: *const c_void,
        key_len: usize,
    ) -> Status;
    pub fn kvds_write(store: *mut Store, batch: *const Batch) -> Status;

    pub fn kvds_set_ttl(
        store: *mut Store,
        key: *const c_void,
        key_len: usize,
        value: *const c_void,
        value_len: usize,
        ttl_ms: u64,
    ) -> Status;
    pub fn kvds_set_nx_ttl(
        store: *mut Store,
        key: *const c_void,
        key_len: usize,
        value: *const c_void,
        value_len: usize,
        ttl_ms: u64,
    ) -> Status;
    pub fn kvds_expire(
        store: *mut Store,
        key: *const c_void,
        key_len: usize,
        ttl_ms: u64,
    ) -> Status;
    pub fn kvds_batch_set_ttl(
        batch: *mut Batch,
        key: *const c_void,
        key_len: usize,
        value: *const c_void,
        value_len: usize,
        ttl_ms: u64,
    ) -> Status;
    pub fn kvds_batch_expire(
        batch: *mut Batch,
        key: *const c_void,
        key_len: usize,
        ttl_ms: u64,
    ) -> Status;
    pub fn kvds_ttl(
        store: *const Store,
        key: *const c_void,
        key_len: usize,
        left_ms: *mut i64,
    ) -> Status;

    pub fn kvds_cursor_new(
        store: *const Store,
        range: *const Range,
        out: *mut *mut Cursor,
    ) -> Status;
    pub fn kvds_cursor_free(cursor: *mut Cursor);
    pub fn kvds_cursor_first(cursor: *mut Cursor) -> Status;
    pub fn kvds_cursor_last(cursor: *mut Cursor) -> Status;
    pub fn kvds_cursor_seek(cursor: *mut Cursor, key: *const c_void, key_len: usize) -> Status;
    pub fn kvds_cursor_next(cursor: *mut Cursor) -> Status;
    pub fn kvds_cursor_prev(cursor: *mut Cursor) -> Status;
    pub fn kvds_cursor_valid(cursor: *const Cursor) -> c_int;
    pub fn kvds_cursor_key(cursor: *const Cursor, key: *mut Bytes) -> Status;
    pub fn kvds_cursor_value(cursor: *const Cursor, value: *mut Bytes) -> Status;
    pub fn kvds_cursor_ttl(cursor: *mut Cursor, left_ms: *mut i64) -> Status;

    pub fn kvds_watch_new(store: *const Store, range: *const Range, out: *mut *mut Watch)
    -> Status;
    pub fn kvds_watch_from(
        store: *const Store,
        range: *const Range,
        sequence: u64,
        out: *mut *mut Watch,
    ) -> Status;
    pub fn kvds_watch_next(watch: *mut Watch, timeout_ms: i64, change: *mut Change) -> Status;
    pub fn kvds_watch_fd(watch: *mut Watch) -> c_int;
    pub fn kvds_watch_free(watch: *mut Watch);

    pub fn kvds_store_view(store: *mut Store, rights: c_int, out: *mut *mut Store) -> Status;
    pub fn kvds_store_scope(
        store: *mut Store,
        prefix: *const c_void,
        prefix_len: usize,
        out: *mut *mut Store,
    ) -> Status;
    pub fn kvds_store_snapshot(store: *const Store, out: *mut *mut Store) -> Status;

    pub fn kvds_sync(store: *mut Store) -> Status;
    pub fn kvds_compact(store: *mut Store) -> Status;
    pub fn kvds_refresh(store: *mut Store) -> Status;
    pub fn kvds_checkpoint(store: *const Store, path: *const c_char) -> Status;

    pub fn kvds_verify(
        path: *const c_char,
        options: *const Options,
        callback: DamageVisit,
        user_data: *mut c_void,
    ) -> Status;
    pub fn kvds_salvage(
        path: *const c_char,
        target: *const c_char,
        options: *const Options,
        callback: DamageVisit,
        user_data: *mut c_void,
        salvaged: *mut Salvaged,
    ) -> Status;

    pub fn kvds_store_stats(store: *const Store, stats: *mut Stats, size: usize) -> Status;
    pub fn kvds_store_property(store: *const Store, name: *const c_char, out: *mut Value)
    -> Status;
    pub fn kvds_set_log_callback(level: LogLevel, callback: Log, user_data: *mut c_void) -> Status;

    pub fn kvds_distributor_observe(
        distributor: *mut Distributor,
        on_death: Death,
        user_data: *mut c_void,
        user_data_free: UserDataFree,
        observer_id: *mut u64,
    ) -> Status;
    pub fn kvds_distributor_unobserve(distributor: *mut Distributor, observer_id: u64) -> Status;
}
