//! The differences of two stores, found by moving two cursors side by side.

use std::cmp::Ordering;

use crate::failure::Result;
use crate::library::{Cursor, Range, Store};
use crate::signals;

/// A difference, at a key.
pub enum Difference<'a> {
    /// Only the first store has the key.
    First { key: &'a [u8], value: &'a [u8] },
    /// Only the second store has the key.
    Second { key: &'a [u8], value: &'a [u8] },
    /// The values differ.
    Value { key: &'a [u8], first: &'a [u8], second: &'a [u8] },
}

/// Calls `visit` for each difference in `range`, in the order of the keys, until it returns
/// `false`.
pub fn differences(
    first: &Store,
    second: &Store,
    range: &Range,
    mut visit: impl FnMut(Difference<'_>) -> Result<bool>,
) -> Result<()> {
    let (mut a, mut b) = (Cursor::new(first, range)?, Cursor::new(second, range)?);
    let (mut in_a, mut in_b) = (a.first()?, b.first()?);
    while in_a || in_b {
        signals::check()?;
        let order = match (in_a, in_b) {
            (true, true) => a.key()?.cmp(b.key()?),
            (true, false) => Ordering::Less,
            _ => Ordering::Greater,
        };
        let difference = match order {
            Ordering::Less => Some(Difference::First { key: a.key()?, value: a.value()? }),
            Ordering::Greater => Some(Difference::Second { key: b.key()?, value: b.value()? }),
            Ordering::Equal if a.value()? == b.value()? => None,
            Ordering::Equal => {
                Some(Difference::Value { key: a.key()?, first: a.value()?, second: b.value()? })
            }
        };
        if let Some(difference) = difference
            && !visit(difference)?
        {
            return Ok(());
        }
        if order != Ordering::Greater {
            in_a = a.next()?;
        }
        if order != Ordering::Less {
            in_b = b.next()?;
        }
    }
    Ok(())
}
