//! Values that are read often, in front of the databases.
//!
//! RocksDB takes microseconds for a key, also when its block is in memory: several tables are asked, and a block is searched.
//! A value that was read lately is found here in a fraction of that. Which ones stay is what `quick_cache` is for (S3-FIFO: one
//! pass over many keys does not push out the few that come again and again).
//!
//! What is here is what the database has, at every moment that anyone can tell. A writer takes the value out before it writes,
//! and while it does, nothing that is read from the database is put in: the shard of the key counts its writers, and numbers
//! them, so that a reader knows whether there was one since it looked. So a value is put in only by who read it while
//! nobody wrote, or by who wrote it while nobody else did.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use foldhash::fast::RandomState;
use parking_lot::RwLock;
use quick_cache::unsync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, Weighter};

use crate::batch::{Operation, WriteBatch};

/// How many shards there are.
const SHARDS: usize = 64;

/// What an entry takes beside its key and its value: roughly what the structures and the allocator need.
const COST: usize = 128;

/// The values of all stores of a distributor that are kept.
pub struct Hot {
    shards: Box<[RwLock<Shard>]>,
    hashing: RandomState,
    stores: AtomicU64,
}

type Values = Cache<Key, Box<[u8]>, Weight, RandomState, DefaultLifecycle<Key, Box<[u8]>>>;

struct Shard {
    values: Values,
    /// How many writes to keys of this shard are on their way.
    writers: usize,
    /// How many there were.
    writes: u64,
}

/// The key of a store, and its hash.
struct Key {
    hash: u64,
    store: u64,
    bytes: Box<[u8]>,
}

/// The same, to look for it.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    hash: u64,
    store: u64,
    bytes: &'a [u8],
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        Wanted { hash: other.hash, store: other.store, bytes: &other.bytes }.equivalent(self)
    }
}

impl Eq for Key {}

impl Equivalent<Key> for Wanted<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.hash == key.hash && self.store == key.store && *self.bytes == *key.bytes
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Hash for Wanted<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Box<[u8]>> for Weight {
    fn weight(&self, key: &Key, value: &Box<[u8]>) -> u64 {
        (key.bytes.len() + value.len() + COST) as u64
    }
}

impl Hot {
    /// Room for so many bytes.
    pub fn new(bytes: u64) -> Arc<Hot> {
        let hashing = RandomState::default();
        let of_a_shard = bytes / SHARDS as u64;
        let shard = || Shard {
            values: Cache::with(
                (of_a_shard / 256) as usize,
                of_a_shard,
                Weight,
                hashing.clone(),
                DefaultLifecycle::default(),
            ),
            writers: 0,
            writes: 0,
        };
        let shards = (0..SHARDS).map(|_| RwLock::new(shard())).collect();
        Arc::new(Hot { shards, hashing, stores: AtomicU64::new(0) })
    }

    /// A part of it for the keys of a new store.
    pub fn part(self: &Arc<Hot>) -> Part {
        Part { hot: self.clone(), store: self.stores.fetch_add(1, Relaxed) }
    }

    fn shard(&self, hash: u64) -> &RwLock<Shard> {
        &self.shards[(hash >> 32) as usize % SHARDS]
    }
}

/// What is kept of one store.
pub struct Part {
    hot: Arc<Hot>,
    store: u64,
}

/// Whether a value that is read now may be kept: the number of writes when its key was looked for, if none was on its way.
#[derive(Clone, Copy)]
pub struct Ticket(Option<u64>);

impl Part {
    fn wanted<'a>(&self, bytes: &'a [u8]) -> Wanted<'a> {
        let hash = self.hot.hashing.hash_one((self.store, bytes));
        Wanted { hash, store: self.store, bytes }
    }

    /// Shows the value of a key, if it is here; else what to come back with when it was read.
    pub fn look<R>(&self, key: &[u8], see: impl FnOnce(&[u8]) -> R) -> Result<R, Ticket> {
        let wanted = self.wanted(key);
        let shard = self.hot.shard(wanted.hash).read();
        match shard.values.get(&wanted) {
            Some(value) => Ok(see(value)),
            None => Err(shard.ticket()),
        }
    }

    /// Keeps a value that was read after [`Part::look`] did not find it.
    pub fn keep(&self, key: &[u8], value: &[u8], ticket: Ticket) {
        if ticket.0.is_some() {
            let wanted = self.wanted(key);
            let mut shard = self.hot.shard(wanted.hash).write();
            if shard.ticket().0 == ticket.0 {
                shard.put(wanted, value);
            }
        }
    }

    /// A batch is about to be written: takes out what it changes, and keeps it out until the answer is dropped.
    pub fn writing<'a>(&'a self, batch: &WriteBatch<'_>) -> Writing<'a> {
        let keys = || batch.operations.iter().filter_map(Operation::key);
        let begun = match batch.operations {
            [Operation::Set { key, .. } | Operation::Delete { key }] => Begun::One(self.begin(key)),
            operations if keys().count() == operations.len() => {
                Begun::Several(keys().map(|key| self.begin(key)).collect())
            }
            _ => self.begin_all(batch),
        };
        Writing { part: self, begun }
    }

    fn begin(&self, key: &[u8]) -> Begin {
        let wanted = self.wanted(key);
        let mut shard = self.hot.shard(wanted.hash).write();
        let was_here = shard.values.remove(&wanted).is_some();
        let alone = shard.begin();
        Begin { hash: wanted.hash, number: (alone && was_here).then_some(shard.writes) }
    }

    /// The same for a batch that removes ranges, which may have keys in any shard.
    fn begin_all(&self, batch: &WriteBatch<'_>) -> Begun {
        let changes = |key: &[u8]| {
            batch.operations.iter().any(|operation| match operation {
                Operation::DeleteRange { start, end } => *start <= key && end.is_none_or(|end| key < end),
                operation => operation.key() == Some(key),
            })
        };
        for shard in &self.hot.shards {
            let mut shard = shard.write();
            shard.values.retain(|key, _| key.store != self.store || !changes(&key.bytes));
            shard.begin();
        }
        Begun::All
    }
}

impl Shard {
    fn ticket(&self) -> Ticket {
        Ticket((self.writers == 0).then_some(self.writes))
    }

    /// One writer more. Returns whether it is the only one.
    fn begin(&mut self) -> bool {
        self.writers += 1;
        self.writes += 1;
        self.writers == 1
    }

    fn put(&mut self, wanted: Wanted<'_>, value: &[u8]) {
        let Wanted { hash, store, bytes } = wanted;
        self.values.insert(Key { hash, store, bytes: bytes.into() }, value.into());
    }
}

/// A write that is on its way.
pub struct Writing<'a> {
    part: &'a Part,
    begun: Begun,
}

enum Begun {
    One(Begin),
    Several(Vec<Begin>),
    All,
}

/// One key of a write: its hash, and if it was here before and nobody else wrote, the number of the write.
struct Begin {
    hash: u64,
    number: Option<u64>,
}

impl Writing<'_> {
    /// The write succeeded: what was read often before will be read again. This is for single keys; what many are set to at
    /// once is read from the database first.
    pub fn done(mut self, batch: &WriteBatch<'_>) {
        let (Begun::One(Begin { hash, number: Some(number) }), [Operation::Set { key, value }]) =
            (&self.begun, batch.operations)
        else {
            return;
        };
        let mut shard = self.part.hot.shard(*hash).write();
        if shard.writers == 1 && shard.writes == *number {
            shard.put(Wanted { hash: *hash, store: self.part.store, bytes: key }, value);
        }
        shard.writers -= 1;
        drop(shard);
        self.begun = Begun::Several(Vec::new());
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let hot = &self.part.hot;
        let end = |begin: &Begin| hot.shard(begin.hash).write().writers -= 1;
        match &self.begun {
            Begun::One(begin) => end(begin),
            Begun::Several(begun) => begun.iter().for_each(end),
            Begun::All => hot.shards.iter().for_each(|shard| shard.write().writers -= 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(part: &Part, key: &[u8]) -> Result<Vec<u8>, Ticket> {
        part.look(key, <[u8]>::to_vec)
    }

    /// A reader that was slow comes back with what a writer has changed meanwhile, or is changing.
    #[test]
    fn what_was_read_before_a_write_is_not_kept() {
        let part = Hot::new(1 << 20).part();
        let batch = WriteBatch { expectations: &[], operations: &[Operation::Set { key: b"key", value: b"new" }] };
        let several = WriteBatch { operations: &[batch.operations[0]; 2], ..batch };
        let range = WriteBatch { operations: &[Operation::DeleteRange { start: b"", end: None }], ..batch };
        for batch in [batch, several, range] {
            let Err(before) = seen(&part, b"key") else { panic!("nothing was kept yet") };
            let writing = part.writing(&batch);
            part.keep(b"key", b"old", before);
            let Err(during) = seen(&part, b"key") else { panic!("it is being written") };
            part.keep(b"key", b"old", during);
            assert!(seen(&part, b"key").is_err());
            writing.done(&batch);
            part.keep(b"key", b"old", before);
            part.keep(b"key", b"old", during);
            assert!(seen(&part, b"key").is_err());
        }
    }

    /// Of two writers at once nobody knows who was last in the database, so neither value is kept.
    #[test]
    fn a_written_value_is_kept_if_it_was_read_before_and_nobody_else_wrote() {
        let part = Hot::new(1 << 20).part();
        let one = [Operation::Set { key: b"key", value: b"one" }];
        let write = |beside: Option<&WriteBatch<'_>>| {
            let batch = WriteBatch { expectations: &[], operations: &one };
            let other = beside.map(|batch| part.writing(batch));
            part.writing(&batch).done(&batch);
            drop(other);
        };
        write(None);
        let Err(ticket) = seen(&part, b"key") else { panic!("nobody has read it") };
        part.keep(b"key", b"read", ticket);
        write(None);
        assert_eq!(seen(&part, b"key").ok().as_deref(), Some(&b"one"[..]));
        write(Some(&WriteBatch { expectations: &[], operations: &[Operation::Delete { key: b"key" }] }));
        assert!(seen(&part, b"key").is_err());
    }

    #[test]
    fn a_range_takes_its_own_keys_along() {
        let hot = Hot::new(1 << 20);
        let (part, other) = (hot.part(), hot.part());
        for (part, key) in [(&part, b"a"), (&part, b"b"), (&part, b"c"), (&other, b"b")] {
            let Err(ticket) = seen(part, key) else { panic!("nobody has read it") };
            part.keep(key, b"value", ticket);
        }
        let operations = [Operation::DeleteRange { start: b"b", end: Some(b"c") }];
        let batch = WriteBatch { expectations: &[], operations: &operations };
        part.writing(&batch).done(&batch);
        assert!(seen(&part, b"b").is_err());
        assert!(seen(&part, b"a").is_ok() && seen(&part, b"c").is_ok() && seen(&other, b"b").is_ok());
    }

    #[test]
    fn stores_have_their_own_keys_in_one_room() {
        let hot = Hot::new(1 << 20);
        let parts = [hot.part(), hot.part()];
        for number in 0..10_000_u32 {
            for part in &parts {
                let key = number.to_be_bytes();
                let Err(ticket) = seen(part, &key) else { panic!("it is another store's") };
                part.keep(&key, &[0; 100], ticket);
            }
        }
        let weight: u64 = hot.shards.iter().map(|shard| shard.read().values.weight()).sum();
        assert!((1 << 19..=1 << 20).contains(&weight), "{weight} bytes");
    }
}
