//! The contract of a storage engine.
//!
//! An engine holds one ordered set of key-value pairs. Every write is [`Engine::apply`]. Every read
//! is a [`Reader`]: the engine itself, which shows the current state, or a snapshot of it.
//! [`Maintenance`] is the care for files and memory, which views leave to the store below them.
//!
//! The conformance tests hold every engine to this:
//!
//! - Keys are ordered as `memcmp` orders them. Empty keys, empty values and embedded zeros are
//!   valid.
//! - `apply` is atomic and linearizable with every other call on every thread. No write comes
//!   between the check of an expectation and the operations.
//! - A snapshot never changes. A cursor sees no write that is made after the cursor.
//! - Readers and cursors never block writers, and hold no lock between two of their calls. A caller
//!   may call anything there.
//! - Readers, cursors and values keep alive what they need, however long they live.
//! - Dropping the last owner of an engine closes it. Acknowledged writes are then as durable as the
//!   engine's settings say.
//! - An engine may be slow, and every call may fail. An engine that cannot tell whether it applied
//!   a write returns [`Kind::UnknownOutcome`](crate::error::Kind::UnknownOutcome) and does not
//!   retry.

#[cfg_attr(not(feature = "cluster"), path = "no_cluster.rs")]
pub mod cluster;
pub mod damage;
#[cfg_attr(not(feature = "disk"), path = "no_disk.rs")]
pub mod disk;
pub mod expiry;
pub mod feed;
pub mod memory;
pub mod range;
pub mod value;

use std::any::Any;
use std::os::fd::RawFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use self::range::Range;
pub use self::value::{Buffer, Value};
use crate::batch::{Outcome, WriteBatch};
use crate::error::{Error, Kind, Result};
use crate::sys::clock;

/// The longest key, in bytes.
pub const MAX_KEY_LEN: usize = 64 << 10;
/// The longest value, in bytes.
pub const MAX_VALUE_LEN: usize = 1 << 30;
/// The longest time to live: a hundred years.
pub const MAX_TTL: Duration = Duration::from_secs(36_525 * 24 * 3600);

/// Reads the current state of an engine, or a snapshot.
pub trait Reader: Send + Sync {
    /// Returns the value of `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Value>>;

    /// Calls `read` with the value of `key`, without a copy. Returns whether the key exists.
    ///
    /// `read` must not call the engine.
    fn with_value(&self, key: &[u8], read: &mut dyn FnMut(&[u8])) -> Result<bool> {
        Ok(self.get(key)?.map(|value| read(&value)).is_some())
    }

    /// Returns whether `key` exists.
    fn contains(&self, key: &[u8]) -> Result<bool>;

    /// Creates a cursor over `range`. It sees the state of this call and is on no entry yet.
    fn cursor(&self, range: Range) -> Result<Box<dyn Cursor>>;

    /// Returns the values of `keys`, all from one state.
    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>>;

    /// Returns how long `key` lives, or `None` if it does not exist.
    fn time_left(&self, key: &[u8]) -> Result<Option<TimeLeft>> {
        Ok(self.contains(key)?.then_some(TimeLeft::Forever))
    }

    /// Calls `visit` for each pair of `range` in order, until it returns false.
    ///
    /// All pairs are from the state of this call. Returns whether the end was reached.
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

/// Writes to a store and takes snapshots of it, besides reading its current state.
pub trait Engine: Reader {
    /// Applies `batch` atomically if all its expectations hold; otherwise changes nothing.
    fn apply(&self, batch: &WriteBatch<'_>) -> Result<Outcome>;

    /// Takes a snapshot, without a copy of the data.
    fn snapshot(&self) -> Result<Arc<dyn Reader>>;

    /// Watches the writes to `range` that are made from now on, or after the one with the sequence
    /// number `after`.
    fn watch(&self, _range: Range, _after: Option<u64>) -> Result<Box<dyn Watch>> {
        Err(Error::new(Kind::Unsupported, "the store cannot be watched"))
    }

    /// Reports that a store uses the engine from now on. Keys expire from now on.
    fn attach(&self) {}

    /// Reports that the store is closed. No key expires any more, and the watches end.
    fn detach(&self) {}

    /// Fails if the engine is closed or belongs to another process.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Returns the engine's [`Maintenance`], if it has any of its own.
    fn maintenance(&self) -> Option<&dyn Maintenance> {
        None
    }
}

/// Cares for the files and the memory of a store. Every default does nothing.
pub trait Maintenance: Send + Sync {
    /// Makes all acknowledged writes survive a power failure.
    fn sync(&self) -> Result<()> {
        Ok(())
    }

    /// Reclaims the space of overwritten and deleted entries.
    fn compact(&self) -> Result<()> {
        Ok(())
    }

    /// Shows what another process has written since the last refresh.
    fn refresh(&self) -> Result<()> {
        Ok(())
    }

    /// Copies the store into the directory `path`, which must not exist.
    ///
    /// Returns false if the engine has no faster way than reading and writing every pair.
    fn checkpoint(&self, _path: &Path) -> Result<bool> {
        Ok(false)
    }

    /// Returns the statistics of the store.
    fn stats(&self) -> Result<Stats> {
        Ok(Stats::default())
    }

    /// Returns the engine's property called `name`, or `None` if the engine has no such property.
    fn property(&self, _name: &str) -> Result<Option<String>> {
        Ok(None)
    }
}

/// Statistics of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Keys; an estimate where counting would read all of them.
    pub keys: u64,
    /// Bytes of keys and values; an estimate likewise.
    pub bytes: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Keys that were looked up.
    pub reads: u64,
    /// Lookups that found their key.
    pub hits: u64,
    /// Operations that were applied.
    pub writes: u64,
}

/// A position in a range of keys. It is on no entry before its first move and past either end.
pub trait Cursor: Send {
    /// Moves to the first entry.
    fn first(&mut self) -> Result<()>;
    /// Moves to the last entry.
    fn last(&mut self) -> Result<()>;
    /// Moves to the first entry whose key is `key` or greater.
    fn seek(&mut self, key: &[u8]) -> Result<()>;
    /// Moves to the next entry. No effect if the cursor is on no entry.
    fn next(&mut self) -> Result<()>;
    /// Moves to the previous entry. No effect if the cursor is on no entry.
    fn prev(&mut self) -> Result<()>;
    /// Returns the current entry, which is valid until the next move.
    fn entry(&self) -> Option<(&[u8], &[u8])>;
    /// Returns how long the key of the current entry lives.
    fn time_left(&mut self) -> Result<TimeLeft>;
}

/// How long a key lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeLeft {
    /// Until it is deleted.
    Forever,
    /// This long at least, unless it is deleted before.
    AtLeast(Duration),
}

impl TimeLeft {
    /// Returns how long a key with this deadline lives; 0 stands for none.
    pub fn until(deadline: u64) -> TimeLeft {
        if deadline == 0 { TimeLeft::Forever } else { TimeLeft::AtLeast(clock::until(deadline)) }
    }
}

/// Tells the writes to a range of keys, one by one.
pub trait Watch: Send {
    /// Waits for the next change, until `until` or without a limit. Returns `None` if there was
    /// none.
    ///
    /// Fails with [`Kind::Expired`] once if changes were missed. Later calls tell the changes from
    /// then on.
    fn next(&mut self, until: Option<Instant>) -> Result<Option<Change<'_>>>;

    /// Returns a descriptor that is readable while there may be a change. The watch owns it.
    fn descriptor(&mut self) -> Result<RawFd>;
}

/// A change that a [`Watch`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// What happened.
    pub kind: ChangeKind<'a>,
    /// The key, or the first key of a range.
    pub key: &'a [u8],
    /// The number of the write, which increases from write to write.
    pub sequence: u64,
    /// Whether it is the last change of its write in the watched range.
    pub is_last: bool,
}

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind<'a> {
    /// It has this value.
    Set(&'a [u8]),
    /// It was deleted, or it has expired.
    Delete,
    /// All keys up to `end`, or all further keys, were deleted.
    DeleteRange {
        /// The first key after the range.
        end: Option<&'a [u8]>,
    },
}

/// An object that an engine drops last, after it has closed its files and freed its memory.
///
/// Its drop tells the threads that wait to open the same store.
pub type Lease = Box<dyn Any + Send + Sync>;
