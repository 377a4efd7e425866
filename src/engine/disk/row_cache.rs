//! Values that are read often, in front of the databases.
//!
//! RocksDB takes microseconds for a key, also when its block is in memory: several tables are
//! asked, and a block is searched. A value that was read lately is found here in a fraction of
//! that. Which ones stay is what `quick_cache` is for (S3-FIFO: one pass over many keys does not
//! push out the few that come again and again).
//!
//! What is shown is what the database has, at every moment that anyone can tell. A writer has the
//! value not be shown before it writes, and while it does, nothing that is read from the database
//! is put in: the shard of the key counts its writers, and numbers them, so that a reader knows
//! whether there was one since it looked. So a value is put in only by who read it while nobody
//! wrote, or by who wrote it while nobody else did.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use foldhash::fast::RandomState;
use parking_lot::RwLock;
use quick_cache::Weighter;
use quick_cache::unsync::{Cache, DefaultLifecycle};

use crate::batch::{Operation, WriteBatch};

/// How many shards there are.
const SHARDS: usize = 64;

/// What an entry takes beside its key and its value: roughly what the structures and the allocator
/// need.
const COST: usize = 128;

/// From this many bytes on, a value stays in the database.
pub(super) const TOO_LONG: usize = 4 << 10;

/// The values of all stores of a distributor that are kept.
pub struct RowCache {
    shards: Box<[RwLock<Shard>]>,
    hashing: RandomState,
    stores: AtomicU64,
}

type Values = Cache<CacheKey, Entry, Weight, RandomState, DefaultLifecycle<CacheKey, Entry>>;

struct Shard {
    values: Values,
    /// How many writes to keys of this shard are on their way.
    writers: usize,
    /// How many there were.
    writes: u64,
}

/// A key of a store by its hash, so that who looks for its place need not look at the key, which
/// lies elsewhere. If two have the same one, the place is that of the last.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct CacheKey {
    hash: u64,
    store: u64,
}

/// A key and what it held when it was read or written last. It stays here while the key is written,
/// and then takes the new value without a search for another place.
struct Entry {
    /// The key, followed by the value.
    pair: Box<[u8]>,
    key_len: u32,
    /// Whether the key may hold something else by now.
    stale: bool,
}

impl Entry {
    fn new(key: &[u8], value: &[u8]) -> Entry {
        Entry { pair: [key, value].concat().into(), key_len: key.len() as u32, stale: false }
    }

    fn key(&self) -> &[u8] {
        &self.pair[..self.key_len as usize]
    }

    /// The value, if it is that of `key`, and still is.
    fn value_of(&self, key: &[u8]) -> Option<&[u8]> {
        (!self.stale && self.key() == key).then(|| &self.pair[key.len()..])
    }

    fn replace(&mut self, key: &[u8], value: &[u8]) {
        if self.key_len as usize == key.len() && self.pair.len() == key.len() + value.len() {
            self.pair[..key.len()].copy_from_slice(key);
            self.pair[key.len()..].copy_from_slice(value);
            self.stale = false;
        } else {
            *self = Entry::new(key, value);
        }
    }
}

#[derive(Clone)]
struct Weight;

impl Weighter<CacheKey, Entry> for Weight {
    fn weight(&self, _: &CacheKey, kept: &Entry) -> u64 {
        (kept.pair.len() + COST) as u64
    }
}

impl RowCache {
    /// Room for so many bytes.
    pub fn new(bytes: u64) -> Arc<RowCache> {
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
        Arc::new(RowCache { shards, hashing, stores: AtomicU64::new(0) })
    }

    /// A part of it for the keys of a new store.
    pub fn part(self: &Arc<RowCache>) -> StoreRows {
        StoreRows { row_cache: self.clone(), store: self.stores.fetch_add(1, Relaxed) }
    }

    fn shard(&self, place: CacheKey) -> &RwLock<Shard> {
        &self.shards[(place.hash >> 32) as usize % SHARDS]
    }
}

/// What is kept of one store.
pub struct StoreRows {
    row_cache: Arc<RowCache>,
    store: u64,
}

/// Whether a value that is read now may be kept: the number of writes when its key was looked for,
/// if none was on its way.
#[derive(Clone, Copy)]
pub struct InsertToken(Option<u64>);

impl StoreRows {
    fn place(&self, key: &[u8]) -> CacheKey {
        CacheKey { hash: self.row_cache.hashing.hash_one((self.store, key)), store: self.store }
    }

    /// Shows the value of a key, if it is here; else what to come back with when it was read.
    pub fn look<R>(&self, key: &[u8], see: impl FnOnce(&[u8]) -> R) -> Result<R, InsertToken> {
        let place = self.place(key);
        let shard = self.row_cache.shard(place).read();
        match shard.values.get(&place).and_then(|kept| kept.value_of(key)) {
            Some(value) => Ok(see(value)),
            None => Err(shard.token()),
        }
    }

    /// Keeps a value that was read after [`StoreRows::look`] did not find it.
    pub fn keep(&self, key: &[u8], value: &[u8], token: InsertToken) {
        if token.0.is_some() && value.len() < TOO_LONG {
            let place = self.place(key);
            let mut shard = self.row_cache.shard(place).write();
            if shard.token().0 == token.0 {
                shard.put(place, key, value);
            }
        }
    }

    /// A batch is about to be written: what it changes is not shown until the answer is dropped.
    pub fn writing<'a>(&'a self, batch: &WriteBatch<'_>) -> Writing<'a> {
        let keys = || batch.operations.iter().filter_map(Operation::key);
        let begun = match batch.operations {
            [Operation::Set { key, .. }] => Begun::One(self.begin(key, hide)),
            [Operation::Delete { key }] => Begun::One(self.begin(key, remove)),
            operations if keys().count() == operations.len() => {
                Begun::Several(keys().map(|key| self.begin(key, remove)).collect())
            }
            _ => self.begin_all(batch),
        };
        Writing { part: self, begun }
    }

    fn begin(&self, key: &[u8], take: fn(&mut Values, CacheKey) -> bool) -> Begin {
        let place = self.place(key);
        let mut shard = self.row_cache.shard(place).write();
        let was_here = take(&mut shard.values, place);
        let alone = shard.begin();
        Begin { place, number: (alone && was_here).then_some(shard.writes) }
    }

    /// The same for a batch that removes ranges, which may have keys in any shard.
    fn begin_all(&self, batch: &WriteBatch<'_>) -> Begun {
        let changes = |key: &[u8]| {
            batch.operations.iter().any(|operation| match operation {
                Operation::DeleteRange { start, end } => {
                    *start <= key && end.is_none_or(|end| key < end)
                }
                operation => operation.key() == Some(key),
            })
        };
        for shard in &self.row_cache.shards {
            let mut shard = shard.write();
            shard.values.retain(|place, kept| place.store != self.store || !changes(kept.key()));
            shard.begin();
        }
        Begun::All
    }
}

/// Has a value that is here not be shown, as it will get another one. Returns whether it was here.
fn hide(values: &mut Values, place: CacheKey) -> bool {
    values.peek_mut(&place).map(|mut kept| kept.stale = true).is_some()
}

fn remove(values: &mut Values, place: CacheKey) -> bool {
    values.remove(&place).is_some()
}

impl Shard {
    fn token(&self) -> InsertToken {
        InsertToken((self.writers == 0).then_some(self.writes))
    }

    /// One writer more. Returns whether it is the only one.
    fn begin(&mut self) -> bool {
        self.writers += 1;
        self.writes += 1;
        self.writers == 1
    }

    fn put(&mut self, place: CacheKey, key: &[u8], value: &[u8]) {
        match self.values.peek_mut(&place) {
            Some(mut kept) => kept.replace(key, value),
            None => self.values.insert(place, Entry::new(key, value)),
        }
    }
}

/// A write that is on its way.
pub struct Writing<'a> {
    part: &'a StoreRows,
    begun: Begun,
}

enum Begun {
    One(Begin),
    Several(Vec<Begin>),
    All,
}

/// One key of a write: its place, and if it was here before and nobody else wrote, the number of
/// the write.
struct Begin {
    place: CacheKey,
    number: Option<u64>,
}

impl Writing<'_> {
    /// The write succeeded: what was read often before will be read again. This is for single keys;
    /// what many are set to at once is read from the database first.
    pub fn done(mut self, batch: &WriteBatch<'_>) {
        let (Begun::One(Begin { place, number: Some(number) }), [Operation::Set { key, value }]) =
            (&self.begun, batch.operations)
        else {
            return;
        };
        let mut shard = self.part.row_cache.shard(*place).write();
        if shard.writers == 1 && shard.writes == *number && value.len() < TOO_LONG {
            shard.put(*place, key, value);
        }
        shard.writers -= 1;
        drop(shard);
        self.begun = Begun::Several(Vec::new());
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let row_cache = &self.part.row_cache;
        let end = |begin: &Begin| row_cache.shard(begin.place).write().writers -= 1;
        match &self.begun {
            Begun::One(begin) => end(begin),
            Begun::Several(begun) => begun.iter().for_each(end),
            Begun::All => row_cache.shards.iter().for_each(|shard| shard.write().writers -= 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(part: &StoreRows, key: &[u8]) -> Result<Vec<u8>, InsertToken> {
        part.look(key, <[u8]>::to_vec)
    }

    /// A reader that was slow comes back with what a writer has changed meanwhile, or is changing.
    #[test]
    fn what_was_read_before_a_write_is_not_kept() {
        let part = RowCache::new(1 << 20).part();
        let batch = WriteBatch {
            expectations: &[],
            operations: &[Operation::Set { key: b"key", value: b"new" }],
        };
        let several = WriteBatch { operations: &[batch.operations[0]; 2], ..batch };
        let range =
            WriteBatch { operations: &[Operation::DeleteRange { start: b"", end: None }], ..batch };
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
        let part = RowCache::new(1 << 20).part();
        let one = [Operation::Set { key: b"key", value: b"one" }];
        let write = |beside: Option<&WriteBatch<'_>>| {
            let batch = WriteBatch { expectations: &[], operations: &one };
            let other = beside.map(|batch| part.writing(batch));
            part.writing(&batch).done(&batch);
            drop(other);
        };
        write(None);
        let Err(token) = seen(&part, b"key") else { panic!("nobody has read it") };
        part.keep(b"key", b"read", token);
        write(None);
        assert_eq!(seen(&part, b"key").ok().as_deref(), Some(&b"one"[..]));
        write(Some(&WriteBatch {
            expectations: &[],
            operations: &[Operation::Delete { key: b"key" }],
        }));
        assert!(seen(&part, b"key").is_err());
    }

    /// Nor after a write that failed, as nobody knows what the key holds then.
    #[test]
    fn a_value_is_not_shown_while_its_key_is_written() {
        let part = RowCache::new(1 << 20).part();
        let set = [Operation::Set { key: b"key", value: b"set1" }];
        let batch = WriteBatch { expectations: &[], operations: &set };
        let Err(token) = seen(&part, b"key") else { panic!("nobody has read it") };
        part.keep(b"key", b"read", token);
        assert_eq!(seen(&part, b"key").ok().as_deref(), Some(&b"read"[..]));
        let writing = part.writing(&batch);
        assert!(seen(&part, b"key").is_err());
        drop(writing);
        assert!(seen(&part, b"key").is_err());
        part.writing(&batch).done(&batch);
        assert_eq!(seen(&part, b"key").ok().as_deref(), Some(&b"set1"[..]));
    }

    #[test]
    fn a_range_takes_its_own_keys_along() {
        let row_cache = RowCache::new(1 << 20);
        let (part, other) = (row_cache.part(), row_cache.part());
        for (part, key) in [(&part, b"a"), (&part, b"b"), (&part, b"c"), (&other, b"b")] {
            let Err(token) = seen(part, key) else { panic!("nobody has read it") };
            part.keep(key, b"value", token);
        }
        let operations = [Operation::DeleteRange { start: b"b", end: Some(b"c") }];
        let batch = WriteBatch { expectations: &[], operations: &operations };
        part.writing(&batch).done(&batch);
        assert!(seen(&part, b"b").is_err());
        assert!(
            seen(&part, b"a").is_ok() && seen(&part, b"c").is_ok() && seen(&other, b"b").is_ok()
        );
    }

    #[test]
    fn stores_have_their_own_keys_in_one_room() {
        let row_cache = RowCache::new(1 << 20);
        let parts = [row_cache.part(), row_cache.part()];
        for number in 0..10_000_u32 {
            for part in &parts {
                let key = number.to_be_bytes();
                let Err(token) = seen(part, &key) else { panic!("it is another store's") };
                part.keep(&key, &[0; 100], token);
            }
        }
        let weight: u64 = row_cache.shards.iter().map(|shard| shard.read().values.weight()).sum();
        assert!((1 << 19..=1 << 20).contains(&weight), "{weight} bytes");
    }
}
