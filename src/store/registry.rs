//! The registry: for every (backend, id) at most one live store.
//!
//! A slot of the registry goes through: nothing, `Making` (somebody opens or destroys it, with no
//! lock held), `Made`. A made slot refers weakly to its store and to its engine, and both may end
//! before the slot does:
//!
//! - The store is gone or closed and its engine lives on, because a cursor, a value or a running
//!   iteration still needs it. Then a disk store that is asked for again is a new store on the same
//!   engine: opening the files twice is impossible, and waiting could be forever. A memory store
//!   starts anew, as its data went with the store.
//! - The engine is being dropped: closing takes time. Whoever asks then waits until it is done. The
//!   engine drops its [`Lease`] last, and that is what removes the slot and wakes the waiting.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::engine::disk::{Disk, Shared};
use crate::engine::memory::{Budget, Memory};
use crate::engine::{Engine, Lease};
use crate::error::{Error, Kind, Result};
use crate::options::Options;
use crate::store::Store;
use crate::store::dir_name;
use crate::store::identity;
use crate::store::identity::{Backend, Identity};
use crate::store::observers::Observers;
use crate::sync::refcount::{Counted, Ref, Target};
use crate::sys::fork::Birth;
use crate::sys::reentrancy;

/// Hands out stores by name. Handed out itself as a [`Ref`].
pub struct Distributor(Arc<Registry>);

struct Registry {
    base: Option<PathBuf>,
    options: Options,
    state: Mutex<State>,
    /// Signalled whenever a slot changes or goes.
    changed: Condvar,
    observers: Arc<Observers>,
    /// What all memory stores share.
    memory: Arc<Budget>,
    /// What all disk stores share, once there is one.
    disk: OnceLock<Shared>,
    birth: Birth,
}

#[derive(Default)]
struct State {
    shut: bool,
    next_tag: u64,
    slots: BTreeMap<SlotKey, Slot>,
}

/// A disk store is known by the name of its directory, a memory store by its id.
type SlotKey = (Backend, Vec<u8>);

enum Slot {
    Making,
    Made(Made),
}

struct Made {
    store: Weak<Counted<Store>>,
    engine: Weak<dyn Engine>,
    /// The distributor's own reference, with `keep_stores`.
    kept: Option<Ref<Store>>,
}

/// A live store as [`Distributor::for_each`] shows it.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    /// Its name, backend and tag.
    pub identity: &'a Identity,
    /// How many references there are to it.
    pub references: i64,
}

impl Distributor {
    /// The first reference to a new distributor. Without a base path it has memory stores only.
    pub fn open(base: Option<&Path>, options: &Options) -> Result<Ref<Distributor>> {
        // Made absolute now, so that a later change of the working directory does not move the
        // stores.
        let base = base
            .map(|path| {
                std::path::absolute(path)
                    .map_err(|cause| Error::io("cannot resolve the base path", cause).at(path))
            })
            .transpose()?;
        Ok(Ref::new(Distributor(Arc::new(Registry {
            base,
            options: options.clone(),
            state: Mutex::default(),
            changed: Condvar::new(),
            observers: Arc::default(),
            memory: Arc::new(Budget::new(options.memory_limit_bytes)),
            disk: OnceLock::new(),
            birth: Birth::here(),
        }))))
    }

    /// A reference to the live store called `id`, which is made if there is none. None if that
    /// would take making what the options say is not to be made.
    pub fn get_or_create(&self, id: &CStr, backend: Backend) -> Result<Option<Ref<Store>>> {
        self.0.get_or_create(id, backend).map_err(|error| error.within(|| asked(id, backend)))
    }

    /// A reference to the live store called `id`, if there is one.
    pub fn get(&self, id: &CStr, backend: Backend) -> Result<Option<Ref<Store>>> {
        let find = || {
            let key = self.0.key(id, backend)?;
            let state = self.0.settled(self.0.open_state()?, &key)?;
            Ok(state.slots.get(&key).and_then(Slot::live))
        };
        find().map_err(|error: Error| error.within(|| asked(id, backend)))
    }

    /// Gives up the distributor's own reference to a store. Returns whether it had one.
    pub fn evict(&self, id: &CStr, backend: Backend) -> Result<bool> {
        let key = self.0.key(id, backend).map_err(|error| error.within(|| asked(id, backend)))?;
        let kept = self.0.state.lock().slots.get_mut(&key).and_then(Slot::take_kept);
        Ok(kept.is_some())
    }

    /// Removes the files of a disk store that is not live. Returns whether there were any.
    pub fn destroy_store(&self, id: &CStr) -> Result<bool> {
        self.0.destroy_store(id).map_err(|error| error.within(|| asked(id, Backend::Disk)))
    }

    /// Closes every live store and refuses to make new ones from now on.
    pub fn shutdown(&self) {
        let mut state = self.0.state.lock();
        state.shut = true;
        // Nobody begins to make a slot any more, and those who did end, see `settled`.
        while !reentrancy::running()
            && state.slots.values().any(|slot| matches!(slot, Slot::Making))
        {
            self.0.changed.wait(&mut state);
        }
        let stores: Vec<_> = state.slots.values().filter_map(Slot::open).collect();
        drop(state);
        for store in stores {
            // An error only says that somebody else closed it first, or that it came through a
            // fork.
            let _ = store.close();
        }
        self.0.release_kept();
    }

    /// How many live stores there are.
    pub fn store_count(&self) -> usize {
        self.0.state.lock().slots.values().filter_map(Slot::open).count()
    }

    /// Shows every live store to `visit`, memory stores first, then by id, until it answers false.
    /// Stores that come or go meanwhile may or may not be shown. Returns whether the end was
    /// reached.
    pub fn for_each(&self, mut visit: impl FnMut(Listed<'_>) -> bool) -> bool {
        let stores: Vec<_> = self.0.state.lock().slots.values().filter_map(Slot::open).collect();
        stores.into_iter().all(|store| {
            let listed = Listed { identity: store.identity(), references: store.references() };
            listed.references == 0 || reentrancy::run(|| visit(listed))
        })
    }

    /// Those who are told of the deaths of its stores. They are told also when the distributor
    /// itself is gone.
    pub fn observers(&self) -> &Observers {
        &self.0.observers
    }
}

impl Target for Distributor {
    const KIND: u32 = u32::from_be_bytes(*b"KVdi");

    fn released(&self) {
        self.0.release_kept();
    }
}

/// Whether `path` is reached from `base` without a link that leads out of it; it may itself be a
/// link.
fn is_below(path: &Path, base: &Path) -> bool {
    let (Ok(base), Some(above)) = (base.canonicalize(), path.parent()) else { return false };
    above.canonicalize().is_ok_and(|above| above.starts_with(base))
}

fn asked(id: &CStr, backend: Backend) -> String {
    format!("{backend} store \"{}\"", identity::shown(id))
}

impl Slot {
    /// The store in this slot, kept in memory and not counted, if it is open.
    fn open(&self) -> Option<Arc<Counted<Store>>> {
        let Slot::Made(made) = self else { return None };
        made.store.upgrade().filter(|store| store.is_open() && store.references() > 0)
    }

    /// A new reference to the store in this slot, if it is live.
    fn live(&self) -> Option<Ref<Store>> {
        self.open().and_then(|store| Ref::revive(&store))
    }

    fn take_kept(&mut self) -> Option<Ref<Store>> {
        let Slot::Made(made) = self else { return None };
        made.kept.take()
    }
}

impl Registry {
    fn key(&self, id: &CStr, backend: Backend) -> Result<SlotKey> {
        let name = match backend {
            Backend::Memory => dir_name::memory(id)?.to_vec(),
            Backend::Disk => dir_name::directory(id)?.into_owned().into_bytes(),
        };
        if backend == Backend::Disk {
            Disk::available()?;
            if self.base.is_none() {
                return Err(Error::invalid(
                    "the distributor has no base path, so it has memory stores only",
                ));
            }
            if !self.birth.is_here() {
                return Err(Error::new(
                    Kind::Forked,
                    "the distributor came through fork(); open a new one in this process",
                ));
            }
        }
        Ok((backend, name))
    }

    fn open_state(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.state.lock();
        if state.shut {
            return Err(Error::new(Kind::Closed, "the distributor was shut down"));
        }
        Ok(state)
    }

    /// Waits until nobody is making the slot. That ends: whoever makes it opens or destroys files
    /// and calls nothing of the host's meanwhile, so it waits for nobody who could wait here, and
    /// it gives the slot up even if it panics.
    fn settled<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        key: &SlotKey,
    ) -> Result<MutexGuard<'a, State>> {
        while let Some(Slot::Making) = state.slots.get(key) {
            self.changed.wait(&mut state);
            if state.shut {
                drop(state);
                return self.open_state();
            }
        }
        Ok(state)
    }

    fn get_or_create(
        self: &Arc<Registry>,
        id: &CStr,
        backend: Backend,
    ) -> Result<Option<Ref<Store>>> {
        let key = self.key(id, backend)?;
        let mut state = self.open_state()?;
        // Goes round once for each engine that ends in this slot meanwhile, and each waits for one
        // that ends already: its last owner is gone, so its drop is running on some thread, which
        // calls nothing of the host's before the slot is removed and this is woken.
        loop {
            state = self.settled(state, &key)?;
            let Some(slot) = state.slots.get(&key) else { break };
            if let Some(store) = slot.live() {
                return Ok(Some(store));
            }
            // What is not a writer of files can be there twice.
            if backend == Backend::Memory || self.options.read_only {
                break;
            }
            let Slot::Made(made) = slot else { continue };
            match made.engine.upgrade() {
                Some(engine) => return Ok(Some(self.fill(state, key, engine, id))),
                None => {
                    self.changed.wait(&mut state);
                    drop(state);
                    state = self.open_state()?;
                }
            }
        }
        let making = self.make(state, key);
        let Some(engine) = self.engine(&making, id)? else { return Ok(None) };
        // Refused if a shutdown came meanwhile; the engine is then dropped without the lock, as its
        // lease takes it.
        let state = self.open_state()?;
        let (key, before) = making.finish();
        let store = self.fill(state, key, engine, id);
        drop(before);
        Ok(Some(store))
    }

    /// Marks the slot as being made, for as long as what is returned lives.
    fn make(self: &Arc<Registry>, mut state: MutexGuard<'_, State>, key: SlotKey) -> Making {
        let before = state.slots.insert(key.clone(), Slot::Making);
        Making { registry: self.clone(), key: Some(key), before }
    }

    /// A new engine for the slot; None if there is nothing to open, and the options say that
    /// nothing is to be made.
    fn engine(self: &Arc<Registry>, making: &Making, id: &CStr) -> Result<Option<Arc<dyn Engine>>> {
        let key = making.key();
        let lease: Lease = Box::new(Tenancy { registry: Arc::downgrade(self), key: key.clone() });
        match key.0 {
            Backend::Memory if self.options.read_only || !self.options.create_if_missing => {
                Ok(None)
            }
            Backend::Memory => Ok(Some(Arc::new(Memory::new(self.memory.clone(), lease)))),
            Backend::Disk => {
                let shared = self.disk.get_or_init(|| Shared::new(&self.options));
                Disk::open_any(&self.place(id)?, &self.options, shared, lease)
            }
        }
    }

    /// The directory of the disk store called `id`.
    ///
    /// It is named after the encoded id. But programs that do not encode ids may have left a store
    /// in the directory of the plain one: that is then the store, as a new, empty one beside it
    /// would look as if all were lost.
    fn place(&self, id: &CStr) -> Result<PathBuf> {
        let base = self.base.as_deref().unwrap_or(Path::new(""));
        let encoded = base.join(&*dir_name::directory(id)?);
        let Some(unencoded) = dir_name::unencoded(id).map(|path| base.join(path)) else {
            return Ok(encoded);
        };
        if !is_below(&unencoded, base) || !unencoded.is_dir() || !Disk::has_traces(&unencoded)? {
            return Ok(encoded);
        }
        if encoded.symlink_metadata().is_err() {
            return Ok(unencoded);
        }
        let (encoded, unencoded) = (encoded.display(), unencoded.display());
        Err(Error::invalid(format!(
            "there are two directories for this id, {encoded} and {unencoded}; move one of them away"
        )))
    }

    /// Puts a new store on `engine` into the slot.
    fn fill(
        &self,
        mut state: MutexGuard<'_, State>,
        key: SlotKey,
        engine: Arc<dyn Engine>,
        id: &CStr,
    ) -> Ref<Store> {
        let tag = state.next_tag;
        state.next_tag += 1;
        let weak = Arc::downgrade(&engine);
        let identity = Identity { tag, id: id.to_owned(), backend: key.0 };
        let store = Store::on(engine, identity, self.observers.clone());
        let kept = self.options.keep_stores.then(|| store.clone());
        let made = Made { store: Arc::downgrade(store.kept()), engine: weak, kept };
        let before = state.slots.insert(key, Slot::Made(made));
        drop(state);
        self.changed.notify_all();
        drop(before);
        store
    }

    fn destroy_store(self: &Arc<Registry>, id: &CStr) -> Result<bool> {
        let key = self.key(id, Backend::Disk)?;
        if self.options.read_only {
            return Err(Error::new(Kind::Denied, "the distributor is for reading only"));
        }
        let mut state = self.open_state()?;
        // Ends as the loop of `get_or_create` does.
        loop {
            state = self.settled(state, &key)?;
            let Some(Slot::Made(made)) = state.slots.get(&key) else { break };
            if made.engine.strong_count() > 0 {
                return Err(Error::new(
                    Kind::Busy,
                    "the store is in use; release it and all it handed out first",
                ));
            }
            self.changed.wait(&mut state);
            drop(state);
            state = self.open_state()?;
        }
        let _making = self.make(state, key);
        Disk::destroy(&self.place(id)?)
    }

    fn release_kept(&self) {
        let kept: Vec<_> =
            self.state.lock().slots.values_mut().filter_map(Slot::take_kept).collect();
        drop(kept);
    }
}

/// The right to fill a slot. Given up without filling it, the slot is empty again.
struct Making {
    registry: Arc<Registry>,
    key: Option<SlotKey>,
    /// What was in the slot. It may hold the last reference to a store that was closed, whose
    /// observers may ask for this slot: so it is dropped when the slot is filled or empty again,
    /// and the lock free.
    before: Option<Slot>,
}

impl Making {
    fn key(&self) -> &SlotKey {
        let Some(key) = &self.key else { unreachable!("only `finish` takes it, and ends this") };
        key
    }

    /// The slot is about to be filled.
    fn finish(mut self) -> (SlotKey, Option<Slot>) {
        let Some(key) = self.key.take() else {
            unreachable!("only `finish` takes it, and ends this")
        };
        (key, self.before.take())
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.registry.state.lock().slots.remove(&key);
            self.registry.changed.notify_all();
        }
    }
}

/// An engine's stay in its slot: the [`Lease`](crate::engine::Lease) that it drops when all it held
/// is free.
struct Tenancy {
    /// Weak, so that a value that is still held does not keep the observers of a distributor that
    /// is gone.
    registry: Weak<Registry>,
    key: SlotKey,
}

impl Drop for Tenancy {
    fn drop(&mut self) {
        let Some(registry) = self.registry.upgrade() else { return };
        let mut state = registry.state.lock();
        // The slot may have a new tenant already: a memory store does not wait for the cursors of
        // the one before.
        let gone = match state.slots.get(&self.key) {
            Some(Slot::Made(made)) if made.engine.strong_count() == 0 => {
                state.slots.remove(&self.key)
            }
            _ => None,
        };
        drop(state);
        registry.changed.notify_all();
        drop(gone);
    }
}
