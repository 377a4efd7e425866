//! A store: an engine behind a gate, with an identity.
//!
//! Every read is [`Store::read`] and every write is [`Store::write`]; the other operations are
//! built of these two.

pub mod damage;
pub mod dir_name;
pub mod identity;
pub mod observers;
pub mod registry;
pub mod views;

use std::ffi::CStr;
use std::os::fd::RawFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::batch::{Expectation, Operation, Outcome, WriteBatch};
use crate::engine::disk::checkpoint;
use crate::engine::disk::{Disk, SharedCaches};
use crate::engine::{
    Change, Cursor, Engine, Maintenance, Range, Reader, Stats, TimeLeft, Value, Watch,
};
use crate::error::{Error, Kind, Result};
use crate::options::Options;
use crate::store::identity::{Backend, Identity};
use crate::store::observers::{Death, Observers};
use crate::sync::close_gate::Gate;
use crate::sync::refcount::{Counted, Ref, Target};
use crate::sys::reentrancy;

/// One live instance of a named store. Callers hold a [`Ref`] to it.
pub struct Store {
    identity: Identity,
    content: Gate<Content>,
    /// Locked by a thread that adds to a counter again after a conflict.
    adding: Mutex<()>,
    /// `None` for a view.
    observers: Option<Arc<Observers>>,
}

/// What a store drops when it is closed.
pub struct Content {
    /// Reads and writes.
    pub engine: Arc<dyn Engine>,
    /// Of a view: the base store, which has the maintenance. The engine counts as the reference.
    pub base: Option<Arc<Counted<Store>>>,
}

impl Drop for Content {
    fn drop(&mut self) {
        // Before the engine is dropped, which closes its files if this is its last owner.
        self.engine.detach();
    }
}

impl Store {
    /// Opens the disk store in the directory `path` without a distributor.
    ///
    /// `path` is absolute; `id` only names the store in texts. Returns `None` if the store does not
    /// exist and `options` forbid creating it.
    pub fn open(path: &Path, id: &CStr, options: &Options) -> Result<Option<Ref<Store>>> {
        Disk::available()?;
        let identity = Identity { tag: 0, id: id.to_owned(), backend: Backend::Disk };
        let engine = Disk::open_any(path, options, &SharedCaches::new(options), Box::new(()));
        let Some(engine) = engine.map_err(|error| error.within(|| identity.to_string()))? else {
            return Ok(None);
        };
        Ok(Some(Store::on(engine, identity, Arc::default())))
    }

    /// Creates a store on `engine` and returns the first reference to it.
    ///
    /// The release of the last reference calls the observers.
    pub fn on(
        engine: Arc<dyn Engine>,
        identity: Identity,
        observers: Arc<Observers>,
    ) -> Ref<Store> {
        Store::new(Content { engine, base: None }, identity, Some(observers))
    }

    /// Creates a view of `base` on `engine` and returns the first reference to it.
    pub fn view(
        engine: Arc<dyn Engine>,
        base: Arc<Counted<Store>>,
        identity: Identity,
    ) -> Ref<Store> {
        Store::new(Content { engine, base: Some(base) }, identity, None)
    }

    fn new(content: Content, identity: Identity, observers: Option<Arc<Observers>>) -> Ref<Store> {
        content.engine.attach();
        let content = Gate::new(content);
        Ref::new(Store { identity, content, adding: Mutex::default(), observers })
    }

    /// Returns the tag, the id and the backend.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Returns whether the store itself was not closed.
    pub fn is_open(&self) -> bool {
        self.content.is_open()
    }

    /// Returns whether [`Store::check`] succeeds.
    pub fn is_usable(&self) -> bool {
        self.check().is_ok()
    }

    /// Fails if the store, or the base store of a view, is closed or belongs to another process.
    pub fn check(&self) -> Result<()> {
        self.with(|engine| engine.check())
    }

    /// Closes the store for every holder of a reference.
    ///
    /// Waits for running calls. Inside a callback it does not wait, and the last running call drops
    /// the engine.
    pub fn close(&self) -> Result<()> {
        self.check()?;
        if self.content.close(!reentrancy::running()) { Ok(()) } else { Err(self.closed()) }
    }

    /// Reads the current state of the store.
    #[inline]
    pub fn read<R>(&self, read: impl FnOnce(&dyn Reader) -> Result<R>) -> Result<R> {
        self.with(|engine| read(engine))
    }

    /// Applies a batch atomically.
    #[inline]
    pub fn write(&self, batch: &WriteBatch<'_>) -> Result<Outcome> {
        self.with(|engine| engine.apply(batch))
    }

    /// Returns the value of `key`.
    #[inline]
    pub fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.read(|now| now.get(key))
    }

    /// Calls `read` with the value of `key`, without a copy. Returns whether the key exists.
    ///
    /// `read` must not call the store.
    #[inline]
    pub fn with_value(&self, key: &[u8], read: &mut dyn FnMut(&[u8])) -> Result<bool> {
        self.read(|now| now.with_value(key, read))
    }

    /// Returns whether `key` exists.
    #[inline]
    pub fn exists(&self, key: &[u8]) -> Result<bool> {
        self.read(|now| now.contains(key))
    }

    /// Calls `visit` for each pair whose key begins with `prefix`, until it returns false.
    ///
    /// Pairs come in the order of their keys and from one state. `visit` may call anything. Returns
    /// whether the end was reached.
    pub fn iterate(
        &self,
        prefix: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<bool> {
        // The engine itself makes no call that behaves differently inside a callback.
        self.read(|now| reentrancy::run(|| now.scan(Range::prefix(prefix), &mut visit)))
    }

    /// Returns the values of `keys`, all from one state.
    pub fn multi_get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        self.read(|now| now.get_many(keys))
    }

    /// Creates a cursor over `range` as it is now. The cursor may outlive the store.
    pub fn cursor(&self, range: Range) -> Result<Box<dyn Cursor>> {
        self.read(|now| now.cursor(range))
    }

    /// Sets `key` to `value`.
    pub fn set(&self, key: &[u8], value: &[u8]) -> Result<Outcome> {
        self.write(&WriteBatch { expectations: &[], operations: &[Operation::Set { key, value }] })
    }

    /// Deletes `key`. Refused if the key is absent.
    pub fn delete(&self, key: &[u8]) -> Result<Outcome> {
        self.write(&WriteBatch {
            expectations: &[Expectation::Present { key }],
            operations: &[Operation::Delete { key }],
        })
    }

    /// Sets `key` to `value`. Refused if the key exists.
    pub fn set_nx(&self, key: &[u8], value: &[u8]) -> Result<Outcome> {
        self.write(&WriteBatch {
            expectations: &[Expectation::Absent { key }],
            operations: &[Operation::Set { key, value }],
        })
    }

    /// Sets `key` to `value`. Refused if its value is not `expected`.
    pub fn compare_and_swap(&self, key: &[u8], expected: &[u8], value: &[u8]) -> Result<Outcome> {
        self.write(&WriteBatch {
            expectations: &[Expectation::Equals { key, value: expected }],
            operations: &[Operation::Set { key, value }],
        })
    }

    /// Deletes `key`. Refused if its value is not `expected`.
    pub fn compare_and_delete(&self, key: &[u8], expected: &[u8]) -> Result<Outcome> {
        self.write(&WriteBatch {
            expectations: &[Expectation::Equals { key, value: expected }],
            operations: &[Operation::Delete { key }],
        })
    }

    /// Sets `key` to `value` for the time `ttl`.
    pub fn set_ttl(&self, key: &[u8], value: &[u8], ttl: Duration) -> Result<Outcome> {
        let operations = [Operation::SetTtl { key, value, ttl }];
        self.write(&WriteBatch { expectations: &[], operations: &operations })
    }

    /// Sets `key` to `value` for the time `ttl`. Refused if the key exists.
    pub fn set_nx_ttl(&self, key: &[u8], value: &[u8], ttl: Duration) -> Result<Outcome> {
        self.write(&WriteBatch {
            expectations: &[Expectation::Absent { key }],
            operations: &[Operation::SetTtl { key, value, ttl }],
        })
    }

    /// Replaces the time that `key` has left; `None` for ever. Refused if the key is absent.
    pub fn expire(&self, key: &[u8], ttl: Option<Duration>) -> Result<Outcome> {
        self.write(&WriteBatch {
            expectations: &[Expectation::Present { key }],
            operations: &[Operation::Expire { key, ttl }],
        })
    }

    /// Returns how long `key` lives, or `None` if it does not exist.
    pub fn time_left(&self, key: &[u8]) -> Result<Option<TimeLeft>> {
        self.read(|now| now.time_left(key))
    }

    /// Watches the writes to `range`, from now on or after the one with the sequence number
    /// `after`. The watch may outlive the store.
    pub fn watch(&self, range: Range, after: Option<u64>) -> Result<Box<dyn Watch>> {
        let watch = self.with(|engine| engine.watch(range, after))?;
        Ok(Box::new(Located { watch, identity: self.identity.clone() }))
    }

    /// Deletes every key that begins with `prefix`.
    pub fn delete_prefix(&self, prefix: &[u8]) -> Result<Outcome> {
        let Range { start, end } = Range::prefix(prefix);
        let operations = [Operation::DeleteRange { start: &start, end: end.as_deref() }];
        self.write(&WriteBatch { expectations: &[], operations: &operations })
    }

    /// Adds `delta` to the decimal number at `key` and returns the sum. An absent key counts as 0.
    ///
    /// An attempt conflicts only with a write of the key between its read and its write. After the
    /// first conflict, threads that add take turns, so they do not conflict with each other. The
    /// number of attempts bounds the conflicts with other writers.
    pub fn add(&self, key: &[u8], delta: i64) -> Result<i64> {
        if let Some(sum) = self.try_add(key, delta)? {
            return Ok(sum);
        }
        let _turn = self.adding.lock();
        for _ in 0..ADDING_ATTEMPTS {
            if let Some(sum) = self.try_add(key, delta)? {
                return Ok(sum);
            }
        }
        let text = format!(
            "another write changed the counter during each of {ADDING_ATTEMPTS} attempts to add \
             to it"
        );
        Err(self.located(Error::new(Kind::Busy, text)))
    }

    /// Adds once. Returns `None` if another write changed the key in between.
    fn try_add(&self, key: &[u8], delta: i64) -> Result<Option<i64>> {
        let found = self.get(key)?;
        let number = found
            .as_deref()
            .map_or(Ok(0), |value| parse_counter(value).map_err(|error| self.located(error)))?;
        let Some(sum) = number.checked_add(delta) else {
            let text = format!("{number} + {delta} overflows 64 bits");
            return Err(self.located(Error::invalid(text)));
        };
        let text = sum.to_string();
        let expectation = match &found {
            Some(value) => Expectation::Equals { key, value },
            None => Expectation::Absent { key },
        };
        let operations = [Operation::Set { key, value: text.as_bytes() }];
        let outcome =
            self.write(&WriteBatch { expectations: &[expectation], operations: &operations })?;
        Ok((outcome == Outcome::Applied).then_some(sum))
    }

    /// Makes all acknowledged writes survive a power failure.
    pub fn sync(&self) -> Result<()> {
        self.maintain(|maintenance| maintenance.sync())
    }

    /// Reclaims the space of overwritten and deleted entries.
    pub fn compact(&self) -> Result<()> {
        self.maintain(|maintenance| maintenance.compact())
    }

    /// Shows what another process has written since the last refresh.
    pub fn refresh(&self) -> Result<()> {
        self.maintain(|maintenance| maintenance.refresh())
    }

    /// Copies what the store shows into a disk store in the directory `path`.
    pub fn checkpoint(&self, path: &Path) -> Result<()> {
        self.with_content(|Content { engine, base }| {
            // A view shows other data than the files of its base store hold.
            let maintenance = engine.maintenance().filter(|_| base.is_none());
            checkpoint::create(&**engine, maintenance, path)
        })
    }

    /// Returns the statistics of the store, or of the base store of a view.
    pub fn stats(&self) -> Result<Stats> {
        self.maintain(|maintenance| maintenance.stats())
    }

    /// Returns the property `name`: "kvds." and a field of [`Stats`], or a property of the engine.
    pub fn property(&self, name: &str) -> Result<Option<String>> {
        let Some(field) = name.strip_prefix("kvds.") else {
            return self.maintain(|maintenance| maintenance.property(name));
        };
        let stats = self.stats()?;
        let number = match field {
            "keys" => stats.keys,
            "bytes" => stats.bytes,
            "disk_bytes" => stats.disk_bytes,
            "memory_bytes" => stats.memory_bytes,
            "reads" => stats.reads,
            "hits" => stats.hits,
            "writes" => stats.writes,
            _ => return Ok(None),
        };
        Ok(Some(number.to_string()))
    }

    /// Calls `call` with the engine if the store is open. Adds the store's identity to errors.
    #[inline]
    pub fn with<R>(&self, call: impl FnOnce(&dyn Engine) -> Result<R>) -> Result<R> {
        self.with_content(|content| call(&*content.engine))
    }

    /// Like [`Store::with`], with an engine to share.
    #[inline(always)]
    #[cfg(feature = "testing")]
    pub fn with_shared<R>(&self, call: impl FnOnce(&Arc<dyn Engine>) -> Result<R>) -> Result<R> {
        self.with_content(|content| call(&content.engine))
    }

    /// Like [`Store::with`], with the base store of a view.
    #[inline(always)]
    pub fn with_content<R>(&self, call: impl FnOnce(&Content) -> Result<R>) -> Result<R> {
        let content = self.content.enter().ok_or_else(|| self.closed())?;
        call(&content).map_err(|error| self.located(error))
    }

    /// Calls `call` with the maintenance of the store, or of the base store of a view.
    ///
    /// Returns the default if the engine has no maintenance.
    fn maintain<R: Default>(&self, call: impl FnOnce(&dyn Maintenance) -> Result<R>) -> Result<R> {
        self.with_content(|Content { engine, base }| match base {
            Some(base) => base.maintain(call),
            None => engine.maintenance().map_or_else(|| Ok(R::default()), call),
        })
    }

    #[cold]
    fn closed(&self) -> Error {
        self.located(Error::new(Kind::Closed, "the store is closed"))
    }

    #[cold]
    fn located(&self, error: Error) -> Error {
        error.within(|| self.identity.to_string())
    }
}

/// A watch whose errors name the store.
struct Located {
    watch: Box<dyn Watch>,
    identity: Identity,
}

impl Watch for Located {
    fn next(&mut self, until: Option<Instant>) -> Result<Option<Change<'_>>> {
        self.watch.next(until).map_err(|error| error.within(|| self.identity.to_string()))
    }

    fn descriptor(&mut self) -> Result<RawFd> {
        self.watch.descriptor().map_err(|error| error.within(|| self.identity.to_string()))
    }
}

/// The attempts to add to a counter.
const ADDING_ATTEMPTS: u32 = 1000;

/// Parses the decimal text of a counter.
fn parse_counter(value: &[u8]) -> Result<i64> {
    let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| {
        let value = String::from_utf8_lossy(&value[..value.len().min(32)]);
        Error::invalid(format!("the value is not a decimal number of 64 bits: \"{value}\""))
    })
}

impl Target for Store {
    const KIND: u32 = u32::from_be_bytes(*b"KVst");

    fn released(&self) {
        // Does not wait: a callback may release the last reference during its own iteration, which
        // then ends on the engine on which it began.
        self.content.close(false);
        let Identity { tag, id, backend } = &self.identity;
        if let Some(observers) = &self.observers {
            observers.notify(Death { tag: *tag, id, backend: *backend });
        }
    }
}
