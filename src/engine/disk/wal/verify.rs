//! Verifies the files of a store before RocksDB opens them, for damage that RocksDB misses.
//!
//! If `CURRENT` is missing, RocksDB creates a new database and deletes the tables of the old one.
//! It takes a missing log for an empty one. It takes a record with a damaged length for a torn one
//! and stops there, whatever follows. In the manifest too: then it deletes the tables that it did
//! not read there. In all these cases keys would be lost without an error.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

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
    while_manifest_is_steady(path, || verify_once(path)).unwrap_or(Ok(()))
}

/// Returns the result of the first attempt to read the store in `path` during which its manifest
/// does not change.
pub fn while_manifest_is_steady<T>(path: &Path, mut read: impl FnMut() -> T) -> Option<T> {
    for _ in 0..ATTEMPTS {
        let before = ManifestVersion::read(path);
        let result = read();
        if ManifestVersion::read(path) == before {
            return Some(result);
        }
    }
    None
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

    /// Returns the name of the manifest.
    pub fn name(&self) -> &str {
        self.name.trim_end()
    }
}

/// Returns whether the process that created the store in `path` crashed before it created the first
/// log. Such a store is empty.
pub fn is_before_first_log(path: &Path) -> Result<bool> {
    let is_first =
        ManifestVersion::read(path).is_some_and(|manifest| manifest.name() == FIRST_MANIFEST);
    Ok(is_first && file_numbers(path, "log")?.is_empty())
}

fn verify_once(path: &Path) -> Result<()> {
    let damage = match manifest_damage(path)? {
        Some((_, what)) => Some(what),
        None => log_damage(path)?,
    };
    damage.map_or(Ok(()), |what| Err(Error::new(Kind::Corruption, what).at(path)))
}

/// Returns the damaged file and what is damaged, if the list of the store's files is.
pub fn manifest_damage(path: &Path) -> Result<Option<(PathBuf, &'static str)>> {
    let current = path.join("CURRENT");
    let name = match fs::read_to_string(&current) {
        Ok(name) => name,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            // A store without either was never complete and held nothing.
            let is_empty =
                file_numbers(path, "sst")?.is_empty() && file_numbers(path, "log")?.is_empty();
            let what = "the file CURRENT is missing, but there are tables or logs";
            return Ok((!is_empty).then_some((current, what)));
        }
        Err(cause) if cause.kind() == io::ErrorKind::InvalidData => {
            return Ok(Some((current, "the file CURRENT is not text")));
        }
        Err(cause) => return Err(cannot_read(path, cause)),
    };
    let number = name
        .strip_prefix("MANIFEST-")
        .and_then(|rest| rest.strip_suffix('\n'))
        .map(str::parse::<u64>);
    if !matches!(number, Some(Ok(_))) {
        return Ok(Some((current, "the file CURRENT names no manifest")));
    }
    let what = manifest_file_damage(path, name.trim_end())?;
    Ok(what.map(|what| (path.join(name.trim_end()), what)))
}

/// Returns what is damaged in the manifest called `name`, if anything is.
pub fn manifest_file_damage(path: &Path, name: &str) -> Result<Option<&'static str>> {
    let (tables, logs) = (file_numbers(path, "sst")?, file_numbers(path, "log")?);
    let next_file = match open(path, name)? {
        Some(file) => next_file_number(file).map_err(|cause| cannot_read(path, cause))?,
        None => return Ok(Some("the manifest that CURRENT names is missing")),
    };
    let Some(next_file) = next_file else {
        return Ok(Some("the manifest has records behind a damaged one"));
    };
    // A writer of the manifest has a log with a lower number, and keeps it until the manifest has
    // the table with its content.
    if logs.first().is_some_and(|log| *log >= next_file)
        && tables.last().is_some_and(|table| *table >= next_file)
    {
        return Ok(Some("the end of the manifest is missing"));
    }
    Ok(None)
}

/// Returns what RocksDB would miss in the logs.
fn log_damage(path: &Path) -> Result<Option<&'static str>> {
    let logs = file_numbers(path, "log")?;
    if are_missing(path, &logs) {
        return Ok(Some("the log is missing"));
    }
    for log in logs {
        let Some(file) = open(path, &format!("{log:06}.log"))? else { continue };
        let end = format::walk(file, |_, _| ()).map_err(|cause| cannot_read(path, cause))?;
        if end == End::Early {
            return Ok(Some("the log has records behind a damaged one"));
        }
    }
    Ok(None)
}

/// Returns whether the store in `path` must have a log, but has none of these.
pub fn are_missing(path: &Path, logs: &BTreeSet<u64>) -> bool {
    let manifest = ManifestVersion::read(path);
    logs.is_empty() && manifest.is_some_and(|manifest| manifest.name() != FIRST_MANIFEST)
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
pub fn file_numbers(path: &Path, extension: &str) -> Result<BTreeSet<u64>> {
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
