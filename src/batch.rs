//! A write: what must hold, and what to do if it does.
//!
//! Every write of the API is one [`WriteBatch`], applied by an engine in one atomic step. The batch only borrows, so that a
//! single set costs no allocation; whoever collects operations over time owns them elsewhere and lends them here.

/// One change of one key.
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
}

impl<'a> Operation<'a> {
    /// The key it changes.
    pub fn key(&self) -> &'a [u8] {
        match self {
            Operation::Set { key, .. } | Operation::Delete { key } => key,
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
            Expectation::Present { key } | Expectation::Absent { key } | Expectation::Equals { key, .. } => key,
        }
    }

    /// Why the batch is refused, given what the store holds under the key; `None` if the expectation holds.
    pub fn refusal(&self, found: Option<&[u8]>) -> Option<Refusal> {
        match (self, found) {
            (Expectation::Present { .. } | Expectation::Equals { .. }, None) => Some(Refusal::NotFound),
            (Expectation::Absent { .. }, Some(_)) => Some(Refusal::Exists),
            (Expectation::Equals { value, .. }, Some(found)) if *value != found => Some(Refusal::Mismatch),
            _ => None,
        }
    }
}

/// What an unmet expectation found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
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
    /// An expectation did not hold and nothing was changed. The first one that did not hold is reported.
    Refused(Refusal),
}

/// Expectations and operations that stand or fall together.
///
/// The expectations are all judged on the state before the batch. The operations apply in their order: the last one on a
/// key wins.
#[derive(Clone, Copy, Debug)]
pub struct WriteBatch<'a> {
    /// What must hold.
    pub expectations: &'a [Expectation<'a>],
    /// What to do then.
    pub operations: &'a [Operation<'a>],
}
