//! RocksDB's Env, its threads and file system, one for each process: see env.cc.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use librocksdb_sys::rocksdb_options_t;
use rocksdb::AsRawPtr;

use super::durable_dir;
use crate::error::{Error, Result};
use crate::sys::fork::PerProcess;
use crate::sys::signals;

// See env.cc.
#[allow(unsafe_code)]
unsafe extern "C" {
    fn kvds_rocksdb_env_new(unsynced: unsafe extern "C" fn(path: *const u8, len: usize))
    -> *mut u8;
    fn kvds_rocksdb_env_start_threads(env: *mut u8) -> i32;
    fn kvds_rocksdb_env_use(env: *mut u8, options: *mut rocksdb_options_t);
}

/// An Env. It is never destroyed, because its threads run until the process ends.
struct Env(*mut u8);

// SAFETY: an Env can be used from any thread.
#[allow(unsafe_code)]
unsafe impl Send for Env {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Sync for Env {}

impl Default for Env {
    fn default() -> Env {
        // SAFETY: the function has the declared type, and the Env is never destroyed.
        #[allow(unsafe_code)]
        Env(unsafe { kvds_rocksdb_env_new(warn_unsynced) })
    }
}

/// Warns that the file system of a directory cannot sync directories.
///
/// # Safety
/// `path` is readable for `len` bytes.
#[allow(unsafe_code)]
unsafe extern "C" fn warn_unsynced(path: *const u8, len: usize) {
    // SAFETY: env.cc passes a path of this length.
    let path = unsafe { std::slice::from_raw_parts(path, len) };
    durable_dir::warn_unsynced(Path::new(OsStr::from_bytes(path)));
}

static ENV: PerProcess<Env> = PerProcess::new();

/// Makes a database that is opened with `options` use the Env of this process.
pub fn use_env(options: &rocksdb::Options) {
    // SAFETY: both are live, and the options are not used by others meanwhile.
    #[allow(unsafe_code)]
    unsafe {
        kvds_rocksdb_env_use(ENV.get().0, options.as_raw_ptr());
    }
}

/// Starts the threads that databases need, unless they run.
///
/// RocksDB has no error for a thread that cannot be started.
pub fn start_threads() -> Result<()> {
    // SAFETY: the Env is live.
    #[allow(unsafe_code)]
    let errno = signals::blocked(|| unsafe { kvds_rocksdb_env_start_threads(ENV.get().0) });
    match errno {
        0 => Ok(()),
        errno => Err(Error::io(
            "cannot start the threads of the store",
            io::Error::from_raw_os_error(errno),
        )),
    }
}
