//! The table files that a manifest lists: see live_tables.cc.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use librocksdb_sys::rocksdb_options_t;
use rocksdb::AsRawPtr;

use crate::engine::disk::errors::call_cpp;

/// A table file of a store.
#[derive(Clone, Debug)]
pub struct LiveTable {
    /// The name of its column family.
    pub family: String,
    pub number: u64,
    pub size: u64,
    /// The bytes behind the data blocks; 0 if that is not known.
    pub tail_size: u64,
    /// The first and the last key, if they are known.
    pub keys: Option<KeyBounds>,
}

/// The first and the last key.
pub type KeyBounds = (Box<[u8]>, Box<[u8]>);

impl LiveTable {
    pub fn name(&self) -> String {
        format!("{:06}.sst", self.number)
    }

    pub fn path(&self, directory: &Path) -> PathBuf {
        directory.join(self.name())
    }
}

/// What a manifest lists.
#[derive(Debug, Default)]
pub struct LiveFiles {
    /// In the order of their numbers.
    pub tables: Vec<LiveTable>,
    /// The first log that is still needed.
    pub first_log: u64,
    /// The number of the next new file.
    pub next_file: u64,
}

/// A table as live_tables.cc passes it.
#[repr(C)]
struct Entry {
    family: *const u8,
    family_len: usize,
    smallest: *const u8,
    smallest_len: usize,
    largest: *const u8,
    largest_len: usize,
    number: u64,
    size: u64,
    tail_size: u64,
}

// See live_tables.cc.
#[allow(unsafe_code)]
unsafe extern "C" {
    fn kvds_rocksdb_live_tables(
        options: *const rocksdb_options_t,
        path: *const u8,
        path_len: usize,
        visit: unsafe extern "C" fn(tables: *mut u8, entry: *const Entry),
        tables: *mut u8,
        first_log: *mut u64,
        next_file: *mut u64,
        text: *mut u8,
        capacity: usize,
    ) -> usize;
}

/// Reads the manifest `path`. An error says what is damaged.
pub fn read(settings: &rocksdb::Options, path: &Path) -> Result<LiveFiles, String> {
    let path = path.as_os_str().as_bytes();
    let mut files = LiveFiles::default();
    // SAFETY: the options are live, the length is that of the path, and the callback gets the list
    // as it is passed here.
    #[allow(unsafe_code)]
    call_cpp(|text, capacity| unsafe {
        kvds_rocksdb_live_tables(
            settings.as_raw_ptr(),
            path.as_ptr(),
            path.len(),
            add,
            (&raw mut files.tables).cast(),
            &raw mut files.first_log,
            &raw mut files.next_file,
            text,
            capacity,
        )
    })?;
    files.tables.sort_by_key(|table| table.number);
    Ok(files)
}

/// Adds a table to the list.
///
/// # Safety
/// Both pointers are valid, and those in `entry` for their lengths.
#[allow(unsafe_code)]
unsafe extern "C" fn add(tables: *mut u8, entry: *const Entry) {
    // SAFETY: live_tables.cc passes the list and an entry.
    let (tables, entry) = unsafe { (&mut *tables.cast::<Vec<LiveTable>>(), &*entry) };
    let bytes = |data: *const u8, len: usize| -> Box<[u8]> {
        if len == 0 {
            return Box::default();
        }
        // SAFETY: the lengths are those of the bytes.
        unsafe { std::slice::from_raw_parts(data, len) }.into()
    };
    tables.push(LiveTable {
        family: String::from_utf8_lossy(&bytes(entry.family, entry.family_len)).into_owned(),
        number: entry.number,
        size: entry.size,
        tail_size: entry.tail_size,
        keys: Some((
            bytes(entry.smallest, entry.smallest_len),
            bytes(entry.largest, entry.largest_len),
        )),
    });
}
