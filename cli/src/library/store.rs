//! A store.

use std::mem;
use std::ptr::{self, NonNull};

use super::{Batch, Error, Options, Result, Stats, Value, check, ffi, text, yes};

/// A reference to a store, released when this is dropped.
pub struct Store(NonNull<ffi::Store>);

// SAFETY: any thread may call any function on a store, also while another one does.
unsafe impl Send for Store {}
// SAFETY: as above.
unsafe impl Sync for Store {}

/// The result of a conditional write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Swap {
    Done,
    NotFound,
    Mismatch,
}

impl Swap {
    fn new(status: ffi::Status) -> Result<Swap> {
        Ok(match check(status)? {
            ffi::OK => Swap::Done,
            ffi::MISMATCH => Swap::Mismatch,
            _ => Swap::NotFound,
        })
    }
}

/// Calls a function with the store and the pointers and lengths of byte strings.
macro_rules! call {
    ($function:ident, $store:expr $(, bytes $bytes:expr)* $(; $argument:expr)*) => {
        // SAFETY: the handle is live, and all pointers are valid for their lengths.
        unsafe {
            ffi::$function(
                $store.0.as_ptr()
                $(, $bytes.as_ptr().cast(), $bytes.len())*
                $(, $argument)*
            )
        }
    };
}

impl Store {
    pub(super) fn from_raw(store: *mut ffi::Store) -> Option<Store> {
        NonNull::new(store).map(Store)
    }

    pub(super) fn as_ptr(&self) -> *mut ffi::Store {
        self.0.as_ptr()
    }

    /// Opens the disk store in the directory `path`.
    ///
    /// Returns `None` if it does not exist and may not be created.
    pub fn open(path: &[u8], options: &Options) -> Result<Option<Store>> {
        let path = text(path)?;
        let mut out = ptr::null_mut();
        // SAFETY: the text ends with a NUL, and both pointers are valid.
        let status = unsafe { ffi::kvds_store_open(path.as_ptr(), options.as_ptr(), &mut out) };
        Ok(if yes(status)? { Store::from_raw(out) } else { None })
    }

    /// Returns the value of `key`.
    pub fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        let mut value = Value::empty();
        let found = yes(call!(kvds_get, self, bytes key; value.as_mut_ptr()))?;
        Ok(found.then_some(value))
    }

    /// Returns whether `key` exists.
    pub fn exists(&self, key: &[u8]) -> Result<bool> {
        yes(call!(kvds_exists, self, bytes key))
    }

    /// Sets `key` to `value`, for a time if there is one.
    pub fn set(&self, key: &[u8], value: &[u8], ttl_ms: Option<u64>) -> Result<()> {
        check(match ttl_ms {
            None => call!(kvds_set, self, bytes key, bytes value),
            Some(ttl) => call!(kvds_set_ttl, self, bytes key, bytes value; ttl),
        })?;
        Ok(())
    }

    /// Sets `key` like `set` if it does not exist. Returns whether it did not.
    pub fn set_if_absent(&self, key: &[u8], value: &[u8], ttl_ms: Option<u64>) -> Result<bool> {
        let status = match ttl_ms {
            None => call!(kvds_set_nx, self, bytes key, bytes value),
            Some(ttl) => call!(kvds_set_nx_ttl, self, bytes key, bytes value; ttl),
        };
        Ok(check(status)? != ffi::EXISTS)
    }

    /// Deletes `key`. Returns whether it existed.
    pub fn del(&self, key: &[u8]) -> Result<bool> {
        yes(call!(kvds_del, self, bytes key))
    }

    /// Deletes every key that begins with `prefix`.
    pub fn delete_prefix(&self, prefix: &[u8]) -> Result<()> {
        check(call!(kvds_delete_prefix, self, bytes prefix))?;
        Ok(())
    }

    /// Sets `key` to `value` if its value is `expected`.
    pub fn compare_and_swap(&self, key: &[u8], expected: &[u8], value: &[u8]) -> Result<Swap> {
        Swap::new(call!(kvds_compare_and_swap, self, bytes key, bytes expected, bytes value))
    }

    /// Deletes `key` if its value is `expected`.
    pub fn compare_and_delete(&self, key: &[u8], expected: &[u8]) -> Result<Swap> {
        Swap::new(call!(kvds_compare_and_delete, self, bytes key, bytes expected))
    }

    /// Adds `delta` to the number stored under `key`, and returns the sum.
    pub fn add(&self, key: &[u8], delta: i64) -> Result<i64> {
        let mut sum = 0;
        check(call!(kvds_add, self, bytes key; delta; &mut sum))?;
        Ok(sum)
    }

    /// Replaces the time that `key` has left; 0 for no end. Returns whether the key exists.
    pub fn expire(&self, key: &[u8], ttl_ms: u64) -> Result<bool> {
        yes(call!(kvds_expire, self, bytes key; ttl_ms))
    }

    /// Returns the milliseconds that `key` has left, -1 for no end, or `None` for no such key.
    pub fn ttl(&self, key: &[u8]) -> Result<Option<i64>> {
        let mut left = 0;
        let found = yes(call!(kvds_ttl, self, bytes key; &mut left))?;
        Ok(found.then_some(left))
    }

    /// Applies `batch` in one step.
    pub fn write(&self, batch: &Batch) -> Result<()> {
        check(call!(kvds_write, self; batch.as_ptr()))?;
        Ok(())
    }

    /// Returns a view that no later write changes.
    pub fn snapshot(&self) -> Result<Store> {
        let mut out = ptr::null_mut();
        check(call!(kvds_store_snapshot, self; &mut out))?;
        Store::from_raw(out).ok_or_else(Error::null)
    }

    /// Makes every acknowledged write survive a power failure.
    pub fn sync(&self) -> Result<()> {
        check(call!(kvds_sync, self))?;
        Ok(())
    }

    /// Reclaims the disk space of overwritten and deleted entries.
    pub fn compact(&self) -> Result<()> {
        check(call!(kvds_compact, self))?;
        Ok(())
    }

    /// Shows what another process has written meanwhile.
    pub fn refresh(&self) -> Result<()> {
        check(call!(kvds_refresh, self))?;
        Ok(())
    }

    /// Copies the store to a new disk store in the directory `path`.
    pub fn checkpoint(&self, path: &[u8]) -> Result<()> {
        let path = text(path)?;
        check(call!(kvds_checkpoint, self; path.as_ptr()))?;
        Ok(())
    }

    /// Returns the statistics of the store.
    pub fn stats(&self) -> Result<Stats> {
        let mut stats = Stats::default();
        check(call!(kvds_store_stats, self; &mut stats; mem::size_of::<Stats>()))?;
        Ok(stats)
    }

    /// Returns the property `name`, or `None` if there is no such property.
    pub fn property(&self, name: &[u8]) -> Result<Option<Value>> {
        let name = text(name)?;
        let mut value = Value::empty();
        let found = yes(call!(kvds_store_property, self; name.as_ptr(); value.as_mut_ptr()))?;
        Ok(found.then_some(value))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: the handle is live, and not used again.
        unsafe { ffi::kvds_store_release(self.0.as_ptr()) };
    }
}
