//! The registry of a distributor: at most one live store for each backend and id.
//!
//! A slot is empty, `Reserved` (a thread opens or destroys the store, without the lock) or
//! `Occupied`. An occupied slot has weak references to its store and its engine. Both can end
//! before the slot does:
//!
//! - The store is released or closed, but a cursor, a value or a running iteration keeps its engine
//!   open. A disk store that is opened then becomes a new store on that engine: the files cannot be
//!   opened twice, and waiting could take forever. A memory store gets a new engine, because its
//!   data ended with the store.
//! - The engine is being dropped, which takes time. A thread that opens the store waits. The engine
//!   drops its [`Lease`] last, which removes the slot and wakes the waiting threads.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::engine::cluster::{self, Cluster};
use crate::engine::disk::{Disk, SharedCaches};
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
use crate::sys::fork::OwnerProcess;
use crate::sys::reentrancy;

/// Opens stores by id. Callers hold a [`Ref`] to it.
pub struct Distributor(Arc<Registry>);

struct Registry {
    base: Option<PathBuf>,
    options: Options,
    state: Mutex<State>,
    /// Signaled when a slot changes or is removed.
    changed: Condvar,
    observers: Arc<Observers>,
    memory_budget: Arc<Budget>,
    /// Created with the first disk store.
    disk_shared: OnceLock<SharedCaches>,
    /// Created with the first cluster store.
    cluster_client: OnceLock<Arc<cluster::Client>>,
    owner: OwnerProcess,
}

#[derive(Default)]
struct State {
    is_shut_down: bool,
    next_tag: u64,
    slots: BTreeMap<SlotKey, Slot>,
}

/// The backend, and the directory name of a disk store or the id of a memory store.
type SlotKey = (Backend, Vec<u8>);

enum Slot {
    Reserved,
    Occupied(Occupant),
}

struct Occupant {
    store: Weak<Counted<Store>>,
    engine: Weak<dyn Engine>,
    /// The distributor's own reference, with the option `keep_stores`.
    own_reference: Option<Ref<Store>>,
}

/// A live store in [`Distributor::for_each`].
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    /// The tag, the id and the backend.
    pub identity: &'a Identity,
    /// The number of references.
    pub references: i64,
}

impl Distributor {
    /// Creates a distributor and returns the first reference to it. Without a base path it has
    /// memory stores only.
    pub fn open(base: Option<&Path>, options: &Options) -> Result<Ref<Distributor>> {
        // Absolute, so that a later change of the working directory does not move the stores.
        let base = base
            .map(|path| {
                std::path::absolute(path)
                    .map_err(|cause| Error::io("cannot resolve the base path", cause).at(path))
            })
            .transpose()?;
        cluster::check(options)?;
        Ok(Ref::new(Distributor(Arc::new(Registry {
            base,
            options: options.clone(),
            state: Mutex::default(),
            changed: Condvar::new(),
            observers: Arc::default(),
            memory_budget: Arc::new(Budget::new(options.memory_limit_bytes)),
            disk_shared: OnceLock::new(),
            cluster_client: OnceLock::new(),
            owner: OwnerProcess::current(),
        }))))
    }

    /// Returns a reference to the live store called `id`, and opens or creates it if necessary.
    ///
    /// Returns `None` if the store does not exist and the options forbid creating it.
    pub fn get_or_create(&self, id: &CStr, backend: Backend) -> Result<Option<Ref<Store>>> {
        self.0.get_or_create(id, backend).map_err(|error| error.within(|| description(id, backend)))
    }

    /// Returns a reference to the live store called `id`, if there is one.
    pub fn get(&self, id: &CStr, backend: Backend) -> Result<Option<Ref<Store>>> {
        let find = || {
            let key = self.0.key(id, backend)?;
            let state = self.0.wait_unreserved(self.0.open_state()?, &key)?;
            Ok(state.slots.get(&key).and_then(Slot::live))
        };
        find().map_err(|error: Error| error.within(|| description(id, backend)))
    }

    /// Releases the distributor's own reference to a store. Returns whether it had one.
    pub fn evict(&self, id: &CStr, backend: Backend) -> Result<bool> {
        let key =
            self.0.key(id, backend).map_err(|error| error.within(|| description(id, backend)))?;
        let reference = self.0.state.lock().slots.get_mut(&key).and_then(Slot::take_reference);
        Ok(reference.is_some())
    }

    /// Removes the data of a store that is not live. Returns whether the store existed.
    pub fn destroy(&self, id: &CStr, backend: Backend) -> Result<bool> {
        self.0.destroy(id, backend).map_err(|error| error.within(|| description(id, backend)))
    }

    /// Closes every live store. From then on no store can be opened.
    pub fn shutdown(&self) {
        let mut state = self.0.state.lock();
        state.is_shut_down = true;
        // No thread reserves a slot any more, and every reservation ends: see `wait_unreserved`.
        while !reentrancy::running()
            && state.slots.values().any(|slot| matches!(slot, Slot::Reserved))
        {
            self.0.changed.wait(&mut state);
        }
        let stores: Vec<_> = state.slots.values().filter_map(Slot::open).collect();
        drop(state);
        for store in stores {
            // Fails only if another thread closed it first, or after a fork.
            let _ = store.close();
        }
        self.0.release_references();
    }

    /// Returns the number of live stores.
    pub fn store_count(&self) -> usize {
        self.0.state.lock().slots.values().filter_map(Slot::open).count()
    }

    /// Calls `visit` for each live store, until it returns false.
    ///
    /// Memory stores come first, then the order of the ids. Stores that are opened or released
    /// meanwhile may be missing. Returns whether the end was reached.
    pub fn for_each(&self, mut visit: impl FnMut(Listed<'_>) -> bool) -> bool {
        let stores: Vec<_> = self.0.state.lock().slots.values().filter_map(Slot::open).collect();
        stores.into_iter().all(|store| {
            let listed = Listed { identity: store.identity(), references: store.references() };
            listed.references == 0 || reentrancy::run(|| visit(listed))
        })
    }

    /// Returns the death observers of its stores, which outlive the distributor.
    pub fn observers(&self) -> &Observers {
        &self.0.observers
    }
}

impl Target for Distributor {
    const KIND: u32 = u32::from_be_bytes(*b"KVdi");

    fn released(&self) {
        self.0.release_references();
    }
}

/// Returns whether `path` is below `base` with all links resolved, except for its last component.
fn is_below(path: &Path, base: &Path) -> bool {
    let (Ok(base), Some(above)) = (base.canonicalize(), path.parent()) else { return false };
    above.canonicalize().is_ok_and(|above| above.starts_with(base))
}

fn description(id: &CStr, backend: Backend) -> String {
    format!("{backend} store \"{}\"", identity::shown(id))
}

impl Slot {
    /// Returns the store in this slot if it is open, without counting a reference.
    fn open(&self) -> Option<Arc<Counted<Store>>> {
        let Slot::Occupied(occupant) = self else { return None };
        occupant.store.upgrade().filter(|store| store.is_open() && store.references() > 0)
    }

    /// Returns a new reference to the store in this slot if it is live.
    fn live(&self) -> Option<Ref<Store>> {
        self.open().and_then(|store| Ref::upgrade(&store))
    }

    fn take_reference(&mut self) -> Option<Ref<Store>> {
        let Slot::Occupied(occupant) = self else { return None };
        occupant.own_reference.take()
    }
}

impl Registry {
    fn key(&self, id: &CStr, backend: Backend) -> Result<SlotKey> {
        let name = match backend {
            Backend::Memory => dir_name::memory(id)?.to_vec(),
            Backend::Disk | Backend::Cluster => dir_name::directory(id)?.into_owned().into_bytes(),
        };
        match backend {
            Backend::Memory => return Ok((backend, name)),
            Backend::Disk => {
                Disk::available()?;
                if self.base.is_none() {
                    return Err(Error::invalid(
                        "the distributor has no base path, so it has no disk stores",
                    ));
                }
            }
            Backend::Cluster => {
                Cluster::available()?;
                if self.options.cluster.is_empty() {
                    return Err(Error::invalid(
                        "the option \"cluster\" is not set, so the distributor has no cluster \
                         stores",
                    ));
                }
            }
        }
        if !self.owner.is_current() {
            return Err(Error::new(
                Kind::Forked,
                "the distributor came through fork(); open a new one in this process",
            ));
        }
        Ok((backend, name))
    }

    fn open_state(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.state.lock();
        if state.is_shut_down {
            return Err(Error::new(Kind::Closed, "the distributor was shut down"));
        }
        Ok(state)
    }

    /// Waits until the slot is not reserved.
    ///
    /// Every reservation ends: its thread opens or destroys files and calls no callback meanwhile,
    /// so it waits for no thread that could wait here. It ends even if the thread panics.
    fn wait_unreserved<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        key: &SlotKey,
    ) -> Result<MutexGuard<'a, State>> {
        while let Some(Slot::Reserved) = state.slots.get(key) {
            self.changed.wait(&mut state);
            if state.is_shut_down {
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
        // Repeats once for each engine that ends in this slot meanwhile. Each wait ends: the engine
        // has no owner left, so a thread is dropping it, which calls no callback before it removes
        // the slot and wakes this thread.
        loop {
            state = self.wait_unreserved(state, &key)?;
            let Some(slot) = state.slots.get(&key) else { break };
            if let Some(store) = slot.live() {
                return Ok(Some(store));
            }
            // Only a writer of files cannot exist twice.
            if backend != Backend::Disk || self.options.read_only {
                break;
            }
            let Slot::Occupied(occupant) = slot else { continue };
            match occupant.engine.upgrade() {
                Some(engine) => return Ok(Some(self.occupy(state, key, engine, id))),
                None => {
                    self.changed.wait(&mut state);
                    drop(state);
                    state = self.open_state()?;
                }
            }
        }
        let reservation = self.reserve(state, key);
        let Some(engine) = self.open_engine(&reservation, id)? else { return Ok(None) };
        // Fails after a shutdown. The engine is then dropped without the lock, which its lease
        // takes.
        let state = self.open_state()?;
        let (key, before) = reservation.finish();
        let store = self.occupy(state, key, engine, id);
        drop(before);
        Ok(Some(store))
    }

    /// Reserves the slot until the reservation is dropped.
    fn reserve(
        self: &Arc<Registry>,
        mut state: MutexGuard<'_, State>,
        key: SlotKey,
    ) -> Reservation {
        let before = state.slots.insert(key.clone(), Slot::Reserved);
        Reservation { registry: self.clone(), key: Some(key), before }
    }

    /// Opens an engine for the slot. Returns `None` if the store does not exist and the options
    /// forbid creating it.
    fn open_engine(
        self: &Arc<Registry>,
        reservation: &Reservation,
        id: &CStr,
    ) -> Result<Option<Arc<dyn Engine>>> {
        let key = reservation.key();
        let lease: Lease = Box::new(SlotLease { registry: Arc::downgrade(self), key: key.clone() });
        match key.0 {
            Backend::Memory if self.options.read_only || !self.options.create_if_missing => {
                Ok(None)
            }
            Backend::Memory => {
                let (budget, buffer) =
                    (self.memory_budget.clone(), self.options.watch_buffer_bytes);
                Ok(Some(Arc::new(Memory::new(budget, buffer, lease))))
            }
            Backend::Disk => {
                let shared = self.disk_shared.get_or_init(|| SharedCaches::new(&self.options));
                Disk::open_any(&self.directory(id)?, &self.options, shared, lease)
            }
            Backend::Cluster => Cluster::open(self.cluster_client()?, &key.1, &self.options, lease),
        }
    }

    /// Returns the client that the distributor's cluster stores share.
    fn cluster_client(&self) -> Result<&Arc<cluster::Client>> {
        if let Some(client) = self.cluster_client.get() {
            return Ok(client);
        }
        // Reads files, and connects to nothing. One of two threads that do so drops its client.
        let client = cluster::Client::new(&self.options)?;
        Ok(self.cluster_client.get_or_init(|| client))
    }

    /// Returns the directory of the disk store called `id`.
    ///
    /// Its name is the encoded id. But a program that does not encode ids may have created the
    /// store under the plain id. Then that directory is returned: a new, empty store beside it
    /// would look like a loss of all data.
    fn directory(&self, id: &CStr) -> Result<PathBuf> {
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
            "there are two directories for this id, {encoded} and {unencoded}; move one of them \
             away"
        )))
    }

    /// Creates a store on `engine` in the slot.
    fn occupy(
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
        let own_reference = self.options.keep_stores.then(|| store.clone());
        let occupant =
            Occupant { store: Arc::downgrade(store.as_arc()), engine: weak, own_reference };
        let before = state.slots.insert(key, Slot::Occupied(occupant));
        drop(state);
        self.changed.notify_all();
        drop(before);
        store
    }

    fn destroy(self: &Arc<Registry>, id: &CStr, backend: Backend) -> Result<bool> {
        let key = self.key(id, backend)?;
        if self.options.read_only {
            return Err(Error::new(Kind::Denied, "the distributor is read-only"));
        }
        let mut state = self.open_state()?;
        // Ends like the loop of `get_or_create`.
        loop {
            state = self.wait_unreserved(state, &key)?;
            let Some(Slot::Occupied(occupant)) = state.slots.get(&key) else { break };
            if occupant.engine.strong_count() > 0 {
                return Err(Error::new(
                    Kind::Busy,
                    "the store is in use; release it and its values, cursors and snapshots first",
                ));
            }
            self.changed.wait(&mut state);
            drop(state);
            state = self.open_state()?;
        }
        let reservation = self.reserve(state, key);
        match backend {
            // It exists only while it is live.
            Backend::Memory => Ok(false),
            Backend::Disk => Disk::destroy(&self.directory(id)?),
            Backend::Cluster => Cluster::destroy(self.cluster_client()?, &reservation.key().1),
        }
    }

    fn release_references(&self) {
        let references: Vec<_> =
            self.state.lock().slots.values_mut().filter_map(Slot::take_reference).collect();
        drop(references);
    }
}

/// A reserved slot. Dropping it empties the slot.
struct Reservation {
    registry: Arc<Registry>,
    key: Option<SlotKey>,
    /// The slot before. It may hold the last reference to a closed store, whose observers may open
    /// this slot. So it is dropped without the lock, when the slot is not reserved any more.
    before: Option<Slot>,
}

impl Reservation {
    fn key(&self) -> &SlotKey {
        let Some(key) = &self.key else { unreachable!("only `finish` takes the key") };
        key
    }

    /// Ends the reservation without emptying the slot, which is about to be occupied.
    fn finish(mut self) -> (SlotKey, Option<Slot>) {
        let Some(key) = self.key.take() else { unreachable!("only `finish` takes the key") };
        (key, self.before.take())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.registry.state.lock().slots.remove(&key);
            self.registry.changed.notify_all();
        }
    }
}

/// The [`Lease`] of an engine in a slot. Dropping it empties the slot and wakes waiting threads.
struct SlotLease {
    /// Weak, so that a value that outlives the distributor does not keep its observers.
    registry: Weak<Registry>,
    key: SlotKey,
}

impl Drop for SlotLease {
    fn drop(&mut self) {
        let Some(registry) = self.registry.upgrade() else { return };
        let mut state = registry.state.lock();
        // The slot may have a new occupant: a memory store does not wait for the cursors of the one
        // before.
        let removed = match state.slots.get(&self.key) {
            Some(Slot::Occupied(occupant)) if occupant.engine.strong_count() == 0 => {
                state.slots.remove(&self.key)
            }
            _ => None,
        };
        drop(state);
        registry.changed.notify_all();
        drop(removed);
    }
}
