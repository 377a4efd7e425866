//! The functions of `kvds.h` that the program calls, as the header declares them.

use std::ffi::{c_char, c_int, c_void};

pub type Status = i32;

pub const OK: Status = 0;
pub const NOT_FOUND: Status = 1;
pub const EXISTS: Status = 2;
pub const MISMATCH: Status = 3;
pub const STOPPED: Status = 4;
pub const LOCKED: Status = -4;
pub const CORRUPTION: Status = -7;
pub const BUSY: Status = -10;
pub const EXPIRED: Status = -14;

pub const LOSS_NONE: c_int = 0;
pub const LOSS_TTLS: c_int = 2;

pub const DISK: i32 = 1;
pub const CLUSTER: i32 = 2;

pub const CHANGE_SET: c_int = 0;
pub const CHANGE_DELETE: c_int = 1;

/// Declares types that only the library can look into.
macro_rules! opaque {
    ($($name:ident),*) => {
        $(
            #[repr(C)]
            pub struct $name {
                _private: [u8; 0],
            }
        )*
    };
}

opaque!(OptionsHandle, DistributorHandle, StoreHandle, CursorHandle, BatchHandle, WatchHandle);

#[repr(C)]
pub struct Bytes {
    pub data: *const c_void,
    pub len: usize,
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
pub struct Change {
    pub kind: c_int,
    pub last: c_int,
    pub sequence: u64,
    pub key: *const c_void,
    pub key_len: usize,
    pub value: *const c_void,
    pub value_len: usize,
}

/// A damage of a store: `kvds_damage`.
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

/// `kvds_damage_visit`.
pub type DamageVisit = unsafe extern "C" fn(*mut c_void, *const Damage, u64, u64) -> c_int;

/// What was saved of a damaged store: `kvds_salvaged`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Salvaged {
    pub pairs: u64,
    pub lost: u64,
    pub ttls_lost: u64,
}

/// Statistics of a store: `kvds_stats`.
#[repr(C)]
#[derive(Default)]
pub struct Stats {
    pub keys: u64,
    pub bytes: u64,
    pub reads: u64,
    pub writes: u64,
    pub hits: u64,
    pub disk_bytes: u64,
    pub memory_bytes: u64,
}

unsafe extern "C" {
    pub fn kvds_version() -> *const c_char;
    pub fn kvds_last_error() -> *const c_char;

    pub fn kvds_options_new() -> *mut OptionsHandle;
    pub fn kvds_options_free(options: *mut OptionsHandle);
    pub fn kvds_options_set(
        options: *mut OptionsHandle,
        name: *const c_char,
        value: *const c_char,
    ) -> Status;

    pub fn kvds_distributor_open(
        base_path: *const c_char,
        options: *const OptionsHandle,
        out: *mut *mut DistributorHandle,
    ) -> Status;
    pub fn kvds_distributor_release(distributor: *mut DistributorHandle) -> i64;
    pub fn kvds_distributor_get_or_create(
        distributor: *mut DistributorHandle,
        id: *const c_char,
        backend: i32,
        out: *mut *mut StoreHandle,
    ) -> Status;
    pub fn kvds_distributor_destroy(
        distributor: *mut DistributorHandle,
        id: *const c_char,
        backend: i32,
    ) -> Status;

    pub fn kvds_store_open(
        path: *const c_char,
        options: *const OptionsHandle,
        out: *mut *mut StoreHandle,
    ) -> Status;
    pub fn kvds_store_release(store: *mut StoreHandle) -> i64;

    pub fn kvds_get(
        store: *const StoreHandle,
        key: *const c_void,
        key_len: usize,
        out: *mut Value,
    ) -> Status;
    pub fn kvds_value_release(value: *mut Value);
    pub fn kvds_exists(store: *const StoreHandle, key: *const c_void, key_len: usize) -> Status;

    pub fn kvds_set(
        store: *mut StoreHandle,
        key: *const c_void,
        key_len: usize,
        value: *const c_void,
        value_len: usize,
    ) -> Status;
    pub fn kvds_set_nx(
        store: *mut StoreHandle,
        key: *const c_void,
        key_len: usize,
        value: *const c_void,
        value_len: usize,
    ) -> Status;
    pub fn kvds_set_ttl(
        store: *mut StoreHandle,
        key: *const c_void,
        key_len: usize,
        value: *const c_void,
        value_len: usize,
        ttl_ms: u64,
    ) -> Status;
    pub fn kvds_set_nx_ttl(
        store: *mut StoreHandle,
        key: *const c_void,
        key_len: usize,
        value: *const c_void,
        value_len: usize,
        ttl_ms: u64,
    ) -> Status;
    pub fn kvds_del(store: *mut StoreHandle, key: *const c_void, key_len: usize) -> Status;
    pub fn kvds_delete_prefix(
        store: *mut StoreHandle,
        prefix: *const c_void,
        prefix_len: usize,
    ) -> Status;
    pub fn kvds_compare_and_swap(
        store: *mut StoreHandle,
        key: *const c_void,
        key_len: usize,
        expected: *const c_void,
        expected_len: usize,
        value: *const c_void,
        value_len: usize,
    ) -> Status;
    pub fn kvds_compare_and_delete(
        store: *mut StoreHandle,
        key: *const c_void,
        key_len: usize,
        expected: *const c_void,
        expected_len: usize,
    ) -> Status;
    pub fn kvds_add(
        store: *mut StoreHandle,
        key: *const c_void,
        key_len: usize,
        delta: i64,
        result: *mut i64,
    ) -> Status;
    pub fn kvds_expire(
        store: *mut StoreHandle,
        key: *const c_void,
        key_len: usize,
        ttl_ms: u64,
    ) -> Status;
    pub fn kvds_ttl(
        store: *const StoreHandle,
        key: *const c_void,
        key_len: usize,
        left_ms: *mut i64,
    ) -> Status;

    pub fn kvds_batch_new() -> *mut BatchHandle;
    pub fn kvds_batch_free(batch: *mut BatchHandle);
    pub fn kvds_batch_clear(batch: *mut BatchHandle);
    pub fn kvds_batch_count(batch: *const BatchHandle) -> usize;
    pub fn kvds_batch_set(
        batch: *mut BatchHandle,
        key: *const c_void,
        key_len: usize,
        value: *const c_void,
        value_len: usize,
    ) -> Status;
    pub fn kvds_batch_set_ttl(
        batch: *mut BatchHandle,
        key: *const c_void,
        key_len: usize,
        value: *const c_void,
        value_len: usize,
        ttl_ms: u64,
    ) -> Status;
    pub fn kvds_write(store: *mut StoreHandle, batch: *const BatchHandle) -> Status;

    pub fn kvds_cursor_new(
        store: *const StoreHandle,
        range: *const Range,
        out: *mut *mut CursorHandle,
    ) -> Status;
    pub fn kvds_cursor_free(cursor: *mut CursorHandle);
    pub fn kvds_cursor_first(cursor: *mut CursorHandle) -> Status;
    pub fn kvds_cursor_last(cursor: *mut CursorHandle) -> Status;
    pub fn kvds_cursor_next(cursor: *mut CursorHandle) -> Status;
    pub fn kvds_cursor_prev(cursor: *mut CursorHandle) -> Status;
    pub fn kvds_cursor_key(cursor: *const CursorHandle, key: *mut Bytes) -> Status;
    pub fn kvds_cursor_value(cursor: *const CursorHandle, value: *mut Bytes) -> Status;

    pub fn kvds_watch_new(
        store: *const StoreHandle,
        range: *const Range,
        out: *mut *mut WatchHandle,
    ) -> Status;
    pub fn kvds_watch_next(watch: *mut WatchHandle, timeout_ms: i64, change: *mut Change)
    -> Status;
    pub fn kvds_watch_free(watch: *mut WatchHandle);

    pub fn kvds_store_snapshot(store: *const StoreHandle, out: *mut *mut StoreHandle) -> Status;

    pub fn kvds_cursor_ttl(cursor: *mut CursorHandle, left_ms: *mut i64) -> Status;
    pub fn kvds_verify(
        path: *const c_char,
        options: *const OptionsHandle,
        visit: Option<DamageVisit>,
        user_data: *mut c_void,
    ) -> Status;
    pub fn kvds_salvage(
        path: *const c_char,
        target: *const c_char,
        options: *const OptionsHandle,
        visit: Option<DamageVisit>,
        user_data: *mut c_void,
        salvaged: *mut Salvaged,
    ) -> Status;
    pub fn kvds_sync(store: *mut StoreHandle) -> Status;
    pub fn kvds_compact(store: *mut StoreHandle) -> Status;
    pub fn kvds_refresh(store: *mut StoreHandle) -> Status;
    pub fn kvds_checkpoint(store: *const StoreHandle, path: *const c_char) -> Status;
    pub fn kvds_store_stats(store: *const StoreHandle, stats: *mut Stats, size: usize) -> Status;
    pub fn kvds_store_property(
        store: *const StoreHandle,
        name: *const c_char,
        out: *mut Value,
    ) -> Status;
}
