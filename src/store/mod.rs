//! A store: an engine, a name for it, and the question whether it is still open.
//!
//! Reading and writing have one way in each, [`Store::read`] and [`Store::write`]; every other
//! operation is a word for a use of one of them.

pub mod dir_name;
pub mod identity;
pub mod observers;
pub mod registry;
pub mod views;

use std::ffi::CStr;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::batch::{Expectation, Operation, Outcome, WriteBatch};
use crate::engine::disk::checkpoint;
use crate::engine::disk::{Disk, Shared};
use crate::engine::{Cursor, Engine, Range, Reader, Stats, Value};
use crate::error::{Error, Kind, Result};
use crate::options::Options;
use crate::store::identity::{Backend, Identity};
use crate::store::observers::{Death, Observers};
use crate::sync::gate::Gate;
use crate::sync::refcount::{Ref, Target};
use crate::sys::reentrancy;

/// One live instance of a named store. Handed out as a [`Ref`].
pub struct Store {
    identity: Identity,
    engine: Gate<Arc<dyn Engine>>,
    /// Held by a thread that adds to a counter and was overtaken by another.
    adding: Mutex<()>,
    /// None for a view.
    observers: Option<Arc<Observers>>,
}

impl Store {
    /// Opens the disk store in the directory `path`, which is absolute, for no distributor: `id` is
    /// only its name in texts. Returns None if it is missing and `options` say not to make it.
    pub fn open(path: &Path, id: &CStr, options: &Options) -> Result<Option<Ref<Store>>> {
        Disk::available()?;
        let identity = Identity { tag: 0, id: id.to_owned(), backend: Backend::Disk };
        let engine = Disk::open_any(path, options, &Shared::new(options), Box::new(()));
        let Some(engine) = engine.map_err(|error| error.within(|| identity.to_string()))? else {
            return Ok(None);
        };
        Ok(Some(Store::on(engine, identity, Arc::default())))
    }

    /// The first reference to a new store on `engine`. `observers` are told when the last one is
    /// gone.
    pub fn on(
        engine: Arc<dyn Engine>,
        identity: Identity,
        observers: Arc<Observers>,
    ) -> Ref<Store> {
        Ref::new(Store {
            identity,
            engine: Gate::new(engine),
            adding: Mutex::default(),
            observers: Some(observers),
        })
    }

    /// The first reference to a store on something that another store has below it: a view, which
    /// has that store's identity and whose end is nobody's business.
    pub fn view(engine: Arc<dyn Engine>, identity: Identity) -> Ref<Store> {
        Ref::new(Store {
            identity,
            engine: Gate::new(engine),
            adding: Mutex::default(),
            observers: None,
        })
    }

    /// Whether this is a view.
    pub fn is_view(&self) -> bool {
        self.observers.is_none()
    }

    /// What it was asked for by.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whether it was not closed.
    pub fn is_open(&self) -> bool {
        self.engine.is_open()
    }

    /// Whether calls on it can succeed: that neither it nor, for a view, what it is a view of was
    /// closed, and that this is its process.
    pub fn is_usable(&self) -> bool {
        self.with(|engine| engine.check()).is_ok()
    }

    /// Closes the store for every holder. Running calls finish first, unless this is called from
    /// inside a callback: then they finish later, and the last of them ends the store.
    pub fn close(&self) -> Result<()> {
        self.with(|engine| engine.check())?;
        if self.engine.close(!reentrancy::running()) { Ok(()) } else { Err(self.closed()) }
    }

    /// Reads from the store as it is now.
    #[inline]
    pub fn read<R>(&self, read: impl FnOnce(&dyn Reader) -> Result<R>) -> Result<R> {
        self.with(|engine| read(engine))
    }

    /// Applies a batch in one atomic step.
    #[inline]
    pub fn write(&self, batch: &WriteBatch<'_>) -> Result<Outcome> {
        self.with(|engine| engine.apply(batch))
    }

    /// The value under `key`.
    #[inline]
    pub fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.read(|now| now.get(key))
    }

    /// Shows the value under `key` to `see`, where it lies. Returns whether there is one. `see`
    /// must not call the store.
    #[inline]
    pub fn look(&self, key: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<bool> {
        self.read(|now| now.look(key, see))
    }

    /// Whether `key` is there.
    #[inline]
    pub fn exists(&self, key: &[u8]) -> Result<bool> {
        self.read(|now| now.contains(key))
    }

    /// Shows every pair whose key begins with `prefix` to `visit`, in order, as of one moment,
    /// until it answers false. Returns whether the end was reached. `visit` may call anything.
    pub fn iterate(
        &self,
        prefix: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<bool> {
        // What the engine does in between makes no call that asks whether this is a callback.
        self.read(|now| reentrancy::run(|| now.scan(Range::prefix(prefix), &mut visit)))
    }

    /// The values under `keys`, all as of one moment.
    pub fn multi_get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        self.read(|now| now.get_many(keys))
    }

    /// A cursor over `range`, as of this moment. It needs nothing of the store any more.
    pub fn cursor(&self, range: Range) -> Result<Box<dyn Cursor>> {
        self.read(|now| now.cursor(range))
    }

    /// Sets `key` to `value`.
    pub fn set(&self, key: &[u8], value: &[u8]) -> Result<Outcome> {
        self.write(&WriteBatch { expectations: &[], operations: &[Operation::Set { key, value }] })
    }

    /// Removes `key`; refused if it is not there.
    pub fn delete(&self, key: &[u8]) -> Result<Outcome> {
        self.write(&WriteBatch {
            expectations: &[Expectation::Present { key }],
            operations: &[Operation::Delete { key }],
        })
    }

    /// Sets `key` to `value`; refused if it is there.
    pub fn set_nx(&self, key: &[u8], value: &[u8]) -> Result<Outcome> {
        self.write(&WriteBatch {
            expectations: &[Expectation::Absent { key }],
            operations: &[Operation::Set { key, value }],
        })
    }

    /// Sets `key` to `value`; refused if it does not have the value `expected`.
    pub fn compare_and_swap(&self, key: &[u8], expected: &[u8], value: &[u8]) -> Result<Outcome> {
        self.write(&WriteBatch {
            expectations: &[Expectation::Equals { key, value: expected }],
            operations: &[Operation::Set { key, value }],
        })
    }

    /// Removes `key`; refused if it does not have the value `expected`.
    pub fn compare_and_delete(&self, key: &[u8], expected: &[u8]) -> Result<Outcome> {
        self.write(&WriteBatch {
            expectations: &[Expectation::Equals { key, value: expected }],
            operations: &[Operation::Delete { key }],
        })
    }

    /// Removes every key that begins with `prefix`.
    pub fn delete_prefix(&self, prefix: &[u8]) -> Result<Outcome> {
        let Range { start, end } = Range::prefix(prefix);
        let operations = [Operation::DeleteRange { start: &start, end: end.as_deref() }];
        self.write(&WriteBatch { expectations: &[], operations: &operations })
    }

    /// Adds `delta` to the number under `key`, decimal text, and returns the sum; an absent key
    /// counts as 0.
    ///
    /// An attempt fails only because another write of the key came between its read and its write.
    /// Threads that add take turns after their first attempt, so they don't overtake each other for
    /// ever; what other writers do is bounded by the number of attempts.
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
            "the counter was written by others at each of {ADDING_ATTEMPTS} attempts to add to it"
        );
        Err(self.here(Error::new(Kind::Busy, text)))
    }

    /// Adds once; None if the key was written meanwhile.
    fn try_add(&self, key: &[u8], delta: i64) -> Result<Option<i64>> {
        let found = self.get(key)?;
        let number = found
            .as_deref()
            .map_or(Ok(0), |value| number(value).map_err(|error| self.here(error)))?;
        let Some(sum) = number.checked_add(delta) else {
            let text = format!("{number} and {delta} make more than 64 bits can hold");
            return Err(self.here(Error::invalid(text)));
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

    /// Makes all that was acknowledged survive a power cut.
    pub fn sync(&self) -> Result<()> {
        self.with(|engine| engine.sync())
    }

    /// Gives back the space of what was overwritten and removed.
    pub fn compact(&self) -> Result<()> {
        self.with(|engine| engine.compact())
    }

    /// Catches up with what another process has written.
    pub fn refresh(&self) -> Result<()> {
        self.with(|engine| engine.refresh())
    }

    /// Makes a copy of what the store shows now in the directory `path`: a disk store, whatever
    /// this one is.
    pub fn checkpoint(&self, path: &Path) -> Result<()> {
        self.with(|engine| checkpoint::make(engine, path))
    }

    /// Figures.
    pub fn stats(&self) -> Result<Stats> {
        self.with(|engine| engine.stats())
    }

    /// What is known under `name`: a figure of [`Stats`] behind "kvds.", or something of the
    /// engine's own.
    pub fn property(&self, name: &str) -> Result<Option<String>> {
        let Some(figure) = name.strip_prefix("kvds.") else {
            return self.with(|engine| engine.property(name));
        };
        let stats = self.stats()?;
        let number = match figure {
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

    /// Does something with the engine, if the store is open, and says of a failure where it
    /// happened.
    #[inline]
    pub fn with<R>(&self, call: impl FnOnce(&dyn Engine) -> Result<R>) -> Result<R> {
        self.with_shared(|engine| call(&**engine))
    }

    /// The same, with a share of the engine to keep.
    #[inline(always)]
    pub fn with_shared<R>(&self, call: impl FnOnce(&Arc<dyn Engine>) -> Result<R>) -> Result<R> {
        let engine = self.engine.enter().ok_or_else(|| self.closed())?;
        call(&engine).map_err(|error| self.here(error))
    }

    #[cold]
    fn closed(&self) -> Error {
        self.here(Error::new(Kind::Closed, "the store is closed"))
    }

    #[cold]
    fn here(&self, error: Error) -> Error {
        error.within(|| self.identity.to_string())
    }
}

/// How often adding to a counter is tried.
const ADDING_ATTEMPTS: u32 = 1000;

/// A value as a counter keeps it.
fn number(value: &[u8]) -> Result<i64> {
    let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| {
        let value = String::from_utf8_lossy(&value[..value.len().min(32)]);
        Error::invalid(format!("the value is not a decimal number of 64 bits: \"{value}\""))
    })
}

impl Target for Store {
    const KIND: u32 = u32::from_be_bytes(*b"KVst");

    fn released(&self) {
        // A callback may let go of the last reference while its own iteration runs: that ends over
        // what it began on.
        self.engine.close(false);
        let Identity { tag, id, backend } = &self.identity;
        if let Some(observers) = &self.observers {
            observers.tell(Death { tag: *tag, id, backend: *backend });
        }
    }
}
