//! Verifies a write-ahead log record by record, and finds where its first damage is.

use std::io::{self, Read};

use super::format::{
    BLOCK, FIRST, FULL, HEADER, LAST, PREDECESSOR, RECYCLED, ZERO, checksum, contains_record,
};
use super::gap::is_gap;

/// What a log holds.
#[derive(Debug, Default)]
pub struct LogCheck {
    /// The end of the last record before the first problem.
    pub end: u64,
    /// The first problem.
    pub problem: Option<Problem>,
    /// What the log says about the one before.
    pub predecessor: Option<Predecessor>,
}

/// Why a log ends before its file does.
#[derive(Debug, PartialEq, Eq)]
pub enum Problem {
    /// A power failure left a gap in what was not synced. That is no damage: see `gap`.
    Gap,
    /// A sentence about the damage.
    Damage(String),
}

/// The number and the size of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Predecessor {
    pub number: u64,
    pub size: u64,
}

/// Reads a log up to its end or its first problem.
pub fn check(mut file: impl Read) -> LogCheck {
    let mut check = LogCheck::default();
    let mut block = Vec::with_capacity(BLOCK);
    let (mut offset, mut is_inside) = (0, false);
    // Each turn reads the next block of a regular file.
    while check.problem.is_none() {
        block.clear();
        if let Err(cause) = file.by_ref().take(BLOCK as u64).read_to_end(&mut block) {
            check.problem = Some(unreadable(offset, &cause));
            break;
        }
        match check.block(&block, offset, &mut is_inside) {
            Next::Block if block.len() == BLOCK => offset += BLOCK as u64,
            Next::Block | Next::End => break,
            Next::Zeros => {
                check.problem = end_of_zeros(&mut file, offset);
                break;
            }
        }
    }
    check
}

/// How to continue after a block.
enum Next {
    Block,
    /// The rest of the block is zeros.
    Zeros,
    End,
}

impl LogCheck {
    /// Reads the records of a block at `offset`. `is_inside` says whether a record began before and
    /// has not ended.
    fn block(&mut self, block: &[u8], offset: u64, is_inside: &mut bool) -> Next {
        let mut at = 0;
        while let Some(header) = block[at..].first_chunk::<HEADER>() {
            let [c0, c1, c2, c3, low, high, kind] = *header;
            let len = usize::from(u16::from_le_bytes([low, high]));
            let (place, end) = (offset + at as u64, at + HEADER + len);
            if kind == ZERO && len == 0 {
                if block[at..].iter().all(|byte| *byte == 0) {
                    return Next::Zeros;
                }
                self.problem = Some(Problem::Gap);
                return Next::End;
            }
            let type_and_data = block.get(at + HEADER - 1..end);
            if type_and_data.is_none()
                && block.len() < BLOCK
                && !contains_record(&block[at + HEADER..])
            {
                // A torn record at the end.
                return Next::End;
            }
            let is_valid = !RECYCLED.contains(&kind)
                && type_and_data
                    .is_some_and(|bytes| checksum(bytes) == u32::from_le_bytes([c0, c1, c2, c3]));
            if !is_valid {
                let is_gap = is_gap(block, at, end.min(block.len()));
                self.problem = Some(if is_gap {
                    Problem::Gap
                } else {
                    Problem::Damage(format!("checksum mismatch in the record at offset {place}"))
                });
                return Next::End;
            }
            let data = &block[at + HEADER..end];
            if matches!(kind, FULL..=LAST) {
                if *is_inside == matches!(kind, FULL | FIRST) {
                    let text = format!("a part of the record at offset {place} is missing");
                    self.problem = Some(Problem::Damage(text));
                    return Next::End;
                }
                *is_inside = !matches!(kind, FULL | LAST);
            } else if kind == PREDECESSOR && self.predecessor.is_none() {
                self.predecessor = predecessor(data);
            }
            at = end;
            self.end = offset + at as u64;
        }
        Next::Block
    }
}

fn predecessor(data: &[u8]) -> Option<Predecessor> {
    let (number, rest) = data.split_first_chunk()?;
    let (size, _) = rest.split_first_chunk()?;
    Some(Predecessor { number: u64::from_le_bytes(*number), size: u64::from_le_bytes(*size) })
}

/// Returns whether the zeros after the last record go to the end of the file, where a writer has
/// taken space in advance.
fn end_of_zeros(file: &mut impl Read, offset: u64) -> Option<Problem> {
    let mut rest = Vec::with_capacity(BLOCK);
    // Bounded by the length of a regular file.
    loop {
        rest.clear();
        match file.by_ref().take(BLOCK as u64).read_to_end(&mut rest) {
            Ok(0) => return None,
            Ok(_) if rest.iter().all(|byte| *byte == 0) => {}
            Ok(_) => return Some(Problem::Gap),
            Err(cause) => return Some(unreadable(offset, &cause)),
        }
    }
}

fn unreadable(offset: u64, cause: &io::Error) -> Problem {
    Problem::Damage(format!("cannot be read behind offset {offset}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, data: &[u8]) -> Vec<u8> {
        let type_and_data = [&[kind], data].concat();
        let len = (data.len() as u16).to_le_bytes();
        [&checksum(&type_and_data).to_le_bytes()[..], &len, &type_and_data].concat()
    }

    #[test]
    fn a_log_ends_at_its_first_problem() {
        let log = [record(FULL, b"first"), record(FIRST, b"sec"), record(LAST, b"ond")].concat();
        let whole = check(&log[..]);
        assert_eq!((whole.end, whole.problem), (log.len() as u64, None));

        let mut flipped = log.clone();
        flipped[HEADER + 5 + HEADER] ^= 1;
        let damaged = check(&flipped[..]);
        let text = "checksum mismatch in the record at offset 12".to_owned();
        assert_eq!((damaged.end, damaged.problem), (12, Some(Problem::Damage(text))));

        // The last record is torn, as a crash leaves it.
        let torn = check(&log[..log.len() - 1]);
        assert_eq!((torn.end, torn.problem), (12 + 10, None));

        let without_begin = [record(FULL, b"first"), record(LAST, b"ond")].concat();
        assert!(matches!(check(&without_begin[..]).problem, Some(Problem::Damage(_))));
    }

    #[test]
    fn zeros_are_a_gap_only_before_records() {
        let with_space = [record(FULL, b"first"), vec![0; 3 * BLOCK]].concat();
        let reserved = check(&with_space[..]);
        assert_eq!((reserved.end, reserved.problem), (12, None));

        let with_record = [with_space, record(FULL, b"second")].concat();
        let gap = check(&with_record[..]);
        assert_eq!((gap.end, gap.problem), (12, Some(Problem::Gap)));
    }

    #[test]
    fn a_log_names_the_one_before() {
        let data: Vec<u8> = [7_u64, 4096, 99].iter().flat_map(|n| n.to_le_bytes()).collect();
        let log = check(&record(PREDECESSOR, &data)[..]);
        assert_eq!(log.predecessor, Some(Predecessor { number: 7, size: 4096 }));
        assert_eq!(log.problem, None);
    }
}
