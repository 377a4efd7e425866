//! The form of RocksDB's logs and lists of tables: records in blocks of 32 KiB.
//!
//! A record is a header and a piece of data: a checksum of four bytes over what follows the length,
//! a length of two, a type of one. It does not cross the end of a block; what is longer is cut into
//! several. Only as much is looked at here as it takes to tell what RocksDB takes for the end of a
//! file without a word, and what it checks by itself is left to it.

use std::io::{self, Read};

const BLOCK: usize = 32 << 10;
const HEADER: usize = 7;

// The types of records.
const NOTHING: u8 = 0;
const FULL: u8 = 1;
const FIRST: u8 = 2;
// 3 is one in the middle.
const LAST: u8 = 4;

/// Types of records in files that are used a second time, which kvds has RocksDB never do. RocksDB
/// believes that such a record is left over from the first time, whatever its checksum, and ends
/// there.
const LEFT_OVER: [u8; 6] = [5, 6, 7, 8, 11, 131];

/// How a file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With a whole record, or with one that was torn while it was written.
    Fine,
    /// Where it should not: there are records behind what RocksDB takes for its end.
    Early,
}

/// Goes over the records of `file` and shows each piece of data and its type to `see`.
pub fn walk(mut file: impl Read, mut see: impl FnMut(u8, &[u8])) -> io::Result<End> {
    let mut block = Vec::with_capacity(BLOCK);
    // Each turn reads a block further, and the file is a regular one. Beside a writer it grows, to
    // the size at which the writer begins another.
    loop {
        block.clear();
        file.by_ref().take(BLOCK as u64).read_to_end(&mut block)?;
        let mut rest = &block[..];
        while let Some((header, behind)) = rest.split_first_chunk::<HEADER>() {
            let [.., low, high, kind] = *header;
            let len = usize::from(u16::from_le_bytes([low, high]));
            if kind == NOTHING && len == 0 {
                break;
            }
            if LEFT_OVER.contains(&kind) {
                return Ok(End::Early);
            }
            let Some((data, next)) = behind.split_at_checked(len) else {
                // In the middle of a file RocksDB knows that this is damage, at its end it does
                // not.
                let torn = block.len() < BLOCK;
                return Ok(if torn && holds_a_record(behind) { End::Early } else { End::Fine });
            };
            see(kind, data);
            rest = next;
        }
        if block.len() < BLOCK {
            return Ok(End::Fine);
        }
    }
}

/// Whether a record begins anywhere in `bytes`. What was torn while it was written has none behind
/// it.
fn holds_a_record(bytes: &[u8]) -> bool {
    (0..bytes.len()).any(|at| {
        let Some((header, behind)) = bytes[at..].split_first_chunk::<HEADER>() else {
            return false;
        };
        let [a, b, c, d, low, high, kind] = *header;
        let len = usize::from(u16::from_le_bytes([low, high]));
        (FULL..=LAST).contains(&kind)
            && behind.get(..len).is_some_and(|data| {
                let sum = crc32c::crc32c_append(crc32c::crc32c(&[kind]), data);
                // RocksDB masks sums, as sums over data that has sums in it are bad ones.
                sum.rotate_right(15).wrapping_add(0xA282_EAD8) == u32::from_le_bytes([a, b, c, d])
            })
    })
}

/// Puts the pieces of long records together.
#[derive(Default)]
pub struct Whole(Vec<u8>);

impl Whole {
    /// Takes the next piece. Returns the record that it ends, if it ends one.
    pub fn take(&mut self, kind: u8, data: &[u8]) -> Option<&[u8]> {
        if matches!(kind, FULL | FIRST) {
            self.0.clear();
        }
        if matches!(kind, FULL..=LAST) {
            self.0.extend_from_slice(data);
        }
        matches!(kind, FULL | LAST).then_some(&self.0)
    }
}

/// The number that the next new file gets, as of a record of a list of tables, if it says so.
pub fn next_file(record: &[u8]) -> Option<u64> {
    const COMPARATOR: u64 = 1;
    const LOG: u64 = 2;
    const NEXT_FILE: u64 = 3;
    const PREVIOUS_LOG: u64 = 9;
    const DATABASE: u64 = 8193;

    let mut rest = record;
    loop {
        match varint(&mut rest)? {
            NEXT_FILE => return varint(&mut rest),
            LOG | PREVIOUS_LOG => drop(varint(&mut rest)?),
            COMPARATOR | DATABASE => {
                let len = usize::try_from(varint(&mut rest)?).ok()?;
                rest = rest.get(len..)?;
            }
            // Nothing of what comes before it any more.
            _ => return None,
        }
    }
}

/// A number in groups of seven bits, the lowest first.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
