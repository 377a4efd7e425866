//! Tells gaps in the write-ahead log, which a power failure leaves, from damage.
//!
//! A disk may have any part of the unsynced writes to a log: the end may be there and
//! something before it missing, because pages are written in any order. Writes that were not synced
//! may be lost, so the log ends at such a gap. RocksDB reports it as damage, which must not count
//! as the end of the log. The difference: what never reached the disk reads as zeros, up to the end
//! of a sector.

use std::fs;
use std::io;
use std::path::Path;

use rocksdb::ErrorKind;

use super::format::{BLOCK, HEADER, checksum};

/// The bytes that a disk writes as a whole, at least. Pages and blocks are multiples of it.
const SECTOR: usize = 512;

/// At least this many zeros at the end of a sector are not part of a record.
const ZEROS: usize = 8;

/// Returns whether RocksDB finds no log at all.
///
/// `verify` has already reported a log that is missing. So the process that created the store
/// crashed before it created the first log, a case that RocksDB misses when it verifies logs.
pub fn is_before_first_log(cause: &rocksdb::Error) -> bool {
    cause.kind() == ErrorKind::Corruption
        && cause.as_ref().contains("existing DB with no WAL files")
}

/// Creates the log file that the crashed process had not created yet. No file of RocksDB has its
/// number.
pub fn create_first_log(path: &Path) -> io::Result<()> {
    match fs::File::create_new(path.join("000002.log")) {
        Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => Err(cause),
        _ => Ok(()),
    }
}

/// Returns whether a gap explains the damage that RocksDB reports for the store in `path`.
pub fn explains(cause: &rocksdb::Error, path: &Path) -> io::Result<bool> {
    Ok(cause.kind() == ErrorKind::Corruption && (is_lost_end(cause.as_ref()) || is_in_logs(path)?))
}

/// Returns whether RocksDB reports that a log has lost its end.
///
/// Each log records where the one before it ended. That one may have lost its end while this one
/// reached the disk.
pub fn is_lost_end(text: &str) -> bool {
    ["Mismatched last sequence number recorded in the WAL", "Mismatched size of the WAL"]
        .iter()
        .any(|reason| text.contains(reason))
}

/// Returns whether the first corrupt record in the logs of the store in `path` is a gap.
fn is_in_logs(path: &Path) -> io::Result<bool> {
    let mut logs = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            logs.push(path);
        }
    }
    // The names are numbers of one length, in the order in which the logs were written.
    logs.sort();
    for log in logs {
        let bytes = fs::read(log)?;
        if let Some((start, end)) = first_corrupt_record(&bytes) {
            return Ok(is_gap(&bytes, start, end));
        }
    }
    Ok(false)
}

/// Returns the start and the end of the first record whose checksum does not match.
fn first_corrupt_record(log: &[u8]) -> Option<(usize, usize)> {
    let mut at = 0;
    // `at` grows by a header at least each time.
    loop {
        let block_end = (at / BLOCK + 1) * BLOCK;
        if at + HEADER > block_end {
            at = block_end;
        }
        let rest = log.get(at..)?;
        let (&[c0, c1, c2, c3, l0, l1, _], _) = rest.split_first_chunk::<HEADER>()?;
        let end = at + HEADER + usize::from(u16::from_le_bytes([l0, l1]));
        let block_end = (at / BLOCK + 1) * BLOCK;
        if end > block_end {
            return Some((at, block_end.min(log.len())));
        }
        // `get` returns None for the torn record at the end of the log, which is allowed.
        let type_and_data = log.get(at + HEADER - 1..end)?;
        if u32::from_le_bytes([c0, c1, c2, c3]) != checksum(type_and_data) {
            return Some((at, end));
        }
        at = end;
    }
}

/// Returns whether the record from `start` to `end` was written in part only. `log` begins at a
/// sector.
pub fn is_gap(log: &[u8], start: usize, end: usize) -> bool {
    let sectors = start / SECTOR..end.div_ceil(SECTOR);
    let mut parts = sectors.map(|sector| {
        let sector_end = ((sector + 1) * SECTOR).min(log.len());
        &log[start.max(sector * SECTOR)..sector_end]
    });
    parts.any(|part| part.iter().rev().take(ZEROS).all(|byte| *byte == 0))
}
