//! The feed of a store: its writes, for the watches of the store.
//!
//! An engine publishes each write while it holds the locks of the keys, so the feed has the writes
//! of a key in their order. A store without watches publishes nothing: a write costs one load.
//!
//! The feed keeps the latest writes once for all watches, up to `watch_buffer_bytes`. A watch has a
//! position in it. If the position falls out of the feed, the watch has missed writes and says so.
//! So a slow watch never holds up a writer, and many watches take hardly more memory than one.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::{Change, ChangeKind, Range, Watch};
use crate::batch::Operation;
use crate::error::{Error, Kind, Result};
use crate::sys::descriptors::above_streams;
use crate::sys::fork::{OwnerProcess, Uninherited};
use crate::sys::locks::{Condvar, Mutex, MutexGuard};

/// The writes that a watch looks at before it lets a writer publish the next one.
const CHUNK: usize = 256;

/// What a write takes of the buffer besides its keys and values, and each of its changes.
const OVERHEAD: usize = 64;

/// The latest writes of a store, while it is watched.
pub struct Feed {
    watches: AtomicUsize,
    limit: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The sequence number of the next write.
    next: u64,
    /// The latest writes. The last one has the number before `next`.
    writes: VecDeque<Arc<Write>>,
    bytes: usize,
    watches: Vec<Arc<Watcher>>,
}

/// What the feed knows of a watch.
struct Watcher {
    range: Range,
    /// The first write that the watch has not looked at. `None` if no later one is in its range.
    /// Changed under the lock of the state.
    pending: Mutex<Option<u64>>,
    changed: Condvar,
    /// Readable while a write is pending, if the program asked for it.
    event: Mutex<Option<Uninherited<File>>>,
}

struct Write {
    bytes: usize,
    entries: Vec<Entry>,
}

/// An operation that owns its bytes.
struct Entry {
    kind: EntryKind,
    key: Box<[u8]>,
    /// The value, or the end of a range.
    other: Box<[u8]>,
}

#[derive(Clone, Copy, PartialEq)]
enum EntryKind {
    Set,
    Delete,
    DeleteRange,
    /// A range without an end.
    DeleteFrom,
}

impl Entry {
    fn new(kind: EntryKind, key: &[u8], other: &[u8]) -> Entry {
        Entry { kind, key: key.into(), other: other.into() }
    }

    /// Returns the entry of an operation that sets or deletes. What an [`Operation::Expire`] leaves
    /// as the value is the engine's to say.
    fn of(operation: &Operation<'_>) -> Option<Entry> {
        Some(match operation {
            Operation::Set { key, value } | Operation::SetTtl { key, value, .. } => {
                Entry::new(EntryKind::Set, key, value)
            }
            Operation::Delete { key } => Entry::new(EntryKind::Delete, key, b""),
            Operation::DeleteRange { start, end: Some(end) } => {
                Entry::new(EntryKind::DeleteRange, start, end)
            }
            Operation::DeleteRange { start, end: None } => {
                Entry::new(EntryKind::DeleteFrom, start, b"")
            }
            Operation::Expire { .. } => return None,
        })
    }

    /// Returns the first key and the end of the part of a range that is in `range`.
    fn part<'a>(&'a self, range: &'a Range) -> (&'a [u8], Option<&'a [u8]>) {
        let end = (self.kind == EntryKind::DeleteRange).then_some(&*self.other);
        let end = match (end, range.end.as_deref()) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        ((&*self.key).max(&*range.start), end)
    }

    fn is_in(&self, range: &Range) -> bool {
        match self.kind {
            EntryKind::Set | EntryKind::Delete => range.contains(&self.key),
            EntryKind::DeleteRange | EntryKind::DeleteFrom => {
                let (start, end) = self.part(range);
                end.is_none_or(|end| start < end)
            }
        }
    }

    /// Returns the change of the keys that are in `range`.
    fn change<'a>(&'a self, range: &'a Range, sequence: u64, is_last: bool) -> Change<'a> {
        let (kind, key) = match self.kind {
            EntryKind::Set => (ChangeKind::Set(&self.other), &*self.key),
            EntryKind::Delete => (ChangeKind::Delete, &*self.key),
            EntryKind::DeleteRange | EntryKind::DeleteFrom => {
                let (start, end) = self.part(range);
                (ChangeKind::DeleteRange { end }, start)
            }
        };
        Change { kind, key, sequence, is_last }
    }
}

/// The writes of a batch, collected for the feed.
#[derive(Default)]
pub struct Published(Vec<Entry>);

impl Published {
    /// Adds an operation. `value` finds the value of a key whose time to live was changed.
    pub fn add<V: AsRef<[u8]>>(
        &mut self,
        operation: &Operation<'_>,
        value: impl FnOnce(&[u8]) -> Option<V>,
    ) {
        match *operation {
            Operation::Expire { key, .. } => self
                .0
                .extend(value(key).map(|value| Entry::new(EntryKind::Set, key, value.as_ref()))),
            _ => self.0.extend(Entry::of(operation)),
        }
    }
}

impl Feed {
    /// Creates a feed that keeps `limit` bytes.
    pub fn new(limit: u64) -> Arc<Feed> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Arc::new(Feed { watches: AtomicUsize::new(0), limit, state: Mutex::default() })
    }

    /// Returns whether writes are to be published. The caller holds the locks of their keys.
    #[inline]
    pub fn is_watched(&self) -> bool {
        // Relaxed: a new watch takes the locks of all keys once.
        self.watches.load(Ordering::Relaxed) > 0
    }

    /// Publishes a write of one operation.
    #[cold]
    pub fn publish_one(&self, operation: &Operation<'_>) {
        self.publish(Published(Entry::of(operation).into_iter().collect()));
    }

    /// Publishes a write. The caller holds the locks of its keys.
    #[cold]
    pub fn publish(&self, Published(entries): Published) {
        if entries.is_empty() {
            return;
        }
        let len = |entry: &Entry| OVERHEAD + entry.key.len() + entry.other.len();
        let bytes = OVERHEAD + entries.iter().map(len).sum::<usize>();
        let mut state = self.state.lock();
        if state.watches.is_empty() {
            return;
        }
        let sequence = state.next;
        state.next += 1;
        for watcher in &state.watches {
            let mut pending = watcher.pending.lock();
            if pending.is_none() && entries.iter().any(|entry| entry.is_in(&watcher.range)) {
                *pending = Some(sequence);
                watcher.wake();
            }
        }
        state.bytes += bytes;
        state.writes.push_back(Arc::new(Write { bytes, entries }));
        while state.bytes > self.limit
            && let Some(oldest) = state.writes.pop_front()
        {
            state.bytes -= oldest.bytes;
            state.skip(&oldest);
        }
    }

    /// Watches `range` from now on, or after the write with the number `after`.
    ///
    /// The caller then takes and releases the locks of all keys once: a writer that has not seen
    /// the watch has finished then.
    pub fn watch(self: &Arc<Feed>, range: Range, after: Option<u64>) -> Result<FeedWatch> {
        let mut state = self.state.lock();
        if state.watches.is_empty() {
            // Never a number that was used before, even by an earlier process, and not the one
            // behind the last: writes may have been missed there.
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let now = u64::try_from(now.as_micros()).unwrap_or(0);
            state.next = now.max(state.next + 1);
        }
        let pending = match after {
            Some(after) => {
                let first = after.wrapping_add(1);
                if first < state.first() || first > state.next {
                    return Err(missed());
                }
                Some(first).filter(|first| *first < state.next)
            }
            None => None,
        };
        let watcher = Arc::new(Watcher {
            range,
            pending: Mutex::new(pending),
            changed: Condvar::new(),
            event: Mutex::default(),
        });
        state.watches.push(watcher.clone());
        self.watches.store(state.watches.len(), Ordering::SeqCst);
        Ok(FeedWatch { feed: self.clone(), watcher, current: None, owner: None })
    }

    /// Ends all watches.
    pub fn close(&self) {
        let mut state = self.state.lock();
        for watcher in std::mem::take(&mut state.watches) {
            watcher.wake();
        }
        self.reset(&mut state);
    }

    /// Forgets what no watch needs any more.
    fn reset(&self, state: &mut MutexGuard<'_, State>) {
        self.watches.store(state.watches.len(), Ordering::SeqCst);
        if state.watches.is_empty() {
            state.writes = VecDeque::new();
            state.bytes = 0;
        }
    }
}

impl State {
    /// Returns the number of the first write that is kept.
    fn first(&self) -> u64 {
        self.next - self.writes.len() as u64
    }

    /// Returns whether a watch has not ended.
    fn has(&self, watcher: &Arc<Watcher>) -> bool {
        self.watches.iter().any(|other| Arc::ptr_eq(other, watcher))
    }

    /// Lets the watches pass over a write that is not kept any more, if it is not in their range.
    fn skip(&self, oldest: &Write) {
        let first = self.first();
        for watcher in &self.watches {
            let mut pending = watcher.pending.lock();
            if *pending == Some(first - 1)
                && !oldest.entries.iter().any(|entry| entry.is_in(&watcher.range))
            {
                *pending = Some(first).filter(|first| *first < self.next);
            }
        }
    }
}

impl Watcher {
    fn wake(&self) {
        self.changed.notify_all();
        if let Some(event) = self.event.lock().as_ref().and_then(Uninherited::in_owner) {
            // Fails only if it is readable already.
            let _ = { event }.write(&1u64.to_ne_bytes());
        }
    }
}

#[cold]
fn missed() -> Error {
    Error::new(Kind::Expired, "the store has changed more than the watch has kept; read it again")
}

/// A watch of a store of this process.
pub struct FeedWatch {
    feed: Arc<Feed>,
    watcher: Arc<Watcher>,
    /// The write that is being told, its number, and its next entry.
    current: Option<(Arc<Write>, u64, usize)>,
    /// The process that may use the watch, or `None` for its children too.
    owner: Option<OwnerProcess>,
}

impl FeedWatch {
    /// Restricts the watch to the process that owns the store.
    pub fn of_process(mut self, owner: OwnerProcess) -> FeedWatch {
        self.owner = Some(owner);
        self
    }

    fn check(&self) -> Result<()> {
        if self.is_inherited() {
            return Err(Error::new(
                Kind::Forked,
                "the watch came through fork(); create one in this process",
            ));
        }
        Ok(())
    }

    fn is_inherited(&self) -> bool {
        self.owner.is_some_and(|owner| !owner.is_current())
    }

    /// Finds the next entry of the current write in the range.
    fn advance(&mut self) -> Option<usize> {
        let (write, _, at) = self.current.as_mut()?;
        let mut rest = write.entries.iter().enumerate().skip(*at);
        let found = rest.find(|(_, entry)| entry.is_in(&self.watcher.range));
        match found {
            Some((found, _)) => {
                *at = found + 1;
                Some(found)
            }
            None => {
                self.current = None;
                None
            }
        }
    }

    /// Takes the next write with a change in the range. Returns false if there was none until
    /// `until`.
    fn take(&mut self, until: Option<Instant>) -> Result<bool> {
        // Ends at `until`, unless it passes over writes outside of the range: each turn looks at
        // some that were published before it.
        loop {
            let mut state = self.feed.state.lock();
            if !state.has(&self.watcher) {
                return Err(Error::new(Kind::Closed, "the store was closed"));
            }
            let pending = *self.watcher.pending.lock();
            let Some(from) = pending else {
                if until.is_some_and(|until| until <= Instant::now()) {
                    self.clear_event();
                    return Ok(false);
                }
                // What wakes it changes its state under this lock.
                match until {
                    Some(until) => {
                        let left = until.saturating_duration_since(Instant::now());
                        self.watcher.changed.wait_while_for(
                            &mut state,
                            |state| {
                                self.watcher.pending.lock().is_none() && state.has(&self.watcher)
                            },
                            left,
                        );
                    }
                    None => self.watcher.changed.wait(&mut state),
                }
                continue;
            };
            let first = state.first();
            if from < first {
                *self.watcher.pending.lock() = None;
                return Err(missed());
            }
            let skip = (from - first) as usize;
            let range = &self.watcher.range;
            let chunk = state.writes.iter().enumerate().skip(skip).take(CHUNK);
            let is_in = |write: &Write| write.entries.iter().any(|entry| entry.is_in(range));
            let mut chunk = chunk.map(|(at, write)| (first + at as u64, write));
            let found = chunk.find(|(_, write)| is_in(write));
            let next = match &found {
                Some((sequence, _)) => sequence + 1,
                None => state.next.min(from + CHUNK as u64),
            };
            *self.watcher.pending.lock() = Some(next).filter(|next| *next < state.next);
            if let Some((sequence, write)) = found {
                self.current = Some((write.clone(), sequence, 0));
                return Ok(true);
            }
        }
    }

    fn clear_event(&self) {
        if let Some(event) = self.watcher.event.lock().as_ref().and_then(Uninherited::in_owner) {
            // Fails only if it is not readable.
            let _ = { event }.read(&mut [0; 8]);
        }
    }
}

impl Watch for FeedWatch {
    fn next(&mut self, until: Option<Instant>) -> Result<Option<Change<'_>>> {
        self.check()?;
        let at = loop {
            if let Some(at) = self.advance() {
                break at;
            }
            if !self.take(until)? {
                return Ok(None);
            }
        };
        let Some((write, sequence, next)) = &self.current else { return Ok(None) };
        let range = &self.watcher.range;
        let is_last = !write.entries[*next..].iter().any(|entry| entry.is_in(range));
        Ok(Some(write.entries[at].change(range, *sequence, is_last)))
    }

    fn descriptor(&mut self) -> Result<RawFd> {
        self.check()?;
        let state = self.feed.state.lock();
        let mut event = self.watcher.event.lock();
        if let Some(event) = event.as_ref().and_then(Uninherited::in_owner) {
            return Ok(event.as_raw_fd());
        }
        let file = Uninherited::open(new_event)
            .map_err(|cause| Error::io("cannot create an eventfd", cause))?;
        let descriptor = file.as_raw_fd();
        *event = Some(file);
        drop(event);
        if !state.has(&self.watcher)
            || self.current.is_some()
            || self.watcher.pending.lock().is_some()
        {
            self.watcher.wake();
        }
        drop(state);
        Ok(descriptor)
    }
}

impl Drop for FeedWatch {
    fn drop(&mut self) {
        // A thread that the child does not have may hold the lock.
        if self.is_inherited() {
            return;
        }
        let mut state = self.feed.state.lock();
        state.watches.retain(|watcher| !Arc::ptr_eq(watcher, &self.watcher));
        self.feed.reset(&mut state);
    }
}

fn new_event() -> io::Result<File> {
    // SAFETY: it is given no pointers.
    #[allow(unsafe_code)]
    let descriptor = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new, so this file is its only owner.
    #[allow(unsafe_code)]
    above_streams(unsafe { File::from_raw_fd(descriptor) })
}
