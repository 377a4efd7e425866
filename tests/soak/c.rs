//! Wraps the C functions for the load: handles that release themselves, and checked statuses.

use std::ffi::{CStr, CString, c_int, c_void};
use std::path::Path;
use std::ptr;

use kvds::testing::ffi::*;

/// Requires that the status is one of `allowed`, and returns it.
#[track_caller]
fn one_of(allowed: &[kvds_status], status: kvds_status) -> kvds_status {
    if !allowed.contains(&status) {
        // SAFETY: the texts are valid until the next failing call on this thread.
        let (name, text) = unsafe {
            (CStr::from_ptr(kvds_status_name(status)), CStr::from_ptr(kvds_last_error()))
        };
        panic!("{name:?}: {text:?}");
    }
    status
}

fn text(text: &str) -> CString {
    CString::new(text).expect("there is no NUL in it")
}

/// A distributor.
pub struct Distributor(*mut kvds_distributor);

// SAFETY: all calls on a distributor are safe at the same time.
unsafe impl Send for Distributor {}
// SAFETY: as above.
unsafe impl Sync for Distributor {}

impl Drop for Distributor {
    fn drop(&mut self) {
        // SAFETY: the reference is ours.
        unsafe { kvds_distributor_release(self.0) };
    }
}

impl Distributor {
    pub fn open(base: &Path, options: &[(&str, &str)]) -> Distributor {
        let base = text(base.to_str().expect("UTF-8"));
        let mut distributor = ptr::null_mut();
        // SAFETY: the arguments are what the header asks for.
        unsafe {
            let settings = kvds_options_new();
            for (name, value) in options {
                one_of(
                    &[KVDS_OK],
                    kvds_options_set(settings, text(name).as_ptr(), text(value).as_ptr()),
                );
            }
            one_of(&[KVDS_OK], kvds_distributor_open(base.as_ptr(), settings, &mut distributor));
            kvds_options_free(settings);
        }
        Distributor(distributor)
    }

    pub fn store(&self, id: &str, backend: kvds_backend) -> Store {
        let mut store = ptr::null_mut();
        // SAFETY: the arguments are what the header asks for.
        unsafe {
            let status =
                kvds_distributor_get_or_create(self.0, text(id).as_ptr(), backend, &mut store);
            one_of(&[KVDS_OK], status);
        }
        Store(store)
    }

    /// Destroys a store, which must exist. No other thread may use it.
    pub fn destroy(&self, id: &str) {
        // SAFETY: as above.
        one_of(&[KVDS_OK], unsafe { kvds_distributor_destroy_store(self.0, text(id).as_ptr()) });
    }

    /// Counts the death notifications during a call of `during`.
    pub fn deaths(&self, during: impl FnOnce()) -> u64 {
        unsafe extern "C" fn on_death(
            count: *mut c_void,
            _: u64,
            _: *const std::ffi::c_char,
            _: kvds_backend,
        ) {
            // SAFETY: the data is the number below, until the observer is gone.
            unsafe {
                (*count.cast::<std::sync::atomic::AtomicU64>())
                    .fetch_add(1, std::sync::atomic::Ordering::Relaxed)
            };
        }
        let count = std::sync::atomic::AtomicU64::new(0);
        let mut observer = 0;
        let data = (&raw const count).cast_mut().cast();
        // SAFETY: the number outlives the observer: taking it away waits until none of its calls
        // runs.
        unsafe {
            one_of(
                &[KVDS_OK],
                kvds_distributor_observe(self.0, Some(on_death), data, None, &mut observer),
            );
            during();
            one_of(&[KVDS_OK], kvds_distributor_unobserve(self.0, observer));
        }
        count.into_inner()
    }
}

/// A store or a view.
pub struct Store(*mut kvds_store);

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: the reference is ours.
        assert!(unsafe { kvds_store_release(self.0) } >= 0);
    }
}

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

impl Store {
    pub fn set(&self, key: &[u8], value: &[u8]) {
        // SAFETY: the arguments are what the header asks for; so are all below.
        let status = unsafe {
            kvds_set(self.0, key.as_ptr().cast(), key.len(), value.as_ptr().cast(), value.len())
        };
        one_of(&[KVDS_OK], status);
    }

    /// Deletes a key. Returns whether it existed.
    pub fn delete(&self, key: &[u8]) -> bool {
        // SAFETY: as above.
        let status = unsafe { kvds_del(self.0, key.as_ptr().cast(), key.len()) };
        one_of(&[KVDS_OK, KVDS_NOT_FOUND], status) == KVDS_OK
    }

    pub fn delete_prefix(&self, prefix: &[u8]) {
        // SAFETY: as above.
        one_of(&[KVDS_OK], unsafe {
            kvds_delete_prefix(self.0, prefix.as_ptr().cast(), prefix.len())
        });
    }

    pub fn set_batch(&self, pairs: &Pairs) {
        let pairs: Vec<kvds_pair> = pairs
            .iter()
            .map(|(key, value)| kvds_pair {
                key: key.as_ptr().cast(),
                key_len: key.len(),
                value: value.as_ptr().cast(),
                value_len: value.len(),
            })
            .collect();
        // SAFETY: as above.
        one_of(&[KVDS_OK], unsafe { kvds_set_batch(self.0, pairs.as_ptr(), pairs.len()) });
    }

    pub fn add(&self, key: &[u8], delta: i64) -> i64 {
        let mut sum = 0;
        // SAFETY: as above.
        one_of(&[KVDS_OK], unsafe {
            kvds_add(self.0, key.as_ptr().cast(), key.len(), delta, &mut sum)
        });
        sum
    }

    pub fn get(&self, key: &[u8]) -> Option<Value> {
        let mut value = Value(kvds_value { data: ptr::null(), len: 0, owner: ptr::null_mut() });
        // SAFETY: as above.
        let status = unsafe { kvds_get(self.0, key.as_ptr().cast(), key.len(), &mut value.0) };
        (one_of(&[KVDS_OK, KVDS_NOT_FOUND], status) == KVDS_OK).then_some(value)
    }

    /// Returns all pairs whose keys begin with a prefix.
    pub fn pairs(&self, prefix: &[u8]) -> Pairs {
        unsafe extern "C" fn visit(
            pairs: *mut c_void,
            key: *const c_void,
            key_len: usize,
            value: *const c_void,
            value_len: usize,
        ) -> c_int {
            // SAFETY: the data is the vector below; what is shown can be read.
            unsafe {
                let read = |data: *const c_void, len| {
                    std::slice::from_raw_parts(data.cast::<u8>(), len).to_vec()
                };
                (*pairs.cast::<Pairs>()).push((read(key, key_len), read(value, value_len)));
            }
            1
        }
        let mut pairs = Pairs::new();
        let data = (&raw mut pairs).cast();
        // SAFETY: as above.
        one_of(&[KVDS_OK], unsafe {
            kvds_iterate(self.0, prefix.as_ptr().cast(), prefix.len(), Some(visit), data)
        });
        pairs
    }

    /// Returns the keys that begin with a prefix in reverse order, read by a cursor.
    pub fn keys_backward(&self, prefix: &[u8]) -> Vec<Vec<u8>> {
        let range = kvds_range {
            prefix: prefix.as_ptr().cast(),
            prefix_len: prefix.len(),
            start: ptr::null(),
            start_len: 0,
            end: ptr::null(),
            end_len: 0,
        };
        let (mut cursor, mut keys) = (ptr::null_mut(), Vec::new());
        // SAFETY: as above; a key that is shown can be read until the next move.
        unsafe {
            one_of(&[KVDS_OK], kvds_cursor_new(self.0, &range, &mut cursor));
            let mut status = kvds_cursor_last(cursor);
            while one_of(&[KVDS_OK, KVDS_NOT_FOUND], status) == KVDS_OK {
                let mut key = kvds_bytes { data: ptr::null(), len: 0 };
                one_of(&[KVDS_OK], kvds_cursor_key(cursor, &mut key));
                keys.push(std::slice::from_raw_parts(key.data.cast::<u8>(), key.len).to_vec());
                status = kvds_cursor_prev(cursor);
            }
            kvds_cursor_free(cursor);
        }
        keys
    }

    pub fn snapshot(&self) -> Store {
        let mut view = ptr::null_mut();
        // SAFETY: as above.
        one_of(&[KVDS_OK], unsafe { kvds_store_snapshot(self.0, &mut view) });
        Store(view)
    }

    pub fn scope(&self, prefix: &[u8]) -> Store {
        let mut view = ptr::null_mut();
        // SAFETY: as above.
        one_of(&[KVDS_OK], unsafe {
            kvds_store_scope(self.0, prefix.as_ptr().cast(), prefix.len(), &mut view)
        });
        Store(view)
    }

    /// Closes the store for all references.
    pub fn close(&self) {
        // SAFETY: as above.
        one_of(&[KVDS_OK], unsafe { kvds_close(self.0) });
    }

    pub fn checkpoint(&self, path: &Path) {
        // SAFETY: as above.
        let status =
            unsafe { kvds_checkpoint(self.0, text(path.to_str().expect("UTF-8")).as_ptr()) };
        one_of(&[KVDS_OK], status);
    }

    pub fn compact(&self) {
        // SAFETY: as above.
        one_of(&[KVDS_OK], unsafe { kvds_compact(self.0) });
    }
}

/// A value, which is readable until it is dropped.
pub struct Value(kvds_value);

impl Drop for Value {
    fn drop(&mut self) {
        // SAFETY: it is the library's.
        unsafe { kvds_value_release(&mut self.0) }
    }
}

impl std::ops::Deref for Value {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the bytes of a value stay until its release.
        unsafe { std::slice::from_raw_parts(self.0.data.cast(), self.0.len) }
    }
}
