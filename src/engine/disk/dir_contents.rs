//! The contents of a directory: a store, a part of one, or files of other programs.
//!
//! When RocksDB opens a database, it deletes files with names like its own that it does not need.
//! It does not touch files with other names, so those are allowed.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::Path;

use super::destroy;
use crate::error::{Error, Result};

/// The files of RocksDB in a directory. Empty for a missing directory.
#[derive(Default)]
pub struct DirContents {
    /// The lock file, which RocksDB creates first and deletes last, or the marker of a destroyed
    /// store.
    has_lock_or_marker: bool,
    has_current: bool,
    has_manifest: bool,
    has_table: bool,
    /// A file that RocksDB would take for its own. Another program may have created it.
    rocksdb_file: Option<OsString>,
}

impl DirContents {
    /// Reads the directory `path`.
    ///
    /// Fails if an entry with the name of a store's file is not a regular file, because opening a
    /// FIFO would block forever.
    pub fn read(path: &Path) -> Result<DirContents> {
        let error = |cause| Error::io("cannot read the store's directory", cause).at(path);
        let mut contents = DirContents::default();
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            // The next step, which opens or creates the directory, reports the error.
            // Another process may have created it meanwhile.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound || !path.is_dir() => {
                return Ok(contents);
            }
            Err(cause) => return Err(error(cause)),
        };
        for entry in entries {
            let entry = entry.map_err(error)?;
            let name = entry.file_name();
            if !is_rocksdb_name(&name) && name != destroy::MARKER {
                continue;
            }
            let kind = entry.file_type().map_err(error)?;
            let is_file = kind.is_file() || kind.is_symlink() && entry.path().is_file();
            // Beside a writer, a file may vanish meanwhile.
            if !is_file && entry.path().symlink_metadata().is_ok() && name != ARCHIVE {
                let text = "it has the name of a store's file, but is not a regular file";
                return Err(
                    Error::io("cannot open the store", io::Error::other(text)).at(&entry.path())
                );
            }
            match name.to_str() {
                Some("LOCK" | destroy::MARKER) => contents.has_lock_or_marker = true,
                Some("CURRENT") => contents.has_current = true,
                Some(name) if name.starts_with("MANIFEST-") => contents.has_manifest = true,
                Some(name) if name.ends_with(".sst") => contents.has_table = true,
                _ => {}
            }
            contents.rocksdb_file.get_or_insert(name);
        }
        if contents.has_current && !contents.has_manifest {
            match fs::read(path.join("CURRENT")) {
                Ok(text) => contents.has_manifest = text.starts_with(b"MANIFEST-"),
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                    contents.has_current = false
                }
                Err(cause) => return Err(error(cause)),
            }
        }
        Ok(contents)
    }

    /// Returns whether there is a store, or a part of one that was partly created or removed.
    pub fn has_traces(&self) -> bool {
        self.has_lock_or_marker || self.has_current && self.has_manifest
    }

    /// Returns whether there may be a damaged store.
    pub fn may_be_store(&self) -> bool {
        self.has_traces() || self.has_manifest || self.has_table
    }

    /// Refuses a directory without a store in which an opening would touch a file.
    pub fn refuse_foreign_files(&self, path: &Path) -> Result<()> {
        match &self.rocksdb_file {
            Some(name) if !self.has_traces() => {
                let text = "the directory holds no store, but a file that opening a store would \
                            replace or delete";
                Err(Error::invalid(text).at(&path.join(name)))
            }
            _ => Ok(()),
        }
    }
}

/// Returns whether `directory` contains a file called `name`.
pub fn has_file(directory: &Path, name: &str) -> Result<bool> {
    let exists = directory.join(name).try_exists();
    exists.map_err(|cause| Error::io("cannot check whether the store exists", cause).at(directory))
}

/// Returns the version of RocksDB that last wrote the store in `path`, if it loses data in the logs
/// of kvds: a program with that version may still be in use.
///
/// Each log of kvds begins with a record that says where the log before it ended
/// (`track_and_verify_wals`). RocksDB before 9.11 does not know this type of record and drops the
/// rest of the log.
pub fn written_by_older_rocksdb(path: &Path) -> Option<String> {
    let numbered = |entry: fs::DirEntry| {
        let number = entry.file_name().to_str()?.strip_prefix("OPTIONS-")?.parse::<u64>().ok()?;
        Some((number, entry.path()))
    };
    let (_, newest) = fs::read_dir(path).ok()?.flatten().filter_map(numbered).max()?;
    let text = fs::read_to_string(newest).ok()?;
    let version = text.lines().find_map(|line| line.trim().strip_prefix("rocksdb_version="))?;
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
    let older = (numbers.next()??, numbers.next()??) < (9, 11);
    older.then(|| version.to_owned())
}

/// The directory of logs that are not needed any more. kvds keeps none; destroying a store deletes
/// them.
const ARCHIVE: &str = "archive";

/// Returns whether RocksDB takes a file of this name for its own.
///
/// These are the names that its `ParseFileName` accepts, and the directory of old logs. The file of
/// its messages is left out, because kvds has none and an opening does not touch it.
fn is_rocksdb_name(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let begins_with_digit = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
    let numbered = |prefix: &str| name.strip_prefix(prefix).is_some_and(begins_with_digit);
    let table_or_log = name.split_once('.').is_some_and(|(number, extension)| {
        !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && ["log", "sst", "ldb", "blob", "dbtmp"].contains(&extension)
    });
    ["CURRENT", "IDENTITY", "LOCK", ARCHIVE].contains(&name)
        || ["MANIFEST-", "METADB-", "OPTIONS-", "COMPACTION_PROGRESS-"].into_iter().any(numbered)
        || table_or_log
}
