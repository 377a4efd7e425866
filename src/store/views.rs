//! Views: engines that show a part of another engine, or an earlier state of it.
//!
//! A view is a store on such an engine, so every call works on it. A view of a view wraps the
//! engine of that view. The innermost engine is a [`BaseStore`]. It counts as a reference to the
//! base store, and its calls fail once the base store is closed.
//!
//! Views only move data. [`Store`] passes maintenance on to the base store.

use std::ops::Deref;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Instant;

use crate::batch::{Expectation, Operation, Outcome, WriteBatch};
use crate::engine::{
    Change, ChangeKind, Cursor, Engine, MAX_KEY_LEN, Range, Reader, TimeLeft, Value, Watch,
};
use crate::error::{Error, Kind, Result};
use crate::store::Store;
use crate::sync::refcount::Ref;

/// Opens a view of `store`, on the engine that `wrap` makes of the engine of `store`.
///
/// A view of a view is a view of the same base store, so closing or releasing one view does not
/// affect the others.
pub fn open(
    store: &Ref<Store>,
    wrap: impl FnOnce(Arc<dyn Engine>) -> Result<Arc<dyn Engine>>,
) -> Result<Ref<Store>> {
    store.with_content(|content| {
        content.engine.check()?;
        let (inner, base) = match &content.base {
            Some(base) => (content.engine.clone(), base.clone()),
            None => (Arc::new(BaseStore(store.clone())) as Arc<dyn Engine>, store.as_arc().clone()),
        };
        Ok(Store::view(wrap(inner)?, base, store.identity().clone()))
    })
}

/// The store that a stack of views is of.
struct BaseStore(Ref<Store>);

impl Reader for BaseStore {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.0.get(key)
    }

    fn with_value(&self, key: &[u8], read: &mut dyn FnMut(&[u8])) -> Result<bool> {
        self.0.with_value(key, read)
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        self.0.exists(key)
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        self.0.multi_get(keys)
    }

    fn cursor(&self, range: Range) -> Result<Box<dyn Cursor>> {
        self.0.cursor(range)
    }

    fn time_left(&self, key: &[u8]) -> Result<Option<TimeLeft>> {
        self.0.time_left(key)
    }

    // Without a cursor, so that the iteration is inside the store's gate and closing waits for it.
    fn scan(&self, range: Range, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<bool> {
        self.0.read(|now| now.scan(range, visit))
    }
}

impl Engine for BaseStore {
    fn apply(&self, batch: &WriteBatch<'_>) -> Result<Outcome> {
        self.0.write(batch)
    }

    fn snapshot(&self) -> Result<Arc<dyn Reader>> {
        self.0.with(|engine| engine.snapshot())
    }

    fn watch(&self, range: Range, after: Option<u64>) -> Result<Box<dyn Watch>> {
        self.0.watch(range, after)
    }

    fn check(&self) -> Result<()> {
        self.0.check()
    }
}

/// A view whose reads are those of another reader.
trait ReadsFrom: Send + Sync {
    /// Returns the reader, or why the view cannot be read.
    fn readable(&self) -> Result<&dyn Reader>;
}

impl<V: ReadsFrom> Reader for V {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.readable()?.get(key)
    }

    fn with_value(&self, key: &[u8], read: &mut dyn FnMut(&[u8])) -> Result<bool> {
        self.readable()?.with_value(key, read)
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        self.readable()?.contains(key)
    }

    fn cursor(&self, range: Range) -> Result<Box<dyn Cursor>> {
        self.readable()?.cursor(range)
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        self.readable()?.get_many(keys)
    }

    fn time_left(&self, key: &[u8]) -> Result<Option<TimeLeft>> {
        self.readable()?.time_left(key)
    }

    fn scan(&self, range: Range, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<bool> {
        self.readable()?.scan(range, visit)
    }
}

/// The operations that a view permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Permits reads.
    pub read: bool,
    /// Permits writes.
    pub write: bool,
}

const READS_DENIED: &str = "this view does not permit reads";

/// An engine that permits some operations of `inner`.
pub struct Restricted {
    inner: Arc<dyn Engine>,
    rights: Rights,
}

impl Restricted {
    /// Restricts `inner` to `rights`.
    pub fn new(inner: Arc<dyn Engine>, rights: Rights) -> Restricted {
        Restricted { inner, rights }
    }

    fn permitted(&self, permitted: bool, denied: &'static str) -> Result<&dyn Engine> {
        if permitted {
            return Ok(&*self.inner);
        }
        // A closed store is reported before a denied operation.
        self.inner.check()?;
        Err(Error::new(Kind::Denied, denied))
    }
}

impl ReadsFrom for Restricted {
    fn readable(&self) -> Result<&dyn Reader> {
        Ok(self.permitted(self.rights.read, READS_DENIED)?)
    }
}

impl Engine for Restricted {
    fn apply(&self, batch: &WriteBatch<'_>) -> Result<Outcome> {
        self.permitted(self.rights.write, "this view does not permit writes")?.apply(batch)
    }

    fn snapshot(&self) -> Result<Arc<dyn Reader>> {
        self.permitted(self.rights.read, READS_DENIED)?.snapshot()
    }

    fn watch(&self, range: Range, after: Option<u64>) -> Result<Box<dyn Watch>> {
        self.permitted(self.rights.read, READS_DENIED)?.watch(range, after)
    }

    fn check(&self) -> Result<()> {
        self.inner.check()
    }
}

/// The entries of `inner` whose keys begin with a prefix, shown without the prefix.
///
/// `T` is an engine, a snapshot or a cursor.
pub struct Scoped<T> {
    inner: T,
    prefix: Box<[u8]>,
}

impl<T> Scoped<T> {
    /// Shows the entries of `inner` that begin with `prefix`.
    pub fn new(inner: T, prefix: &[u8]) -> Scoped<T> {
        Scoped { inner, prefix: prefix.into() }
    }

    /// Puts the prefix before `key`. Fails if the result is too long for a key.
    fn full(&self, key: &[u8]) -> Result<Vec<u8>> {
        let len = self.prefix.len() + key.len();
        if len > MAX_KEY_LEN {
            let prefix = self.prefix.len();
            return Err(Error::invalid(format!(
                "the key has {len} bytes, with the {prefix} bytes of the scope; the maximum is \
                 {MAX_KEY_LEN}"
            )));
        }
        Ok([&self.prefix, key].concat())
    }
}

impl<T: Deref<Target: Reader> + Send + Sync> Reader for Scoped<T> {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.inner.get(&self.full(key)?)
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        self.inner.contains(&self.full(key)?)
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        let keys = keys.iter().map(|key| self.full(key)).collect::<Result<Vec<_>>>()?;
        self.inner.get_many(&keys.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    fn time_left(&self, key: &[u8]) -> Result<Option<TimeLeft>> {
        self.inner.time_left(&self.full(key)?)
    }

    fn cursor(&self, range: Range) -> Result<Box<dyn Cursor>> {
        let cursor = self.inner.cursor(range.behind(&self.prefix))?;
        Ok(Box::new(Scoped { inner: cursor, prefix: self.prefix.clone() }))
    }

    fn scan(&self, range: Range, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<bool> {
        self.inner.scan(range.behind(&self.prefix), &mut |key, value| {
            visit(&key[self.prefix.len()..], value)
        })
    }
}

impl Engine for Scoped<Arc<dyn Engine>> {
    fn apply(&self, batch: &WriteBatch<'_>) -> Result<Outcome> {
        // The batch borrows its keys, so all full keys are built first; a range has two.
        let mut keys = Vec::with_capacity(batch.expectations.len() + 2 * batch.operations.len());
        for expectation in batch.expectations {
            keys.push(self.full(expectation.key())?);
        }
        for operation in batch.operations {
            match operation {
                Operation::DeleteRange { start, end } => {
                    let range = Range { start: start.to_vec(), end: end.map(<[u8]>::to_vec) }
                        .behind(&self.prefix);
                    keys.push(range.start);
                    keys.extend(range.end);
                }
                _ => keys.push(self.full(operation.key().unwrap_or_default())?),
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
        let scope_has_end = Range::prefix(&self.prefix).end.is_some();
        let operations: Vec<_> = batch
            .operations
            .iter()
            .map(|operation| match *operation {
                Operation::DeleteRange { end, .. } => {
                    let start = next();
                    Operation::DeleteRange {
                        start,
                        end: (end.is_some() || scope_has_end).then(&mut next),
                    }
                }
                operation => operation.of_key(next()),
            })
            .collect();
        self.inner.apply(&WriteBatch { expectations: &expectations, operations: &operations })
    }

    fn snapshot(&self) -> Result<Arc<dyn Reader>> {
        Ok(Arc::new(Scoped { inner: self.inner.snapshot()?, prefix: self.prefix.clone() }))
    }

    fn watch(&self, range: Range, after: Option<u64>) -> Result<Box<dyn Watch>> {
        let watch = self.inner.watch(range.behind(&self.prefix), after)?;
        Ok(Box::new(Scoped { inner: watch, prefix: self.prefix.clone() }))
    }

    fn check(&self) -> Result<()> {
        self.inner.check()
    }
}

impl Cursor for Scoped<Box<dyn Cursor>> {
    fn first(&mut self) -> Result<()> {
        self.inner.first()
    }

    fn last(&mut self) -> Result<()> {
        self.inner.last()
    }

    fn seek(&mut self, key: &[u8]) -> Result<()> {
        self.inner.seek(&[&self.prefix, key].concat())
    }

    fn next(&mut self) -> Result<()> {
        self.inner.next()
    }

    fn prev(&mut self) -> Result<()> {
        self.inner.prev()
    }

    fn entry(&self) -> Option<(&[u8], &[u8])> {
        // The cursor is bounded to the prefix, so every key has it.
        self.inner.entry().map(|(key, value)| (&key[self.prefix.len()..], value))
    }

    fn time_left(&mut self) -> Result<TimeLeft> {
        self.inner.time_left()
    }
}

impl Watch for Scoped<Box<dyn Watch>> {
    fn next(&mut self, until: Option<Instant>) -> Result<Option<Change<'_>>> {
        let Some(change) = self.inner.next(until)? else { return Ok(None) };
        let kind = match change.kind {
            // Cut to the scope: a range that reaches behind the scope has no end in it.
            ChangeKind::DeleteRange { end } => {
                let end = end.and_then(|end| end.strip_prefix(&*self.prefix));
                ChangeKind::DeleteRange { end }
            }
            kind => kind,
        };
        Ok(Some(Change { kind, key: &change.key[self.prefix.len()..], ..change }))
    }

    fn descriptor(&mut self) -> Result<RawFd> {
        self.inner.descriptor()
    }
}

/// A read-only engine that shows a snapshot.
pub struct SnapshotView {
    snapshot: Arc<dyn Reader>,
    /// The engine of the snapshot, which knows whether the store is still open.
    inner: Arc<dyn Engine>,
}

impl SnapshotView {
    /// Takes a snapshot of `inner`.
    pub fn new(inner: Arc<dyn Engine>) -> Result<SnapshotView> {
        Ok(SnapshotView { snapshot: inner.snapshot()?, inner })
    }
}

impl ReadsFrom for SnapshotView {
    fn readable(&self) -> Result<&dyn Reader> {
        self.inner.check()?;
        Ok(&*self.snapshot)
    }
}

impl Engine for SnapshotView {
    fn apply(&self, _: &WriteBatch<'_>) -> Result<Outcome> {
        self.inner.check()?;
        Err(Error::new(Kind::Denied, "a snapshot is read-only"))
    }

    fn snapshot(&self) -> Result<Arc<dyn Reader>> {
        self.inner.check()?;
        Ok(self.snapshot.clone())
    }

    fn watch(&self, _: Range, _: Option<u64>) -> Result<Box<dyn Watch>> {
        self.inner.check()?;
        Err(Error::new(Kind::Unsupported, "a snapshot never changes, so it cannot be watched"))
    }

    fn check(&self) -> Result<()> {
        self.inner.check()
    }
}
