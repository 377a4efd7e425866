//! Ranges of keys.

/// The keys from `start` on, and before `end` if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first key that belongs to the range.
    pub start: Vec<u8>,
    /// The first key after the range; `None` if it has no end.
    pub end: Option<Vec<u8>>,
}

impl Range {
    /// All keys that begin with `prefix`.
    pub fn prefix(prefix: &[u8]) -> Range {
        // The first key past all keys with the prefix is the prefix with its last byte below 0xFF
        // raised by one and the rest cut off. A prefix of nothing but 0xFF has none.
        let end = prefix.iter().rposition(|byte| *byte != u8::MAX).map(|last| {
            let mut end = prefix[..=last].to_vec();
            end[last] += 1;
            end
        });
        Range { start: prefix.to_vec(), end }
    }

    /// This key alone.
    pub fn one(key: &[u8]) -> Range {
        Range { start: key.to_vec(), end: Some([key, b"\0"].concat()) }
    }

    /// Whether the key belongs to it.
    pub fn contains(&self, key: &[u8]) -> bool {
        *self.start <= *key && self.end.as_ref().is_none_or(|end| *key < **end)
    }

    /// Whether a key may belong to both.
    pub fn overlaps(&self, other: &Range) -> bool {
        let ends_behind = |end: &Option<Vec<u8>>, start| end.as_ref().is_none_or(|end| start < end);
        ends_behind(&self.end, &other.start) && ends_behind(&other.end, &self.start)
    }

    /// The keys that are in both.
    pub fn and(self, other: Range) -> Range {
        let end = match (self.end, other.end) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Range { start: self.start.max(other.start), end }
    }

    /// The same range of keys behind `prefix`.
    pub fn behind(&self, prefix: &[u8]) -> Range {
        let end = self.end.as_ref().map(|end| [prefix, end].concat());
        Range {
            start: [prefix, &self.start].concat(),
            end: end.or_else(|| Range::prefix(prefix).end),
        }
    }
}
