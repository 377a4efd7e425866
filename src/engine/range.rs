//! Ranges of keys.

/// The keys from `start` up to `end`, or all keys from `start` on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first key of the range.
    pub start: Vec<u8>,
    /// The first key after the range, or `None` for a range without an end.
    pub end: Option<Vec<u8>>,
}

impl Range {
    /// Returns the range of all keys that begin with `prefix`.
    pub fn prefix(prefix: &[u8]) -> Range {
        // The end is the prefix up to its last byte below 0xFF, with that byte incremented. A
        // prefix of only 0xFF has no end.
        let end = prefix.iter().rposition(|byte| *byte != u8::MAX).map(|last| {
            let mut end = prefix[..=last].to_vec();
            end[last] += 1;
            end
        });
        Range { start: prefix.to_vec(), end }
    }

    /// Returns the range of one key.
    pub fn one(key: &[u8]) -> Range {
        Range { start: key.to_vec(), end: Some([key, b"\0"].concat()) }
    }

    /// Returns whether the range contains `key`.
    pub fn contains(&self, key: &[u8]) -> bool {
        *self.start <= *key && self.end.as_ref().is_none_or(|end| *key < **end)
    }

    /// Returns whether a key can be in both ranges.
    pub fn overlaps(&self, other: &Range) -> bool {
        let ends_behind = |end: &Option<Vec<u8>>, start| end.as_ref().is_none_or(|end| start < end);
        ends_behind(&self.end, &other.start) && ends_behind(&other.end, &self.start)
    }

    /// Returns the intersection of two ranges.
    pub fn and(self, other: Range) -> Range {
        let end = match (self.end, other.end) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Range { start: self.start.max(other.start), end }
    }

    /// Returns the range of the same keys with `prefix` before them.
    pub fn behind(&self, prefix: &[u8]) -> Range {
        let end = self.end.as_ref().map(|end| [prefix, end].concat());
        Range {
            start: [prefix, &self.start].concat(),
            end: end.or_else(|| Range::prefix(prefix).end),
        }
    }
}
