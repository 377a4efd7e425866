//! RocksDB's threads and files, apart for every process: see env.cc.

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
    fn kvds_rocksdb_env(unsynced: unsafe extern "C" fn(path: *const u8, len: usize)) -> *mut u8;
    fn kvds_rocksdb_env_start(env: *mut u8) -> i32;
    fn kvds_rocksdb_env_use(env: *mut u8, options: *mut rocksdb_options_t);
}

/// An Env, which is never destroyed: its threads run until the process ends.
struct Env(*mut u8);

// SAFETY: RocksDB calls an Env from any thread, and so does env.cc.
#[allow(unsafe_code)]
unsafe impl Send for Env {}
// SAFETY: the same.
#[allow(unsafe_code)]
unsafe impl Sync for Env {}

impl Default for Env {
    fn default() -> Env {
        // SAFETY: the function fits, and what is returned stays.
        #[allow(unsafe_code)]
        Env(unsafe { kvds_rocksdb_env(unsynced) })
    }
}

/// A directory of a database is on a file system that cannot sync directories.
///
/// # Safety
/// `path` is readable for `len` bytes.
#[allow(unsafe_code)]
unsafe extern "C" fn unsynced(path: *const u8, len: usize) {
    // SAFETY: as env.cc promises.
    let path = unsafe { std::slice::from_raw_parts(path, len) };
    durable_dir::tell_unsynced(Path::new(OsStr::from_bytes(path)));
}

static ENV: PerProcess<Env> = PerProcess::new();

/// Has a database that is opened with `options` use the Env of this process.
pub fn set(options: &rocksdb::Options) {
    // SAFETY: both are live, and nobody else uses the options meanwhile.
    #[allow(unsafe_code)]
    unsafe {
        kvds_rocksdb_env_use(ENV.get().0, options.as_raw_ptr());
    }
}

/// Starts the threads that databases need, unless they run. RocksDB has no error for threads that
/// cannot be started.
pub fn start_threads() -> Result<()> {
    // SAFETY: the Env is live.
    #[allow(unsafe_code)]
    let errno = signals::blocked(|| unsafe { kvds_rocksdb_env_start(ENV.get().0) });
    match errno {
        0 => Ok(()),
        errno => {
            Err(Error::io("cannot start the store's threads", io::Error::from_raw_os_error(errno)))
        }
    }
}
