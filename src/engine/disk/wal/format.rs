//! The format of RocksDB's logs and manifests: records in blocks of 32 KiB.
//!
//! A record has a header and data. The header has a checksum of four bytes over type and data, a
//! length of two bytes and a type of one. A record does not cross the end of a block; a longer one
//! is split into several. This module reads only as much as it takes to find where RocksDB silently
//! stops reading a file, and leaves to RocksDB what RocksDB verifies.

use std::io::{self, Read};

pub const BLOCK: usize = 32 << 10;
pub const HEADER: usize = 7;

// The types of records.
pub const ZERO: u8 = 0;
pub const FULL: u8 = 1;
pub const FIRST: u8 = 2;
// 3 is a middle part.
pub const LAST: u8 = 4;
/// Says where the log before ended.
pub const PREDECESSOR: u8 = 130;

/// The types of records in recycled files, which kvds never uses. RocksDB takes such a record for a
/// leftover, whatever its checksum, and stops there.
pub const RECYCLED: [u8; 6] = [5, 6, 7, 8, 11, 131];

/// How a file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With a whole record, or with a torn one.
    Clean,
    /// There are records behind the place where RocksDB stops.
    Early,
}

/// Calls `visit` with the type and the data of each record of `file`.
pub fn walk(mut file: impl Read, mut visit: impl FnMut(u8, &[u8])) -> io::Result<End> {
    let mut block = Vec::with_capacity(BLOCK);
    // Each turn reads the next block of a regular file. A writer makes the file grow, up to the
    // size at which it starts the next one.
    loop {
        block.clear();
        file.by_ref().take(BLOCK as u64).read_to_end(&mut block)?;
        let mut rest = &block[..];
        while let Some((header, behind)) = rest.split_first_chunk::<HEADER>() {
            let [.., low, high, kind] = *header;
            let len = usize::from(u16::from_le_bytes([low, high]));
            if kind == ZERO && len == 0 {
                break;
            }
            if RECYCLED.contains(&kind) {
                return Ok(End::Early);
            }
            let Some((data, next)) = behind.split_at_checked(len) else {
                // RocksDB reports this as damage inside a file, but not at its end.
                let at_end = block.len() < BLOCK;
                return Ok(if at_end && contains_record(behind) { End::Early } else { End::Clean });
            };
            visit(kind, data);
            rest = next;
        }
        if block.len() < BLOCK {
            return Ok(End::Clean);
        }
    }
}

/// Returns whether a record begins anywhere in `bytes`. A torn record has none behind it.
pub fn contains_record(bytes: &[u8]) -> bool {
    (0..bytes.len()).any(|at| {
        let Some((header, _)) = bytes[at..].split_first_chunk::<HEADER>() else {
            return false;
        };
        let [a, b, c, d, low, high, kind] = *header;
        let len = usize::from(u16::from_le_bytes([low, high]));
        (FULL..=LAST).contains(&kind)
            && bytes[at + HEADER - 1..].get(..=len).is_some_and(|type_and_data| {
                checksum(type_and_data) == u32::from_le_bytes([a, b, c, d])
            })
    })
}

/// Returns the stored checksum of a record. RocksDB masks checksums, because the checksum of data
/// that contains checksums is a bad one.
pub fn checksum(type_and_data: &[u8]) -> u32 {
    crc32c::crc32c(type_and_data).rotate_right(15).wrapping_add(0xA282_EAD8)
}

/// Joins the parts of split records.
#[derive(Default)]
pub struct RecordJoiner(Vec<u8>);

impl RecordJoiner {
    /// Adds the next part. Returns the whole record after its last part.
    pub fn add(&mut self, kind: u8, data: &[u8]) -> Option<&[u8]> {
        if matches!(kind, FULL | FIRST) {
            self.0.clear();
        }
        if matches!(kind, FULL..=LAST) {
            self.0.extend_from_slice(data);
        }
        matches!(kind, FULL | LAST).then_some(&self.0)
    }
}

/// Returns the number of the next new file, if this record of a manifest has it.
pub fn next_file_number(record: &[u8]) -> Option<u64> {
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
            // RocksDB writes no other field before the number.
            _ => return None,
        }
    }
}

/// Reads a number in groups of seven bits, the lowest first.
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
