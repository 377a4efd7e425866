//! Telling what a power cut leaves of a log from damage.
//!
//! Of what was written to a log and not synced, a disk has any part: the end may be there and
//! something before it not, as pages are written in any order. Nothing that was not synced is
//! missed, so a log with such a hole ends for us where the hole begins. But to RocksDB it looks
//! like damage, which must not pass for the end of the log. The difference is that what never came
//! to the disk reads as zeros, up to the end of a sector.

use std::fs;
use std::io;
use std::path::Path;

use rocksdb::ErrorKind;

/// What a disk writes as a whole, at least. Pages and blocks are multiples of it.
const SECTOR: usize = 512;
/// So many zeros at the end of a sector, or more, are not part of a record.
const ZEROS: usize = 8;

/// Whether RocksDB finds no log at all. Where one was ever made, `verify` has reported that
/// already; so whoever began the store has died before that, which RocksDB does not think of when
/// it verifies logs.
pub fn is_before_the_first_log(cause: &rocksdb::Error) -> bool {
    cause.kind() == ErrorKind::Corruption
        && cause.as_ref().contains("existing DB with no WAL files")
}

/// Makes what the one who died would have made next. No file of RocksDB's has this number.
pub fn begin_first_log(path: &Path) -> io::Result<()> {
    match fs::File::create_new(path.join("000002.log")) {
        Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => Err(cause),
        _ => Ok(()),
    }
}

/// Whether a store in `path` that RocksDB says is damaged has only lost what was not synced.
pub fn explains(cause: &rocksdb::Error, path: &Path) -> io::Result<bool> {
    // Each log says where the one before it ended. That may have lost its end while this one came
    // to the disk.
    let lost_its_end =
        ["Mismatched last sequence number recorded in the WAL", "Mismatched size of the WAL"];
    Ok(cause.kind() == ErrorKind::Corruption
        && (lost_its_end.iter().any(|text| cause.as_ref().contains(text)) || is_in_logs(path)?))
}

/// Whether the first thing in a log of the store in `path` that does not check out is a hole.
fn is_in_logs(path: &Path) -> io::Result<bool> {
    let mut logs = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            logs.push(path);
        }
    }
    // Their names have numbers of one length, in the order in which they were written.
    logs.sort();
    for log in logs {
        let bytes = fs::read(log)?;
        if let Some((begin, end)) = first_wrong_record(&bytes) {
            return Ok(is_hole(&bytes, begin, end));
        }
    }
    Ok(false)
}

/// RocksDB's logs are made of blocks, and these of records: a checksum, a length, a type and bytes.
/// No record goes beyond its block, and what is too short for the head of one is left free.
const BLOCK: usize = 32 << 10;
const HEAD: usize = 7;

/// Where the first record lies that is not what was written.
fn first_wrong_record(log: &[u8]) -> Option<(usize, usize)> {
    let mut at = 0;
    // `at` grows by a header at least each time.
    loop {
        let block_end = (at / BLOCK + 1) * BLOCK;
        if at + HEAD > block_end {
            at = block_end;
        }
        let rest = log.get(at..)?;
        let (&[c0, c1, c2, c3, l0, l1, _], _) = rest.split_first_chunk::<HEAD>()?;
        let end = at + HEAD + usize::from(u16::from_le_bytes([l0, l1]));
        let block_end = (at / BLOCK + 1) * BLOCK;
        if end > block_end {
            return Some((at, block_end.min(log.len())));
        }
        // A record that the end of the log tears is no matter.
        let checked = log.get(at + HEAD - 1..end)?;
        let stored = u32::from_le_bytes([c0, c1, c2, c3]);
        if stored != crc32c::crc32c(checked).rotate_right(15).wrapping_add(0xA282_EAD8) {
            return Some((at, end));
        }
        at = end;
    }
}

fn is_hole(log: &[u8], begin: usize, end: usize) -> bool {
    let sectors = begin / SECTOR..end.div_ceil(SECTOR);
    let mut of_the_record = sectors.map(|sector| {
        let to = ((sector + 1) * SECTOR).min(log.len());
        &log[begin.max(sector * SECTOR)..to]
    });
    of_the_record.any(|bytes| bytes.iter().rev().take(ZEROS).all(|byte| *byte == 0))
}
