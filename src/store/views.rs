//! Views: engines that show another engine differently.
//!
//! A view is a store on one of these, so every call works on it, and views of views are wrappers
//! around wrappers. At the bottom of each stack lies [`Through`], a counted reference to the store
//! that the views are of: it keeps that store alive, and hears of it when it is closed.

use std::ops::Deref;
use std::sync::Arc;

use crate::batch::{Expectation, Operation, Outcome, WriteBatch};
use crate::engine::{Cursor, Engine, MAX_KEY_LEN, Range, Reader, Stats, Value};
use crate::error::{Error, Kind, Result};
use crate::store::Store;
use crate::sync::refcount::Ref;

/// The first reference to a view of `store`: what `make` makes of what lies below. A view of a view
/// is a view of the same store, so closing or releasing one does not touch the others.
pub fn open(
    store: &Ref<Store>,
    make: impl FnOnce(Arc<dyn Engine>) -> Result<Arc<dyn Engine>>,
) -> Result<Ref<Store>> {
    let engine = store.with_shared(|engine| {
        engine.check()?;
        make(if store.is_view() { engine.clone() } else { Arc::new(Through(store.clone())) })
    })?;
    Ok(Store::view(engine, store.identity().clone()))
}

/// A store, as an engine.
struct Through(Ref<Store>);

impl Reader for Through {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.0.read(|now| now.get(key))
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        self.0.read(|now| now.contains(key))
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        self.0.read(|now| now.get_many(keys))
    }

    fn cursor(&self, range: Range) -> Result<Box<dyn Cursor>> {
        self.0.read(|now| now.cursor(range))
    }

    // Not by a cursor, so that the store knows of the iteration, and closing it waits.
    fn scan(&self, range: Range, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<bool> {
        self.0.read(|now| now.scan(range, visit))
    }
}

impl Engine for Through {
    fn apply(&self, batch: &WriteBatch<'_>) -> Result<Outcome> {
        self.0.write(batch)
    }

    fn snapshot(&self) -> Result<Arc<dyn Reader>> {
        self.0.with(|engine| engine.snapshot())
    }

    fn check(&self) -> Result<()> {
        self.0.with(|engine| engine.check())
    }

    fn sync(&self) -> Result<()> {
        self.0.with(|engine| engine.sync())
    }

    fn compact(&self) -> Result<()> {
        self.0.with(|engine| engine.compact())
    }

    fn refresh(&self) -> Result<()> {
        self.0.with(|engine| engine.refresh())
    }

    fn stats(&self) -> Result<Stats> {
        self.0.with(|engine| engine.stats())
    }

    fn property(&self, name: &str) -> Result<Option<String>> {
        self.0.with(|engine| engine.property(name))
    }
}

/// What a view allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Whether it can be read.
    pub read: bool,
    /// Whether it can be written.
    pub write: bool,
}

/// An engine of which only a part may be used.
pub struct Restricted {
    engine: Arc<dyn Engine>,
    rights: Rights,
}

impl Restricted {
    /// `engine`, with these rights at most.
    pub fn new(engine: Arc<dyn Engine>, rights: Rights) -> Restricted {
        Restricted { engine, rights }
    }

    fn readable(&self) -> Result<&dyn Engine> {
        self.allowed(self.rights.read, "this view can't be read")
    }

    fn writable(&self) -> Result<&dyn Engine> {
        self.allowed(self.rights.write, "this view can't be written")
    }

    fn allowed(&self, allowed: bool, otherwise: &'static str) -> Result<&dyn Engine> {
        if allowed {
            return Ok(&*self.engine);
        }
        // That the store is closed weighs more than that this view would not allow it.
        self.engine.check()?;
        Err(Error::new(Kind::Denied, otherwise))
    }
}

impl Reader for Restricted {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.readable()?.get(key)
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        self.readable()?.contains(key)
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        self.readable()?.get_many(keys)
    }

    fn cursor(&self, range: Range) -> Result<Box<dyn Cursor>> {
        self.readable()?.cursor(range)
    }

    fn scan(&self, range: Range, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<bool> {
        self.readable()?.scan(range, visit)
    }
}

impl Engine for Restricted {
    fn apply(&self, batch: &WriteBatch<'_>) -> Result<Outcome> {
        self.writable()?.apply(batch)
    }

    fn snapshot(&self) -> Result<Arc<dyn Reader>> {
        self.readable()?.snapshot()
    }

    fn inner(&self) -> Option<&dyn Engine> {
        Some(&*self.engine)
    }
}

/// The part of something whose keys have a prefix, without the prefix.
pub struct Scoped<T> {
    whole: T,
    prefix: Box<[u8]>,
}

impl<T> Scoped<T> {
    /// What of `whole` has the prefix.
    pub fn new(whole: T, prefix: &[u8]) -> Scoped<T> {
        Scoped { whole, prefix: prefix.into() }
    }

    /// The key as the whole knows it, which must not be too long there.
    fn full(&self, key: &[u8]) -> Result<Vec<u8>> {
        let len = self.prefix.len() + key.len();
        if len > MAX_KEY_LEN {
            let prefix = self.prefix.len();
            return Err(Error::invalid(format!(
                "with the {prefix} bytes of the scope, the key has {len}; {MAX_KEY_LEN} is the most"
            )));
        }
        Ok([&self.prefix, key].concat())
    }
}

impl<T: Deref<Target: Reader> + Send + Sync> Reader for Scoped<T> {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.whole.get(&self.full(key)?)
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        self.whole.contains(&self.full(key)?)
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        let keys = keys.iter().map(|key| self.full(key)).collect::<Result<Vec<_>>>()?;
        self.whole.get_many(&keys.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    fn cursor(&self, range: Range) -> Result<Box<dyn Cursor>> {
        let cursor = self.whole.cursor(range.behind(&self.prefix))?;
        Ok(Box::new(Scoped { whole: cursor, prefix: self.prefix.clone() }))
    }

    fn scan(&self, range: Range, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<bool> {
        self.whole.scan(range.behind(&self.prefix), &mut |key, value| {
            visit(&key[self.prefix.len()..], value)
        })
    }
}

impl Engine for Scoped<Arc<dyn Engine>> {
    fn apply(&self, batch: &WriteBatch<'_>) -> Result<Outcome> {
        // The full keys first, as the batch only borrows them; a range has two.
        let mut keys = Vec::with_capacity(batch.expectations.len() + 2 * batch.operations.len());
        for expectation in batch.expectations {
            keys.push(self.full(expectation.key())?);
        }
        for operation in batch.operations {
            match operation {
                Operation::Set { key, .. } | Operation::Delete { key } => {
                    keys.push(self.full(key)?)
                }
                Operation::DeleteRange { start, end } => {
                    let range = Range { start: start.to_vec(), end: end.map(<[u8]>::to_vec) }
                        .behind(&self.prefix);
                    keys.push(range.start);
                    keys.extend(range.end);
                }
            }
        }
        let mut keys = keys.iter().map(Vec::as_slice);
        let mut next = || keys.next().unwrap_or_default();
        let expectations: Vec<_> = batch
            .expectations
            .iter()
            .map(|expectation| match *expectation {
                Expectation::Present { .. } => Expectation::Present { key: next() },
                Expectation::Absent { .. } => Expectation::Absent { key: next() },
                Expectation::Equals { value, .. } => Expectation::Equals { key: next(), value },
            })
            .collect();
        let whole_has_end = Range::prefix(&self.prefix).end.is_some();
        let operations: Vec<_> = batch
            .operations
            .iter()
            .map(|operation| match *operation {
                Operation::Set { value, .. } => Operation::Set { key: next(), value },
                Operation::Delete { .. } => Operation::Delete { key: next() },
                Operation::DeleteRange { end, .. } => {
                    let start = next();
                    Operation::DeleteRange {
                        start,
                        end: (end.is_some() || whole_has_end).then(&mut next),
                    }
                }
            })
            .collect();
        self.whole.apply(&WriteBatch { expectations: &expectations, operations: &operations })
    }

    fn snapshot(&self) -> Result<Arc<dyn Reader>> {
        Ok(Arc::new(Scoped { whole: self.whole.snapshot()?, prefix: self.prefix.clone() }))
    }

    fn inner(&self) -> Option<&dyn Engine> {
        Some(&*self.whole)
    }
}

impl Cursor for Scoped<Box<dyn Cursor>> {
    fn first(&mut self) -> Result<()> {
        self.whole.first()
    }

    fn last(&mut self) -> Result<()> {
        self.whole.last()
    }

    fn seek(&mut self, key: &[u8]) -> Result<()> {
        self.whole.seek(&[&self.prefix, key].concat())
    }

    fn next(&mut self) -> Result<()> {
        self.whole.next()
    }

    fn prev(&mut self) -> Result<()> {
        self.whole.prev()
    }

    fn entry(&self) -> Option<(&[u8], &[u8])> {
        // The cursor stays in the range of the prefix, so every key has it.
        self.whole.entry().map(|(key, value)| (&key[self.prefix.len()..], value))
    }
}

/// An engine at one moment, which can only be read.
pub struct SnapshotView {
    reader: Arc<dyn Reader>,
    /// What it was taken of: asked whether it is still open.
    engine: Arc<dyn Engine>,
}

impl SnapshotView {
    /// `engine` as of now.
    pub fn new(engine: Arc<dyn Engine>) -> Result<SnapshotView> {
        Ok(SnapshotView { reader: engine.snapshot()?, engine })
    }

    fn reader(&self) -> Result<&Arc<dyn Reader>> {
        self.engine.check()?;
        Ok(&self.reader)
    }
}

impl Reader for SnapshotView {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.reader()?.get(key)
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        self.reader()?.contains(key)
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        self.reader()?.get_many(keys)
    }

    fn cursor(&self, range: Range) -> Result<Box<dyn Cursor>> {
        self.reader()?.cursor(range)
    }
}

impl Engine for SnapshotView {
    fn apply(&self, _: &WriteBatch<'_>) -> Result<Outcome> {
        self.engine.check()?;
        Err(Error::new(Kind::Denied, "a snapshot can't be written"))
    }

    fn snapshot(&self) -> Result<Arc<dyn Reader>> {
        Ok(self.reader()?.clone())
    }

    fn inner(&self) -> Option<&dyn Engine> {
        Some(&*self.engine)
    }
}
