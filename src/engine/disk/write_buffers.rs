//! The memory that the stores of a distributor share for writes that are not in a table file yet.
//!
//! RocksDB's own bound has each store that is written to flush itself while the sum is too large,
//! however little it holds: with much memory held by stores that rest, or with many small ones,
//! every write would make a table file. So RocksDB only counts here, and the stores that hold the
//! most are flushed, whoever writes.

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use librocksdb_sys::{
    rocksdb_options_set_write_buffer_manager, rocksdb_t, rocksdb_write_buffer_manager_create,
    rocksdb_write_buffer_manager_destroy, rocksdb_write_buffer_manager_memory_usage,
    rocksdb_write_buffer_manager_mutable_memtable_memory_usage, rocksdb_write_buffer_manager_t,
};
use parking_lot::Mutex;
use rocksdb::{AsRawPtr, DB};

use super::errors;

/// The memory of a table of which nothing is used yet is taken in blocks of this size, in bytes.
pub const BLOCK: usize = 16 << 10;

/// Each store may hold this much, however many there are: a multiple of what an almost empty one
/// does.
const LEAST: u64 = 64 << 10;

/// So many stores at most are flushed at once.
const AT_ONCE: usize = 4;

/// RocksDB is told a limit that it never meets.
const NO_LIMIT: usize = 1 << 56;

// See cache_limits.cc.
#[allow(unsafe_code)]
unsafe extern "C" {
    fn kvds_rocksdb_begin_flush(database: *mut rocksdb_t, text: *mut u8, capacity: usize) -> usize;
}

/// Begins to flush what a database has in memory. Unlike RocksDB's own call without waiting, it
/// also does not wait for compactions.
pub fn begin_flush(db: &DB) -> Result<(), String> {
    errors::told(|text, capacity| {
        // SAFETY: the database is live, and `text` is writable for `capacity` bytes.
        #[allow(unsafe_code)]
        unsafe {
            kvds_rocksdb_begin_flush(db.as_raw_ptr(), text, capacity)
        }
    })
}

/// What all stores of a distributor hold.
pub struct Buffers {
    manager: NonNull<rocksdb_write_buffer_manager_t>,
    bytes: u64,
    shares: Mutex<Vec<Arc<Mutex<Option<Holder>>>>>,
    /// How much there may be: `bytes`, or more for many stores.
    room: AtomicU64,
    /// Nothing is done below this, after something was done that may not show yet.
    again: AtomicU64,
    /// Held by who looks for the stores that hold the most.
    looking: Mutex<()>,
}

// SAFETY: the manager may be used by any number of threads at once.
#[allow(unsafe_code)]
unsafe impl Send for Buffers {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Sync for Buffers {}

/// What is to be known of a store.
pub struct Holder {
    /// How much it holds that a flush would give back.
    pub held: Box<dyn Fn() -> u64 + Send>,
    /// Begins a flush.
    pub flush: Box<dyn Fn() + Send>,
}

/// A store's part. When it is dropped, nothing is done to the store any more.
pub struct Share {
    buffers: Arc<Buffers>,
    holder: Arc<Mutex<Option<Holder>>>,
}

impl Buffers {
    /// Room for `bytes`.
    pub fn new(bytes: u64) -> Arc<Buffers> {
        // SAFETY: any size is fine.
        #[allow(unsafe_code)]
        let manager = unsafe { rocksdb_write_buffer_manager_create(NO_LIMIT, false) };
        let Some(manager) = NonNull::new(manager) else {
            unreachable!("RocksDB ends the process instead")
        };
        Arc::new(Buffers {
            manager,
            bytes,
            shares: Mutex::default(),
            room: AtomicU64::new(bytes),
            again: AtomicU64::new(0),
            looking: Mutex::default(),
        })
    }

    /// Has the memory of databases with these options counted.
    pub fn count(&self, options: &rocksdb::Options) {
        // SAFETY: both are live, and the options share the manager's ownership.
        #[allow(unsafe_code)]
        unsafe {
            rocksdb_options_set_write_buffer_manager(options.as_raw_ptr(), self.manager.as_ptr());
        }
    }

    /// A part of it for a store.
    pub fn share(self: &Arc<Buffers>, holder: Holder) -> Share {
        let holder = Arc::new(Mutex::new(Some(holder)));
        let mut shares = self.shares.lock();
        shares.push(holder.clone());
        self.make_room_for(shares.len());
        Share { buffers: self.clone(), holder }
    }

    fn make_room_for(&self, stores: usize) {
        self.room.store(self.bytes.max(stores as u64 * LEAST), Relaxed);
    }

    /// What stores hold, without what is being flushed.
    fn active(&self) -> u64 {
        // SAFETY: the manager is live.
        #[allow(unsafe_code)]
        let bytes = unsafe {
            rocksdb_write_buffer_manager_mutable_memtable_memory_usage(self.manager.as_ptr())
        };
        bytes as u64
    }

    fn all(&self) -> u64 {
        // SAFETY: the manager is live.
        #[allow(unsafe_code)]
        let bytes = unsafe { rocksdb_write_buffer_manager_memory_usage(self.manager.as_ptr()) };
        bytes as u64
    }

    /// Whether something is to be flushed. While more than half is being flushed already, more
    /// would be no help.
    fn is_full(&self) -> bool {
        let (room, active) = (self.room.load(Relaxed), self.active());
        active > room / 2
            && active > self.again.load(Relaxed)
            && (active > room - room / 8 || self.all() > room)
    }

    /// Flushes the stores that hold the most.
    #[cold]
    fn give_back(&self) {
        let Some(_looking) = self.looking.try_lock() else { return };
        if !self.is_full() {
            return;
        }
        let shares = self.shares.lock().clone();
        let held = |share: &Mutex<Option<Holder>>| {
            share.try_lock()?.as_ref().map(|holder| (holder.held)())
        };
        let mut most: Vec<_> =
            shares.iter().filter_map(|share| Some((held(share)?, share))).collect();
        most.sort_unstable_by_key(|(held, _)| std::cmp::Reverse(*held));
        let enough = most.first().map_or(0, |(held, _)| held / 2).max(LEAST / 2);
        for (_, share) in most.iter().take_while(|(held, _)| *held > enough).take(AT_ONCE) {
            if let Some(holder) = &*share.lock() {
                (holder.flush)();
            }
        }
        let (room, active) = (self.room.load(Relaxed), self.active());
        // Where nothing could be flushed, each write would look anew.
        let still_full = active > room - room / 8 || self.all() > room;
        self.again.store(if still_full { active + room / 64 } else { 0 }, Relaxed);
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: this is one owner of several, and does not use it any more.
        #[allow(unsafe_code)]
        unsafe {
            rocksdb_write_buffer_manager_destroy(self.manager.as_ptr());
        }
    }
}

impl Share {
    /// Something was written.
    #[inline]
    pub fn written(&self) {
        if self.buffers.is_full() {
            self.buffers.give_back();
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.holder.lock().take();
        let mut shares = self.buffers.shares.lock();
        shares.retain(|holder| !Arc::ptr_eq(holder, &self.holder));
        self.buffers.make_room_for(shares.len());
    }
}
