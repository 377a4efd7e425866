//! The deadlines of a disk store, in a column family of their own.
//!
//! A key with a deadline has two entries there. One is `k` and the key, with the deadline as the
//! value. The other one is `d`, the deadline and the key; these are in the order of the deadlines.
//! Both are written in the batch that writes the key, so a crash leaves all or none. The column
//! family is created with the first deadline. A store without deadlines has none, and an older
//! version of the library can open it; it refuses a store with one.
//!
//! RocksDB flushes each column family for itself. Only the log keeps the two together in a crash,
//! so a store with deadlines has one at every durability.
//!
//! A range that is deleted takes its `k` entries with it and leaves the `d` entries. So a `d` entry
//! counts only if the `k` entry has the same deadline. The thread that deletes expired keys removes
//! it otherwise.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use librocksdb_sys::{
    rocksdb_column_family_handle_destroy, rocksdb_column_family_handle_t, rocksdb_options_t,
    rocksdb_t,
};
use rocksdb::{AsColumnFamilyRef, AsRawPtr, DB, ReadOptions};

use super::delete_range::BEHIND_ALL;
use super::errors::{call_cpp, io_error};
use super::{Disk, Writer};
use crate::batch::Operation;
use crate::engine::Range;
use crate::engine::expiry::{Expiring, STEP};
use crate::engine::feed::Published;
use crate::error::Result;
use crate::options::Durability;
use crate::sys::clock;
use crate::sys::log::{self, Level};
use crate::sys::signals;

/// The name of the column family, as in deadlines.cc.
pub const NAME: &str = "kvds.deadlines";

/// The keys that are deleted in one write. Writers of these keys wait for it.
const CHUNK: usize = 32;

// See deadlines.cc.
#[allow(unsafe_code)]
unsafe extern "C" {
    fn kvds_rocksdb_has_deadlines(
        options: *const rocksdb_options_t,
        path: *const u8,
        path_len: usize,
    ) -> bool;
    fn kvds_rocksdb_create_deadlines(
        database: *mut rocksdb_t,
        options: *const rocksdb_options_t,
        family: *mut *mut rocksdb_column_family_handle_t,
        text: *mut u8,
        capacity: usize,
    ) -> usize;
    fn kvds_rocksdb_allow_longer_log(
        database: *mut rocksdb_t,
        text: *mut u8,
        capacity: usize,
    ) -> usize;
}

/// Returns whether the database in `path` has deadlines. What cannot be read has none: opening it
/// says why.
pub fn are_in(settings: &rocksdb::Options, path: &Path) -> bool {
    let path = path.as_os_str().as_bytes();
    // SAFETY: the options are live, and the length is that of the path.
    #[allow(unsafe_code)]
    signals::blocked(|| unsafe {
        kvds_rocksdb_has_deadlines(settings.as_raw_ptr(), path.as_ptr(), path.len())
    })
}

/// The column family with the deadlines of an open database.
pub struct Deadlines {
    family: *mut rocksdb_column_family_handle_t,
    /// Whether the handle is destroyed here. The database owns those with which it was opened.
    is_owned: bool,
    /// Earlier entries are deleted, but for those of `late`. A search need not go over them.
    swept: AtomicU64,
    /// The earliest deadline that was written since the last search began: a write can take longer
    /// than its key is to live.
    late: AtomicU64,
}

// SAFETY: RocksDB's column families can be used from any thread.
#[allow(unsafe_code)]
unsafe impl Send for Deadlines {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Sync for Deadlines {}

impl AsColumnFamilyRef for Deadlines {
    fn inner(&self) -> *mut rocksdb_column_family_handle_t {
        self.family
    }
}

impl Drop for Deadlines {
    fn drop(&mut self) {
        if self.is_owned {
            // SAFETY: the handle is live, and the database is closed later.
            #[allow(unsafe_code)]
            unsafe {
                rocksdb_column_family_handle_destroy(self.family);
            }
        }
    }
}

impl Deadlines {
    /// Returns the deadlines of a database that was opened with them.
    pub fn opened(db: &DB) -> Option<Deadlines> {
        let family = db.cf_handle(NAME)?.inner();
        Some(Deadlines {
            family,
            is_owned: false,
            swept: AtomicU64::new(0),
            late: AtomicU64::new(0),
        })
    }

    fn create(db: &DB, settings: &rocksdb::Options) -> std::result::Result<Deadlines, String> {
        let mut family = ptr::null_mut();
        call_cpp(|text, capacity| {
            // SAFETY: the database and the options are live, and `text` is writable for `capacity`
            // bytes.
            #[allow(unsafe_code)]
            signals::blocked(|| unsafe {
                let (db, settings) = (db.as_raw_ptr(), settings.as_raw_ptr());
                kvds_rocksdb_create_deadlines(db, settings, &raw mut family, text, capacity)
            })
        })?;
        let [swept, late] = [(); 2].map(|()| AtomicU64::new(0));
        Ok(Deadlines { family, is_owned: true, swept, late })
    }
}

/// Lets the log grow as far as two memtables need it. Without that the store works, with many small
/// tables.
pub fn allow_longer_log(db: &DB) {
    let allowed = call_cpp(|text, capacity| {
        // SAFETY: the database is live, and `text` is writable for `capacity` bytes.
        #[allow(unsafe_code)]
        unsafe {
            kvds_rocksdb_allow_longer_log(db.as_raw_ptr(), text, capacity)
        }
    });
    if let Err(text) = allowed {
        log::line(Level::Warn, || format!("the log is kept short: {text}"));
    }
}

pub fn by_key(key: &[u8]) -> Vec<u8> {
    [b"k", key].concat()
}

fn by_deadline(deadline: u64, key: &[u8]) -> Vec<u8> {
    [b"d", &deadline.to_be_bytes()[..], key].concat()
}

/// Returns the deadline and the key of a `d` entry.
fn parse(entry: &[u8]) -> Option<(u64, &[u8])> {
    let (deadline, key) = entry.strip_prefix(b"d")?.split_first_chunk()?;
    Some((u64::from_be_bytes(*deadline), key))
}

/// Returns the deadline that is stored as these bytes.
pub fn stored(value: &[u8]) -> u64 {
    value.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// Adds the deadline of `key` to a batch.
pub fn put(batch: &mut rocksdb::WriteBatch, family: &Deadlines, deadline: u64, key: &[u8]) {
    batch.put_cf(family, by_key(key), deadline.to_be_bytes());
    batch.put_cf(family, by_deadline(deadline, key), b"");
}

/// Returns the bounds of the keys whose deadlines are between two entries. Entries in the order of
/// the deadlines belong to any key.
pub fn keys_between<'a>(
    first: Option<&'a [u8]>,
    last: Option<&'a [u8]>,
) -> (Option<&'a [u8]>, Option<&'a [u8]>) {
    let key = |entry: &'a [u8]| entry.strip_prefix(b"k");
    match (first.map(key), last.map(key)) {
        (Some(Some(first)), last) => (Some(first), last.flatten()),
        _ => (None, None),
    }
}

/// A write to one of the two column families.
enum Row<'a> {
    Put(&'a [u8], &'a [u8]),
    Delete(&'a [u8]),
    DeleteRange(&'a [u8], &'a [u8]),
    PutDeadline(Vec<u8>, Vec<u8>),
    DeleteDeadline(Vec<u8>),
    DeleteDeadlines(Vec<u8>, Vec<u8>),
}

/// The writes of a batch, with those of the deadlines that it changes.
pub struct Rows<'a>(Vec<Row<'a>>);

impl Rows<'_> {
    /// Reports that the database has these rows.
    pub fn after_write(&self, deadlines: Option<&Deadlines>) {
        let Some(deadlines) = deadlines else { return };
        let deadline = |row: &Row<'_>| match row {
            Row::PutDeadline(entry, _) => parse(entry).map(|(deadline, _)| deadline),
            _ => None,
        };
        if let Some(earliest) = self.0.iter().filter_map(deadline).min() {
            deadlines.late.fetch_min(earliest, SeqCst);
        }
    }

    pub fn batch(&self, deadlines: Option<&Deadlines>) -> rocksdb::WriteBatch {
        let mut writes = rocksdb::WriteBatch::default();
        for row in &self.0 {
            match (row, deadlines) {
                (Row::Put(key, value), _) => writes.put(key, value),
                (Row::Delete(key), _) => writes.delete(key),
                (Row::DeleteRange(start, end), _) => writes.delete_range(*start, *end),
                (Row::PutDeadline(key, value), Some(family)) => writes.put_cf(family, key, value),
                (Row::DeleteDeadline(key), Some(family)) => writes.delete_cf(family, key),
                (Row::DeleteDeadlines(start, end), Some(family)) => {
                    writes.delete_range_cf(family, start, end);
                }
                // Without deadlines there are no such rows.
                (_, None) => {}
            }
        }
        writes
    }
}

/// A key as the operations of a batch before leave it.
#[derive(Clone, Copy)]
struct KeyState<'a> {
    /// `None` if only the database knows it.
    value: Option<Option<&'a [u8]>>,
    /// 0 for none.
    deadline: u64,
}

impl Disk {
    /// Returns the deadlines, which are created if there are none.
    pub(super) fn create_deadlines(&self, db: &DB, writer: &Writer) -> Result<()> {
        let _creating = writer.creating_deadlines.lock();
        if self.open.deadlines.get().is_some() {
            return Ok(());
        }
        // Writers wait for this, and then see the deadlines.
        let _all = writer.key_locks.lock_everything();
        if writer.durability == Durability::None {
            // What comes next is in the log, and what was before is not.
            let flush = |db: &DB| db.flush();
            let error_recovery = &self.open.error_recovery;
            error_recovery.retry_apart_from_resume(db, "cannot keep deadlines", flush)?;
        }
        let deadlines = Deadlines::create(db, &writer.settings)
            .map_err(|text| io_error("cannot keep deadlines", &self.path, text))?;
        allow_longer_log(db);
        self.open.deadlines.get_or_init(|| deadlines);
        Ok(())
    }

    /// Returns the deadline of `key`; 0 for none.
    pub(super) fn deadline(&self, db: &DB, key: &[u8], options: &ReadOptions) -> Result<u64> {
        let Some(deadlines) = self.open.deadlines.get() else { return Ok(0) };
        let found = db
            .get_pinned_cf_opt(deadlines, by_key(key), options)
            .map_err(|cause| self.error("cannot read a deadline", cause))?;
        Ok(found.as_deref().map_or(0, stored))
    }

    /// Returns the writes of `operations`, and adds them to what is published. The keys are locked.
    pub(super) fn rows<'a>(
        &self,
        db: &DB,
        writer: &Writer,
        operations: &[Operation<'a>],
        mut published: Option<&mut Published>,
    ) -> Result<Rows<'a>> {
        let mut rows = Vec::with_capacity(operations.len());
        let mut keys: HashMap<&[u8], KeyState<'_>> = HashMap::new();
        let mut ranges: Vec<Range> = Vec::new();
        for operation in operations {
            let key = match *operation {
                Operation::DeleteRange { start, end } => {
                    let behind = end.unwrap_or(&BEHIND_ALL);
                    // RocksDB would log a range that ends before it begins, and then halt
                    // permanently.
                    if start < behind {
                        rows.push(Row::DeleteRange(start, behind));
                        let behind = end.map_or_else(|| b"l".to_vec(), by_key);
                        rows.push(Row::DeleteDeadlines(by_key(start), behind));
                        let range = Range { start: start.to_vec(), end: end.map(<[u8]>::to_vec) };
                        keys.retain(|key, _| !range.contains(key));
                        ranges.push(range);
                        if let Some(published) = &mut published {
                            published.add(operation, |_| None::<&[u8]>);
                        }
                    }
                    continue;
                }
                _ => operation.key().unwrap_or_default(),
            };
            let state = match keys.get(key) {
                Some(state) => *state,
                None if ranges.iter().any(|range| range.contains(key)) => {
                    KeyState { value: Some(None), deadline: 0 }
                }
                None => {
                    let deadline = self.deadline(db, key, &self.read_options)?;
                    KeyState { value: None, deadline }
                }
            };
            let (value, deadline) = match *operation {
                Operation::Set { value, .. } => (Some(Some(value)), 0),
                Operation::SetTtl { value, ttl, .. } => (Some(Some(value)), clock::after(ttl)),
                Operation::Expire { ttl, .. } => {
                    let stored;
                    let value = match state.value {
                        Some(value) => value,
                        None => {
                            stored = self.find_hashed(writer, key, writer.hasher.hash(key))?;
                            stored.as_deref()
                        }
                    };
                    if value.is_none() {
                        continue;
                    }
                    if let Some(published) = &mut published {
                        published.add(operation, |_| value);
                    }
                    (state.value, ttl.map_or(0, clock::after))
                }
                _ => (Some(None), 0),
            };
            match *operation {
                Operation::Set { value, .. } | Operation::SetTtl { value, .. } => {
                    rows.push(Row::Put(key, value));
                }
                Operation::Delete { .. } => rows.push(Row::Delete(key)),
                _ => {}
            }
            if let Some(published) = &mut published
                && !matches!(operation, Operation::Expire { .. })
            {
                published.add(operation, |_| None::<&[u8]>);
            }
            if state.deadline != 0 && state.deadline != deadline {
                rows.push(Row::DeleteDeadline(by_deadline(state.deadline, key)));
            }
            if deadline != 0 {
                rows.push(Row::PutDeadline(by_key(key), deadline.to_be_bytes().into()));
                rows.push(Row::PutDeadline(by_deadline(deadline, key), Vec::new()));
            } else if state.deadline != 0 {
                rows.push(Row::DeleteDeadline(by_key(key)));
            }
            keys.insert(key, KeyState { value, deadline });
        }
        Ok(Rows(rows))
    }

    /// Deletes every key whose deadline is not after `now`.
    pub(super) fn expire_all(&self, now: u64) {
        // Each step deletes what the next one would find, or is the last.
        while Expiring::expire(self, now) {}
    }

    /// Returns up to [`STEP`] entries whose deadline is not before `from` and not after `now`.
    fn due(
        &self,
        db: &DB,
        deadlines: &Deadlines,
        from: u64,
        now: u64,
    ) -> Result<Vec<(u64, Box<[u8]>)>> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(by_deadline(now + 1, b""));
        let mut iterator = db.raw_iterator_cf_opt(deadlines, options);
        iterator.seek(by_deadline(from, b""));
        let mut due = Vec::new();
        while due.len() < STEP
            && let Some((deadline, key)) = iterator.key().and_then(parse)
        {
            due.push((deadline, key.into()));
            iterator.next();
        }
        iterator.status().map_err(|cause| self.error("cannot read the deadlines", cause))?;
        Ok(due)
    }

    /// Deletes those of the keys that are not locked and still have this deadline. Returns the
    /// earliest deadline of a locked one.
    fn delete_expired(
        &self,
        db: &DB,
        writer: &Writer,
        deadlines: &Deadlines,
        due: &[(u64, Box<[u8]>)],
    ) -> Result<Option<u64>> {
        let hashes: Vec<_> = due.iter().map(|(_, key)| writer.hasher.hash(key)).collect();
        let Some((guard, is_locked)) = writer.key_locks.try_lock_keys(&hashes) else {
            return Ok(due.first().map(|(deadline, _)| *deadline));
        };
        let (mut rows, mut expired, mut missed) = (Vec::new(), Vec::new(), None);
        for (((deadline, key), hash), is_locked) in due.iter().zip(&hashes).zip(is_locked) {
            if !is_locked {
                missed = missed.or(Some(*deadline));
                continue;
            }
            rows.push(Row::DeleteDeadline(by_deadline(*deadline, key)));
            if self.deadline(db, key, &self.read_options)? == *deadline {
                rows.push(Row::DeleteDeadline(by_key(key)));
                rows.push(Row::Delete(key));
                expired.push((&**key, *hash));
            }
        }
        if rows.is_empty() {
            return Ok(missed);
        }
        let rows = Rows(rows);
        let changed: Vec<_> = expired.iter().map(|(_, hash)| *hash).collect();
        let write = writer.rows.begin_batch(&changed);
        self.open.error_recovery.retry(db, "cannot delete expired keys", |db| {
            db.write_opt(rows.batch(Some(deadlines)), &writer.logged)
        })?;
        drop(write);
        if writer.feed.is_watched() {
            for (key, _) in &expired {
                writer.feed.publish_one(&Operation::Delete { key });
            }
        }
        drop(guard);
        self.after_write(db, expired.len(), expired.len() as u64, false);
        Ok(missed)
    }

    fn expire_step(&self, now: u64) -> Result<bool> {
        let (db, writer) = (self.db()?, self.writer()?);
        let Some(deadlines) = self.open.deadlines.get() else { return Ok(false) };
        // Before the search, which finds all that was written before.
        let late = deadlines.late.swap(u64::MAX, SeqCst);
        let from = late.min(deadlines.swept.load(Relaxed));
        let expired = self.expire_from(db, writer, deadlines, from, now);
        if expired.is_err() {
            deadlines.late.fetch_min(late, SeqCst);
        }
        expired
    }

    fn expire_from(
        &self,
        db: &DB,
        writer: &Writer,
        deadlines: &Deadlines,
        from: u64,
        now: u64,
    ) -> Result<bool> {
        let due = self.due(db, deadlines, from, now)?;
        let (mut earliest_missed, mut missed_chunks) = (None, 0);
        let chunks = due.chunks(CHUNK).len();
        for chunk in due.chunks(CHUNK) {
            let missed = self.delete_expired(db, writer, deadlines, chunk)?;
            earliest_missed = earliest_missed.or(missed);
            missed_chunks += usize::from(missed.is_some());
        }
        let last = due.last().map_or(now, |(deadline, _)| *deadline);
        deadlines.swept.store(earliest_missed.unwrap_or(last), Relaxed);
        Ok(due.len() == STEP && missed_chunks < chunks)
    }
}

impl Expiring for Disk {
    fn expire(&self, now: u64) -> bool {
        self.expire_step(now).unwrap_or_else(|error| {
            log::line(Level::Warn, || format!("expired keys stay for now: {error}"));
            false
        })
    }
}
