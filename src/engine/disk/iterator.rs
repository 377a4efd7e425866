//! Iterators over the visible pairs of a database: see iterator.cc.

use std::ptr::{self, NonNull};

use librocksdb_sys::rocksdb_t;
use rocksdb::{AsRawPtr, DB};

use super::errors;
use crate::engine::Range;

/// How an iterator moves. The same numbers are in iterator.cc.
#[derive(Clone, Copy, Debug)]
pub enum Move<'a> {
    First,
    Last,
    /// To the first key that is this one or greater.
    Seek(&'a [u8]),
    /// From a pair to the next one.
    Next,
    /// From a pair to the previous one.
    Previous,
}

/// An iterator. It is dropped before its database.
pub struct Iterator {
    raw: NonNull<VisiblePairs>,
    /// The current pair, which the iterator holds until the next move.
    pair: Option<Pair>,
}

/// The bytes of a key and a value.
#[repr(C)]
struct Pair {
    key: *const u8,
    key_len: usize,
    value: *const u8,
    value_len: usize,
}

/// The iterator in iterator.cc.
#[repr(C)]
struct VisiblePairs {
    _opaque: [u8; 0],
}

// See iterator.cc.
#[allow(unsafe_code)]
unsafe extern "C" {
    fn kvds_rocksdb_iterator_new(
        db: *mut rocksdb_t,
        snapshot: u64,
        lower: *const u8,
        lower_len: usize,
        upper: *const u8,
        upper_len: usize,
    ) -> NonNull<VisiblePairs>;
    fn kvds_rocksdb_iterator_free(iterator: NonNull<VisiblePairs>);
    fn kvds_rocksdb_iterator_move(
        iterator: NonNull<VisiblePairs>,
        how: i32,
        key: *const u8,
        key_len: usize,
        pair: *mut Pair,
    ) -> bool;
    fn kvds_rocksdb_iterator_error(
        iterator: NonNull<VisiblePairs>,
        text: *mut u8,
        capacity: usize,
    ) -> usize;
}

// SAFETY: the iterator and its bytes may change threads, and a shared reference only reads them.
#[allow(unsafe_code)]
unsafe impl Send for Iterator {}

/// RocksDB's number for the current state of a database.
const CURRENT: u64 = (1 << 56) - 1;

impl Iterator {
    /// Creates an iterator over `range` in the state at a sequence number, which a snapshot holds,
    /// or else in the current state.
    pub fn new(db: &DB, range: &Range, snapshot: Option<u64>) -> Iterator {
        let (lower, upper) = (&range.start, &range.end);
        // SAFETY: the database is open, and the iterator copies the bounds.
        #[allow(unsafe_code)]
        let raw = unsafe {
            kvds_rocksdb_iterator_new(
                db.as_raw_ptr(),
                snapshot.unwrap_or(CURRENT),
                lower.as_ptr(),
                lower.len(),
                upper.as_ref().map_or(ptr::null(), |upper| upper.as_ptr()),
                upper.as_ref().map_or(0, Vec::len),
            )
        };
        Iterator { raw, pair: None }
    }

    /// Moves. Returns the text of RocksDB's error, if there is one; then the iterator is on no
    /// pair.
    ///
    /// An iterator that is on no pair cannot move to the next or previous one, and stays there.
    pub fn go(&mut self, how: Move<'_>) -> Result<(), String> {
        let (number, key) = match how {
            Move::First => (0, &[][..]),
            Move::Last => (1, &[][..]),
            Move::Seek(key) => (2, key),
            Move::Next | Move::Previous if self.pair.is_none() => return Ok(()),
            Move::Next => (3, &[][..]),
            Move::Previous => (4, &[][..]),
        };
        let mut pair = Pair { key: ptr::null(), key_len: 0, value: ptr::null(), value_len: 0 };
        // SAFETY: the iterator is live, and no reference to its bytes is.
        #[allow(unsafe_code)]
        let found = unsafe {
            kvds_rocksdb_iterator_move(self.raw, number, key.as_ptr(), key.len(), &raw mut pair)
        };
        self.pair = found.then_some(pair);
        if found {
            return Ok(());
        }
        // SAFETY: the iterator is live, and the text has this capacity.
        #[allow(unsafe_code)]
        errors::call_cpp(|text, capacity| unsafe {
            kvds_rocksdb_iterator_error(self.raw, text, capacity)
        })
    }

    /// Returns the current pair.
    #[inline]
    pub fn pair(&self) -> Option<(&[u8], &[u8])> {
        // SAFETY: the bytes are valid until the next move, which needs an exclusive reference. An
        // iterator's slices are never null.
        #[allow(unsafe_code)]
        self.pair.as_ref().map(|pair| unsafe {
            (
                std::slice::from_raw_parts(pair.key, pair.key_len),
                std::slice::from_raw_parts(pair.value, pair.value_len),
            )
        })
    }
}

impl Drop for Iterator {
    fn drop(&mut self) {
        // SAFETY: freed once, here, before its database is closed.
        #[allow(unsafe_code)]
        unsafe {
            kvds_rocksdb_iterator_free(self.raw);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rocksdb::{DBRawIterator, Options, ReadOptions};

    use super::*;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    /// A random number below a bound, from a fixed seed (SplitMix64).
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            (mixed ^ (mixed >> 31)) % bound
        }

        /// One of a few keys, also the empty one, and prefixes of others.
        fn key(&mut self) -> Vec<u8> {
            let len = self.below(4) as usize;
            (0..len).map(|_| b'a' + self.below(3) as u8).collect()
        }
    }

    fn write(db: &DB, dice: &mut Dice) -> Outcome {
        let key = dice.key();
        match dice.below(20) {
            0 => {
                let other = dice.key();
                let mut batch = rocksdb::WriteBatch::default();
                batch.delete_range(key.clone().min(other.clone()), key.max(other));
                db.write(batch)?;
            }
            1 => db.flush()?,
            2 if dice.below(4) == 0 => db.compact_range::<&[u8], &[u8]>(None, None),
            3..8 => db.delete(key)?,
            // Many versions of a key: more than the iterator steps over.
            8 => {
                for number in 0..30 {
                    db.put(&key, [number])?;
                }
            }
            _ => db.put(key, dice.below(1 << 40).to_be_bytes())?,
        }
        Ok(())
    }

    fn range(dice: &mut Dice) -> Range {
        let start = if dice.below(2) == 0 { Vec::new() } else { dice.key() };
        Range { start, end: (dice.below(2) == 0).then(|| dice.key()) }
    }

    fn with_bounds(mut options: ReadOptions, range: &Range) -> ReadOptions {
        if !range.start.is_empty() {
            options.set_iterate_lower_bound(range.start.clone());
        }
        if let Some(end) = &range.end {
            options.set_iterate_upper_bound(end.clone());
        }
        options
    }

    /// Makes the same random moves with both iterators.
    fn walk(
        dice: &mut Dice,
        range: &Range,
        ours: &mut Iterator,
        theirs: &mut DBRawIterator<'_>,
    ) -> Outcome {
        let mut moves = Vec::new();
        for _ in 0..40 {
            let key = dice.key();
            let how = match dice.below(16) {
                0 => Move::First,
                1 => Move::Last,
                2 => Move::Seek(&key),
                3..11 => Move::Next,
                _ => Move::Previous,
            };
            moves.push(format!("{how:?}"));
            ours.go(how)?;
            match how {
                Move::First => theirs.seek_to_first(),
                Move::Last => theirs.seek_to_last(),
                Move::Seek(key) => theirs.seek(key),
                Move::Next if theirs.valid() => theirs.next(),
                Move::Previous if theirs.valid() => theirs.prev(),
                _ => {}
            }
            theirs.status()?;
            assert_eq!(ours.pair(), theirs.item(), "after {moves:?} in {range:?}");
        }
        Ok(())
    }

    /// Compares both iterators on random databases, in the current state and in snapshots.
    fn compare(settings: &Options, programs: u64) -> Outcome {
        for program in 0..programs {
            let mut dice = Dice(program);
            let directory = tempfile::tempdir()?;
            let db = DB::open(settings, directory.path())?;
            let mut snapshots = Vec::new();
            for _ in 0..dice.below(200) {
                if dice.below(20) == 0 {
                    snapshots.push(db.snapshot());
                }
                write(&db, &mut dice)?;
            }
            for snapshot in &snapshots {
                let range = range(&mut dice);
                let mut options = ReadOptions::default();
                options.set_snapshot(snapshot);
                let mut theirs = db.raw_iterator_opt(with_bounds(options, &range));
                let mut ours = Iterator::new(&db, &range, Some(snapshot.sequence_number()));
                walk(&mut dice, &range, &mut ours, &mut theirs)?;
            }
            for _ in 0..4 {
                let range = range(&mut dice);
                let mut theirs = db.raw_iterator_opt(with_bounds(ReadOptions::default(), &range));
                let mut ours = Iterator::new(&db, &range, None);
                // Neither sees later writes.
                write(&db, &mut dice)?;
                walk(&mut dice, &range, &mut ours, &mut theirs)?;
            }
        }
        Ok(())
    }

    fn settings() -> Options {
        let mut settings = Options::default();
        settings.create_if_missing(true);
        settings
    }

    #[test]
    fn shows_what_the_iterator_of_rocksdb_shows() -> Outcome {
        compare(&settings(), 60)
    }

    /// The same, where the entries of tables refer to blobs.
    #[test]
    fn shows_what_other_programs_wrote() -> Outcome {
        let mut settings = settings();
        settings.set_enable_blob_files(true);
        settings.set_min_blob_size(4);
        compare(&settings, 20)
    }

    /// kvds has no operator that could merge. RocksDB's own iterator crashes, backward.
    #[test]
    fn a_merge_operand_is_an_error_and_not_a_value() -> Outcome {
        let directory = tempfile::tempdir()?;
        let mut settings = settings();
        settings.set_merge_operator_associative("first", |_, old, operands| {
            old.or_else(|| operands.iter().next()).map(<[u8]>::to_vec)
        });
        let db = DB::open(&settings, directory.path())?;
        db.put("a", "1")?;
        db.merge("b", "2")?;
        db.flush()?;
        drop(db);
        let db = DB::open(&Options::default(), directory.path())?;
        let mut iterator = Iterator::new(&db, &Range::prefix(b""), None);
        iterator.go(Move::First)?;
        assert_eq!(iterator.pair(), Some((&b"a"[..], &b"1"[..])));
        iterator.go(Move::Next).expect_err("RocksDB cannot merge");
        assert_eq!(iterator.pair(), None);
        iterator.go(Move::Last).expect_err("RocksDB cannot merge");
        assert_eq!(iterator.pair(), None);
        Ok(())
    }

    /// The keys that a walk over everything shows, forward and backward.
    #[test]
    fn shows_each_key_once() -> Outcome {
        let directory = tempfile::tempdir()?;
        let db = DB::open(&settings(), directory.path())?;
        let mut dice = Dice(7);
        let mut keys = BTreeSet::new();
        for number in 0..3000_u64 {
            let key = dice.below(1000).to_be_bytes();
            db.put(key, b"value")?;
            keys.insert(key.to_vec());
            if number % 500 == 0 {
                db.flush()?;
            }
        }
        let mut iterator = Iterator::new(&db, &Range::prefix(b""), None);
        let mut shown = |first: Move<'_>, how: Move<'_>| -> Result<Vec<Vec<u8>>, String> {
            let mut shown = Vec::new();
            iterator.go(first)?;
            while let Some((key, _)) = iterator.pair() {
                shown.push(key.to_vec());
                iterator.go(how)?;
            }
            Ok(shown)
        };
        assert!(shown(Move::First, Move::Next)?.iter().eq(keys.iter()));
        assert!(shown(Move::Last, Move::Previous)?.iter().eq(keys.iter().rev()));
        Ok(())
    }
}
