//! Ties RocksDB objects to the lifetime of the engine.

use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use rocksdb::DBPinnableSlice;

use super::Disk;

/// A RocksDB object that must be dropped before its database: a value, a snapshot or an iterator.
///
/// It keeps the engine, and with it the database, open. In a forked child it is leaked, because
/// releasing even an iterator can delete files.
pub struct Pinned<T> {
    object: ManuallyDrop<T>,
    disk: Arc<Disk>,
}

impl<T> Pinned<T> {
    /// Ties `object` to `disk`, whose database created it.
    pub fn new(object: T, disk: Arc<Disk>) -> Pinned<T> {
        Pinned { object: ManuallyDrop::new(object), disk }
    }

    /// Returns the engine.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }
}

impl<T> Deref for Pinned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.object
    }
}

impl<T> DerefMut for Pinned<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.object
    }
}

impl<T> Drop for Pinned<T> {
    fn drop(&mut self) {
        if self.disk.owner.is_current() {
            // SAFETY: dropped once, here, and not used afterwards; `disk` is dropped after it.
            #[allow(unsafe_code)]
            unsafe {
                ManuallyDrop::drop(&mut self.object);
            }
        }
    }
}

impl AsRef<[u8]> for Pinned<DBPinnableSlice<'static>> {
    fn as_ref(&self) -> &[u8] {
        &self.object
    }
}
