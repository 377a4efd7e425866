//! The write path.
//!
//! A write holds the locks of all shards that it touches until all its operations are applied, so
//! no reader sees a part of it.

use std::collections::HashMap;

use super::deadlines;
use super::delete_range::RangeTombstone;
use super::keyspace::{Keyspace, ShardGuards};
use super::node::{NewValue, ValueRef};
use super::shard::Shard;
use super::shard_set::{ShardSet, shard_of};
use crate::batch::{Conflict, Expectation, Operation, Outcome, SingleKey, WriteBatch};
use crate::engine::feed::Published;
use crate::error::Result;
use crate::sync::RwLockWriteGuard;
use crate::sys::clock;

type WriteGuards<'a> = ShardGuards<RwLockWriteGuard<'a, Shard>>;

impl Keyspace {
    /// Applies a write of a single key: one hash, one lock, one lookup.
    pub fn apply_single(&self, write: SingleKey<'_>) -> Result<Outcome> {
        let SingleKey { key, value, expectations } = write;
        let (value_len, value) = (value.map(<[u8]>::len), NewValue::new(value)?);
        let hash = self.hash(key);
        let index = shard_of(hash);
        let mut guard = self.write(index);
        let shard = &mut *guard;
        if shard.has_tombstones() {
            self.apply_tombstones(shard, hash, key);
        }
        let slot = shard.find(hash, key);
        if let Some(conflict) = conflict(expectations, || slot.and_then(|slot| shard.value(slot))) {
            return Ok(Outcome::Refused(conflict));
        }
        let before = shard.cost();
        let taken =
            self.budget.take(|| shard.growth(slot, key.len(), value_len, &self.snapshots))?;
        let slot = match (slot, value_len) {
            (None, Some(len)) => {
                let slot = shard.insert(hash, key, len, |key| self.hash(key));
                self.mark_pending(shard);
                Some(slot)
            }
            _ => slot,
        };
        if let Some(slot) = slot {
            shard.put(slot, value, self.snapshots.now(), &self.snapshots);
            self.mark_pending(shard);
        } else {
            shard.publish_deletion(key);
        }
        shard.count_writes(1);
        self.budget.settle(taken, before, shard.cost());
        let needs_sweep = shard.needs_sweep();
        drop(guard);
        if needs_sweep {
            self.sweep(ShardSet::of_hashes(&[hash]));
        }
        Ok(Outcome::Applied)
    }

    /// Applies any batch.
    pub fn apply_batch(&self, batch: &WriteBatch<'_>) -> Result<Outcome> {
        // Long values are copied before the locks are taken, so writers wait for each other's
        // inserts and not for their copies.
        let values = batch
            .operations
            .iter()
            .map(|operation| NewValue::new(operation.value()))
            .collect::<Result<Vec<_>>>()?;
        let expected: Vec<_> =
            batch.expectations.iter().map(|expectation| self.hash(expectation.key())).collect();
        // A range has no hash. It is skipped wherever the hash would be used.
        let changed: Vec<_> = batch
            .operations
            .iter()
            .map(|operation| operation.key().map_or(0, |key| self.hash(key)))
            .collect();
        let has_range = batch.has_range();
        let set = if has_range {
            ShardSet::ALL
        } else {
            ShardSet::of_hashes(expected.iter().chain(&changed))
        };
        let mut shards = self.lock(set, |index| self.write(index));

        let apply_tombstones = |shards: &mut WriteGuards<'_>| {
            let expected = batch.expectations.iter().map(|one| Some(one.key())).zip(&expected);
            let changed = batch.operations.iter().map(Operation::key).zip(&changed);
            for (key, hash) in expected.chain(changed) {
                if let Some(key) = key {
                    self.apply_tombstones(shard(shards, *hash), *hash, key);
                }
            }
        };
        if shards.iter().flatten().any(|shard| shard.has_tombstones()) {
            apply_tombstones(&mut shards);
        }
        for (expectation, hash) in batch.expectations.iter().zip(&expected) {
            let found = shard(&mut shards, *hash).get(*hash, expectation.key());
            if let Some(conflict) = expectation.conflict(found.map(ValueRef::bytes)) {
                return Ok(Outcome::Refused(conflict));
            }
        }
        let taken = self.budget.take(|| self.growth(&mut shards, batch, &changed))?;

        let mut tombstones = Vec::new();
        if has_range {
            let last = self.snapshots.advance();
            let of_batch = batch.operations.iter();
            tombstones.extend(of_batch.filter_map(|one| RangeTombstone::of(one, last)));
            for shard in shards.iter_mut().flatten() {
                tombstones.iter().for_each(|tombstone| shard.add_tombstone(tombstone));
            }
            apply_tombstones(&mut shards);
        }
        let cost = |shards: &WriteGuards<'_>| {
            shards.iter().flatten().map(|shard| shard.cost()).sum::<usize>()
        };
        let before = cost(&shards);
        // Keys that a later range of the batch deletes are not written at all.
        let is_deleted_later = |index: usize, key: &[u8]| {
            let mut later = batch.operations[index + 1..].iter();
            has_range && later.any(|operation| operation.deletes_range_with(key))
        };
        let mut nodes = Vec::with_capacity(batch.operations.len());
        for (index, operation) in batch.operations.iter().enumerate() {
            let (key, hash) = match operation.key() {
                Some(key) if !is_deleted_later(index, key) => (key, changed[index]),
                _ => {
                    nodes.push(None);
                    continue;
                }
            };
            let shard = shard(&mut shards, hash);
            nodes.push(match operation.value() {
                Some(value) => {
                    let rehash = |key: &[u8]| self.hash(key);
                    Some(shard.find_or_insert(hash, key, value.len(), rehash).clone())
                }
                None => shard.find_node(hash, key).cloned(),
            });
        }
        // Before the epoch is read: see `mark_pending`.
        shards.iter().flatten().for_each(|shard| self.mark_pending(shard));
        let now = self.snapshots.now();
        let mut published = self.feed.is_watched().then(Published::default);
        let writes = nodes.iter().zip(values).zip(&changed).zip(batch.operations);
        for (((node, value), hash), operation) in writes {
            if let Some(node) = node {
                let shard = shard(&mut shards, *hash);
                match operation {
                    Operation::Expire { ttl, .. } => {
                        let deadline = ttl.map_or(0, clock::after);
                        shard.replace_deadline(node, deadline, now, &self.snapshots);
                    }
                    Operation::SetTtl { ttl, .. } => {
                        shard.put_node(node, value, now, &self.snapshots);
                        shard.set_deadline(node, clock::after(*ttl));
                    }
                    _ => shard.put_node(node, value, now, &self.snapshots),
                }
            }
            if let Some(published) = &mut published {
                let shard = &*shard(&mut shards, *hash);
                published.add(operation, |key| shard.get(*hash, key).map(ValueRef::bytes));
            }
        }
        if let Some(published) = published {
            self.feed.publish(published);
        }
        self.budget.settle(taken, before, cost(&shards));
        if let Some(shard) = shards.iter_mut().flatten().next() {
            shard.count_writes(batch.operations.len() as u64);
        }
        let mut needs_sweep = ShardSet::default();
        for shard in shards.iter().flatten() {
            self.mark_pending(shard);
            shard.needs_sweep().then(|| needs_sweep.insert(shard.index()));
        }
        drop(shards);
        drop(nodes);
        self.sweep(needs_sweep);
        for tombstone in &tombstones {
            self.apply_to_range(tombstone);
        }
        Ok(Outcome::Applied)
    }

    /// Returns by how much `batch` raises and lowers the cost. What its ranges delete is left out.
    fn growth(
        &self,
        shards: &mut WriteGuards<'_>,
        batch: &WriteBatch<'_>,
        hashes: &[u64],
    ) -> (usize, usize) {
        let (mut last_writes, mut expires) = (HashMap::new(), HashMap::new());
        for (operation, hash) in batch.operations.iter().zip(hashes) {
            let Some(key) = operation.key() else { continue };
            let sets_deadline = match operation {
                Operation::Expire { ttl, .. } => ttl.is_some(),
                _ => {
                    last_writes.insert(key, (*hash, operation.value().map(<[u8]>::len)));
                    matches!(operation, Operation::SetTtl { .. })
                }
            };
            expires.insert(key, (*hash, sets_deadline));
        }
        let (mut more, mut less) = (0, 0);
        for (key, (hash, sets_deadline)) in expires {
            let deadline = shard(shards, hash).deadline_at(hash, key, u64::MAX).unwrap_or(0);
            match (deadline != 0, sets_deadline) {
                (false, true) => more += deadlines::COST,
                (true, false) => less += deadlines::COST,
                _ => {}
            }
        }
        last_writes.into_iter().fold((more, less), |(more, less), (key, (hash, len))| {
            let shard = shard(shards, hash);
            let growth = shard.growth(shard.find(hash, key), key.len(), len, &self.snapshots);
            (more + growth.0, less + growth.1)
        })
    }
}

/// Returns the first conflict of `expectations`, which are all about one key, with its value.
#[inline]
fn conflict<'a>(
    expectations: &[Expectation<'_>],
    value: impl FnOnce() -> Option<ValueRef<'a>>,
) -> Option<Conflict> {
    if expectations.is_empty() {
        return None;
    }
    let value = value().map(ValueRef::bytes);
    expectations.iter().find_map(|expectation| expectation.conflict(value))
}

/// Returns the locked shard of the key with this hash.
fn shard<'a>(shards: &'a mut WriteGuards<'_>, hash: u64) -> &'a mut Shard {
    let Some(shard) = &mut shards[shard_of(hash)] else {
        unreachable!("the shards of all keys are locked")
    };
    shard
}
