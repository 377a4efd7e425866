//! The row cache: values of single keys, in front of the databases.
//!
//! RocksDB takes microseconds to find a key, even when its block is in memory, because it searches
//! several tables and then a block. The row cache takes a fraction of that. `quick_cache` decides
//! what stays (S3-FIFO: one pass over many keys does not evict the few that are read often).
//!
//! Invariant: a read never returns a value that the database no longer holds. A writer hides the
//! cached value before it writes. While it writes, no reader inserts into the shard of the key. A
//! shard counts its writers and their writes, so a reader knows whether a write began since its
//! lookup. So a value is inserted only by a reader without a concurrent writer, or by the only
//! writer.

use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Deref;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::{RwLock, RwLockReadGuard};
use quick_cache::Weighter;
use quick_cache::unsync::{Cache, DefaultLifecycle};

use super::key_hash::KeyHash;
use crate::batch::Operation;

const SHARDS: usize = 64;

/// The bytes of an entry besides its key and value: an estimate of structures and allocator.
const ENTRY_OVERHEAD: usize = 128;

/// Values of at least this many bytes are not cached.
pub(super) const MAX_VALUE: usize = 4 << 10;

/// The cached values of all disk stores of a distributor.
pub struct RowCache {
    shards: Box<[RwLock<Shard>]>,
    next_store: AtomicU64,
}

type Entries = Cache<
    CacheKey,
    Entry,
    Weight,
    BuildHasherDefault<CacheKeyHasher>,
    DefaultLifecycle<CacheKey, Entry>,
>;

struct Shard {
    entries: Entries,
    /// The writes in progress to keys of this shard.
    writers: usize,
    /// The writes that ever began.
    writes: u64,
}

/// A store and the hash of a key. A lookup compares no keys until it has found an entry. Of two
/// keys with the same hash, only the last one is cached.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct CacheKey {
    hash: KeyHash,
    store: u64,
}

/// Hashes a [`CacheKey`], whose key is hashed already.
#[derive(Default)]
struct CacheKeyHasher(u64);

impl Hasher for CacheKeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("a cache key consists of numbers");
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.0 ^= number;
    }
}

/// A key and its value. The entry stays while a write hides it, and then takes the new value.
struct Entry {
    /// The key, followed by the value.
    pair: Box<[u8]>,
    key_len: u32,
    /// Hides the value: the database may hold another one.
    stale: bool,
}

impl Entry {
    fn new(key: &[u8], value: &[u8]) -> Entry {
        Entry { pair: [key, value].concat().into(), key_len: key.len() as u32, stale: false }
    }

    fn key(&self) -> &[u8] {
        &self.pair[..self.key_len as usize]
    }

    /// Returns the value if the entry is of `key` and not hidden.
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
    fn weight(&self, _: &CacheKey, entry: &Entry) -> u64 {
        (entry.pair.len() + ENTRY_OVERHEAD) as u64
    }
}

impl RowCache {
    /// Creates a cache with room for `bytes`.
    pub fn new(bytes: u64) -> Arc<RowCache> {
        let bytes_of_shard = bytes / SHARDS as u64;
        let shard = || Shard {
            entries: Cache::with(
                (bytes_of_shard / 256) as usize,
                bytes_of_shard,
                Weight,
                BuildHasherDefault::default(),
                DefaultLifecycle::default(),
            ),
            writers: 0,
            writes: 0,
        };
        let shards = (0..SHARDS).map(|_| RwLock::new(shard())).collect();
        Arc::new(RowCache { shards, next_store: AtomicU64::new(0) })
    }

    /// Returns the rows of a new store.
    pub fn store_rows(self: &Arc<RowCache>) -> StoreRows {
        StoreRows { cache: self.clone(), store: self.next_store.fetch_add(1, Relaxed) }
    }

    fn shard(&self, key: CacheKey) -> &RwLock<Shard> {
        &self.shards[key.hash.shard(SHARDS)]
    }
}

/// The cached values of one store.
pub struct StoreRows {
    cache: Arc<RowCache>,
    store: u64,
}

/// A value in the cache. It holds the lock of a shard, so it is dropped before the store is
/// written.
pub struct CachedRow<'a> {
    // A pointer, because RwLockReadGuard::try_map is not inlined: 26 instructions per get.
    value: *const [u8],
    _shard: RwLockReadGuard<'a, Shard>,
}

impl Deref for CachedRow<'_> {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        // SAFETY: the value is in the locked shard, so it is not changed while this lives.
        #[allow(unsafe_code)]
        unsafe {
            &*self.value
        }
    }
}

/// The permission to insert a value after a lookup that did not find it.
///
/// Holds the number of writes at the lookup, or `None` if a write was in progress.
#[derive(Clone, Copy)]
pub struct InsertToken(Option<u64>);

impl StoreRows {
    fn cache_key(&self, hash: KeyHash) -> CacheKey {
        CacheKey { hash, store: self.store }
    }

    /// Finds the value of `key`, or returns a token to insert what the database holds.
    #[inline(always)]
    pub fn find(&self, key: &[u8], hash: KeyHash) -> Result<CachedRow<'_>, InsertToken> {
        let cache_key = self.cache_key(hash);
        let shard = self.cache.shard(cache_key).read();
        match shard.entries.get(&cache_key).and_then(|entry| entry.value_of(key)) {
            Some(value) => Ok(CachedRow { value: ptr::from_ref(value), _shard: shard }),
            None => Err(shard.token()),
        }
    }

    /// Inserts a value that was read after [`StoreRows::find`], unless a write began since.
    pub fn insert(&self, key: &[u8], hash: KeyHash, value: &[u8], token: InsertToken) {
        if token.0.is_some() && value.len() < MAX_VALUE {
            let cache_key = self.cache_key(hash);
            let mut shard = self.cache.shard(cache_key).write();
            if shard.token().0 == token.0 {
                shard.put(cache_key, key, value);
            }
        }
    }

    /// Hides the value of a key that is about to be set.
    pub fn begin_set(&self, hash: KeyHash) -> KeyWrite<'_> {
        self.begin_key(hash, |entries, key| {
            entries.peek_mut(key).map(|mut entry| entry.stale = true).is_some()
        })
    }

    /// Removes the value of a key that is about to be deleted.
    pub fn begin_delete(&self, hash: KeyHash) -> KeyWrite<'_> {
        self.begin_key(hash, |entries, key| entries.remove(key).is_some())
    }

    fn begin_key(
        &self,
        hash: KeyHash,
        hide: impl FnOnce(&mut Entries, &CacheKey) -> bool,
    ) -> KeyWrite<'_> {
        let cache_key = self.cache_key(hash);
        let mut shard = self.cache.shard(cache_key).write();
        let was_cached = hide(&mut shard.entries, &cache_key);
        let is_only_writer = shard.begin_write();
        let write = (is_only_writer && was_cached).then_some(shard.writes);
        KeyWrite { cache: &self.cache, cache_key, write }
    }

    /// Removes the values of all keys that a batch without ranges is about to change.
    pub fn begin_batch(&self, hashes: &[KeyHash]) -> BatchWrite<'_> {
        BatchWrite::Keys(hashes.iter().map(|hash| self.begin_delete(*hash)).collect())
    }

    /// Removes the values of all keys that a batch is about to change, in every shard.
    pub fn begin_range_batch(&self, operations: &[Operation<'_>]) -> BatchWrite<'_> {
        let changes = |key: &[u8]| {
            operations
                .iter()
                .any(|operation| operation.key() == Some(key) || operation.deletes_range_with(key))
        };
        for shard in &self.cache.shards {
            let mut shard = shard.write();
            shard
                .entries
                .retain(|cache_key, entry| cache_key.store != self.store || !changes(entry.key()));
            shard.begin_write();
        }
        BatchWrite::AllShards(AllShardsWrite { cache: &self.cache })
    }
}

impl Shard {
    fn token(&self) -> InsertToken {
        InsertToken((self.writers == 0).then_some(self.writes))
    }

    /// Counts a write. Returns whether it is the only one in progress.
    fn begin_write(&mut self) -> bool {
        self.writers += 1;
        self.writes += 1;
        self.writers == 1
    }

    fn put(&mut self, cache_key: CacheKey, key: &[u8], value: &[u8]) {
        match self.entries.peek_mut(&cache_key) {
            Some(mut entry) => entry.replace(key, value),
            None => self.entries.insert(cache_key, Entry::new(key, value)),
        }
    }
}

/// A write of one key in progress. Dropping it ends the write, successful or not.
pub struct KeyWrite<'a> {
    cache: &'a RowCache,
    cache_key: CacheKey,
    /// The number of this write, if the key was cached and there was no other writer.
    write: Option<u64>,
}

impl KeyWrite<'_> {
    /// Ends a successful write. Caches the value if the key was cached and there was no other
    /// writer: a key that was read often will be read again.
    pub fn set(self, key: &[u8], value: &[u8]) {
        if self.write.is_none() {
            return;
        }
        let mut shard = self.cache.shard(self.cache_key).write();
        if shard.writers == 1 && Some(shard.writes) == self.write && value.len() < MAX_VALUE {
            shard.put(self.cache_key, key, value);
        }
        shard.writers -= 1;
        std::mem::forget(self);
    }
}

impl Drop for KeyWrite<'_> {
    fn drop(&mut self) {
        self.cache.shard(self.cache_key).write().writers -= 1;
    }
}

/// A write of a batch in progress. Dropping it ends the write.
///
/// Its values are not cached: a batch sets many keys, of which few are read soon.
#[must_use = "readers insert old values once it is dropped"]
pub enum BatchWrite<'a> {
    Keys(#[allow(dead_code, reason = "held")] Vec<KeyWrite<'a>>),
    AllShards(#[allow(dead_code, reason = "held")] AllShardsWrite<'a>),
}

/// A write in progress in every shard.
pub struct AllShardsWrite<'a> {
    cache: &'a RowCache,
}

impl Drop for AllShardsWrite<'_> {
    fn drop(&mut self) {
        self.cache.shards.iter().for_each(|shard| shard.write().writers -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::disk::key_hash::KeyHasher;

    /// The rows of a store, with its hasher.
    struct Rows(StoreRows, KeyHasher);

    impl Rows {
        fn of(cache: &Arc<RowCache>) -> Rows {
            Rows(cache.store_rows(), KeyHasher::default())
        }

        fn get(&self, key: &[u8]) -> Result<Vec<u8>, InsertToken> {
            self.0.find(key, self.1.hash(key)).map(|row| row.to_vec())
        }

        fn miss(&self, key: &[u8]) -> InsertToken {
            let Err(token) = self.get(key) else { panic!("the key is cached") };
            token
        }

        fn insert(&self, key: &[u8], value: &[u8], token: InsertToken) {
            self.0.insert(key, self.1.hash(key), value, token);
        }

        fn begin_set(&self, key: &[u8]) -> KeyWrite<'_> {
            self.0.begin_set(self.1.hash(key))
        }
    }

    #[test]
    fn a_value_read_before_or_during_a_write_is_not_cached() {
        let rows = Rows::of(&RowCache::new(1 << 20));
        let hash = rows.1.hash(b"key");
        let range = [Operation::DeleteRange { start: b"", end: None }];
        for kind in 0..3 {
            let before = rows.miss(b"key");
            let (mut set, mut batch) = (None, None);
            match kind {
                0 => set = Some(rows.begin_set(b"key")),
                1 => batch = Some(rows.0.begin_batch(&[hash, hash])),
                _ => batch = Some(rows.0.begin_range_batch(&range)),
            }
            rows.insert(b"key", b"old", before);
            let during = rows.miss(b"key");
            rows.insert(b"key", b"old", during);
            rows.miss(b"key");
            if let Some(write) = set {
                write.set(b"key", b"new");
            }
            drop(batch);
            rows.insert(b"key", b"old", before);
            rows.insert(b"key", b"old", during);
            rows.miss(b"key");
        }
    }

    /// Of two writers at once, the cache does not know which one the database applied last.
    #[test]
    fn the_only_writer_of_a_cached_key_caches_the_new_value() {
        let rows = Rows::of(&RowCache::new(1 << 20));
        let write = || rows.begin_set(b"key").set(b"key", b"one");
        write();
        rows.insert(b"key", b"read", rows.miss(b"key"));
        write();
        assert_eq!(rows.get(b"key").ok().as_deref(), Some(&b"one"[..]));
        let other = rows.0.begin_delete(rows.1.hash(b"key"));
        write();
        drop(other);
        rows.miss(b"key");
    }

    /// After a failed write, the cache does not know what the database holds.
    #[test]
    fn a_value_is_hidden_during_a_write_and_after_a_failed_one() {
        let rows = Rows::of(&RowCache::new(1 << 20));
        rows.insert(b"key", b"read", rows.miss(b"key"));
        assert_eq!(rows.get(b"key").ok().as_deref(), Some(&b"read"[..]));
        let write = rows.begin_set(b"key");
        rows.miss(b"key");
        drop(write);
        rows.miss(b"key");
        rows.begin_set(b"key").set(b"key", b"set1");
        assert_eq!(rows.get(b"key").ok().as_deref(), Some(&b"set1"[..]));
    }

    #[test]
    fn a_range_removes_its_own_keys_only() {
        let cache = RowCache::new(1 << 20);
        let (rows, other) = (Rows::of(&cache), Rows::of(&cache));
        for (rows, key) in [(&rows, b"a"), (&rows, b"b"), (&rows, b"c"), (&other, b"b")] {
            rows.insert(key, b"value", rows.miss(key));
        }
        let operations = [Operation::DeleteRange { start: b"b", end: Some(b"c") }];
        drop(rows.0.begin_range_batch(&operations));
        rows.miss(b"b");
        assert!(rows.get(b"a").is_ok() && rows.get(b"c").is_ok() && other.get(b"b").is_ok());
    }

    #[test]
    fn stores_share_the_memory_but_not_the_keys() {
        let cache = RowCache::new(1 << 20);
        let stores = [Rows::of(&cache), Rows::of(&cache)];
        for number in 0..10_000_u32 {
            for rows in &stores {
                let key = number.to_be_bytes();
                rows.insert(&key, &[0; 100], rows.miss(&key));
            }
        }
        let weight: u64 = cache.shards.iter().map(|shard| shard.read().entries.weight()).sum();
        assert!((1 << 19..=1 << 20).contains(&weight), "{weight} bytes");
    }
}
