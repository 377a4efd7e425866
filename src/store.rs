//! A store: an engine, a name for it, and the question whether it is still open.
//!
//! Reading and writing have one way in each, [`Store::read`] and [`Store::write`]; every other operation is a word for a
//! use of one of them.

use std::sync::Arc;

use crate::batch::{Expectation, Operation, Outcome, WriteBatch};
use crate::callback;
use crate::counted::{Ref, Target};
use crate::engine::{Engine, Range, Reader, Value};
use crate::error::{Error, Kind, Result};
use crate::gate::Gate;
use crate::lifetime::{Death, Identity, Observers};

/// One live instance of a named store. Handed out as a [`Ref`].
pub struct Store {
    identity: Identity,
    engine: Gate<Arc<dyn Engine>>,
    observers: Arc<Observers>,
}

impl Store {
    /// The first reference to a new store on `engine`. `observers` are told when the last one is gone.
    pub fn on(engine: Arc<dyn Engine>, identity: Identity, observers: Arc<Observers>) -> Ref<Store> {
        Ref::new(Store { identity, engine: Gate::new(engine), observers })
    }

    /// What it was asked for by.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whether it can be used.
    pub fn is_open(&self) -> bool {
        self.engine.is_open()
    }

    /// Closes the store for every holder. Running calls finish first, unless this is called from inside a callback: then
    /// they finish later, and the last of them ends the store.
    pub fn close(&self) -> Result<()> {
        self.with(|engine| engine.check())?;
        if self.engine.close(!callback::running()) { Ok(()) } else { Err(self.closed()) }
    }

    /// Reads from the store as it is now.
    pub fn read<R>(&self, read: impl FnOnce(&dyn Reader) -> Result<R>) -> Result<R> {
        self.with(|engine| read(engine))
    }

    /// Applies a batch in one atomic step.
    pub fn write(&self, batch: &WriteBatch<'_>) -> Result<Outcome> {
        self.with(|engine| engine.apply(batch))
    }

    /// The value under `key`.
    pub fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.read(|now| now.get(key))
    }

    /// Whether `key` is there.
    pub fn exists(&self, key: &[u8]) -> Result<bool> {
        self.read(|now| now.contains(key))
    }

    /// Shows every pair whose key begins with `prefix` to `visit`, in order, as of one moment, until it answers false.
    /// Returns whether the end was reached. `visit` may call anything.
    pub fn iterate(&self, prefix: &[u8], mut visit: impl FnMut(&[u8], &[u8]) -> bool) -> Result<bool> {
        self.read(|now| now.scan(Range::prefix(prefix), &mut |key, value| callback::run(|| visit(key, value))))
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

    fn with<R>(&self, call: impl FnOnce(&dyn Engine) -> Result<R>) -> Result<R> {
        let engine = self.engine.enter().ok_or_else(|| self.closed())?;
        call(&**engine).map_err(|error| error.within(|| self.identity.to_string()))
    }

    fn closed(&self) -> Error {
        Error::new(Kind::Closed, "the store is closed").within(|| self.identity.to_string())
    }
}

impl Target for Store {
    const KIND: u32 = u32::from_be_bytes(*b"KVst");

    fn released(&self) {
        // A callback may let go of the last reference while its own iteration runs: that ends over what it began on.
        self.engine.close(false);
        let Identity { tag, id, backend } = &self.identity;
        self.observers.tell(Death { tag: *tag, id, backend: *backend });
    }
}
