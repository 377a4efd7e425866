//! Leaving other stores alone where the directory of an open one was moved, removed or replaced:
//! see guard.cc.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use librocksdb_sys::rocksdb_options_t;
use rocksdb::AsRawPtr;

// See guard.cc.
#[allow(unsafe_code)]
unsafe extern "C" {
    fn kvds_rocksdb_guard(
        options: *mut rocksdb_options_t,
        path: *const u8,
        len: usize,
        directory: i32,
    ) -> *mut u8;
    fn kvds_rocksdb_guard_free(guard: *mut u8);
}

/// The files of one store as RocksDB gets them. To be dropped after the database.
pub struct Guard(*mut u8);

// SAFETY: RocksDB calls an Env from any thread.
#[allow(unsafe_code)]
unsafe impl Send for Guard {}
// SAFETY: the same.
#[allow(unsafe_code)]
unsafe impl Sync for Guard {}

impl Guard {
    /// Has what is opened with `options` in `path` change files in `directory` alone, which stays
    /// open for longer than this.
    pub fn new(options: &rocksdb::Options, path: &Path, directory: &File) -> Guard {
        let path = path.as_os_str().as_bytes();
        // SAFETY: the options are live, and used by nobody else meanwhile; the path is copied.
        #[allow(unsafe_code)]
        Guard(unsafe {
            kvds_rocksdb_guard(
                options.as_raw_ptr(),
                path.as_ptr().cast(),
                path.len(),
                directory.as_raw_fd(),
            )
        })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // SAFETY: dropped once, here, when the database is closed.
        #[allow(unsafe_code)]
        unsafe {
            kvds_rocksdb_guard_free(self.0);
        }
    }
}
