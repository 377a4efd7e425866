//! One key and what it holds, in one block of memory.
//!
//! A node is made when its key is first set, and stays where it is when the key gets another value:
//! a value that fits is written into the node, so that reading and overwriting a key touch one
//! place in memory. A long value lies apart, in memory that is shared with those who read it.
//!
//! What a node holds belongs to the lock of its shard: this file has the memory, `shard.rs` lends
//! it out to who has the lock, and `position.rs` to who has a snapshot. These three are what
//! `unsafe` there is in the engine.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::UnsafeCell;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

use crate::sync::atomic::{AtomicU32, Ordering};

use crate::engine::MAX_KEY_LEN;

/// A value that lies apart.
pub type Bytes = Arc<Box<[u8]>>;

/// The longest value that is written into its node. Up to here, copying costs no more than sharing.
pub(super) const INLINE: usize = 1024;

/// A counted reference to a node.
pub struct Node(NonNull<Head>);

/// What a node begins with. The key follows, and then the room for a value.
///
/// It is kept small, as there is one for each key: 32 bytes on 64-bit machines.
#[repr(C)]
struct Head {
    references: AtomicU32,
    fixed: Fixed,
    state: UnsafeCell<State>,
}

/// What never changes: the length of the key, and the number of the shard in the upper bits.
#[derive(Clone, Copy)]
struct Fixed(u32);

/// How many bits of [`Fixed`] have the length of the key.
const LEN_BITS: u32 = 24;

const _: () = assert!(MAX_KEY_LEN < 1 << LEN_BITS);
#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(size_of::<Head>() <= 32);

impl Fixed {
    fn new(shard: u8, key_len: usize) -> Fixed {
        assert!(key_len < 1 << LEN_BITS);
        Fixed(u32::from(shard) << LEN_BITS | key_len as u32)
    }

    fn shard(self) -> u8 {
        (self.0 >> LEN_BITS) as u8
    }

    fn key_len(self) -> usize {
        self.0 as usize % (1 << LEN_BITS)
    }
}

/// What a node holds: the part of it that changes.
pub struct State {
    /// The epoch from which on it holds what it holds now.
    pub created_at: u64,
    /// What few nodes have.
    more: Option<Box<More>>,
    /// How long a value may be that is written into the node. This never changes.
    room: u16,
    /// Where the value is.
    place: Place,
    /// Whether the room in the node is taken by a value that is kept for snapshots. Such a value
    /// stays where it is until nobody looks at it any more; what the key gets meanwhile lies apart.
    taken: bool,
    /// Where the node is on its way into the order and out of it.
    pub standing: Standing,
}

/// Where a value is: nowhere, apart, or in the node with its length. One number, as a length is
/// much shorter than that.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place(u16);

impl Place {
    const NOWHERE: Place = Place(u16::MAX);
    const APART: Place = Place(u16::MAX - 1);

    fn here(len: usize) -> Place {
        Place(len as u16)
    }

    /// The length of a value in the node.
    fn len(self) -> Option<usize> {
        (self.0 < Place::APART.0).then_some(self.0.into())
    }
}

/// How a node stands to the order, which is brought up to date from a queue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Neither in the order nor in the queue.
    Outside,
    /// In the queue, to be put in.
    Entering,
    /// In the order.
    Inside,
    /// In the order and in the queue, to be looked at whether it is to be taken out.
    Checked,
}

#[derive(Default)]
struct More {
    value: Option<Bytes>,
    /// What it held at the moments that live snapshots look at, oldest first.
    older: Vec<Version>,
}

/// What a key held from a epoch on.
pub struct Version {
    /// The first epoch.
    pub created_at: u64,
    /// Nowhere for "it was not there".
    place: Place,
    value: Option<Bytes>,
}

/// A value for a node.
pub enum New<'a> {
    /// None: the key is deleted.
    Nothing,
    /// One that is short enough to be written into the node.
    Short(&'a [u8]),
    /// One that lies apart.
    Long(Bytes),
}

/// A value in a node, lent by the lock of its shard.
#[derive(Clone, Copy)]
pub enum Held<'a> {
    /// In the node, where it may be overwritten as soon as the lock is free.
    Short(&'a [u8]),
    /// Apart, to be shared.
    Long(&'a Bytes),
}

impl<'a> Held<'a> {
    /// The bytes.
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Held::Short(bytes) => bytes,
            Held::Long(bytes) => bytes,
        }
    }
}

/// The key of a node and what it held at the moment of a live snapshot. They stay where they are as
/// long as the snapshot lives, whatever is written: see [`State`].
#[derive(Clone, Copy)]
pub struct Pair {
    key: NonNull<[u8]>,
    value: NonNull<[u8]>,
}

// SAFETY: the bytes don't change, and may be looked at from any thread.
unsafe impl Send for Pair {}

impl Pair {
    /// A pair from a node's key and a value that it holds.
    pub fn new(key: &[u8], value: &[u8]) -> Pair {
        Pair { key: NonNull::from(key), value: NonNull::from(value) }
    }

    /// The bytes.
    ///
    /// # Safety
    ///
    /// The snapshot, at whose epoch the value was found, lives as long as the answer.
    pub unsafe fn bytes<'a>(self) -> (&'a [u8], &'a [u8]) {
        // SAFETY: the node is not freed while a live snapshot sees a value in it, nor is the value
        // overwritten or freed.
        unsafe { (self.key.as_ref(), self.value.as_ref()) }
    }
}

// SAFETY: the count is atomic, key and shard never change, and the rest is reached only through the
// lock of the shard, by the contract of `state` and `write`. All of it may be used from any thread.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

impl Node {
    /// A node of a shard for `key`, which is not there yet, with room for a value of `len` bytes if
    /// it is to lie here.
    pub fn new(shard: u8, key: &[u8], len: usize) -> Node {
        let (layout, room) = Node::layout(key.len(), if len <= INLINE { len } else { 0 });
        // SAFETY: the layout is not empty, as there is a head.
        let block = unsafe { alloc(layout) }.cast::<Head>();
        let Some(head) = NonNull::new(block) else { handle_alloc_error(layout) };
        let (references, fixed, room) =
            (AtomicU32::new(1), Fixed::new(shard, key.len()), room as u16);
        let (place, standing) = (Place::NOWHERE, Standing::Outside);
        let state = State { created_at: 0, more: None, room, place, taken: false, standing };
        // SAFETY: the block is new, and has room for the head and the key behind it.
        unsafe {
            head.write(Head { references, fixed, state: UnsafeCell::new(state) });
            head.add(1).cast::<u8>().copy_from_nonoverlapping(NonNull::from(key).cast(), key.len());
        }
        Node(head)
    }

    /// The block for a key and a value, and the room for values that it has: a little more where
    /// the allocator, which deals out multiples of 16 bytes and takes 8 of them for itself, would
    /// only waste it.
    fn layout(key_len: usize, value_len: usize) -> (Layout, usize) {
        let size = size_of::<Head>() + key_len + value_len;
        let size = (size + 8).next_multiple_of(16) - 8;
        let Ok(layout) = Layout::from_size_align(size, align_of::<Head>()) else {
            unreachable!("a key and a short value are far from filling the memory")
        };
        (layout, size - size_of::<Head>() - key_len)
    }

    fn head(&self) -> &Head {
        // SAFETY: the block lives as long as its references.
        unsafe { self.0.as_ref() }
    }

    /// The number of its shard.
    pub fn shard(&self) -> u8 {
        self.head().fixed.shard()
    }

    /// Its key.
    pub fn key(&self) -> &[u8] {
        // SAFETY: the key lies behind the head and never changes.
        unsafe {
            slice::from_raw_parts(self.0.add(1).cast::<u8>().as_ptr(), self.head().fixed.key_len())
        }
    }

    /// Whether this is its key. If so, the value is looked at next, and may lie some lines further:
    /// they are all fetched at once.
    #[inline]
    pub fn has(&self, key: &[u8]) -> bool {
        self.prefetch();
        self.key() == key
    }

    /// Asks the processor to fetch the node, which is about to be looked at.
    #[inline]
    pub fn prefetch(&self) {
        #[cfg(target_arch = "x86_64")]
        for line in [0, 64, 128] {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: fetching ahead has no effect that a program could see, whatever the address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(self.0.as_ptr().cast::<i8>().wrapping_add(line)) };
        }
    }

    /// What it holds.
    ///
    /// # Safety
    ///
    /// The lock of its shard is held for as long as the answer lives.
    pub unsafe fn state(&self) -> &State {
        // SAFETY: who changes the state holds the lock alone.
        unsafe { &*self.head().state.get() }
    }

    /// The same, to change it.
    ///
    /// # Safety
    ///
    /// The lock of its shard is held alone for as long as the answer lives, and there is no other
    /// answer.
    #[allow(clippy::mut_from_ref, reason = "the lock makes it the only one")]
    pub unsafe fn state_mut(&self) -> &mut State {
        // SAFETY: passed on.
        unsafe { &mut *self.head().state.get() }
    }

    fn here(&self) -> *mut u8 {
        let key_len = self.head().fixed.key_len();
        // SAFETY: within the block, or just behind it if there is no room for a value.
        unsafe { self.0.add(1).cast::<u8>().add(key_len).as_ptr() }
    }

    /// Its value now.
    ///
    /// # Safety
    ///
    /// As for [`Node::state`].
    #[inline]
    pub unsafe fn value(&self) -> Option<Held<'_>> {
        // SAFETY: passed on.
        unsafe {
            let state = self.state();
            self.at(state.place, state.more.as_ref().and_then(|more| more.value.as_ref()))
        }
    }

    /// Its value at a epoch.
    ///
    /// # Safety
    ///
    /// As for [`Node::state`].
    #[inline]
    pub unsafe fn value_at(&self, epoch: u64) -> Option<Held<'_>> {
        // SAFETY: passed on.
        unsafe {
            if self.state().created_at <= epoch {
                return self.value();
            }
            let version =
                self.state().older().iter().rev().find(|version| version.created_at <= epoch)?;
            self.at(version.place, version.value.as_ref())
        }
    }

    /// The value in a place.
    ///
    /// # Safety
    ///
    /// As for [`Node::state`], and the place is one that the state names.
    #[inline]
    unsafe fn at<'a>(&'a self, place: Place, apart: Option<&'a Bytes>) -> Option<Held<'a>> {
        match place {
            Place::NOWHERE => None,
            Place::APART => apart.map(Held::Long),
            // SAFETY: so many bytes of the room were written before the place was named.
            here => here
                .len()
                .map(|len| Held::Short(unsafe { slice::from_raw_parts(self.here(), len) })),
        }
    }

    /// Gives it another value, or none.
    ///
    /// # Safety
    ///
    /// As for [`Node::state_mut`].
    pub unsafe fn write(&self, new: New<'_>) {
        // SAFETY: passed on.
        let state = unsafe { self.state_mut() };
        let apart = match new {
            New::Nothing => {
                state.place = Place::NOWHERE;
                None
            }
            New::Short(bytes) if bytes.len() <= state.room.into() && !state.taken => {
                // SAFETY: there is room, and nobody else looks at it: who reads has the lock, or
                // looks at what is kept.
                unsafe { self.here().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
                state.place = Place::here(bytes.len());
                None
            }
            New::Short(bytes) => Some(Arc::new(bytes.into())),
            New::Long(bytes) => Some(bytes),
        };
        if apart.is_some() {
            state.place = Place::APART;
            state.more.get_or_insert_default().value = apart;
        } else if let Some(more) = &mut state.more {
            more.value = None;
            state.tidy();
        }
    }
}

impl State {
    /// The versions that are kept for snapshots, oldest first.
    pub fn older(&self) -> &[Version] {
        self.more.as_ref().map_or(&[], |more| &more.older)
    }

    /// Keeps the value as it is for snapshots; a new one, or none, is to be written then.
    pub fn keep(&mut self) {
        self.taken |= self.place.len().is_some();
        let (created_at, place) = (self.created_at, self.place);
        let more = self.more.get_or_insert_default();
        let value = more.value.take();
        more.older.push(Version { created_at, place, value });
        self.place = Place::NOWHERE;
    }

    /// Takes out a version by its index.
    pub fn take_older(&mut self, index: usize) -> Option<Version> {
        let version = self.more.as_mut()?.older.remove(index);
        self.taken &= version.place.len().is_none();
        self.tidy();
        Some(version)
    }

    fn tidy(&mut self) {
        if self.more.as_ref().is_some_and(|more| more.value.is_none() && more.older.is_empty()) {
            self.more = None;
        }
    }

    /// Whether it holds nothing at any moment that anyone can see.
    pub fn is_dead(&self) -> bool {
        self.place == Place::NOWHERE && self.older().is_empty()
    }
}

impl Version {
    /// The length of the value, if there is one.
    pub fn len(&self) -> Option<usize> {
        self.place.len().or_else(|| self.value.as_ref().map(|value| value.len()))
    }
}

impl Clone for Node {
    fn clone(&self) -> Node {
        // Relaxed, as in Arc. So many references that the count runs over don't fit in memory.
        self.head().references.fetch_add(1, Ordering::Relaxed);
        Node(self.0)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.head().references.fetch_sub(1, Ordering::Release) > 1 {
            return;
        }
        // What Arc does with a fence, which ThreadSanitizer does not understand.
        self.head().references.load(Ordering::Acquire);
        // SAFETY: this was the last reference, and the layout is the one it was made with: the room
        // fills it exactly.
        unsafe {
            let (layout, _) = Node::layout(self.head().fixed.key_len(), self.state().room.into());
            self.0.drop_in_place();
            dealloc(self.0.as_ptr().cast(), layout);
        }
    }
}
