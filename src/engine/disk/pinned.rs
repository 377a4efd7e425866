//! What RocksDB makes from a database and wants to have back before it is closed: values in place,
//! snapshots, iterators.

use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::Arc;

use rocksdb::DBPinnableSlice;

use super::Disk;

/// Something of RocksDB's that must go before the database does, and the engine that it keeps for
/// that. After a fork it is left alone: even letting go of an iterator can remove files.
pub struct Pinned<T> {
    pub(super) made: ManuallyDrop<T>,
    pub(super) disk: Arc<Disk>,
}

impl<T> Pinned<T> {
    /// What was made from the database of `disk`.
    pub fn new(made: T, disk: Arc<Disk>) -> Pinned<T> {
        Pinned { made: ManuallyDrop::new(made), disk }
    }
}

impl<T> Deref for Pinned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.made
    }
}

impl<T> Drop for Pinned<T> {
    fn drop(&mut self) {
        if self.disk.birth.is_here() {
            // SAFETY: dropped once, here, and not used afterwards; `disk` is dropped after it.
            #[allow(unsafe_code)]
            unsafe {
                ManuallyDrop::drop(&mut self.made);
            }
        }
    }
}

impl AsRef<[u8]> for Pinned<DBPinnableSlice<'static>> {
    fn as_ref(&self) -> &[u8] {
        &self.made
    }
}
