//! The memory for unflushed writes, which all disk stores of a distributor share.
//!
//! RocksDB's own limit makes each store that is written flush itself while the sum is too large,
//! however little that store holds. Beside idle stores with much in memory, or with many small
//! stores, every write would create a table file. So RocksDB only counts the memory here, and this
//! module flushes the stores that hold the most.

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

use super::errors::call_cpp;

/// The size of the blocks in which a memtable takes memory, in bytes.
pub const BLOCK: usize = 16 << 10;

/// The bytes that each store may hold, however many there are: a multiple of an almost empty
/// memtable.
const MIN_PER_STORE: u64 = 64 << 10;

/// The most stores that are flushed at once.
const MAX_FLUSHES: usize = 4;

/// The limit that RocksDB gets, which is never reached.
const NO_LIMIT: usize = 1 << 56;

// See write_buffers.cc.
#[allow(unsafe_code)]
unsafe extern "C" {
    fn kvds_rocksdb_start_flush(database: *mut rocksdb_t, text: *mut u8, capacity: usize) -> usize;
}

/// Starts to flush the memtable, without waiting.
///
/// Unlike RocksDB's own call without waiting, it does not wait for compactions either.
pub fn start_flush(db: &DB) -> Result<(), String> {
    call_cpp(|text, capacity| {
        // SAFETY: the database is live, and `text` is writable for `capacity` bytes.
        #[allow(unsafe_code)]
        unsafe {
            kvds_rocksdb_start_flush(db.as_raw_ptr(), text, capacity)
        }
    })
}

/// The write buffers of all disk stores of a distributor.
pub struct WriteBuffers {
    manager: NonNull<rocksdb_write_buffer_manager_t>,
    bytes: u64,
    members: Mutex<Vec<SharedMember>>,
    /// The limit: `bytes`, or more with many stores.
    limit: AtomicU64,
    /// Below this many bytes nothing is flushed, because the last flushes may not show yet.
    flush_above: AtomicU64,
    /// Held by the thread that looks for the stores to flush.
    flushing: Mutex<()>,
}

type SharedMember = Arc<Mutex<Option<Member>>>;

// SAFETY: the manager can be used by any number of threads at once.
#[allow(unsafe_code)]
unsafe impl Send for WriteBuffers {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Sync for WriteBuffers {}

/// A store that shares the memory.
pub struct Member {
    /// Returns the bytes that a flush would free.
    pub flushable: Box<dyn Fn() -> u64 + Send>,
    /// Starts a flush.
    pub flush: Box<dyn Fn() + Send>,
}

/// The membership of a store. Dropping it waits for a running call of the [`Member`], and no call
/// follows.
pub struct Membership {
    buffers: Arc<WriteBuffers>,
    member: SharedMember,
}

impl WriteBuffers {
    /// Creates write buffers of `bytes`.
    pub fn new(bytes: u64) -> Arc<WriteBuffers> {
        // SAFETY: any size is valid.
        #[allow(unsafe_code)]
        let manager = unsafe { rocksdb_write_buffer_manager_create(NO_LIMIT, false) };
        let Some(manager) = NonNull::new(manager) else {
            unreachable!("RocksDB ends the process instead")
        };
        Arc::new(WriteBuffers {
            manager,
            bytes,
            members: Mutex::default(),
            limit: AtomicU64::new(bytes),
            flush_above: AtomicU64::new(0),
            flushing: Mutex::default(),
        })
    }

    /// Counts the memtables of databases that are opened with `options`.
    pub fn track(&self, options: &rocksdb::Options) {
        // SAFETY: both are live, and the options share the ownership of the manager.
        #[allow(unsafe_code)]
        unsafe {
            rocksdb_options_set_write_buffer_manager(options.as_raw_ptr(), self.manager.as_ptr());
        }
    }

    /// Adds a store.
    pub fn join(self: &Arc<WriteBuffers>, member: Member) -> Membership {
        let member = Arc::new(Mutex::new(Some(member)));
        let mut members = self.members.lock();
        members.push(member.clone());
        self.set_limit(members.len());
        Membership { buffers: self.clone(), member }
    }

    fn set_limit(&self, stores: usize) {
        self.limit.store(self.bytes.max(stores as u64 * MIN_PER_STORE), Relaxed);
    }

    /// Returns the bytes of all memtables that are not being flushed.
    fn active(&self) -> u64 {
        // SAFETY: the manager is live.
        #[allow(unsafe_code)]
        let bytes = unsafe {
            rocksdb_write_buffer_manager_mutable_memtable_memory_usage(self.manager.as_ptr())
        };
        bytes as u64
    }

    /// Returns the bytes of all memtables.
    fn total(&self) -> u64 {
        // SAFETY: the manager is live.
        #[allow(unsafe_code)]
        let bytes = unsafe { rocksdb_write_buffer_manager_memory_usage(self.manager.as_ptr()) };
        bytes as u64
    }

    /// Returns whether a store is to be flushed. While more than half of the memory is being
    /// flushed, further flushes would not help.
    fn is_full(&self) -> bool {
        let (limit, active) = (self.limit.load(Relaxed), self.active());
        active > limit / 2
            && active > self.flush_above.load(Relaxed)
            && (active > limit - limit / 8 || self.total() > limit)
    }

    /// Flushes the stores that hold the most.
    #[cold]
    fn flush_largest(&self) {
        let Some(_flushing) = self.flushing.try_lock() else { return };
        if !self.is_full() {
            return;
        }
        let members = self.members.lock().clone();
        let flushable = |member: &Mutex<Option<Member>>| {
            member.try_lock()?.as_ref().map(|member| (member.flushable)())
        };
        let mut largest: Vec<_> =
            members.iter().filter_map(|member| Some((flushable(member)?, member))).collect();
        largest.sort_unstable_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        let enough = largest.first().map_or(0, |(bytes, _)| bytes / 2).max(MIN_PER_STORE / 2);
        for (_, member) in largest.iter().take_while(|(bytes, _)| *bytes > enough).take(MAX_FLUSHES)
        {
            if let Some(member) = &*member.lock() {
                (member.flush)();
            }
        }
        let (limit, active) = (self.limit.load(Relaxed), self.active());
        // If nothing could be flushed, not every write looks again.
        let still_full = active > limit - limit / 8 || self.total() > limit;
        self.flush_above.store(if still_full { active + limit / 64 } else { 0 }, Relaxed);
    }
}

impl Drop for WriteBuffers {
    fn drop(&mut self) {
        // SAFETY: this is one of several owners, and does not use the manager any more.
        #[allow(unsafe_code)]
        unsafe {
            rocksdb_write_buffer_manager_destroy(self.manager.as_ptr());
        }
    }
}

impl Membership {
    /// Flushes the largest stores if the memory is full.
    #[inline]
    pub fn after_write(&self) {
        if self.buffers.is_full() {
            self.buffers.flush_largest();
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.member.lock().take();
        let mut members = self.buffers.members.lock();
        members.retain(|member| !Arc::ptr_eq(member, &self.member));
        self.buffers.set_limit(members.len());
    }
}
