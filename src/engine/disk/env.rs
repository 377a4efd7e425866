//! RocksDB's threads and files, apart for every process: see env.cc.

use std::ffi::{c_int, c_void};
use std::io;

use librocksdb_sys::rocksdb_options_t;
use rocksdb::AsRawPtr;

use crate::error::{Error, Result};
use crate::fork::PerProcess;
use crate::signals;

// See env.cc.
#[allow(unsafe_code)]
unsafe extern "C" {
    fn kvds_rocksdb_env() -> *mut c_void;
    fn kvds_rocksdb_env_start(env: *mut c_void) -> c_int;
    fn kvds_rocksdb_env_use(env: *mut c_void, options: *mut rocksdb_options_t);
}

/// An Env, which is never destroyed: its threads run until the process ends.
struct Env(*mut c_void);

// SAFETY: RocksDB calls an Env from any thread, and so does env.cc.
#[allow(unsafe_code)]
unsafe impl Send for Env {}
// SAFETY: the same.
#[allow(unsafe_code)]
unsafe impl Sync for Env {}

impl Default for Env {
    fn default() -> Env {
        // SAFETY: the call takes nothing, and what it returns stays.
        #[allow(unsafe_code)]
        Env(unsafe { kvds_rocksdb_env() })
    }
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

/// Starts the threads that databases need, unless they run. RocksDB has no error for threads that cannot be started.
pub fn start_threads() -> Result<()> {
    // SAFETY: the Env is live.
    #[allow(unsafe_code)]
    let errno = signals::blocked(|| unsafe { kvds_rocksdb_env_start(ENV.get().0) });
    match errno {
        0 => Ok(()),
        errno => Err(Error::io("cannot start the store's threads", io::Error::from_raw_os_error(errno))),
    }
}
