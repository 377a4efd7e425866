//! Verifies the files of a store before RocksDB opens them, for damage that RocksDB misses.
//!
//! If `CURRENT` is missing, RocksDB creates a new database and deletes the tables of the old one.
//! It takes a missing log for an empty one. It takes a record with a damaged length for a torn one
//! and stops there, whatever follows. In the manifest too: then it deletes the tables that it did
//! not read there. In all these cases keys would be lost without an error.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::format::{self, End, RecordJoiner};
use crate::error::{Error, Kind, Result};
use crate::sys::descriptors::above_streams;

/// The attempts to verify a store whose manifest changes meanwhile.
const ATTEMPTS: u32 = 3;

/// The first manifest of a store. It exists before the first log.
const FIRST_MANIFEST: &str = "MANIFEST-000001";

/// Verifies the store in `path`.
///
/// A store that another process changes during every attempt passes: it is not damaged, and the
/// opening reports that it is locked.
pub fn verify(path: &Path) -> Result<()> {
    for _ in 0..ATTEMPTS {
        let before = ManifestVersion::read(path);
        let result = verify_once(path);
        if ManifestVersion::read(path) == before {
            return result;
        }
    }
    Ok(())
}

/// The name and the length of the manifest. RocksDB only appends to it, or starts another one, so
/// an equal version has an equal content.
#[derive(PartialEq, Eq)]
pub struct ManifestVersion {
    name: String,
    len: u64,
}

impl ManifestVersion {
    /// Reads the version of the manifest of the store in `path`, if there is one.
    pub fn read(path: &Path) -> Option<ManifestVersion> {
        let name = fs::read_to_string(path.join("CURRENT")).ok()?;
        let len = fs::metadata(path.join(name.trim_end())).ok()?.len();
        Some(ManifestVersion { name, len })
    }
}

/// Returns whether the process that created the store in `path` crashed before it created the first
/// log. Such a store is empty.
pub fn is_before_first_log(path: &Path) -> Result<bool> {
    let is_first = ManifestVersion::read(path)
        .is_some_and(|manifest| manifest.name.trim_end() == FIRST_MANIFEST);
    Ok(is_first && file_numbers(path, "log")?.is_empty())
}

fn verify_once(path: &Path) -> Result<()> {
    let damaged = |what: &'static str| Err(Error::new(Kind::Corruption, what).at(path));
    let (tables, logs) = (file_numbers(path, "sst")?, file_numbers(path, "log")?);
    let manifest = match fs::read_to_string(path.join("CURRENT")) {
        Ok(name) => name,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            // A store without either was never complete and held nothing.
            if tables.is_empty() && logs.is_empty() {
                return Ok(());
            }
            return damaged("the file CURRENT is missing, but there are tables or logs");
        }
        Err(cause) if cause.kind() == io::ErrorKind::InvalidData => {
            return damaged("the file CURRENT is not text");
        }
        Err(cause) => return Err(cannot_read(path, cause)),
    };
    let number = manifest
        .strip_prefix("MANIFEST-")
        .and_then(|rest| rest.strip_suffix('\n'))
        .map(str::parse::<u64>);
    if !matches!(number, Some(Ok(_))) {
        return damaged("the file CURRENT names no manifest");
    }
    let next_file = match open(path, manifest.trim_end())? {
        Some(file) => next_file_number(file).map_err(|cause| cannot_read(path, cause))?,
        None => return damaged("the manifest that CURRENT names is missing"),
    };
    let Some(next_file) = next_file else {
        return damaged("the manifest has records behind a damaged one");
    };
    if logs.is_empty() && manifest.trim_end() != FIRST_MANIFEST {
        return damaged("the log is missing");
    }
    // A writer of the manifest has a log with a lower number, and keeps it until the manifest has
    // the table with its content.
    if logs.first().is_some_and(|log| *log >= next_file)
        && tables.last().is_some_and(|table| *table >= next_file)
    {
        return damaged("the end of the manifest is missing");
    }
    for log in logs {
        let Some(file) = open(path, &format!("{log:06}.log"))? else { continue };
        let end = format::walk(file, |_, _| ()).map_err(|cause| cannot_read(path, cause))?;
        if end == End::Early {
            return damaged("the log has records behind a damaged one");
        }
    }
    Ok(())
}

/// Returns the last number of the next new file in a manifest, or 0 if it has none, or `None` if it
/// is damaged.
fn next_file_number(manifest: File) -> io::Result<Option<u64>> {
    let (mut records, mut number) = (RecordJoiner::default(), 0);
    let end = format::walk(manifest, |kind, data| {
        if let Some(record) = records.add(kind, data) {
            number = format::next_file_number(record).unwrap_or(number);
        }
    })?;
    Ok((end == End::Clean).then_some(number))
}

/// Returns the numbers of the files with this extension.
fn file_numbers(path: &Path, extension: &str) -> Result<BTreeSet<u64>> {
    let mut numbers = BTreeSet::new();
    for entry in fs::read_dir(path).map_err(|cause| cannot_read(path, cause))? {
        let name = entry.map_err(|cause| cannot_read(path, cause))?.file_name();
        let parts = name.to_str().and_then(|name| name.split_once('.'));
        if let Some((number, _)) = parts.filter(|(_, found)| *found == extension) {
            numbers.extend(number.parse::<u64>());
        }
    }
    Ok(numbers)
}

fn open(path: &Path, name: &str) -> Result<Option<File>> {
    match File::open(path.join(name)).and_then(above_streams) {
        Ok(file) => Ok(Some(file)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(cannot_read(path, cause)),
    }
}

fn cannot_read(path: &Path, cause: io::Error) -> Error {
    Error::io("cannot read the store's directory", cause).at(path)
}
