//! The files of a disk store, as its directory shows them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// What a file is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Sorted pairs.
    Table,
    /// The write-ahead log.
    Wal,
}

/// The files of a store at a point in time.
#[derive(Clone, Default)]
pub struct Files {
    sizes: BTreeMap<OsString, u64>,
    newest: Option<SystemTime>,
}

impl Files {
    /// Reads the directory of a store. Files that the writer deletes meanwhile are left out.
    pub fn read(directory: &Path) -> io::Result<Files> {
        let mut files = Files::default();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_file() {
                files.newest = files.newest.max(metadata.modified().ok());
                files.sizes.insert(entry.file_name(), metadata.len());
            }
        }
        Ok(files)
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = (&OsString, u64)> {
        let files = self.sizes.iter().map(|(name, &bytes)| (name, bytes));
        files.filter(move |(name, _)| kind_of(name) == Some(kind))
    }

    pub fn count(&self, kind: Kind) -> usize {
        self.of(kind).count()
    }

    pub fn bytes(&self, kind: Kind) -> u64 {
        self.of(kind).map(|(_, bytes)| bytes).sum()
    }

    /// Returns the bytes of all files.
    pub fn all_bytes(&self) -> u64 {
        self.sizes.values().sum()
    }

    /// Returns the time since the last write to any file.
    pub fn age(&self) -> Duration {
        let newest = self.newest.unwrap_or(SystemTime::UNIX_EPOCH);
        SystemTime::now().duration_since(newest).unwrap_or_default()
    }

    /// Returns the bytes that files of a kind have grown by since `before`.
    ///
    /// New files count as a whole, and deleted ones not at all. A file that came and went in
    /// between is missed.
    pub fn written_since(&self, before: &Files, kind: Kind) -> u64 {
        let grown = |(name, bytes): (&OsString, u64)| {
            bytes.saturating_sub(before.sizes.get(name).copied().unwrap_or(0))
        };
        self.of(kind).map(grown).sum()
    }

    /// Returns whether no file has changed since `before`.
    pub fn equal(&self, before: &Files) -> bool {
        self.sizes == before.sizes && self.newest == before.newest
    }
}

fn kind_of(name: &OsString) -> Option<Kind> {
    match Path::new(name).extension()?.to_str()? {
        "sst" => Some(Kind::Table),
        "log" => Some(Kind::Wal),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(sizes: &[(&str, u64)]) -> Files {
        let sizes = sizes.iter().map(|&(name, bytes)| (name.into(), bytes)).collect();
        Files { sizes, newest: None }
    }

    #[test]
    fn what_was_written_is_what_files_grew_by() {
        let before = files(&[("1.log", 100), ("2.sst", 50), ("3.log", 10), ("CURRENT", 16)]);
        let after = files(&[("3.log", 15), ("4.log", 7), ("2.sst", 50), ("5.sst", 20)]);
        assert_eq!(after.written_since(&before, Kind::Wal), 12);
        assert_eq!(after.written_since(&before, Kind::Table), 20);
        assert_eq!((before.bytes(Kind::Wal), before.count(Kind::Wal)), (110, 2));
        assert_eq!(before.all_bytes(), 176);
        assert!(before.equal(&before.clone()) && !before.equal(&after));
    }
}
