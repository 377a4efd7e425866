//! Writes: the expectations that must hold, and the operations to apply if they do.
//!
//! Every write of the API is one [`WriteBatch`], which an engine applies atomically. A batch only
//! borrows its keys and values, so a single set allocates nothing. A [`BatchBuffer`] owns the bytes
//! of a batch that is built over time.

use std::time::Duration;

use crate::error::{Error, Kind, Result};

/// One change of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<'a> {
    /// Sets `key` to `value`, whether or not the key exists.
    Set {
        /// The key.
        key: &'a [u8],
        /// The new value.
        value: &'a [u8],
    },
    /// Deletes `key`. No effect on an absent key.
    Delete {
        /// The key.
        key: &'a [u8],
    },
    /// Sets `key` to `value`. After `ttl` an ordinary write deletes the key.
    SetTtl {
        /// The key.
        key: &'a [u8],
        /// The new value.
        value: &'a [u8],
        /// The time that the key lives at least.
        ttl: Duration,
    },
    /// Replaces the time that `key` has left. No effect on an absent key.
    Expire {
        /// The key.
        key: &'a [u8],
        /// The time that the key lives at least, or `None` for a key that never expires.
        ttl: Option<Duration>,
    },
    /// Deletes the keys from `start` up to `end`, or all keys from `start` on.
    DeleteRange {
        /// The first key to delete.
        start: &'a [u8],
        /// The first key after the range.
        end: Option<&'a [u8]>,
    },
}

impl<'a> Operation<'a> {
    /// Returns whether this deletes a range that contains `key`.
    pub fn deletes_range_with(&self, key: &[u8]) -> bool {
        let Operation::DeleteRange { start, end } = self else { return false };
        *start <= key && end.is_none_or(|end| key < end)
    }

    /// Returns the key that this changes, or `None` for a range.
    pub fn key(&self) -> Option<&'a [u8]> {
        match self {
            Operation::Set { key, .. }
            | Operation::Delete { key }
            | Operation::SetTtl { key, .. }
            | Operation::Expire { key, .. } => Some(key),
            Operation::DeleteRange { .. } => None,
        }
    }

    /// Returns the value that this sets.
    pub fn value(&self) -> Option<&'a [u8]> {
        match self {
            Operation::Set { value, .. } | Operation::SetTtl { value, .. } => Some(value),
            _ => None,
        }
    }

    /// Returns the same change of another key. Ranges stay as they are.
    pub fn of_key<'b>(self, key: &'b [u8]) -> Operation<'b>
    where
        'a: 'b,
    {
        match self {
            Operation::Set { value, .. } => Operation::Set { key, value },
            Operation::Delete { .. } => Operation::Delete { key },
            Operation::SetTtl { value, ttl, .. } => Operation::SetTtl { key, value, ttl },
            Operation::Expire { ttl, .. } => Operation::Expire { key, ttl },
            range @ Operation::DeleteRange { .. } => range,
        }
    }
}

/// A condition on one key. A batch is applied only if all of its expectations hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation<'a> {
    /// The key exists, with any value.
    Present {
        /// The key.
        key: &'a [u8],
    },
    /// The key does not exist.
    Absent {
        /// The key.
        key: &'a [u8],
    },
    /// The key exists and has this value.
    Equals {
        /// The key.
        key: &'a [u8],
        /// The expected value.
        value: &'a [u8],
    },
}

impl<'a> Expectation<'a> {
    /// Returns the key.
    pub fn key(&self) -> &'a [u8] {
        match self {
            Expectation::Present { key }
            | Expectation::Absent { key }
            | Expectation::Equals { key, .. } => key,
        }
    }

    /// Returns the conflict with the stored value `found`, or `None` if the expectation holds.
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

/// Why an expectation does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The key does not exist.
    NotFound,
    /// The key exists.
    Exists,
    /// The key has another value.
    Mismatch,
}

/// The result of a write that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a refused batch changed nothing"]
pub enum Outcome {
    /// Every expectation held, and every operation was applied.
    Applied,
    /// An expectation did not hold, and nothing was changed. Reports the first such expectation.
    Refused(Conflict),
}

/// Expectations and operations that are applied atomically, or not at all.
///
/// All expectations are checked against the state before the batch. Operations are applied in
/// order, so the last one on a key wins.
#[derive(Clone, Copy, Debug)]
pub struct WriteBatch<'a> {
    /// The conditions.
    pub expectations: &'a [Expectation<'a>],
    /// The changes.
    pub operations: &'a [Operation<'a>],
}

/// A batch with one operation, whose expectations are all about the key that it changes.
#[derive(Clone, Copy, Debug)]
pub struct SingleKey<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The new value, or `None` to delete the key.
    pub value: Option<&'a [u8]>,
    /// The conditions on the key.
    pub expectations: &'a [Expectation<'a>],
}

impl<'a> WriteBatch<'a> {
    /// Returns the batch as a write of a single key, if it is one.
    #[inline]
    pub fn as_single(&self) -> Option<SingleKey<'a>> {
        let (key, value) = match *self.operations {
            [Operation::Set { key, value }] => (key, Some(value)),
            [Operation::Delete { key }] => (key, None),
            _ => return None,
        };
        let is_single = self.expectations.iter().all(|expectation| expectation.key() == key);
        is_single.then_some(SingleKey { key, value, expectations: self.expectations })
    }

    /// Returns whether an operation lets a key expire.
    pub fn has_ttl(&self) -> bool {
        let has_ttl = |operation: &Operation<'_>| {
            matches!(operation, Operation::SetTtl { .. } | Operation::Expire { ttl: Some(_), .. })
        };
        self.operations.iter().any(has_ttl)
    }

    /// Returns whether an operation deletes a range.
    pub fn has_range(&self) -> bool {
        self.operations.iter().any(|operation| operation.key().is_none())
    }

    /// Returns the keys that the expectations and the operations name. Ranges are left out.
    pub fn keys(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let expected = self.expectations.iter().map(Expectation::key);
        expected.chain(self.operations.iter().filter_map(Operation::key))
    }
}

/// A batch that owns its bytes and can be applied any number of times.
#[derive(Clone, Debug, Default)]
pub struct BatchBuffer {
    bytes: Vec<u8>,
    expectations: Vec<(Span, Expected)>,
    operations: Vec<(Span, Change)>,
}

/// A key or a value in the bytes of a [`BatchBuffer`].
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    len: usize,
}

#[derive(Clone, Debug)]
enum Change {
    Set(Span),
    Delete,
    SetTtl(Span, Duration),
    Expire(Option<Duration>),
}

#[derive(Clone, Debug)]
enum Expected {
    Absent,
    Value(Span),
}

impl BatchBuffer {
    /// Adds the operation to set `key` to `value`.
    pub fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let (key, value) = (self.append(key)?, self.append(value)?);
        self.operations.push((key, Change::Set(value)));
        Ok(())
    }

    /// Adds the operation to set `key` to `value` for the time `ttl`.
    pub fn set_ttl(&mut self, key: &[u8], value: &[u8], ttl: Duration) -> Result<()> {
        let (key, value) = (self.append(key)?, self.append(value)?);
        self.operations.push((key, Change::SetTtl(value, ttl)));
        Ok(())
    }

    /// Adds the operation to replace the time that `key` has left.
    pub fn expire(&mut self, key: &[u8], ttl: Option<Duration>) -> Result<()> {
        let key = self.append(key)?;
        self.operations.push((key, Change::Expire(ttl)));
        Ok(())
    }

    /// Adds the operation to delete `key`.
    pub fn delete(&mut self, key: &[u8]) -> Result<()> {
        let key = self.append(key)?;
        self.operations.push((key, Change::Delete));
        Ok(())
    }

    /// Adds the expectation that `key` has the value `value`.
    pub fn expect(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let (key, value) = (self.append(key)?, self.append(value)?);
        self.expectations.push((key, Expected::Value(value)));
        Ok(())
    }

    /// Adds the expectation that `key` does not exist.
    pub fn expect_absent(&mut self, key: &[u8]) -> Result<()> {
        let key = self.append(key)?;
        self.expectations.push((key, Expected::Absent));
        Ok(())
    }

    /// Removes all expectations and operations, and keeps the memory for the next use.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.expectations.clear();
        self.operations.clear();
    }

    /// Returns the number of operations, without the expectations.
    pub fn count(&self) -> usize {
        self.operations.len()
    }

    /// Calls `apply` with the batch.
    pub fn with_batch<R>(&self, apply: impl FnOnce(&WriteBatch<'_>) -> R) -> R {
        let at = |span: &Span| &self.bytes[span.start..][..span.len];
        let expectations: Vec<_> = self
            .expectations
            .iter()
            .map(|(key, expected)| match expected {
                Expected::Absent => Expectation::Absent { key: at(key) },
                Expected::Value(value) => Expectation::Equals { key: at(key), value: at(value) },
            })
            .collect();
        let operations: Vec<_> = self
            .operations
            .iter()
            .map(|(key, change)| match change {
                Change::Set(value) => Operation::Set { key: at(key), value: at(value) },
                Change::Delete => Operation::Delete { key: at(key) },
                Change::SetTtl(value, ttl) => {
                    Operation::SetTtl { key: at(key), value: at(value), ttl: *ttl }
                }
                Change::Expire(ttl) => Operation::Expire { key: at(key), ttl: *ttl },
            })
            .collect();
        apply(&WriteBatch { expectations: &expectations, operations: &operations })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<Span> {
        let start = self.bytes.len();
        self.bytes.try_reserve(bytes.len()).map_err(|cause| {
            Error::new(Kind::NoMemory, "no memory for the batch").because(cause)
        })?;
        self.bytes.extend_from_slice(bytes);
        Ok(Span { start, len: bytes.len() })
    }
}
