//! The write path: from a batch to RocksDB's log and memtable.

use rocksdb::DB;

use super::key_locks::Access;
use super::{Disk, Writer, delete_range};
use crate::batch::{Operation, Outcome, SingleKey, WriteBatch};
use crate::engine::feed::Published;
use crate::error::Result;

impl Disk {
    /// Applies a batch about a single key.
    pub(super) fn apply_single(
        &self,
        db: &DB,
        writer: &Writer,
        batch: &WriteBatch<'_>,
        single: SingleKey<'_>,
    ) -> Result<Outcome> {
        let SingleKey { key, value, expectations } = single;
        let hash = writer.hasher.hash(key);
        let access = if expectations.is_empty() { Access::Shared } else { Access::Exclusive };
        let guard = writer.key_locks.lock_key(key, hash, access);
        if self.is_tracked(writer) {
            drop(guard);
            return self.apply_batch(db, writer, batch);
        }
        if !expectations.is_empty() {
            let found = match value {
                Some(_) => self.find_hashed(writer, key, hash)?,
                None => self.find_to_delete(writer, key, hash)?,
            };
            let found = found.as_deref();
            if let Some(conflict) =
                expectations.iter().find_map(|expectation| expectation.conflict(found))
            {
                return Ok(Outcome::Refused(conflict));
            }
        }
        let error_recovery = &self.open.error_recovery;
        let log_bytes = LOG_RECORD_OVERHEAD + key.len() + value.map_or(0, <[u8]>::len);
        error_recovery.reserve_space(db, log_bytes, value.is_some())?;
        match value {
            Some(value) => {
                let write = writer.rows.begin_set(hash);
                error_recovery
                    .retry(db, "cannot write", |db| db.put_opt(key, value, &writer.options))?;
                write.set(key, value);
            }
            None => {
                let _write = writer.rows.begin_delete(hash);
                error_recovery
                    .retry(db, "cannot write", |db| db.delete_opt(key, &writer.options))?;
            }
        }
        self.after_write(db, 1, u64::from(value.is_none()), false);
        Ok(Outcome::Applied)
    }

    /// Applies any batch.
    pub(super) fn apply_batch(
        &self,
        db: &DB,
        writer: &Writer,
        batch: &WriteBatch<'_>,
    ) -> Result<Outcome> {
        let hash = |key: &[u8]| writer.hasher.hash(key);
        let expected: Vec<_> =
            batch.expectations.iter().map(|expectation| hash(expectation.key())).collect();
        let hash_changed = |operations: &[Operation<'_>]| -> Vec<_> {
            operations.iter().filter_map(Operation::key).map(hash).collect()
        };
        let (listed, replaced);
        let (operations, changed, _guard);
        if batch.has_range() {
            _guard = writer.key_locks.lock_range_batch(batch);
            // Listed under the lock, so that no key of the range is added meanwhile.
            listed = delete_range::list(db, batch.operations);
            replaced = listed.operations(batch.operations);
            operations = &replaced[..];
            changed = hash_changed(operations);
        } else {
            operations = batch.operations;
            changed = hash_changed(operations);
            let lock = |access| writer.key_locks.lock_batch(batch, &expected, &changed, access);
            let shared = if self.is_tracked(writer) { None } else { Some(lock(Access::Shared)) };
            // Looked at again under the locks: see `create_deadlines` and `watch`.
            _guard = match shared.filter(|_| !self.is_tracked(writer)) {
                Some(guard) => guard,
                None => lock(Access::Exclusive),
            };
        }
        for (expectation, hash) in batch.expectations.iter().zip(expected) {
            let found = self.find_hashed(writer, expectation.key(), hash)?;
            if let Some(conflict) = expectation.conflict(found.as_deref()) {
                return Ok(Outcome::Refused(conflict));
            }
        }
        let has_range = changed.len() < operations.len();
        let deletes = operations.iter().filter(|operation| operation.value().is_none()).count();
        let mut published = writer.feed.is_watched().then(Published::default);
        let rows = match self.is_tracked(writer) {
            true => Some(self.rows(db, writer, operations, published.as_mut())?),
            false => None,
        };
        let error_recovery = &self.open.error_recovery;
        let log_bytes = operations.iter().map(log_bytes).sum();
        error_recovery.reserve_space(db, log_bytes, deletes < operations.len())?;
        let _write = if has_range {
            writer.rows.begin_range_batch(operations)
        } else {
            writer.rows.begin_batch(&changed)
        };
        if !operations.is_empty() {
            error_recovery.retry(db, "cannot write", |db| {
                let deadlines = self.open.deadlines.get();
                let options = deadlines.map_or(&writer.options, |_| &writer.logged);
                let writes = match &rows {
                    Some(rows) => rows.batch(deadlines),
                    None => rocksdb_batch(operations),
                };
                db.write_opt(writes, options)
            })?;
        }
        if let Some(rows) = &rows {
            rows.after_write(self.open.deadlines.get());
        }
        if let Some(published) = published {
            writer.feed.publish(published);
        }
        self.after_write(db, operations.len(), deletes as u64, has_range);
        Ok(Outcome::Applied)
    }

    /// Returns whether writes have to look at deadlines or to tell watches.
    #[inline]
    pub(super) fn is_tracked(&self, writer: &Writer) -> bool {
        self.open.deadlines.get().is_some() || writer.feed.is_watched()
    }

    /// Counts a write, and starts the background work that it calls for.
    #[inline]
    pub(super) fn after_write(&self, db: &DB, operations: usize, deletes: u64, has_range: bool) {
        if let Some(sync_handle) = self.open.background_sync.get() {
            sync_handle.mark_dirty();
        }
        if let Some(membership) = self.open.write_buffers.get() {
            membership.after_write();
        }
        self.open.error_recovery.resume_compactions(db);
        if deletes > 0
            && let Some((deletions, sync_handle)) = self.open.reclaiming.get()
        {
            deletions.add(deletes);
            if has_range {
                deletions.add_range();
            }
            sync_handle.mark_dirty();
        }
        self.op_counters.count_writes(operations);
    }
}

fn rocksdb_batch(operations: &[Operation<'_>]) -> rocksdb::WriteBatch {
    let mut writes = rocksdb::WriteBatch::default();
    for operation in operations {
        match *operation {
            Operation::Set { key, value } | Operation::SetTtl { key, value, .. } => {
                writes.put(key, value);
            }
            Operation::Delete { key } => writes.delete(key),
            // Without deadlines there is none to end.
            Operation::Expire { .. } => {}
            Operation::DeleteRange { start, end } => {
                let end = end.unwrap_or(&delete_range::BEHIND_ALL);
                // RocksDB would log a range that ends before it begins, and then halt permanently.
                if start < end {
                    writes.delete_range(start, end);
                }
            }
        }
    }
    writes
}

/// The bytes of an operation in the log besides its keys and its value, about.
const LOG_RECORD_OVERHEAD: usize = 32;

/// Estimates the bytes of an operation in the log.
fn log_bytes(operation: &Operation<'_>) -> usize {
    LOG_RECORD_OVERHEAD
        + match operation {
            Operation::Set { key, value } => key.len() + value.len(),
            Operation::SetTtl { key, value, .. } => 3 * key.len() + value.len(),
            Operation::Delete { key } => key.len(),
            Operation::Expire { key, .. } => 2 * key.len(),
            Operation::DeleteRange { start, end } => start.len() + end.map_or(0, <[u8]>::len),
        }
}
