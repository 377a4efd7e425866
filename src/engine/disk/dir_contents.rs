//! What lies in a directory: a store, what is left of one, or files of others.
//!
//! Opening a database removes files with names like RocksDB's own that it does not need. Files with
//! other names are not touched, so they are not in the way.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::Path;

use super::destroy;
use crate::error::{Error, Result};

/// What a look into a directory found. Nothing, if there is no directory.
#[derive(Default)]
pub struct Survey {
    /// The lock file, which is the first that RocksDB makes and the last that it removes, or the
    /// mark of a removal.
    trace: bool,
    current: bool,
    manifest: bool,
    /// A file that RocksDB takes for its own, whoever made it.
    claimed: Option<OsString>,
}

impl Survey {
    /// Looks into the directory `path`. Fails where the name of a store's file belongs to something
    /// that is no regular file: opening a FIFO waits for ever.
    pub fn of(path: &Path) -> Result<Survey> {
        let failed = |cause| Error::io("cannot look into the store's directory", cause).at(path);
        let mut survey = Survey::default();
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            // Whoever opens or makes the directory next says what is wrong with it. Another process
            // may just have made it.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound || !path.is_dir() => {
                return Ok(survey);
            }
            Err(cause) => return Err(failed(cause)),
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if !is_rocksdbs(&name) && name != destroy::MARK {
                continue;
            }
            let kind = entry.file_type().map_err(failed)?;
            let is_file = kind.is_file() || kind.is_symlink() && entry.path().is_file();
            // A file may vanish meanwhile, beside a writer.
            if !is_file && entry.path().symlink_metadata().is_ok() && name != ARCHIVE {
                let text = "it is not a regular file, but has the name of a store's";
                return Err(
                    Error::io("cannot open the store", io::Error::other(text)).at(&entry.path())
                );
            }
            match name.to_str() {
                Some("LOCK" | destroy::MARK) => survey.trace = true,
                Some("CURRENT") => survey.current = true,
                Some(name) if name.starts_with("MANIFEST-") => survey.manifest = true,
                _ => {}
            }
            survey.claimed.get_or_insert(name);
        }
        if survey.current && !survey.manifest {
            // It may vanish meanwhile, too.
            match fs::read(path.join("CURRENT")) {
                Ok(text) => survey.manifest = text.starts_with(b"MANIFEST-"),
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => survey.current = false,
                Err(cause) => return Err(failed(cause)),
            }
        }
        Ok(survey)
    }

    /// Whether there is a store, or what is left of one that was half made or half removed.
    pub fn has_traces(&self) -> bool {
        self.trace || self.current && self.manifest
    }

    /// Refuses a directory without a store in which opening would touch a file.
    pub fn refuse_others(&self, path: &Path) -> Result<()> {
        match &self.claimed {
            Some(name) if !self.has_traces() => {
                let text = "the directory holds no store, but a file that opening one would replace or remove";
                Err(Error::invalid(text).at(&path.join(name)))
            }
            _ => Ok(()),
        }
    }
}

/// The version of RocksDB that opened the store in `path` for writing last, if it is one that loses
/// what is in the logs of kvds: a program with it may be in use beside this one.
///
/// Each log here begins with a record that says where the one before ended
/// (`track_and_verify_wals`). RocksDB before 9.11 does not know its type and drops the rest of that
/// log.
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

/// Logs that are not needed any more, which kvds does not keep. Removing a store removes them.
const ARCHIVE: &str = "archive";

/// Whether RocksDB takes a file of this name in a store's directory for its own: what its
/// `ParseFileName` does, and the directory of old logs. Its log of messages is left out, as kvds
/// has none and opening leaves such a file alone.
fn is_rocksdbs(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let begins_with_digit = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
    let numbered = |prefix: &str| name.strip_prefix(prefix).is_some_and(begins_with_digit);
    let table_or_log = name.split_once('.').is_some_and(|(number, ending)| {
        !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && ["log", "sst", "ldb", "blob", "dbtmp"].contains(&ending)
    });
    ["CURRENT", "IDENTITY", "LOCK", ARCHIVE].contains(&name)
        || ["MANIFEST-", "METADB-", "OPTIONS-", "COMPACTION_PROGRESS-"].into_iter().any(numbered)
        || table_or_log
}
