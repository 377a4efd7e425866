//! Hashes of keys, which the row cache and the key locks share: a call hashes each key once.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;

/// The hash of a key, from the [`KeyHasher`] of its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyHash(u64);

impl KeyHash {
    /// Maps the key to one of `count` stripes, by other bits than [`KeyHash::shard`].
    pub fn stripe(self, count: usize) -> usize {
        self.0 as usize % count
    }

    /// Maps the key to one of `count` shards.
    pub fn shard(self, count: usize) -> usize {
        (self.0 >> 32) as usize % count
    }
}

/// Hashes the keys of one store, with a random seed.
#[derive(Default)]
pub struct KeyHasher(RandomState);

impl KeyHasher {
    /// Hashes `key`.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> KeyHash {
        // Without the length, which the hash function mixes in itself.
        let mut hasher = self.0.build_hasher();
        hasher.write(key);
        KeyHash(hasher.finish())
    }
}
