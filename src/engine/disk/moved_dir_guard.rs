//! Protects the files of other stores when the directory of an open store was moved, removed or
//! replaced: see moved_dir_guard.cc.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use librocksdb_sys::rocksdb_options_t;
use rocksdb::AsRawPtr;

// See moved_dir_guard.cc.
#[allow(unsafe_code)]
unsafe extern "C" {
    fn kvds_rocksdb_guard_new(
        options: *mut rocksdb_options_t,
        path: *const u8,
        len: usize,
        directory: i32,
    ) -> *mut u8;
    fn kvds_rocksdb_guard_free(guard: *mut u8);
}

/// The guarded file system of one store. It is dropped after the database.
pub struct Guard(*mut u8);

// SAFETY: an Env can be used from any thread.
#[allow(unsafe_code)]
unsafe impl Send for Guard {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Sync for Guard {}

impl Guard {
    /// Restricts a database that is opened with `options` in `path` to files in `directory`, which
    /// stays open for longer than this.
    pub fn new(options: &rocksdb::Options, path: &Path, directory: &File) -> Guard {
        let path = path.as_os_str().as_bytes();
        // SAFETY: the options are live and not used by others meanwhile; the path is copied.
        #[allow(unsafe_code)]
        Guard(unsafe {
            kvds_rocksdb_guard_new(
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
        // SAFETY: freed once, here, after the database was closed.
        #[allow(unsafe_code)]
        unsafe {
            kvds_rocksdb_guard_free(self.0);
        }
    }
}
