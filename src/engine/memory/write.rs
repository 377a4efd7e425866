//! Applying batches.

use std::collections::HashMap;
use std::sync::Arc;

use super::delete_range::RangeTombstone;
use super::keyspace::{Content, Locked, number};
use super::node::{Held, INLINE, New};
use super::shard::Shard;
use super::snapshots::Snapshots;
use crate::batch::{Expectation, Operation, Outcome, WriteBatch};
use crate::error::{Error, Kind, Result};
use crate::sync::RwLockWriteGuard;

impl Content {
    /// Applies operations on one key, which all the expectations are about.
    pub fn apply_one(
        &self,
        expectations: &[Expectation<'_>],
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<Outcome> {
        let (new, hash) = (prepared(value)?, self.hash(key));
        let mut shard = self.write(number(hash));
        self.apply_tombstones(&mut shard, hash, key);
        let node = shard.find(hash, key).cloned();
        if !expectations.is_empty() {
            let found = node.as_ref().and_then(|node| shard.now(node));
            let found = found.map(Held::bytes);
            if let Some(conflict) =
                expectations.iter().find_map(|expectation| expectation.conflict(found))
            {
                return Ok(Outcome::Refused(conflict));
            }
        }
        let before = shard.stats.cost;
        let taken =
            self.take(|| shard.growth(hash, key, value.map(<[u8]>::len), &self.snapshots))?;
        let node = match value {
            Some(value) if node.is_none() => Some(self.node(&mut shard, hash, key, value.len())),
            _ => node,
        };
        if let Some(node) = node {
            shard.put(&node, new, self.snapshots.now(), &self.snapshots);
            self.notice(&shard);
        }
        shard.stats.writes += 1;
        self.settle_budget(taken, before, shard.stats.cost);
        let needs_sweep = shard.needs_sweep();
        drop(shard);
        if needs_sweep {
            self.sweep(number(hash));
        }
        Ok(Outcome::Applied)
    }

    /// Applies any batch.
    pub fn apply_all(&self, batch: &WriteBatch<'_>) -> Result<Outcome> {
        // Long values are copied before the locks are taken, so that writers wait for each other's
        // inserts and not for their copies.
        let news = batch
            .operations
            .iter()
            .map(|operation| prepared(value(operation)))
            .collect::<Result<Vec<_>>>()?;
        let hash = |key: Option<&[u8]>| key.map_or(0, |key| self.hash(key));
        let hashes: Vec<_> =
            batch.operations.iter().map(|operation| hash(operation.key())).collect();
        let expected: Vec<_> =
            batch.expectations.iter().map(|expectation| self.hash(expectation.key())).collect();
        let ranged = batch.operations.iter().any(|operation| operation.key().is_none());
        let wanted =
            hashes.iter().chain(&expected).fold(0u64, |wanted, hash| wanted | 1 << number(*hash));
        let wanted = if ranged { u64::MAX } else { wanted };
        let mut shards = self.lock(wanted, |number| self.write(number));

        let delete_hidden = |shards: &mut Locked<_>| {
            let expected = batch.expectations.iter().map(Expectation::key).zip(&expected);
            let changed = batch.operations.iter().zip(&hashes);
            let changed = changed.filter_map(|(operation, hash)| Some((operation.key()?, hash)));
            for (key, hash) in expected.chain(changed) {
                self.apply_tombstones(shard(shards, *hash), *hash, key);
            }
        };
        delete_hidden(&mut shards);
        let mut each = batch.expectations.iter().zip(&expected);
        let refused = each.find_map(|(expectation, hash)| {
            let found = shard(&mut shards, *hash).get(*hash, expectation.key());
            expectation.conflict(found.map(Held::bytes))
        });
        if let Some(conflict) = refused {
            return Ok(Outcome::Refused(conflict));
        }
        let taken = self.take(|| growth(&mut shards, batch, &hashes, &self.snapshots))?;

        let mut tombstones = Vec::new();
        if ranged {
            let last = self.snapshots.advance();
            tombstones.extend(
                batch.operations.iter().filter_map(|operation| RangeTombstone::of(operation, last)),
            );
            for shard in shards.iter_mut().flatten() {
                tombstones.iter().for_each(|tombstone| shard.add_tombstone(tombstone));
            }
            delete_hidden(&mut shards);
        }
        let sum = |shards: &Locked<_>| {
            shards.iter().flatten().map(|shard: &Writing| shard.stats.cost).sum::<usize>()
        };
        let before = sum(&shards);
        // What a later range of the batch deletes is not written at all.
        let deleted_later = |index: usize, key: &[u8]| {
            ranged
                && batch.operations[index..]
                    .iter()
                    .any(|operation| operation.deletes_range_with(key))
        };
        let survives = |(index, operation): &(usize, &Operation<'_>)| {
            operation.key().is_some_and(|key| !deleted_later(index + 1, key))
        };
        for (index, operation) in batch.operations.iter().enumerate().filter(survives) {
            if let Operation::Set { key, value } = operation {
                self.node(shard(&mut shards, hashes[index]), hashes[index], key, value.len());
            }
        }
        let now = self.snapshots.now();
        for ((index, operation), new) in batch.operations.iter().enumerate().zip(news) {
            let Some(key) = operation.key().filter(|_| survives(&(index, operation))) else {
                continue;
            };
            let hash = hashes[index];
            let shard = shard(&mut shards, hash);
            let node = match operation {
                Operation::Set { key, value } => Some(self.node(shard, hash, key, value.len())),
                _ => shard.find(hash, key).cloned(),
            };
            if let Some(node) = node {
                shard.put(&node, new, now, &self.snapshots);
            }
        }
        self.settle_budget(taken, before, sum(&shards));
        if let Some(shard) = shards.iter_mut().flatten().next() {
            shard.stats.writes += batch.operations.len() as u64;
        }
        let mut needs_sweep = 0u64;
        for shard in shards.iter().flatten() {
            self.notice(shard);
            needs_sweep |= u64::from(shard.needs_sweep()) << shard.number();
        }
        drop(shards);
        self.sweep_all(needs_sweep);
        for tombstone in &tombstones {
            self.apply_to_range(tombstone);
        }
        Ok(Outcome::Applied)
    }
}

type Writing<'a> = RwLockWriteGuard<'a, Shard>;

/// One of the locked shards, by the hash of a key.
fn shard<'a>(shards: &'a mut Locked<Writing<'_>>, hash: u64) -> &'a mut Shard {
    let Some(shard) = &mut shards[number(hash)] else {
        unreachable!("the shards of all the keys are locked")
    };
    shard
}

/// The value that an operation leaves under its key.
fn value<'a>(operation: &Operation<'a>) -> Option<&'a [u8]> {
    match operation {
        Operation::Set { value, .. } => Some(value),
        Operation::Delete { .. } | Operation::DeleteRange { .. } => None,
    }
}

/// A value ready for its node: a long one in memory of its own.
fn prepared(value: Option<&[u8]>) -> Result<New<'_>> {
    let Some(value) = value else { return Ok(New::Nothing) };
    if value.len() <= INLINE {
        return Ok(New::Short(value));
    }
    let mut copy = Vec::new();
    copy.try_reserve_exact(value.len()).map_err(|cause| {
        Error::new(Kind::NoMemory, format!("no memory for a value of {} bytes", value.len()))
            .because(cause)
    })?;
    copy.extend_from_slice(value);
    Ok(New::Long(Arc::new(copy.into_boxed_slice())))
}

/// What a batch will make the cost grow by, and shrink by. What a range removes is left out, so it
/// can shrink more.
fn growth(
    shards: &mut Locked<Writing<'_>>,
    batch: &WriteBatch<'_>,
    hashes: &[u64],
    snapshots: &Snapshots,
) -> (usize, usize) {
    let mut last = HashMap::new();
    for (operation, hash) in batch.operations.iter().zip(hashes) {
        if let Some(key) = operation.key() {
            last.insert(key, (hash, value(operation)));
        }
    }
    last.into_iter().fold((0, 0), |(more, less), (key, (hash, value))| {
        let (comes, goes) =
            shard(shards, *hash).growth(*hash, key, value.map(<[u8]>::len), snapshots);
        (more + comes, less + goes)
    })
}
