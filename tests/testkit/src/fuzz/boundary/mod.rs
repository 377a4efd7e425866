//! Calls the C functions with all arguments that do not break the rules of C: NULLs, lengths that
//! are too long, unaligned pointers, handles of another kind, numbers that are no constant, texts
//! that are no UTF-8, and all objects that earlier calls created.
//!
//! A call must return one of its statuses and never `KVDS_INTERNAL`. An error has a text, the
//! output of a failed call is empty, and nothing is leaked.

mod batch;
mod cursor;
mod distributor;
mod expiry;
mod inputs;
mod maintenance;
mod read;
mod store;
mod watch;
mod write;

use std::ffi::{CStr, c_int};
use std::ptr;

use arbitrary::{Result, Unstructured};
use kvds::testing::ffi::*;
use tempfile::TempDir;

use inputs::{odd, text};

/// The maximum number of calls of an input.
const CALLS: usize = 100;

/// The maximum number of objects of each kind.
const KEPT: usize = 8;

/// Makes the calls that `data` encodes, on new objects.
pub fn boundary(data: &[u8]) {
    let mut bytes = Unstructured::new(data);
    let disk = bytes.int_in_range(0..=7_u8).unwrap_or_default() == 7;
    let mut objects = Objects::new(disk);
    for _ in 0..CALLS {
        if bytes.is_empty() || objects.call(&mut bytes).is_err() {
            break;
        }
    }
    objects.end();
}

/// All living objects.
struct Objects {
    directory: Option<TempDir>,
    distributor: *mut kvds_distributor,
    stores: Vec<*mut kvds_store>,
    cursors: Vec<*mut kvds_cursor>,
    watches: Vec<*mut kvds_watch>,
    batches: Vec<*mut kvds_batch>,
    values: Vec<kvds_value>,
    options: *mut kvds_options,
    observers: Vec<u64>,
    observed: c_int,
    /// How many times the user data of an observer was freed. Boxed, as observers outlive calls.
    freed: Box<c_int>,
    copies: u32,
}

const NO_VALUE: kvds_value = kvds_value { data: ptr::null(), len: 0, owner: ptr::null_mut() };

/// Checks the status of a call.
fn checked(status: kvds_status) -> kvds_status {
    assert!((KVDS_EXPIRED..=KVDS_TRUNCATED).contains(&status), "not a status: {status}");
    // SAFETY: both texts belong to the library, and are valid here.
    let (name, text) =
        unsafe { (CStr::from_ptr(kvds_status_name(status)), CStr::from_ptr(kvds_last_error())) };
    assert!(
        ![KVDS_INTERNAL, KVDS_CORRUPTION, KVDS_UNKNOWN_OUTCOME, KVDS_FORKED, KVDS_EXPIRED]
            .contains(&status),
        "{name:?}: {text:?}"
    );
    assert!(status >= 0 || !text.is_empty(), "{name:?} has no text");
    status
}

/// Checks the status of a call, and that it set its output only on success.
fn succeeded<T>(status: kvds_status, out: *mut T) -> bool {
    let ok = checked(status) == KVDS_OK;
    assert_eq!(ok, !out.is_null(), "the output does not match the status {status}");
    ok
}

impl Objects {
    fn new(disk: bool) -> Objects {
        let directory = disk.then(|| TempDir::new().expect("cannot create a directory"));
        let base = directory
            .as_ref()
            .map(|directory| text(directory.path().to_str().expect("UTF-8").as_bytes()));
        let base = base.as_deref().map_or(ptr::null(), CStr::as_ptr);
        let mut distributor = ptr::null_mut();
        // SAFETY: the arguments are those that the header requires.
        assert!(succeeded(
            unsafe { kvds_distributor_open(base, ptr::null(), &mut distributor) },
            distributor
        ));
        Objects {
            directory,
            distributor,
            stores: Vec::new(),
            cursors: Vec::new(),
            watches: Vec::new(),
            batches: vec![kvds_batch_new()],
            values: Vec::new(),
            options: kvds_options_new(),
            observers: Vec::new(),
            observed: 0,
            freed: Box::new(0),
            copies: 0,
        }
    }

    /// Releases everything, and checks that nothing is left.
    fn end(mut self) {
        // SAFETY: each object is released once.
        unsafe {
            self.values.iter_mut().for_each(|value| kvds_value_release(value));
            self.cursors.iter().for_each(|cursor| kvds_cursor_free(*cursor));
            self.watches.iter().for_each(|watch| kvds_watch_free(*watch));
            self.batches.iter().for_each(|batch| kvds_batch_free(*batch));
            for store in &self.stores {
                kvds_store_release(*store);
            }
            kvds_options_free(self.options);
            assert_eq!(kvds_distributor_store_count(self.distributor), 0, "a store is leaked");
            assert_eq!(kvds_distributor_release(self.distributor), 0);
        }
        assert_eq!(*self.freed, self.observed, "the data of each observer must be freed once");
        drop(self.directory);
    }

    fn call(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        match bytes.int_in_range(0..=9_u8)? {
            0 => self.distribute(bytes),
            1 => self.store(bytes),
            2 | 3 => self.write(bytes),
            4 => self.read(bytes),
            5 => self.cursor(bytes),
            6 => self.batch(bytes),
            7 => self.expiry(bytes),
            8 => self.watch(bytes),
            _ => self.maintenance(bytes),
        }
    }

    /// Returns a live store, most of the time.
    fn some_store(&self, bytes: &mut Unstructured<'_>) -> Result<*mut kvds_store> {
        Ok(match bytes.int_in_range(0..=15_u8)? {
            0 => ptr::null_mut(),
            1 => self.distributor.cast(),
            2 => odd(),
            _ if self.stores.is_empty() => ptr::null_mut(),
            _ => *bytes.choose(&self.stores)?,
        })
    }

    /// Returns the distributor, most of the time.
    fn some_distributor(&self, bytes: &mut Unstructured<'_>) -> Result<*mut kvds_distributor> {
        Ok(match (bytes.int_in_range(0..=31_u8)?, self.stores.first()) {
            (0, _) => ptr::null_mut(),
            (1, _) => odd(),
            (2, Some(store)) => store.cast(),
            _ => self.distributor,
        })
    }

    fn keep_store(&mut self, store: *mut kvds_store) {
        self.stores.push(store);
        if self.stores.len() > KEPT {
            // SAFETY: the reference is released once.
            assert!(unsafe { kvds_store_release(self.stores.remove(0)) } >= 0);
        }
    }

    fn keep_value(&mut self, value: kvds_value) {
        self.values.push(value);
        if self.values.len() > KEPT {
            // SAFETY: the value is the library's. The first call empties it.
            unsafe {
                kvds_value_release(&mut self.values[0]);
                kvds_value_release(&mut self.values[0]);
            }
            self.values.remove(0);
        }
    }
}
