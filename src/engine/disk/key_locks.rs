//! Locks of keys, so that a check and the write that depends on it are one step.
//!
//! The hash of a key selects a stripe. A plain write shares the stripe of its key; a conditional
//! write has it exclusively. So no plain write comes between a check and its write, and plain
//! writes never wait for each other.
//!
//! A batch that deletes a range locks that range, and its other keys as ranges of one key.
//! Overlapping range locks are granted in the order of the requests. A writer of keys first locks
//! its stripes and then looks for range locks. If one overlaps, it unlocks the stripes and requests
//! a range lock itself. The owner of a range lock locks and unlocks every stripe once, which waits
//! for the writers that came before. So no other writer writes in a locked range. Writers of other
//! keys do not wait, even while the write of the range is synced.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::key_hash::KeyHash;
use crate::batch::{Operation, WriteBatch};
use crate::engine::Range;

const STRIPES: usize = 256;

/// The locks of one store.
pub struct KeyLocks {
    stripes: [RwLock<()>; STRIPES],
    /// The number of range locks, granted or requested. Changed under the lock of `ranges`.
    range_locks: AtomicUsize,
    ranges: Mutex<RangeLocks>,
    range_unlocked: Condvar,
}

/// The range locks that are granted or requested, in the order of the requests.
#[derive(Default)]
struct RangeLocks {
    next_id: u64,
    locks: Vec<RangeLock>,
}

struct RangeLock {
    id: u64,
    ranges: Vec<Range>,
}

/// How a write locks a stripe. Exclusive is the greater of the two.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// With other plain writes.
    Shared,
    /// Alone, to check a key before the write.
    Exclusive,
}

/// The locked keys of a write. Dropping it unlocks them.
#[must_use = "dropping it unlocks the keys"]
pub enum KeyGuard<'a> {
    Shared(#[allow(dead_code, reason = "held")] RwLockReadGuard<'a, ()>),
    Exclusive(#[allow(dead_code, reason = "held")] RwLockWriteGuard<'a, ()>),
    Stripes(#[allow(dead_code, reason = "held")] Vec<KeyGuard<'a>>),
    Ranges(#[allow(dead_code, reason = "held")] RangeGuard<'a>),
}

/// A granted range lock.
pub struct RangeGuard<'a> {
    key_locks: &'a KeyLocks,
    id: u64,
}

impl Drop for RangeGuard<'_> {
    fn drop(&mut self) {
        let mut ranges = self.key_locks.ranges.lock();
        ranges.locks.retain(|lock| lock.id != self.id);
        self.key_locks.range_locks.store(ranges.locks.len(), Ordering::Relaxed);
        drop(ranges);
        self.key_locks.range_unlocked.notify_all();
    }
}

impl RangeLocks {
    /// Returns whether a lock that was requested before `id` overlaps one of `ranges`.
    fn overlap(&self, ranges: &[Range], id: u64) -> bool {
        let earlier =
            self.locks.iter().take_while(|lock| lock.id < id).flat_map(|lock| &lock.ranges);
        earlier.into_iter().any(|one| ranges.iter().any(|other| one.overlaps(other)))
    }

    fn contain(&self, key: &[u8]) -> bool {
        self.locks.iter().flat_map(|lock| &lock.ranges).any(|range| range.contains(key))
    }
}

impl KeyLocks {
    /// Creates the locks, all unlocked.
    pub fn new() -> KeyLocks {
        KeyLocks {
            stripes: [const { RwLock::new(()) }; STRIPES],
            range_locks: AtomicUsize::new(0),
            ranges: Mutex::default(),
            range_unlocked: Condvar::new(),
        }
    }

    /// Locks one key.
    #[inline]
    pub fn lock_key(&self, key: &[u8], hash: KeyHash, access: Access) -> KeyGuard<'_> {
        let guard = self.lock_stripe(hash.stripe(STRIPES), access);
        if self.has_no_range_locks() || !self.in_locked_range([key]) {
            return guard;
        }
        drop(guard);
        self.lock_ranges(vec![Range::one(key)])
    }

    /// Locks the keys of a batch without ranges, whose hashes come in the order of the keys. Those
    /// that it changes are locked with `access`.
    pub fn lock_batch(
        &self,
        batch: &WriteBatch<'_>,
        expected: &[KeyHash],
        changed: &[KeyHash],
        access: Access,
    ) -> KeyGuard<'_> {
        let mut accesses = [None; STRIPES];
        for hash in changed {
            accesses[hash.stripe(STRIPES)] = Some(access);
        }
        for hash in expected {
            accesses[hash.stripe(STRIPES)] = Some(Access::Exclusive);
        }
        // In ascending order, so that no two writers wait for each other.
        let stripes = accesses.iter().enumerate();
        let stripes =
            stripes.filter_map(|(index, access)| Some(self.lock_stripe(index, (*access)?)));
        let guard = KeyGuard::Stripes(stripes.collect());
        if self.has_no_range_locks() || !self.in_locked_range(batch.keys()) {
            return guard;
        }
        drop(guard);
        self.lock_ranges(batch.keys().map(Range::one).collect())
    }

    /// Locks the ranges of a batch, and its keys as ranges of one key.
    pub fn lock_range_batch(&self, batch: &WriteBatch<'_>) -> KeyGuard<'_> {
        let ranges = batch.operations.iter().filter_map(|operation| match operation {
            Operation::DeleteRange { start, end } => {
                Some(Range { start: start.to_vec(), end: end.map(<[u8]>::to_vec) })
            }
            _ => None,
        });
        self.lock_ranges(batch.keys().map(Range::one).chain(ranges).collect())
    }

    /// Locks all keys, after the writers that came before.
    pub fn lock_everything(&self) -> KeyGuard<'_> {
        self.lock_ranges(vec![Range::prefix(b"")])
    }

    /// Locks the keys with these hashes exclusively, as far as that does not wait. Returns which
    /// ones are locked, or `None` if none is because of a range lock.
    pub fn try_lock_keys(&self, hashes: &[KeyHash]) -> Option<(KeyGuard<'_>, Vec<bool>)> {
        let mut locked = [false; STRIPES];
        let mut guards = Vec::new();
        for hash in hashes {
            let stripe = hash.stripe(STRIPES);
            if !locked[stripe]
                && let Some(guard) = self.stripes[stripe].try_write()
            {
                locked[stripe] = true;
                guards.push(KeyGuard::Exclusive(guard));
            }
        }
        // After the stripes, as in `lock_key`.
        let is_locked = hashes.iter().map(|hash| locked[hash.stripe(STRIPES)]).collect();
        self.has_no_range_locks().then(|| (KeyGuard::Stripes(guards), is_locked))
    }

    fn lock_stripe(&self, index: usize, access: Access) -> KeyGuard<'_> {
        match access {
            Access::Shared => KeyGuard::Shared(self.stripes[index].read()),
            Access::Exclusive => KeyGuard::Exclusive(self.stripes[index].write()),
        }
    }

    /// Returns whether no range lock matters to a writer that holds its stripes.
    fn has_no_range_locks(&self) -> bool {
        // Relaxed: a range lock that this misses is granted after the stripes are unlocked.
        self.range_locks.load(Ordering::Relaxed) == 0
    }

    #[cold]
    fn in_locked_range<'a>(&self, keys: impl IntoIterator<Item = &'a [u8]>) -> bool {
        let ranges = self.ranges.lock();
        keys.into_iter().any(|key| ranges.contain(key))
    }

    #[cold]
    fn lock_ranges(&self, wanted: Vec<Range>) -> KeyGuard<'_> {
        let mut ranges = self.ranges.lock();
        let id = ranges.next_id;
        ranges.next_id += 1;
        ranges.locks.push(RangeLock { id, ranges: wanted.clone() });
        self.range_locks.store(ranges.locks.len(), Ordering::Relaxed);
        let guard = RangeGuard { key_locks: self, id };
        while ranges.overlap(&wanted, id) {
            self.range_unlocked.wait(&mut ranges);
        }
        drop(ranges);
        for stripe in &self.stripes {
            drop(stripe.write());
        }
        KeyGuard::Ranges(guard)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{LazyLock, mpsc};
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::batch::Expectation;
    use crate::engine::disk::key_hash::KeyHasher;

    const IN_RANGE: [Operation<'_>; 1] = [Operation::Set { key: b"b1", value: b"" }];
    const OUTSIDE: [Operation<'_>; 1] = [Operation::Set { key: b"c", value: b"" }];
    const RANGE: [Operation<'_>; 1] = [Operation::DeleteRange { start: b"b", end: Some(b"c") }];

    fn plain<'a>(operations: &'a [Operation<'a>]) -> WriteBatch<'a> {
        WriteBatch { expectations: &[], operations }
    }

    /// Locks a batch as the engine does.
    fn lock<'a>(key_locks: &'a KeyLocks, batch: &WriteBatch<'_>) -> KeyGuard<'a> {
        static HASHER: LazyLock<KeyHasher> = LazyLock::new(KeyHasher::default);
        if let Some(single) = batch.as_single() {
            let access =
                if single.expectations.is_empty() { Access::Shared } else { Access::Exclusive };
            return key_locks.lock_key(single.key, HASHER.hash(single.key), access);
        }
        if batch.has_range() {
            return key_locks.lock_range_batch(batch);
        }
        let hashes: Vec<_> = batch.keys().map(|key| HASHER.hash(key)).collect();
        let (expected, changed) = hashes.split_at(batch.expectations.len());
        key_locks.lock_batch(batch, expected, changed, Access::Shared)
    }

    /// Locks `batch` on another thread while `guard` is held. Returns whether it had to wait.
    fn waits<'a>(key_locks: &'a KeyLocks, guard: KeyGuard<'a>, batch: WriteBatch<'_>) -> bool {
        thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            scope.spawn(move || {
                drop(lock(key_locks, &batch));
                // The receiver is gone if the test has failed.
                let _ = sender.send(());
            });
            let waited = receiver.recv_timeout(Duration::from_millis(100)).is_err();
            drop(guard);
            if waited {
                receiver.recv().expect("the lock is granted in the end");
            }
            waited
        })
    }

    /// A key that is written between the listing of a range and its deletion would survive it.
    #[test]
    fn a_locked_range_excludes_other_writers() {
        let key_locks = KeyLocks::new();
        let with_range = || lock(&key_locks, &plain(&RANGE));
        assert!(waits(&key_locks, with_range(), plain(&IN_RANGE)));
        assert!(
            waits(&key_locks, lock(&key_locks, &plain(&IN_RANGE)), plain(&RANGE)),
            "a range lock waits for earlier writers"
        );
        let expectations = [Expectation::Absent { key: b"b2" }];
        let conditional = WriteBatch { expectations: &expectations, operations: &IN_RANGE };
        assert!(waits(&key_locks, with_range(), conditional));
        assert!(waits(&key_locks, with_range(), plain(&RANGE)));
        let wider = [Operation::DeleteRange { start: b"", end: None }];
        assert!(waits(&key_locks, with_range(), plain(&wider)));
    }

    #[test]
    fn a_locked_range_does_not_block_other_keys() {
        let key_locks = KeyLocks::new();
        let other = [Operation::DeleteRange { start: b"c", end: None }];
        for batch in [plain(&OUTSIDE), plain(&other)] {
            let guard = lock(&key_locks, &plain(&RANGE));
            drop(lock(&key_locks, &batch));
            drop(guard);
        }
    }

    #[test]
    fn every_writer_of_a_range_gets_the_lock_exclusively() {
        let key_locks = KeyLocks::new();
        let inside = AtomicUsize::new(0);
        thread::scope(|scope| {
            for operations in [&RANGE, &RANGE, &IN_RANGE, &IN_RANGE] {
                let (key_locks, inside) = (&key_locks, &inside);
                let expectations: &[_] = &[Expectation::Absent { key: b"b1" }];
                scope.spawn(move || {
                    for _ in 0..2000 {
                        let guard = lock(key_locks, &WriteBatch { expectations, operations });
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
                        drop(guard);
                    }
                });
            }
        });
    }
}
