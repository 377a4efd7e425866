//! Databases whose damaged parts are skipped: see readable_tables.cc.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::NonNull;

use librocksdb_sys::rocksdb_options_t;
use rocksdb::AsRawPtr;

use crate::engine::disk::errors::call_cpp;
use crate::sys::signals;

/// Keys of a table that an iterator has skipped.
pub struct SkippedKeys<'a> {
    /// The number of the table.
    pub table: u64,
    /// The first key; `None` for the whole table.
    pub first: Option<&'a [u8]>,
    /// The last key; `None` for all further keys.
    pub last: Option<&'a [u8]>,
}

/// What the iterators of a database skip.
pub struct Skipped(NonNull<SkippedRaw>);

/// The object in readable_tables.cc.
#[repr(C)]
struct SkippedRaw {
    _opaque: [u8; 0],
}

/// Skipped keys as readable_tables.cc passes them.
#[repr(C)]
struct RawKeys {
    table: u64,
    first: *const u8,
    first_len: usize,
    last: *const u8,
    last_len: usize,
}

/// Called with what was skipped.
type Visit<'a> = dyn FnMut(SkippedKeys<'_>) + 'a;

// See readable_tables.cc.
#[allow(unsafe_code)]
unsafe extern "C" {
    fn kvds_rocksdb_read_damaged(options: *mut rocksdb_options_t) -> NonNull<SkippedRaw>;
    fn kvds_rocksdb_free_skipped(skipped: NonNull<SkippedRaw>);
    fn kvds_rocksdb_take_skipped(
        skipped: NonNull<SkippedRaw>,
        visit: unsafe extern "C" fn(state: *mut u8, keys: *const RawKeys),
        state: *mut u8,
    );
    fn kvds_rocksdb_rebuild_manifest(
        options: *const rocksdb_options_t,
        path: *const u8,
        path_len: usize,
        text: *mut u8,
        capacity: usize,
    ) -> usize;
}

impl Skipped {
    /// Makes a database that is opened with `settings` read what can be read: its iterators skip
    /// what is damaged, and its lookups fail there.
    pub fn of(settings: &mut rocksdb::Options) -> Skipped {
        // SAFETY: the options are live, not used by others meanwhile, and have a table factory for
        // block-based tables.
        #[allow(unsafe_code)]
        Skipped(unsafe { kvds_rocksdb_read_damaged(settings.as_raw_ptr()) })
    }

    /// Calls `visit` with what was skipped since the last call.
    pub fn take(&self, visit: &mut Visit<'_>) {
        let mut visit = visit;
        // SAFETY: the object is live, and the callback gets the state as it is passed here.
        #[allow(unsafe_code)]
        unsafe {
            kvds_rocksdb_take_skipped(self.0, visit_keys, (&raw mut visit).cast());
        }
    }
}

impl Drop for Skipped {
    fn drop(&mut self) {
        // SAFETY: the object is live. The database has its own reference to what is in it.
        #[allow(unsafe_code)]
        unsafe {
            kvds_rocksdb_free_skipped(self.0);
        }
    }
}

/// Passes skipped keys on.
///
/// # Safety
/// Both pointers are valid, and those in `keys` for their lengths.
#[allow(unsafe_code)]
unsafe extern "C" fn visit_keys(state: *mut u8, keys: *const RawKeys) {
    // SAFETY: readable_tables.cc passes the state of the call and keys.
    let (visit, keys) = unsafe { (&mut *state.cast::<&mut Visit<'_>>(), &*keys) };
    let bytes = |data: *const u8, len: usize| {
        // SAFETY: the lengths are those of the bytes.
        (!data.is_null()).then(|| unsafe { std::slice::from_raw_parts(data, len) })
    };
    visit(SkippedKeys {
        table: keys.table,
        first: bytes(keys.first, keys.first_len),
        last: bytes(keys.last, keys.last_len),
    });
}

/// Creates a manifest for the tables and logs in the directory `path`, of which none is the only
/// copy. An error says what is damaged.
pub fn rebuild_manifest(settings: &rocksdb::Options, path: &Path) -> Result<(), String> {
    let path = path.as_os_str().as_bytes();
    call_cpp(|text, capacity| {
        // SAFETY: the options are live, and the length is that of the path.
        #[allow(unsafe_code)]
        signals::blocked(|| unsafe {
            let settings = settings.as_raw_ptr();
            kvds_rocksdb_rebuild_manifest(settings, path.as_ptr(), path.len(), text, capacity)
        })
    })
}
