//! What the verification and the rescue of a damaged store report.

use std::path::Path;

/// A damage of one file of a store.
#[derive(Clone, Copy, Debug)]
pub struct Damage<'a> {
    /// The damaged file, or the directory of the store.
    pub file: &'a Path,
    /// A sentence without a period.
    pub problem: &'a str,
    pub loss: Loss,
    /// The first key that the loss may affect; `None` for no bound.
    pub first: Option<&'a [u8]>,
    /// The last key that the loss may affect; `None` for no bound.
    pub last: Option<&'a [u8]>,
}

/// What a damage takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing that cannot be derived from the rest.
    Nothing,
    /// Pairs.
    Pairs,
    /// The deadlines of keys.
    Deadlines,
}

/// How far a verification or a rescue is, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub done: u64,
    pub total: u64,
}

/// Called with each damage, and without one for each part of the work. Returns whether to continue.
pub type Visit<'a> = dyn FnMut(Option<&Damage<'_>>, Progress) -> bool + 'a;

/// The result of a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is no store.
    Absent,
    /// There is no damage.
    Whole,
    /// There are so many damages.
    Damaged(u64),
    /// The callback ended the verification.
    Stopped,
}

/// The result of a rescue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rescue {
    /// There is no store.
    Absent,
    /// The new store is complete.
    Complete(Salvaged),
    /// The callback ended the rescue. There is no new store.
    Stopped,
}

/// What a rescue has saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// The pairs in the new store.
    pub pairs: u64,
    /// The keys that were found, but only with a value that may not be their last one.
    pub lost: u64,
    /// The pairs in the new store that may have lost a deadline.
    pub deadlines_lost: u64,
}
