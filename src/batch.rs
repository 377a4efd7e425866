//! A write: what must hold, and what to do if it does.
//!
//! Every write of the API is one [`WriteBatch`], applied by an engine in one atomic step. The batch
//! only borrows, so that a single set costs no allocation; whoever collects operations over time
//! owns them elsewhere and lends them here.

use crate::error::{Error, Kind, Result};

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<'a> {
    /// Give the key this value, whether or not it had one.
    Set {
        /// The key.
        key: &'a [u8],
        /// Its new value.
        value: &'a [u8],
    },
    /// Remove the key; an absent key is fine.
    Delete {
        /// The key.
        key: &'a [u8],
    },
    /// Remove all keys from `start` on, and before `end` if there is one.
    DeleteRange {
        /// The first key that goes.
        start: &'a [u8],
        /// The first key after it that stays.
        end: Option<&'a [u8]>,
    },
}

impl<'a> Operation<'a> {
    /// Whether it deletes a range with `key` in it.
    pub fn deletes_range_with(&self, key: &[u8]) -> bool {
        matches!(self, Operation::DeleteRange { start, end } if *start <= key && end.is_none_or(|end| key < end))
    }

    /// The key it changes, if it is a single one.
    pub fn key(&self) -> Option<&'a [u8]> {
        match self {
            Operation::Set { key, .. } | Operation::Delete { key } => Some(key),
            Operation::DeleteRange { .. } => None,
        }
    }
}

/// Something that must be true of one key for a batch to be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation<'a> {
    /// The key is there, with whatever value.
    Present {
        /// The key.
        key: &'a [u8],
    },
    /// The key is not there.
    Absent {
        /// The key.
        key: &'a [u8],
    },
    /// The key is there and has this value.
    Equals {
        /// The key.
        key: &'a [u8],
        /// The value it must have.
        value: &'a [u8],
    },
}

impl<'a> Expectation<'a> {
    /// The key it is about.
    pub fn key(&self) -> &'a [u8] {
        match self {
            Expectation::Present { key }
            | Expectation::Absent { key }
            | Expectation::Equals { key, .. } => key,
        }
    }

    /// Why the batch is refused, given what the store holds under the key; `None` if the
    /// expectation holds.
    pub fn conflict(&self, found: Option<&[u8]>) -> Option<Conflict> {
        match (self, found) {
            (Expectation::Present { .. } | Expectation::Equals { .. }, None) => {
                Some(Conflict::NotFound)
            }
            (Expectation::Absent { .. }, Some(_)) => Some(Conflict::Exists),
            (Expectation::Equals { value, .. }, Some(found)) if *value != found => {
                Some(Conflict::Mismatch)
            }
            _ => None,
        }
    }
}

/// What an unmet expectation found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The key is not there.
    NotFound,
    /// The key is there already.
    Exists,
    /// The key has another value.
    Mismatch,
}

/// How a write ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a refused batch changed nothing"]
pub enum Outcome {
    /// Every expectation held and every operation is done.
    Applied,
    /// An expectation did not hold and nothing was changed. The first one that did not hold is
    /// reported.
    Refused(Conflict),
}

/// Expectations and operations that stand or fall together.
///
/// The expectations are all judged on the state before the batch. The operations apply in their
/// order: the last one on a key wins.
#[derive(Clone, Copy, Debug)]
pub struct WriteBatch<'a> {
    /// What must hold.
    pub expectations: &'a [Expectation<'a>],
    /// What to do then.
    pub operations: &'a [Operation<'a>],
}

impl<'a> WriteBatch<'a> {
    /// The single keys that it checks or changes.
    pub fn keys(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let expected = self.expectations.iter().map(Expectation::key);
        expected.chain(self.operations.iter().filter_map(Operation::key))
    }
}

/// A batch that is collected over time and owns its bytes. It can be applied any number of times.
#[derive(Clone, Debug, Default)]
pub struct BatchBuffer {
    bytes: Vec<u8>,
    expectations: Vec<(Wanted, Span)>,
    operations: Vec<(Span, Option<Span>)>,
}

/// Where in the bytes something lies.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    len: usize,
}

#[derive(Clone, Debug)]
enum Wanted {
    Absent,
    Equals(Span),
}

impl BatchBuffer {
    /// Adds the operation to set `key` to `value`.
    pub fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let (key, value) = (self.keep(key)?, self.keep(value)?);
        self.operations.push((key, Some(value)));
        Ok(())
    }

    /// Adds the operation to remove `key`.
    pub fn delete(&mut self, key: &[u8]) -> Result<()> {
        let key = self.keep(key)?;
        self.operations.push((key, None));
        Ok(())
    }

    /// Adds the expectation that `key` has the value `value`.
    pub fn expect(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let (key, value) = (self.keep(key)?, self.keep(value)?);
        self.expectations.push((Wanted::Equals(value), key));
        Ok(())
    }

    /// Adds the expectation that `key` is not there.
    pub fn expect_absent(&mut self, key: &[u8]) -> Result<()> {
        let key = self.keep(key)?;
        self.expectations.push((Wanted::Absent, key));
        Ok(())
    }

    /// Forgets everything, and keeps the memory for the next use.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.expectations.clear();
        self.operations.clear();
    }

    /// How many operations it has; expectations don't count.
    pub fn count(&self) -> usize {
        self.operations.len()
    }

    /// Lends the batch to `apply`.
    pub fn lend<R>(&self, apply: impl FnOnce(&WriteBatch<'_>) -> R) -> R {
        let at = |span: &Span| &self.bytes[span.start..][..span.len];
        let expectations: Vec<_> = self
            .expectations
            .iter()
            .map(|(wanted, key)| match wanted {
                Wanted::Absent => Expectation::Absent { key: at(key) },
                Wanted::Equals(value) => Expectation::Equals { key: at(key), value: at(value) },
            })
            .collect();
        let operations: Vec<_> = self
            .operations
            .iter()
            .map(|(key, value)| match value {
                Some(value) => Operation::Set { key: at(key), value: at(value) },
                None => Operation::Delete { key: at(key) },
            })
            .collect();
        apply(&WriteBatch { expectations: &expectations, operations: &operations })
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<Span> {
        let start = self.bytes.len();
        self.bytes.try_reserve(bytes.len()).map_err(|cause| {
            Error::new(Kind::NoMemory, "no memory for the batch").because(cause)
        })?;
        self.bytes.extend_from_slice(bytes);
        Ok(Span { start, len: bytes.len() })
    }
}
