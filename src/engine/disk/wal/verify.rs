//! A look at a store's files before RocksDB opens them, for damage that RocksDB does not take for
//! damage.
//!
//! RocksDB begins a new database where `CURRENT` is missing, and removes the tables of the old one.
//! It opens a store whose log is missing as one whose log is empty. It takes a record whose length
//! is damaged for one that was torn by a death, and ends there, whatever comes behind; in the list
//! of tables too, and then it removes the tables that it does not find there. In all these cases
//! keys would be gone without a word.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::format::{self, End, Whole};
use crate::error::{Error, Kind, Result};
use crate::sys::descriptors::above_streams;

/// How often a look is repeated because the list of tables changed meanwhile.
const ATTEMPTS: u32 = 3;

/// The list of tables that a store has first. It is there before the first log.
const FIRST_LIST: &str = "MANIFEST-000001";

/// Looks at the store in `path`. A store that another process changes all the while passes: it is
/// not damaged, and opening it tells that it is locked.
pub fn inspect(path: &Path) -> Result<()> {
    for _ in 0..ATTEMPTS {
        let before = table_list(path);
        let seen = look(path);
        if table_list(path) == before {
            return seen;
        }
    }
    Ok(())
}

/// The list of table files, as its name and length: RocksDB only appends to it, or begins another
/// one.
pub fn table_list(path: &Path) -> Option<(String, u64)> {
    let name = fs::read_to_string(path.join("CURRENT")).ok()?;
    let len = fs::metadata(path.join(name.trim_end())).ok()?.len();
    Some((name, len))
}

/// Whether the process that began the store in `path` has died before it made the first log, so
/// that there is nothing in it.
pub fn is_before_the_first_log(path: &Path) -> Result<bool> {
    let first = table_list(path).is_some_and(|(name, _)| name.trim_end() == FIRST_LIST);
    Ok(first && numbers(path, "log")?.is_empty())
}

fn look(path: &Path) -> Result<()> {
    let damaged = |what: &'static str| Err(Error::new(Kind::Corruption, what).at(path));
    let (tables, logs) = (numbers(path, "sst")?, numbers(path, "log")?);
    let list = match fs::read_to_string(path.join("CURRENT")) {
        Ok(name) => name,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            // What has neither was never whole, and held nothing.
            if tables.is_empty() && logs.is_empty() {
                return Ok(());
            }
            return damaged("the file CURRENT is missing, but there are tables or logs");
        }
        Err(cause) if cause.kind() == io::ErrorKind::InvalidData => {
            return damaged("the file CURRENT is no text");
        }
        Err(cause) => return Err(failed(path, cause)),
    };
    let number = list
        .strip_prefix("MANIFEST-")
        .and_then(|rest| rest.strip_suffix('\n'))
        .map(str::parse::<u64>);
    if !matches!(number, Some(Ok(_))) {
        return damaged("the file CURRENT names no list of tables");
    }
    let next = match open(path, list.trim_end())? {
        Some(file) => next_file(file).map_err(|cause| failed(path, cause))?,
        None => return damaged("the list of tables that CURRENT names is missing"),
    };
    let Some(next) = next else {
        return damaged("the list of tables has records behind a damaged one");
    };
    if logs.is_empty() && list.trim_end() != FIRST_LIST {
        return damaged("the log is missing");
    }
    // Who writes the list has a log that is older than that, and keeps it until the list has the
    // table with its content.
    if logs.first().is_some_and(|log| *log >= next)
        && tables.last().is_some_and(|table| *table >= next)
    {
        return damaged("the list of tables has lost its end");
    }
    for log in logs {
        let Some(file) = open(path, &format!("{log:06}.log"))? else { continue };
        if format::walk(file, |_, _| ()).map_err(|cause| failed(path, cause))? == End::Early {
            return damaged("the log has records behind a damaged one");
        }
    }
    Ok(())
}

/// The number that the next new file gets, as the list of tables says last; 0 if it never does, and
/// None if it is damaged.
fn next_file(list: File) -> io::Result<Option<u64>> {
    let (mut whole, mut next) = (Whole::default(), 0);
    let end = format::walk(list, |kind, data| {
        if let Some(record) = whole.take(kind, data) {
            next = format::next_file(record).unwrap_or(next);
        }
    })?;
    Ok((end == End::Fine).then_some(next))
}

/// The numbers of the files with this ending.
fn numbers(path: &Path, ending: &str) -> Result<BTreeSet<u64>> {
    let mut numbers = BTreeSet::new();
    for entry in fs::read_dir(path).map_err(|cause| failed(path, cause))? {
        let name = entry.map_err(|cause| failed(path, cause))?.file_name();
        let parts = name.to_str().and_then(|name| name.split_once('.'));
        if let Some((number, _)) = parts.filter(|(_, found)| *found == ending) {
            numbers.extend(number.parse::<u64>());
        }
    }
    Ok(numbers)
}

fn open(path: &Path, name: &str) -> Result<Option<File>> {
    match File::open(path.join(name)).and_then(above_streams) {
        Ok(file) => Ok(Some(file)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(failed(path, cause)),
    }
}

fn failed(path: &Path, cause: io::Error) -> Error {
    Error::io("cannot look into the store's directory", cause).at(path)
}
