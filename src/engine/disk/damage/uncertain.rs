//! The ranges of keys that may be in something damaged.

use std::collections::BTreeMap;
use std::ops::Bound;

/// Ranges of keys with both ends. Their number is bounded: two ranges become one that includes the
/// keys between them, which are then looked up without need.
#[derive(Debug, Default)]
pub struct Uncertain {
    /// The last key of each range by its first one, where `None` stands for no end. Ranges do not
    /// overlap.
    ranges: BTreeMap<Box<[u8]>, Option<Box<[u8]>>>,
}

/// The most ranges.
const MAX_RANGES: usize = 1 << 14;

impl Uncertain {
    /// Adds a range. `None` stands for no bound.
    pub fn add(&mut self, first: Option<&[u8]>, last: Option<&[u8]>) {
        self.merge(first.unwrap_or_default(), last);
        if self.ranges.len() > MAX_RANGES
            && let Some((first, _)) = self.ranges.pop_first()
            && let Some((_, last)) = self.ranges.pop_first()
        {
            self.ranges.insert(first, last);
        }
    }

    fn merge(&mut self, first: &[u8], last: Option<&[u8]>) {
        let (mut begin, mut end): (Box<[u8]>, Option<Box<[u8]>>) =
            (first.into(), last.map(Into::into));
        // Each turn removes a range that overlaps.
        while let Some((found, its_end)) = self.last_up_to(end.as_deref()) {
            if its_end.is_some_and(|its_end| *its_end < *begin) {
                break;
            }
            let found: Box<[u8]> = found.into();
            let its_end = self.ranges.remove(&found).flatten();
            end = match (end, its_end) {
                (Some(end), Some(its_end)) => Some(end.max(its_end)),
                _ => None,
            };
            begin = begin.min(found);
        }
        self.ranges.insert(begin, end);
    }

    /// Returns whether a range contains `key`.
    pub fn contains(&self, key: &[u8]) -> bool {
        !self.ranges.is_empty()
            && self
                .last_up_to(Some(key))
                .is_some_and(|(_, last)| last.is_none_or(|last| *last >= *key))
    }

    /// Returns the last range that begins at `key` or before; `None` stands for no bound.
    fn last_up_to(&self, key: Option<&[u8]>) -> Option<(&[u8], Option<&[u8]>)> {
        let bound = key.map_or(Bound::Unbounded, Bound::Included);
        let found = self.ranges.range::<[u8], _>((Bound::Unbounded, bound)).next_back()?;
        Some((found.0, found.1.as_deref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ranges: &[(&str, &str)]) -> Uncertain {
        let mut uncertain = Uncertain::default();
        for (first, last) in ranges {
            uncertain.add(Some(first.as_bytes()), Some(last.as_bytes()));
        }
        uncertain
    }

    #[test]
    fn ranges_include_both_ends() {
        let uncertain = of(&[("b", "d"), ("f", "f")]);
        let found: String = "abcdefg"
            .chars()
            .filter(|key| uncertain.contains(key.to_string().as_bytes()))
            .collect();
        assert_eq!(found, "bcdf");
        assert!(!uncertain.contains(b"d\0"));
    }

    #[test]
    fn overlapping_ranges_become_one() {
        let mut uncertain = of(&[("b", "d"), ("f", "h"), ("c", "g"), ("a", "a"), ("x", "z")]);
        assert_eq!(uncertain.ranges.len(), 3);
        uncertain.add(Some(b"y"), None);
        assert!(uncertain.contains(b"zz") && !uncertain.contains(b"w"));
        uncertain.add(None, Some(b"y"));
        assert_eq!(uncertain.ranges.len(), 1);
        assert!(uncertain.contains(b"") && uncertain.contains(b"w"));
    }

    #[test]
    fn the_number_of_ranges_is_bounded_and_no_key_gets_lost() {
        let key = |number: usize| format!("{number:08}").into_bytes();
        let mut uncertain = Uncertain::default();
        let numbers: Vec<usize> =
            (0..3 * MAX_RANGES).map(|number| number * 7919 % 300_007).collect();
        for number in &numbers {
            uncertain.add(Some(&key(2 * number)), Some(&key(2 * number)));
        }
        assert!(uncertain.ranges.len() <= MAX_RANGES);
        assert!(numbers.iter().all(|number| uncertain.contains(&key(2 * number))));
    }
}
