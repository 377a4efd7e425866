//! What a storage engine promises.
//!
//! An engine holds one ordered set of key-value pairs. Writing is one method, [`Engine::apply`];
//! reading is a [`Reader`], which is either the engine itself ("now") or a snapshot of it.
//! Everything else the API offers is made of these.
//!
//! What every engine must keep, and what the conformance tests hold every engine to:
//!
//! - Keys are ordered as `memcmp` orders them. Empty keys, empty values and embedded zeros are
//!   ordinary.
//! - `apply` is atomic and linearizable with every other call, whatever thread it comes from:
//!   nothing is seen half, and nothing slips between the check of an expectation and the
//!   operations.
//! - A `Reader` that is not "now" never changes. A cursor is over one moment: it sees no write made
//!   after it was made.
//! - Readers and cursors never block writers, and hold no lock between two of their calls: a caller
//!   may do anything there.
//! - Readers, cursors and values keep alive what they need, however long they live.
//! - Dropping the engine's last owner closes it. What it acknowledged is then as durable as its
//!   settings say.
//! - An engine may be slow and may fail at any call. One that cannot tell whether a write happened
//!   answers [`Kind::UnknownOutcome`](crate::error::Kind::UnknownOutcome) and does not try again.

#[cfg_attr(not(feature = "disk"), path = "no_disk.rs")]
pub mod disk;
pub mod memory;
pub mod range;
pub mod value;

use std::any::Any;
use std::path::Path;
use std::sync::Arc;

pub use self::range::Range;
pub use self::value::{Buffer, Value};
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

    /// Shows the value under `key` to `see`, where it lies. Returns whether there is one. `see`
    /// must not call the engine.
    fn look(&self, key: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<bool> {
        Ok(self.get(key)?.map(|value| see(&value)).is_some())
    }

    /// Whether `key` is there.
    fn contains(&self, key: &[u8]) -> Result<bool>;

    /// A cursor over the keys of `range`, as of the moment of this call. It stands on no entry yet.
    fn cursor(&self, range: Range) -> Result<Box<dyn Cursor>>;

    /// The values under `keys`, all as of one moment.
    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>>;

    /// Shows every pair of `range` to `visit`, in order, as of the moment of this call, until it
    /// answers false. Returns whether the end was reached.
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

    /// The engine that this one only shows differently, if it is such a one. It answers all that
    /// follows.
    fn inner(&self) -> Option<&dyn Engine> {
        None
    }

    /// Whether the engine can be used: that it was not closed, and that this is its process.
    fn check(&self) -> Result<()> {
        self.inner().map_or(Ok(()), |below| below.check())
    }

    /// Makes all that was acknowledged survive a power cut, if the engine survives anything.
    fn sync(&self) -> Result<()> {
        self.inner().map_or(Ok(()), |below| below.sync())
    }

    /// Gives back the space of what was overwritten and removed, if that takes work.
    fn compact(&self) -> Result<()> {
        self.inner().map_or(Ok(()), |below| below.compact())
    }

    /// Catches up with what another process has written, if the engine reads what another one
    /// writes.
    fn refresh(&self) -> Result<()> {
        self.inner().map_or(Ok(()), |below| below.refresh())
    }

    /// Makes a copy of the whole as of now in the directory `path`, which is not there yet, in a
    /// way of its own that is better than reading and writing it all. Returns whether it has such a
    /// way.
    fn checkpoint(&self, _path: &Path) -> Result<bool> {
        Ok(false)
    }

    /// Figures.
    fn stats(&self) -> Result<Stats> {
        self.inner().map_or_else(|| Ok(Stats::default()), |below| below.stats())
    }

    /// What the engine says of itself under a name of its own; None if it does not know the name.
    fn property(&self, name: &str) -> Result<Option<String>> {
        self.inner().map_or(Ok(None), |below| below.property(name))
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

/// A movable position in a range of keys. On no entry before its first move and after running off
/// either end.
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

/// What an engine drops last, when all it held is closed and free: the sign for whoever waits to
/// open the same place again.
pub type Lease = Box<dyn Any + Send + Sync>;
