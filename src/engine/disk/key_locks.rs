//! Locks by key, so that a check and the write that depends on it are one step.
//!
//! A key belongs to the stripe that its hash says. Whoever writes a key without a condition shares
//! the key's stripe with others like it; whoever checks a key before writing has the stripe alone.
//! So a plain write cannot slip between a check and its write, plain writes never wait for each
//! other, and unrelated checks seldom do.
//!
//! A batch that deletes a range locks the range instead, and its other keys as ranges of one key.
//! Range locks that overlap are granted in the order in which they were asked for. A writer looks
//! for range locks after it has locked its key_locks; if one overlaps, it releases the key_locks
//! and asks for a range lock itself. Whoever has a range lock then locks and releases each stripe
//! once, which waits for the writers that came before it. So nobody else writes in a locked range,
//! and writers of other keys go on, also while the write of the range is synced.

use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::batch::{Operation, WriteBatch};
use crate::engine::Range;

const STRIPES: usize = 256;

/// The locks.
pub struct KeyLocks {
    key_locks: [RwLock<()>; STRIPES],
    /// How many range locks are granted or waited for. Changed under the lock of `ranges`.
    range_locks: AtomicUsize,
    ranges: Mutex<RangeLocks>,
    range_unlocked: Condvar,
}

/// The range locks that are granted or waited for, in the order in which they were asked for.
#[derive(Default)]
struct RangeLocks {
    next_id: u64,
    locks: Vec<RangeLock>,
}

struct RangeLock {
    id: u64,
    ranges: Vec<Range>,
}

/// A lock that is held until this is dropped.
#[must_use = "it unlocks when it is dropped"]
pub enum Held<'a> {
    /// With other plain writers.
    Shared(#[allow(dead_code, reason = "held")] RwLockReadGuard<'a, ()>),
    /// Alone.
    Alone(#[allow(dead_code, reason = "held")] RwLockWriteGuard<'a, ()>),
    /// Several key_locks.
    Several(#[allow(dead_code, reason = "held")] Vec<Held<'a>>),
    /// Ranges.
    Ranges(#[allow(dead_code, reason = "held")] RangeGuard<'a>),
}

/// A range lock.
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
    /// Whether a lock that was asked for before `id` overlaps one of `ranges`.
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
    /// None held.
    pub fn new() -> KeyLocks {
        KeyLocks {
            key_locks: [const { RwLock::new(()) }; STRIPES],
            range_locks: AtomicUsize::new(0),
            ranges: Mutex::default(),
            range_unlocked: Condvar::new(),
        }
    }

    /// Locks what `batch` checks and writes.
    pub fn lock(&self, batch: &WriteBatch<'_>) -> Held<'_> {
        if batch.operations.iter().any(|operation| operation.key().is_none()) {
            return self.lock_ranges(batch);
        }
        let held = self.lock_keys(batch);
        // Relaxed: a range lock that this does not see is granted after this stripe is released.
        if self.range_locks.load(Ordering::Relaxed) == 0 || !self.in_locked_range(batch) {
            return held;
        }
        drop(held);
        self.lock_ranges(batch)
    }

    #[cold]
    fn in_locked_range(&self, batch: &WriteBatch<'_>) -> bool {
        let ranges = self.ranges.lock();
        batch.keys().any(|key| ranges.contain(key))
    }

    /// Locks the ranges of `batch`, and its keys as ranges.
    fn lock_ranges(&self, batch: &WriteBatch<'_>) -> Held<'_> {
        let of_batch = batch.operations.iter().filter_map(|operation| match operation {
            Operation::DeleteRange { start, end } => {
                Some(Range { start: start.to_vec(), end: end.map(<[u8]>::to_vec) })
            }
            _ => None,
        });
        let wanted: Vec<_> = batch.keys().map(Range::one).chain(of_batch).collect();
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
        for stripe in &self.key_locks {
            drop(stripe.write());
        }
        Held::Ranges(guard)
    }

    /// Locks the key_locks of the keys of `batch`.
    fn lock_keys(&self, batch: &WriteBatch<'_>) -> Held<'_> {
        match (batch.expectations, batch.operations) {
            ([], [Operation::Set { key, .. } | Operation::Delete { key }]) => {
                self.share(stripe(key))
            }
            ([expectation], [operation]) if operation.key() == Some(expectation.key()) => {
                self.take(stripe(expectation.key()))
            }
            (expectations, operations) => {
                #[derive(Clone, Copy, PartialEq, Eq)]
                enum Want {
                    Nothing,
                    Share,
                    Take,
                }
                let mut wants = [Want::Nothing; STRIPES];
                for key in operations.iter().filter_map(Operation::key) {
                    wants[stripe(key)] = Want::Share;
                }
                for expectation in expectations {
                    wants[stripe(expectation.key())] = Want::Take;
                }
                // Always in the order of their numbers, so that no two writers wait for each other.
                let held = wants.iter().enumerate().filter_map(|(index, want)| match want {
                    Want::Nothing => None,
                    Want::Share => Some(self.share(index)),
                    Want::Take => Some(self.take(index)),
                });
                Held::Several(held.collect())
            }
        }
    }

    fn share(&self, index: usize) -> Held<'_> {
        Held::Shared(self.key_locks[index].read())
    }

    fn take(&self, index: usize) -> Held<'_> {
        Held::Alone(self.key_locks[index].write())
    }
}

fn stripe(key: &[u8]) -> usize {
    let mut hasher = DefaultHasher::new();
    hasher.write(key);
    hasher.finish() as usize % STRIPES
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::batch::Expectation;

    const IN_RANGE: [Operation<'_>; 1] = [Operation::Set { key: b"b1", value: b"" }];
    const OUTSIDE: [Operation<'_>; 1] = [Operation::Set { key: b"c", value: b"" }];
    const RANGE: [Operation<'_>; 1] = [Operation::DeleteRange { start: b"b", end: Some(b"c") }];

    fn plain<'a>(operations: &'a [Operation<'a>]) -> WriteBatch<'a> {
        WriteBatch { expectations: &[], operations }
    }

    /// Locks `batch` on another thread while `held` is held. Returns whether it had to wait.
    fn waits<'a>(key_locks: &'a KeyLocks, held: Held<'a>, batch: WriteBatch<'_>) -> bool {
        thread::scope(|scope| {
            let (tell, told) = mpsc::channel();
            scope.spawn(move || {
                drop(key_locks.lock(&batch));
                // The receiver is gone if the test has failed.
                let _ = tell.send(());
            });
            let waited = told.recv_timeout(Duration::from_millis(100)).is_err();
            drop(held);
            if waited {
                told.recv().expect("it gets the lock in the end");
            }
            waited
        })
    }

    /// A key that is written between the listing of a range and its deletion would survive it.
    #[test]
    fn nobody_writes_in_a_locked_range() {
        let key_locks = KeyLocks::new();
        assert!(waits(&key_locks, key_locks.lock(&plain(&RANGE)), plain(&IN_RANGE)));
        assert!(
            waits(&key_locks, key_locks.lock(&plain(&IN_RANGE)), plain(&RANGE)),
            "also who came before"
        );
        let expectations = [Expectation::Absent { key: b"b2" }];
        let checked = WriteBatch { expectations: &expectations, operations: &IN_RANGE };
        assert!(waits(&key_locks, key_locks.lock(&plain(&RANGE)), checked));
        assert!(waits(&key_locks, key_locks.lock(&plain(&RANGE)), plain(&RANGE)));
        let wider = [Operation::DeleteRange { start: b"", end: None }];
        assert!(waits(&key_locks, key_locks.lock(&plain(&RANGE)), plain(&wider)));
    }

    #[test]
    fn other_keys_are_written_beside_a_locked_range() {
        let key_locks = KeyLocks::new();
        let other = [Operation::DeleteRange { start: b"c", end: None }];
        for batch in [plain(&OUTSIDE), plain(&other)] {
            let held = key_locks.lock(&plain(&RANGE));
            drop(key_locks.lock(&batch));
            drop(held);
        }
    }

    /// Everybody gets a turn, and everybody who has one is alone.
    #[test]
    fn range_locks_are_granted_one_after_the_other() {
        let key_locks = KeyLocks::new();
        let inside = AtomicUsize::new(0);
        thread::scope(|scope| {
            for batch in [&RANGE, &RANGE, &IN_RANGE, &IN_RANGE] {
                let (key_locks, inside) = (&key_locks, &inside);
                let expectations: &[_] = &[Expectation::Absent { key: b"b1" }];
                scope.spawn(move || {
                    for _ in 0..2000 {
                        let held = key_locks.lock(&WriteBatch { expectations, operations: batch });
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
                        drop(held);
                    }
                });
            }
        });
    }
}
