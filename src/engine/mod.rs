//! What a storage engine promises.
//!
//! An engine holds one ordered set of key-value pairs. Writing is one method, [`Engine::apply`]; reading is a [`Reader`],
//! which is either the engine itself ("now") or a snapshot of it. Everything else the API offers is made of these.
//!
//! What every engine must keep, and what the conformance tests hold every engine to:
//!
//! - Keys are ordered as `memcmp` orders them. Empty keys, empty values and embedded zeros are ordinary.
//! - `apply` is atomic and linearizable with every other call, whatever thread it comes from: nothing is seen half, and
//!   nothing slips between the check of an expectation and the operations.
//! - A `Reader` that is not "now" never changes. A cursor is over one moment: it sees no write made after it was made.
//! - Readers and cursors never block writers, and hold no lock between two of their calls: a caller may do anything there.
//! - Readers, cursors and values keep alive what they need, however long they live.
//! - Dropping the engine's last owner closes it. What it acknowledged is then as durable as its settings say.
//! - An engine may be slow and may fail at any call. One that cannot tell whether a write happened answers
//!   [`Kind::UnknownOutcome`](crate::error::Kind::UnknownOutcome) and does not try again.

pub mod buffer;
#[cfg_attr(not(feature = "disk"), path = "engine/no_disk.rs")]
pub mod disk;
pub mod memory;
#[cfg(feature = "disk")]
mod stripes;
#[cfg(feature = "disk")]
mod tally;

use std::any::Any;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

pub use self::buffer::Buffer;
use crate::batch::{Outcome, WriteBatch};
use crate::error::Result;

/// The longest key, in bytes.
pub const MAX_KEY_LEN: usize = 64 << 10;
/// The longest value, in bytes.
pub const MAX_VALUE_LEN: usize = 1 << 30;

/// Reading, at one moment or now.
pub trait Reader: Send + Sync {
    /// The value under `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Value>>;

    /// Shows the value under `key` to `see`, where it lies. Returns whether there is one. `see` must not call the engine.
    fn look(&self, key: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<bool> {
        Ok(self.get(key)?.map(|value| see(&value)).is_some())
    }

    /// Whether `key` is there.
    fn contains(&self, key: &[u8]) -> Result<bool>;

    /// A cursor over the keys of `range`, as of the moment of this call. It stands on no entry yet.
    fn cursor(&self, range: Range) -> Result<Box<dyn Cursor>>;

    /// The values under `keys`, all as of one moment.
    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>>;

    /// Shows every pair of `range` to `visit`, in order, as of the moment of this call, until it answers false.
    /// Returns whether the end was reached.
    fn scan(&self, range: Range, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<bool> {
        let mut cursor = self.cursor(range)?;
        cursor.first()?;
        while let Some((key, value)) = cursor.entry() {
            if !visit(key, value) {
                return Ok(false);
            }
            cursor.next()?;
        }
        Ok(true)
    }
}

/// A storage engine: a [`Reader`] of "now" that can also write and take snapshots.
pub trait Engine: Reader {
    /// Applies `batch` in one atomic step if all its expectations hold, else changes nothing.
    fn apply(&self, batch: &WriteBatch<'_>) -> Result<Outcome>;

    /// The engine's content as of now, unchanging. Costs no copy of the data.
    fn snapshot(&self) -> Result<Arc<dyn Reader>>;

    /// The engine that this one only shows differently, if it is such a one. It answers all that follows.
    fn below(&self) -> Option<&dyn Engine> {
        None
    }

    /// Whether the engine can be used: that it was not closed, and that this is its process.
    fn check(&self) -> Result<()> {
        self.below().map_or(Ok(()), |below| below.check())
    }

    /// Makes all that was acknowledged survive a power cut, if the engine survives anything.
    fn sync(&self) -> Result<()> {
        self.below().map_or(Ok(()), |below| below.sync())
    }

    /// Gives back the space of what was overwritten and removed, if that takes work.
    fn compact(&self) -> Result<()> {
        self.below().map_or(Ok(()), |below| below.compact())
    }

    /// Catches up with what another process has written, if the engine reads what another one writes.
    fn refresh(&self) -> Result<()> {
        self.below().map_or(Ok(()), |below| below.refresh())
    }

    /// Makes a copy of the whole as of now in the directory `path`, which is not there yet, in a way of its own that is better
    /// than reading and writing it all. Returns whether it has such a way.
    fn checkpoint(&self, _path: &Path) -> Result<bool> {
        Ok(false)
    }

    /// Figures.
    fn stats(&self) -> Result<Stats> {
        self.below().map_or_else(|| Ok(Stats::default()), |below| below.stats())
    }

    /// What the engine says of itself under a name of its own; None if it does not know the name.
    fn property(&self, name: &str) -> Result<Option<String>> {
        self.below().map_or(Ok(None), |below| below.property(name))
    }
}

/// Figures of an engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// How many keys there are; an estimate where counting would take reading all.
    pub keys: u64,
    /// How many bytes its keys and values have; an estimate likewise.
    pub bytes: u64,
    /// How many bytes it takes on disk.
    pub disk_bytes: u64,
    /// How many bytes of memory it holds.
    pub memory_bytes: u64,
    /// How many keys were looked up.
    pub reads: u64,
    /// How many of them were there.
    pub hits: u64,
    /// How many operations were applied.
    pub writes: u64,
}

/// A movable position in a range of keys. On no entry before its first move and after running off either end.
pub trait Cursor: Send {
    /// Moves to the first entry.
    fn first(&mut self) -> Result<()>;
    /// Moves to the last entry.
    fn last(&mut self) -> Result<()>;
    /// Moves to the first entry whose key is `key` or greater.
    fn seek(&mut self, key: &[u8]) -> Result<()>;
    /// Moves one entry on. Without a current entry it stays without one.
    fn next(&mut self) -> Result<()>;
    /// Moves one entry back. Without a current entry it stays without one.
    fn prev(&mut self) -> Result<()>;
    /// The current entry, valid until the next move.
    fn entry(&self) -> Option<(&[u8], &[u8])>;
}

/// What an engine drops last, when all it held is closed and free: the sign for whoever waits to open the same place again.
pub type Lease = Box<dyn Any + Send + Sync>;

/// The keys from `start` on, and before `end` if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first key that belongs to the range.
    pub start: Vec<u8>,
    /// The first key after the range; `None` if it has no end.
    pub end: Option<Vec<u8>>,
}

impl Range {
    /// All keys that begin with `prefix`.
    pub fn prefix(prefix: &[u8]) -> Range {
        // The first key past all keys with the prefix is the prefix with its last byte below 0xFF raised by one and the rest
        // cut off. A prefix of nothing but 0xFF has none.
        let end = prefix.iter().rposition(|byte| *byte != u8::MAX).map(|last| {
            let mut end = prefix[..=last].to_vec();
            end[last] += 1;
            end
        });
        Range { start: prefix.to_vec(), end }
    }

    /// This key alone.
    pub fn one(key: &[u8]) -> Range {
        Range { start: key.to_vec(), end: Some([key, b"\0"].concat()) }
    }

    /// Whether the key belongs to it.
    pub fn contains(&self, key: &[u8]) -> bool {
        *self.start <= *key && self.end.as_ref().is_none_or(|end| *key < **end)
    }

    /// Whether a key may belong to both.
    pub fn overlaps(&self, other: &Range) -> bool {
        let ends_behind = |end: &Option<Vec<u8>>, start| end.as_ref().is_none_or(|end| start < end);
        ends_behind(&self.end, &other.start) && ends_behind(&other.end, &self.start)
    }

    /// The keys that are in both.
    pub fn and(self, other: Range) -> Range {
        let end = match (self.end, other.end) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Range { start: self.start.max(other.start), end }
    }

    /// The same range of keys behind `prefix`.
    pub fn behind(&self, prefix: &[u8]) -> Range {
        let end = self.end.as_ref().map(|end| [prefix, end].concat());
        Range { start: [prefix, &self.start].concat(), end: end.or_else(|| Range::prefix(prefix).end) }
    }
}

/// A value that was read: bytes that stay as they are for as long as this lives.
pub enum Value {
    /// Shared with the engine.
    Shared(Arc<Box<[u8]>>),
    /// A copy of its own.
    Owned(Buffer),
    /// In place in some buffer of the engine, which this keeps there.
    Pinned(Box<dyn AsRef<[u8]> + Send + Sync>),
}

impl Deref for Value {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Value::Shared(bytes) => bytes,
            Value::Owned(bytes) => bytes,
            Value::Pinned(bytes) => (**bytes).as_ref(),
        }
    }
}
