//! Reads a damaged store with every call and checks the results.

use std::path::Path;

use kvds::testing::{Error, Kind, Options, Range, Store};

use super::case::{Case, Damage};
use super::fixture::{self, Map};

/// The content of the undamaged store.
pub struct Known {
    keys: Vec<Vec<u8>>,
    states: Vec<Map>,
    ends: Vec<u64>,
}

/// Where the damage was detected first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detected {
    Opening,
    Reading,
    Working,
    /// The damage did no harm.
    Never,
}

/// The states that the store may be in, and where it detected the damage.
struct Check<'a> {
    known: &'a Known,
    /// The states that agree with all reads so far.
    possible: Vec<usize>,
    told: Detected,
    /// An iteration has failed.
    unreadable: bool,
    case: &'a Case,
}

type Checked<T = ()> = Result<T, String>;

impl Known {
    pub fn of(base: &Path) -> Known {
        Known { keys: fixture::keys(), states: fixture::states(), ends: fixture::ends(base) }
    }

    /// Returns the states that a store with this damage may be in.
    fn possible(&self, case: &Case) -> Vec<usize> {
        let all = self.ends.len();
        match case.damage {
            // A truncated log is like a power failure.
            Damage::Cut(len) if case.kind() == "log" => {
                vec![self.ends.iter().filter(|end| **end <= len).count()]
            }
            // So is a changed byte of the last record, and of no other record.
            Damage::Flipped(at, _) if case.kind() == "log" && at >= self.ends[all - 2] => {
                vec![all - 1, all]
            }
            _ => vec![all],
        }
    }
}

/// Damages the store in `base` and checks it.
pub fn check_store(known: &Known, case: &Case, base: &Path) -> Checked<Detected> {
    let directory = base.join("store");
    case.apply(&directory);
    let mut check = Check {
        known,
        possible: known.possible(case),
        told: Detected::Never,
        unreadable: false,
        case,
    };
    let read_only = Options { read_only: true, ..Options::default() };
    check.opened(base, &read_only, |check, store| check.read(store))?;
    // Opening the store must not hide the damage from the next opening.
    for round in 0..2 {
        check.opened(base, &Options::default(), |check, store| {
            check.read(store)?;
            if round == 1 || !case.is_rewritten() {
                return Ok(());
            }
            check.copy(store, &base.join("copy"))?;
            check.work(store)
        })?;
    }
    Ok(check.told)
}

impl Check<'_> {
    /// Requires that the error is `Corruption`, and records where it appeared.
    fn failed(&mut self, told: Detected, what: &str, error: &Error) -> Checked {
        self.told = self.told.min(told);
        if error.kind() == Kind::Corruption {
            return Ok(());
        }
        Err(format!("{what}: {:?} instead of Corruption: {error}", error.kind()))
    }

    fn opened(
        &mut self,
        base: &Path,
        how: &Options,
        then: impl FnOnce(&mut Self, &Store) -> Checked,
    ) -> Checked {
        match fixture::open(base, how) {
            Ok(store) => then(self, &store),
            Err(error) => self.failed(Detected::Opening, "opening", &error),
        }
    }

    /// Keeps the states that agree with a read. There must be one.
    fn agree(&mut self, what: impl FnOnce() -> String, agrees: impl Fn(&Map) -> bool) -> Checked {
        let before = self.possible.clone();
        self.possible.retain(|state| agrees(&self.known.states[*state]));
        if self.possible.is_empty() {
            let all: Vec<usize> = (0..self.known.states.len())
                .filter(|state| agrees(&self.known.states[*state]))
                .collect();
            return Err(format!(
                "{} after {} told nothing (states {before:?}; it fits {all:?})",
                what(),
                self.case
            ));
        }
        Ok(())
    }

    fn read(&mut self, store: &Store) -> Checked {
        let known = self.known;
        for key in &known.keys {
            match store.get(key) {
                Ok(value) => self.agree(
                    || {
                        format!(
                            "get {} returns {:?}",
                            key.escape_ascii(),
                            value.as_deref().map(<[u8]>::len)
                        )
                    },
                    |map| map.get(key).map(Vec::as_slice) == value.as_deref(),
                )?,
                Err(error) => self.failed(Detected::Reading, "get", &error)?,
            }
            match store.exists(key) {
                Ok(there) => self.agree(
                    || format!("exists {} returns {there}", key.escape_ascii()),
                    |map| map.contains_key(key) == there,
                )?,
                Err(error) => self.failed(Detected::Reading, "exists", &error)?,
            }
        }
        let keys: Vec<&[u8]> = known.keys.iter().map(Vec::as_slice).collect();
        match store.multi_get(&keys) {
            Ok(values) => self.agree(
                || "multi_get is wrong".to_owned(),
                |map| {
                    keys.iter()
                        .zip(&values)
                        .all(|(key, value)| map.get(*key).map(Vec::as_slice) == value.as_deref())
                },
            )?,
            Err(error) => self.failed(Detected::Reading, "multi_get", &error)?,
        }
        self.read_in_order(store)?;
        store.stats().map_err(|error| format!("stats: {error}"))?;
        Ok(())
    }

    /// Reads everything in order, forward and backward. Pairs before an error must be right too.
    fn read_in_order(&mut self, store: &Store) -> Checked {
        for prefix in ["", "key1"] {
            let mut seen = Vec::new();
            let result = store.iterate(prefix.as_bytes(), |key, value| {
                seen.push((key.to_vec(), value.to_vec()));
                true
            });
            self.saw("iterate", result.map(drop), &seen, |map| {
                let behind = map.iter().filter(|(key, _)| key.starts_with(prefix.as_bytes()));
                behind.map(|(key, value)| (key.clone(), value.clone())).collect()
            })?;
        }
        let mut seen = Vec::new();
        let mut backward = || -> kvds::testing::Result<()> {
            let mut cursor = store.cursor(Range::prefix(b""))?;
            cursor.last()?;
            while let Some((key, value)) = cursor.entry() {
                seen.push((key.to_vec(), value.to_vec()));
                cursor.prev()?;
            }
            Ok(())
        };
        let result = backward();
        self.saw("going backward", result, &seen, |map| map.clone().into_iter().rev().collect())
    }

    fn saw(
        &mut self,
        what: &str,
        result: kvds::testing::Result<()>,
        seen: &[(Vec<u8>, Vec<u8>)],
        all: impl Fn(&Map) -> Vec<(Vec<u8>, Vec<u8>)>,
    ) -> Checked {
        let complete = result.is_ok();
        if let Err(error) = result {
            self.unreadable = true;
            self.failed(Detected::Reading, what, &error)?;
        }
        self.agree(
            || format!("{what} shows {} pairs", seen.len()),
            |map| {
                let all = all(map);
                if complete { all == seen } else { all.starts_with(seen) }
            },
        )
    }

    /// Copies the store. The copy is complete, or absent, or detects the damage itself.
    fn copy(&mut self, store: &Store, place: &Path) -> Checked {
        if let Err(error) = store.checkpoint(&place.join("store")) {
            return self.failed(Detected::Working, "checkpoint", &error);
        }
        self.opened(place, &Options::default(), Self::read)
    }

    /// Rewrites the tables. A compaction must not lose the pairs that it cannot read.
    fn work(&mut self, store: &Store) -> Checked {
        match store.compact() {
            Ok(()) if self.unreadable => {
                return Err("compact has read what cannot be read".to_owned());
            }
            Ok(()) => {}
            Err(error) => self.failed(Detected::Working, "compact", &error)?,
        }
        self.read(store)?;
        if let Err(error) = store.sync() {
            self.failed(Detected::Working, "sync", &error)?;
        }
        Ok(())
    }
}
