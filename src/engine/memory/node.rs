//! Nodes: a key and its values in one block of memory.
//!
//! A node is created when its key is first set, and stays at its address when the key gets another
//! value. A short value is written into the node, so reading and overwriting a key touch one place
//! in memory. A long value is allocated separately and shared with readers.
//!
//! The lock of a node's shard protects the node's state. This file has the memory, `shard.rs` lends
//! it to threads that hold the lock, and `cursor.rs` to threads that hold a snapshot. The engine
//! has no other `unsafe` code.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::UnsafeCell;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

use crate::engine::MAX_KEY_LEN;
use crate::error::{Error, Kind, Result};
use crate::sync::atomic::{AtomicU32, Ordering};

/// A value that is allocated separately.
pub type SharedBytes = Arc<Box<[u8]>>;

/// The longest value that is written into its node. Up to this length, copying a value costs no
/// more than sharing it.
const MAX_INLINE: usize = 1024;

/// A counted reference to a node.
pub struct Node(NonNull<Header>);

/// The beginning of a node. The key follows, and then the room for an inline value.
///
/// There is one for each key, so it is small: 32 bytes on 64-bit machines.
#[repr(C)]
struct Header {
    references: AtomicU32,
    shard_and_key_len: ShardAndKeyLen,
    state: UnsafeCell<State>,
}

/// The index of the shard in the upper bits, and the length of the key. They never change.
#[derive(Clone, Copy)]
struct ShardAndKeyLen(u32);

const KEY_LEN_BITS: u32 = 24;

const _: () = assert!(MAX_KEY_LEN < 1 << KEY_LEN_BITS);
#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(size_of::<Header>() <= 32);

impl ShardAndKeyLen {
    fn new(shard: u8, key_len: usize) -> ShardAndKeyLen {
        assert!(key_len < 1 << KEY_LEN_BITS);
        ShardAndKeyLen(u32::from(shard) << KEY_LEN_BITS | key_len as u32)
    }

    fn shard(self) -> usize {
        (self.0 >> KEY_LEN_BITS) as usize
    }

    fn key_len(self) -> usize {
        self.0 as usize % (1 << KEY_LEN_BITS)
    }
}

/// The part of a node that changes.
pub struct State {
    /// The epoch at which the current value was written.
    pub created_at: u64,
    /// What few nodes have.
    extra: Option<Box<Extra>>,
    /// The room for an inline value, in bytes. It never changes.
    capacity: u16,
    location: Location,
    /// Whether a version that is kept for snapshots uses the room for an inline value. Until that
    /// version is removed, other values of the key are allocated separately.
    is_inline_kept: bool,
    pub index_state: IndexState,
}

/// Where a value is: none, allocated separately, or inline with this length. Inline lengths are far
/// below the two special numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Location(u16);

impl Location {
    const NONE: Location = Location(u16::MAX);
    const SHARED: Location = Location(u16::MAX - 1);

    fn inline(len: usize) -> Location {
        Location(len as u16)
    }

    fn inline_len(self) -> Option<usize> {
        (self.0 < Location::SHARED.0).then_some(self.0.into())
    }
}

/// Whether a node is in the key index, and whether it is queued for a change of the index.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum IndexState {
    /// Not in the index, and not queued.
    Absent,
    /// Queued to be inserted.
    Entering,
    /// In the index.
    Present,
    /// In the index, and queued to be removed if it is still garbage.
    Checking,
}

#[derive(Default)]
struct Extra {
    value: Option<SharedBytes>,
    /// The time at which the current value is due for deletion; 0 for never.
    deadline: u64,
    /// The versions that are kept for snapshots, oldest first.
    versions: Vec<Version>,
}

/// An old value of a key, or the fact that the key had none.
pub struct Version {
    /// The first epoch of the version.
    pub created_at: u64,
    location: Location,
    deadline: u64,
    value: Option<SharedBytes>,
}

/// A value to be written to a node.
pub enum NewValue<'a> {
    /// Deletes the key.
    None,
    Inline(&'a [u8]),
    Shared(SharedBytes),
}

impl NewValue<'_> {
    /// Prepares a value for its node: copies a long one.
    #[inline]
    pub fn new(value: Option<&[u8]>) -> Result<NewValue<'_>> {
        match value {
            None => Ok(NewValue::None),
            Some(value) if value.len() <= MAX_INLINE => Ok(NewValue::Inline(value)),
            Some(value) => copy(value).map(NewValue::Shared),
        }
    }

    pub fn len(&self) -> Option<usize> {
        match self {
            NewValue::None => None,
            NewValue::Inline(bytes) => Some(bytes.len()),
            NewValue::Shared(bytes) => Some(bytes.len()),
        }
    }
}

#[cold]
fn copy(value: &[u8]) -> Result<SharedBytes> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(value.len()).map_err(|cause| {
        let text = format!("no memory for a value of {} bytes", value.len());
        Error::new(Kind::NoMemory, text).because(cause)
    })?;
    copy.extend_from_slice(value);
    Ok(Arc::new(copy.into_boxed_slice()))
}

/// A value in a node, borrowed from the lock of its shard.
#[derive(Clone, Copy)]
pub enum ValueRef<'a> {
    /// In the node. It may be overwritten as soon as the lock is released.
    Inline(&'a [u8]),
    /// Allocated separately. It can be shared.
    Shared(&'a SharedBytes),
}

impl<'a> ValueRef<'a> {
    /// Returns the value to be shared: a copy of an inline one.
    pub fn share(self) -> SharedBytes {
        match self {
            ValueRef::Inline(bytes) => Arc::new(bytes.into()),
            ValueRef::Shared(bytes) => bytes.clone(),
        }
    }

    pub fn bytes(self) -> &'a [u8] {
        match self {
            ValueRef::Inline(bytes) => bytes,
            ValueRef::Shared(bytes) => bytes,
        }
    }
}

/// Pointers to the key of a node and to its value at the epoch of a live snapshot. Both stay at
/// their address as long as the snapshot lives.
#[derive(Clone, Copy)]
pub struct EntryPtr {
    key: NonNull<[u8]>,
    value: NonNull<[u8]>,
}

// SAFETY: the bytes don't change, and any thread may read them.
unsafe impl Send for EntryPtr {}

impl EntryPtr {
    pub fn new(key: &[u8], value: &[u8]) -> EntryPtr {
        EntryPtr { key: NonNull::from(key), value: NonNull::from(value) }
    }

    /// Returns the key and the value.
    ///
    /// # Safety
    ///
    /// The snapshot at whose epoch the value was found outlives `'a`.
    pub unsafe fn bytes<'a>(self) -> (&'a [u8], &'a [u8]) {
        // SAFETY: while a live snapshot sees a value of a node, the node is not freed, and the
        // value is neither overwritten nor freed.
        unsafe { (self.key.as_ref(), self.value.as_ref()) }
    }
}

// SAFETY: the count is atomic, the key and the shard never change, and the state is protected by
// the lock of the shard, by the contracts of `state` and `state_mut`. Any thread may drop it.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

impl Node {
    /// Creates a node without a value. It gets room for an inline value of `len` bytes, unless such
    /// a value would be allocated separately.
    pub fn new(shard: u8, key: &[u8], len: usize) -> Node {
        let (layout, capacity) = Node::layout(key.len(), if len <= MAX_INLINE { len } else { 0 });
        // SAFETY: the layout is not empty, because of the header.
        let block = unsafe { alloc(layout) }.cast::<Header>();
        let Some(header) = NonNull::new(block) else { handle_alloc_error(layout) };
        let state = State {
            created_at: 0,
            extra: None,
            capacity: capacity as u16,
            location: Location::NONE,
            is_inline_kept: false,
            index_state: IndexState::Absent,
        };
        // SAFETY: the block is new, and has room for the header and the key behind it.
        unsafe {
            header.write(Header {
                references: AtomicU32::new(1),
                shard_and_key_len: ShardAndKeyLen::new(shard, key.len()),
                state: UnsafeCell::new(state),
            });
            let to = header.add(1).cast::<u8>();
            to.copy_from_nonoverlapping(NonNull::from(key).cast(), key.len());
        }
        Node(header)
    }

    /// Returns the layout of a node, and its room for an inline value. The allocator hands out
    /// multiples of 16 bytes, of which it uses 8 itself; what it would waste is added to the room.
    fn layout(key_len: usize, value_len: usize) -> (Layout, usize) {
        let size = size_of::<Header>() + key_len + value_len;
        let size = (size + 8).next_multiple_of(16) - 8;
        let Ok(layout) = Layout::from_size_align(size, align_of::<Header>()) else {
            unreachable!("a key and an inline value are far smaller than the address space")
        };
        (layout, size - size_of::<Header>() - key_len)
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: the block lives as long as its references.
        unsafe { self.0.as_ref() }
    }

    /// Returns a number that no other live node has.
    pub fn address(&self) -> usize {
        self.0.addr().get()
    }

    /// Returns the index of the node's shard.
    #[inline]
    pub fn shard(&self) -> usize {
        self.header().shard_and_key_len.shard()
    }

    #[inline]
    pub fn key(&self) -> &[u8] {
        let key_len = self.header().shard_and_key_len.key_len();
        // SAFETY: the key is behind the header and never changes.
        unsafe { slice::from_raw_parts(self.0.add(1).cast::<u8>().as_ptr(), key_len) }
    }

    /// Returns whether this is the node of `key`. If it is, the caller reads the value next, which
    /// may be some cache lines further: they are all prefetched together.
    #[inline]
    pub fn has_key(&self, key: &[u8]) -> bool {
        self.prefetch();
        self.key() == key
    }

    /// Prefetches the node into the cache of the processor.
    #[inline]
    pub fn prefetch(&self) {
        #[cfg(target_arch = "x86_64")]
        for line in [0, 64, 128] {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: a prefetch has no effect that a program could see, whatever the address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(self.0.as_ptr().cast::<i8>().wrapping_add(line)) };
        }
    }

    /// Borrows the state.
    ///
    /// # Safety
    ///
    /// The thread holds the lock of the node's shard as long as the result lives.
    #[inline]
    pub unsafe fn state(&self) -> &State {
        // SAFETY: only threads that hold the lock for writing change the state.
        unsafe { &*self.header().state.get() }
    }

    /// Borrows the state mutably.
    ///
    /// # Safety
    ///
    /// The thread holds the lock of the node's shard for writing as long as the result lives, and
    /// uses no other borrow of the state meanwhile.
    #[allow(clippy::mut_from_ref, reason = "the lock makes it exclusive")]
    #[inline]
    pub unsafe fn state_mut(&self) -> &mut State {
        // SAFETY: the caller holds the lock for writing.
        unsafe { &mut *self.header().state.get() }
    }

    #[inline]
    fn inline_room(&self) -> *mut u8 {
        let key_len = self.header().shard_and_key_len.key_len();
        // SAFETY: in the block, or at its end if there is no room.
        unsafe { self.0.add(1).cast::<u8>().add(key_len).as_ptr() }
    }

    /// Returns the current value.
    ///
    /// # Safety
    ///
    /// As for [`Node::state`].
    #[inline]
    pub unsafe fn value(&self) -> Option<ValueRef<'_>> {
        // SAFETY: the caller holds the lock, and the location is the state's.
        unsafe {
            let state = self.state();
            let shared = state.extra.as_ref().and_then(|extra| extra.value.as_ref());
            self.value_in(state.location, shared)
        }
    }

    /// Returns the value at an epoch.
    ///
    /// # Safety
    ///
    /// As for [`Node::state`].
    #[inline]
    pub unsafe fn value_at(&self, epoch: u64) -> Option<ValueRef<'_>> {
        // SAFETY: the caller holds the lock, and the location is a version's.
        unsafe {
            let state = self.state();
            if state.created_at <= epoch {
                return self.value();
            }
            let mut newest_first = state.versions().iter().rev();
            let version = newest_first.find(|version| version.created_at <= epoch)?;
            self.value_in(version.location, version.value.as_ref())
        }
    }

    /// Returns the value at a location.
    ///
    /// # Safety
    ///
    /// As for [`Node::state`]. The location is the state's or that of one of its versions.
    #[inline]
    unsafe fn value_in<'a>(
        &'a self,
        location: Location,
        shared: Option<&'a SharedBytes>,
    ) -> Option<ValueRef<'a>> {
        let Some(len) = location.inline_len() else {
            return shared.filter(|_| location == Location::SHARED).map(ValueRef::Shared);
        };
        // SAFETY: `write` has written so many bytes before it set the location.
        let bytes = unsafe { slice::from_raw_parts(self.inline_room(), len) };
        Some(ValueRef::Inline(bytes))
    }

    /// Replaces the current value.
    ///
    /// # Safety
    ///
    /// As for [`Node::state_mut`].
    pub unsafe fn write(&self, value: NewValue<'_>) {
        // SAFETY: the caller holds the lock for writing.
        let state = unsafe { self.state_mut() };
        let shared = match value {
            NewValue::None => {
                state.location = Location::NONE;
                None
            }
            NewValue::Inline(bytes)
                if bytes.len() <= state.capacity.into() && !state.is_inline_kept =>
            {
                // SAFETY: there is room, and no thread reads it: readers hold the lock, or read a
                // version that is kept.
                unsafe { self.inline_room().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
                state.location = Location::inline(bytes.len());
                None
            }
            NewValue::Inline(bytes) => Some(Arc::new(bytes.into())),
            NewValue::Shared(bytes) => Some(bytes),
        };
        if shared.is_some() {
            state.location = Location::SHARED;
            state.extra.get_or_insert_default().value = shared;
        } else if let Some(extra) = &mut state.extra {
            extra.value = None;
            state.drop_empty_extra();
        }
    }
}

impl State {
    /// Returns the versions that are kept for snapshots, oldest first.
    #[inline]
    pub fn versions(&self) -> &[Version] {
        self.extra.as_ref().map_or(&[], |extra| &extra.versions)
    }

    /// Returns the time at which the current value is due for deletion; 0 for never.
    #[inline]
    pub fn deadline(&self) -> u64 {
        self.extra.as_ref().map_or(0, |extra| extra.deadline)
    }

    /// Returns the deadline of the value at an epoch; 0 for never, or if there is none.
    pub fn deadline_at(&self, epoch: u64) -> u64 {
        if self.created_at <= epoch {
            return self.deadline();
        }
        let mut newest_first = self.versions().iter().rev();
        let version = newest_first.find(|version| version.created_at <= epoch);
        version.map_or(0, |version| version.deadline)
    }

    pub fn set_deadline(&mut self, deadline: u64) {
        if deadline != self.deadline() {
            self.extra.get_or_insert_default().deadline = deadline;
            self.drop_empty_extra();
        }
    }

    /// Makes the current value a version. The caller writes another value, or none, next.
    pub fn keep_version(&mut self) {
        self.is_inline_kept |= self.location.inline_len().is_some();
        let (created_at, location) = (self.created_at, self.location);
        let extra = self.extra.get_or_insert_default();
        let (value, deadline) = (extra.value.take(), extra.deadline);
        // Most keys have one version at most. A vector begins with room for four.
        if extra.versions.is_empty() {
            extra.versions.reserve_exact(1);
        }
        extra.versions.push(Version { created_at, location, deadline, value });
        self.location = Location::NONE;
    }

    pub fn remove_version(&mut self, index: usize) -> Option<Version> {
        let version = self.extra.as_mut()?.versions.remove(index);
        self.is_inline_kept &= version.location.inline_len().is_none();
        self.drop_empty_extra();
        Some(version)
    }

    fn drop_empty_extra(&mut self) {
        let is_empty = |extra: &Extra| {
            extra.value.is_none() && extra.versions.is_empty() && extra.deadline == 0
        };
        if self.extra.as_deref().is_some_and(is_empty) {
            self.extra = None;
        }
    }

    /// Returns whether the node has neither a value nor a version.
    #[inline]
    pub fn is_garbage(&self) -> bool {
        self.location == Location::NONE && self.versions().is_empty()
    }
}

impl Version {
    /// Returns the length of the value, if there is one.
    pub fn len(&self) -> Option<usize> {
        self.location.inline_len().or_else(|| self.value.as_ref().map(|value| value.len()))
    }
}

impl Clone for Node {
    fn clone(&self) -> Node {
        // Relaxed, as in Arc. The count cannot overflow: so many references don't fit in memory.
        self.header().references.fetch_add(1, Ordering::Relaxed);
        Node(self.0)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.header().references.fetch_sub(1, Ordering::Release) > 1 {
            return;
        }
        // Arc has a fence here, which ThreadSanitizer does not understand.
        self.header().references.load(Ordering::Acquire);
        // SAFETY: this was the last reference. The layout is the one of the allocation, because the
        // room fills it exactly.
        unsafe {
            let key_len = self.header().shard_and_key_len.key_len();
            let (layout, _) = Node::layout(key_len, self.state().capacity.into());
            self.0.drop_in_place();
            dealloc(self.0.as_ptr().cast(), layout);
        }
    }
}
