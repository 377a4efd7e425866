//! Sets of shards, one bit per shard.

use crate::sync::atomic::{AtomicU64, Ordering};

/// The number of shards: as many as a word has bits. Models need few of everything.
pub const SHARDS: usize = if cfg!(shuttle) { 2 } else { 64 };

/// Returns the index of the shard of a key. The hash table uses other bits of the hash.
#[inline]
pub fn shard_of(hash: u64) -> usize {
    (hash >> 48) as usize % SHARDS
}

/// A set of shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardSet(u64);

impl ShardSet {
    /// All shards.
    pub const ALL: ShardSet = ShardSet(u64::MAX >> (u64::BITS as usize - SHARDS));

    /// Returns the shards of the keys with these hashes.
    pub fn of_hashes<'a>(hashes: impl IntoIterator<Item = &'a u64>) -> ShardSet {
        let mut set = ShardSet::default();
        hashes.into_iter().for_each(|hash| set.insert(shard_of(*hash)));
        set
    }

    pub fn contains(self, index: usize) -> bool {
        self.0 >> index & 1 == 1
    }

    pub fn insert(&mut self, index: usize) {
        self.0 |= 1 << index;
    }

    /// Returns the indexes of the shards, in ascending order.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let index = rest.trailing_zeros() as usize;
            rest &= rest.wrapping_sub(1);
            (index < SHARDS).then_some(index)
        })
    }
}

/// A [`ShardSet`] that threads share.
#[derive(Default)]
pub struct AtomicShardSet(AtomicU64);

impl AtomicShardSet {
    pub fn load(&self) -> ShardSet {
        ShardSet(self.0.load(Ordering::SeqCst))
    }

    /// Inserts a shard. It only writes if the set changes, as writing takes the cache line from
    /// other processors.
    pub fn insert(&self, index: usize) {
        if !self.load().contains(index) {
            self.0.fetch_or(1 << index, Ordering::SeqCst);
        }
    }

    pub fn remove(&self, index: usize) {
        self.0.fetch_and(!(1 << index), Ordering::SeqCst);
    }
}
