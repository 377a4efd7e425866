//! The C functions, as a host would wrap them.

use std::ffi::{CString, c_int, c_void};
use std::path::Path;
use std::ptr;

use kvds::ffi::boundary::kvds_last_error;
use kvds::ffi::distributor::{kvds_distributor_get_or_create, kvds_distributor_new, kvds_distributor_release};
use kvds::ffi::handle::{kvds_distributor, kvds_store};
use kvds::ffi::read::{kvds_get, kvds_iterate, kvds_multi_get};
use kvds::ffi::status::{KVDS_INTERNAL, KVDS_OK, kvds_status};
use kvds::ffi::store::kvds_store_release;
use kvds::ffi::types::{KVDS_DISK, KVDS_MEMORY, kvds_bytes, kvds_pair, kvds_value, kvds_value_release};
use kvds::ffi::write::{kvds_delete_batch, kvds_delete_prefix, kvds_set, kvds_set_batch};

/// A store and its distributor, with default options.
pub struct Store {
    distributor: *mut kvds_distributor,
    store: *mut kvds_store,
}

/// Ends the measurement if a call failed.
fn must(status: kvds_status) {
    if status != KVDS_OK {
        // SAFETY: the text is valid until the next failing call on this thread.
        let text = unsafe { std::ffi::CStr::from_ptr(kvds_last_error()) };
        panic!("status {status}: {}", text.to_string_lossy());
    }
}

impl Store {
    /// A store on disk under `base`, or in memory.
    pub fn open(base: Option<&Path>) -> Store {
        let path = base.map(|base| CString::new(base.to_str().expect("UTF-8")).expect("no NUL"));
        let backend = if base.is_some() { KVDS_DISK } else { KVDS_MEMORY };
        let mut store = ptr::null_mut();
        // SAFETY: the texts end with a NUL, and the output can be written.
        unsafe {
            let distributor = kvds_distributor_new(path.as_ref().map_or(ptr::null(), |path| path.as_ptr()));
            must(kvds_distributor_get_or_create(distributor, c"store".as_ptr(), backend, &mut store));
            Store { distributor, store }
        }
    }

    pub fn set(&self, key: &[u8], value: &[u8]) {
        // SAFETY: the slices are what they say.
        must(unsafe { kvds_set(self.store, key.as_ptr().cast(), key.len(), value.as_ptr().cast(), value.len()) });
    }

    pub fn set_batch(&self, pairs: &[(Vec<u8>, Vec<u8>)]) {
        let pair = |(key, value): &(Vec<u8>, Vec<u8>)| kvds_pair {
            key: key.as_ptr().cast(),
            key_len: key.len(),
            value: value.as_ptr().cast(),
            value_len: value.len(),
        };
        let pairs: Vec<_> = pairs.iter().map(pair).collect();
        // SAFETY: the pairs point to slices that outlive the call.
        must(unsafe { kvds_set_batch(self.store, pairs.as_ptr(), pairs.len()) });
    }

    /// Reads a value and returns its length.
    pub fn get(&self, key: &[u8]) -> usize {
        let mut value = kvds_value { data: ptr::null(), len: 0, owner: ptr::null_mut() };
        // SAFETY: the slice is what it says, and the value is released once.
        unsafe {
            must(kvds_get(self.store, key.as_ptr().cast(), key.len(), &mut value));
            let len = value.len;
            kvds_value_release(&mut value);
            len
        }
    }

    /// Reads many values and returns the sum of their lengths.
    pub fn multi_get(&self, keys: &[Vec<u8>]) -> usize {
        let keys = bytes(keys);
        let empty = || kvds_value { data: ptr::null(), len: 0, owner: ptr::null_mut() };
        let mut values: Vec<_> = keys.iter().map(|_| empty()).collect();
        let mut statuses = vec![KVDS_INTERNAL; keys.len()];
        // SAFETY: the arrays are as long as is said, and each value is released once.
        unsafe {
            must(kvds_multi_get(self.store, keys.as_ptr(), keys.len(), values.as_mut_ptr(), statuses.as_mut_ptr()));
            values.iter_mut().map(|value| (value.len, kvds_value_release(value)).0).sum()
        }
    }

    pub fn delete_batch(&self, keys: &[Vec<u8>]) {
        let keys = bytes(keys);
        // SAFETY: the keys point to slices that outlive the call.
        must(unsafe { kvds_delete_batch(self.store, keys.as_ptr(), keys.len()) });
    }

    pub fn delete_prefix(&self, prefix: &[u8]) {
        // SAFETY: the slice is what it says.
        must(unsafe { kvds_delete_prefix(self.store, prefix.as_ptr().cast(), prefix.len()) });
    }

    /// Iterates and returns how many pairs there were.
    pub fn iterate(&self, prefix: &[u8]) -> usize {
        extern "C" fn count(data: *mut c_void, _: *const c_void, _: usize, _: *const c_void, _: usize) -> c_int {
            // SAFETY: it is what was passed below.
            unsafe { *data.cast::<usize>() += 1 };
            1
        }
        let mut pairs = 0_usize;
        // SAFETY: the slice is what it says, and `pairs` outlives the call.
        must(unsafe {
            kvds_iterate(self.store, prefix.as_ptr().cast(), prefix.len(), Some(count), (&raw mut pairs).cast())
        });
        pairs
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: both references are this one's own.
        unsafe {
            kvds_store_release(self.store);
            kvds_distributor_release(self.distributor);
        }
    }
}

fn bytes(keys: &[Vec<u8>]) -> Vec<kvds_bytes> {
    keys.iter().map(|key| kvds_bytes { data: key.as_ptr().cast(), len: key.len() }).collect()
}
