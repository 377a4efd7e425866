//! The list of the files of a store, and its damage.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::live_tables::{self, LiveFiles, LiveTable};
use super::report::{Report, Step};
use crate::engine::damage::{Damage, Loss};
use crate::engine::disk::dir_contents::DirContents;
use crate::engine::disk::wal::check;
use crate::engine::disk::wal::format::BLOCK;
use crate::engine::disk::wal::verify::{
    ManifestVersion, are_missing, file_numbers, manifest_damage, manifest_file_damage,
    while_manifest_is_steady,
};
use crate::engine::disk::{destroy, open};
use crate::error::{Error, Kind, Result};
use crate::sys::descriptors::above_streams;

/// Returns whether the directory `path` holds a store, or what is left of one.
pub fn is_store(path: &Path) -> Result<bool> {
    // Before any file in it is opened, because opening a FIFO would block.
    let contents = DirContents::read(path)?;
    if !path.is_dir() {
        return match path.try_exists() {
            Ok(true) => Err(Error::invalid("the path is not a directory").at(path)),
            _ => Ok(false),
        };
    }
    if destroy::is_marked(path)? || !contents.may_be_store() {
        return Ok(false);
    }
    match open::exists(path) {
        Err(error) if error.kind() == Kind::Corruption => Ok(true),
        exists => exists,
    }
}

/// The attempts to list the files of a store that is written meanwhile. Each waits a millisecond
/// longer than the one before.
const ATTEMPTS: u64 = 32;

/// The list of the files of a store.
pub struct Survey {
    /// The damaged file, what is damaged, and what that takes away, if the list is damaged.
    pub damage: Option<(PathBuf, String, Loss)>,
    /// The manifest and what it lists, unless it is lost.
    pub manifest: Option<(PathBuf, LiveFiles)>,
    /// The numbers of the logs that are needed.
    pub logs: BTreeSet<u64>,
}

impl Survey {
    /// Reads the list of the files of the store in `path`.
    pub fn read(path: &Path, settings: &rocksdb::Options) -> Result<Survey> {
        for attempt in 0..ATTEMPTS {
            std::thread::sleep(Duration::from_millis(attempt));
            let read = || Survey::read_once(path, settings);
            if let Some(survey) = while_manifest_is_steady(path, read) {
                return survey;
            }
        }
        let text = "the store is written faster than its files can be listed";
        Err(Error::new(Kind::Busy, text).at(path))
    }

    fn read_once(path: &Path, settings: &rocksdb::Options) -> Result<Survey> {
        let logs = file_numbers(path, "log")?;
        let mut survey = Survey { damage: None, manifest: None, logs };
        let mut manifest = ManifestVersion::read(path).map(|version| path.join(version.name()));
        if let Some((file, what)) = manifest_damage(path)? {
            // If only the name of the manifest is lost, it can be found.
            let current = path.join("CURRENT");
            manifest = match file == current || !file.exists() {
                true => only_manifest(path)?,
                false => None,
            };
            survey.damage = Some(match &manifest {
                Some(_) if file == current => (current, what.to_owned(), Loss::Nothing),
                Some(_) => {
                    let what = "the file CURRENT names a manifest that does not exist";
                    (current, what.to_owned(), Loss::Nothing)
                }
                None => (file, what.to_owned(), Loss::Pairs),
            });
        }
        let Some(manifest) = manifest else { return Ok(survey) };
        match live_tables::read(settings, &manifest) {
            Ok(files) if survey.is_newer(path, &files)? => {
                let what = "the end of the manifest is missing".to_owned();
                survey.damage = Some((manifest, what, Loss::Pairs));
            }
            Ok(files) => {
                survey.logs.retain(|log| *log >= files.first_log);
                survey.manifest = Some((manifest, files));
            }
            Err(text) => survey.damage = Some((manifest, text, Loss::Pairs)),
        }
        Ok(survey)
    }

    /// Returns whether the other files are newer than a manifest that lists `files`: there is a
    /// table that it does not know, and the log with the content of that table is gone.
    fn is_newer(&self, path: &Path, files: &LiveFiles) -> Result<bool> {
        if file_numbers(path, "sst")?.last().is_none_or(|table| *table < files.next_file) {
            return Ok(false);
        }
        let Some(first) = self.logs.range(files.first_log..).next() else { return Ok(true) };
        let Some(log) = open_if_exists(&path.join(log_name(*first)))? else { return Ok(false) };
        let predecessor = check::check(log.take(BLOCK as u64)).predecessor;
        Ok(predecessor.is_some_and(|log| log.number != 0 && log.number >= files.first_log))
    }

    /// Returns the tables that the manifest lists. Without a manifest, returns all in `path`.
    pub fn tables(&self, path: &Path) -> Result<Vec<LiveTable>> {
        if let Some((_, files)) = &self.manifest {
            return Ok(files.tables.clone());
        }
        let table = |number| {
            let mut table =
                LiveTable { family: String::new(), number, size: 0, tail_size: 0, keys: None };
            table.size = fs::metadata(table.path(path)).map_or(0, |metadata| metadata.len());
            table
        };
        Ok(file_numbers(path, "sst")?.into_iter().map(table).collect())
    }

    /// Returns the bytes in the logs.
    pub fn logs_size(&self, path: &Path) -> u64 {
        let size = |log: &u64| fs::metadata(path.join(log_name(*log))).map(|found| found.len());
        self.logs.iter().filter_map(|log| size(log).ok()).sum()
    }

    /// Reports the damage of the list, and of logs that are missing as a whole.
    pub fn report(&self, path: &Path, report: &mut Report<'_>) -> Step {
        if let Some((file, problem, loss)) = &self.damage {
            report.damage(&Damage { file, problem, loss: *loss, first: None, last: None })?;
        }
        if self.manifest.is_some() && are_missing(path, &self.logs) {
            report.damage(&lost_writes(path, "the log is missing"))?;
        }
        Ok(())
    }
}

/// Returns the manifest in `path` if there is only one, and it is whole.
fn only_manifest(path: &Path) -> Result<Option<PathBuf>> {
    let cannot_read = |cause| Error::io("cannot read the store's directory", cause).at(path);
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(cannot_read)? {
        let name = entry.map_err(cannot_read)?.file_name();
        found.extend(name.into_string().ok().filter(|name| name.starts_with("MANIFEST-")));
    }
    let [name] = &found[..] else { return Ok(None) };
    let is_whole = manifest_file_damage(path, name)?.is_none();
    Ok(is_whole.then(|| path.join(name)))
}

/// Returns the damage of a log, behind which all writes are lost.
pub fn lost_writes<'a>(file: &'a Path, problem: &'a str) -> Damage<'a> {
    Damage { file, problem, loss: Loss::Pairs, first: None, last: None }
}

pub fn log_name(number: u64) -> String {
    format!("{number:06}.log")
}

/// Opens a file; returns `None` if it does not exist.
pub fn open_if_exists(file: &Path) -> Result<Option<File>> {
    match File::open(file).and_then(above_streams) {
        Ok(file) => Ok(Some(file)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Error::io("cannot open a file of the store", cause).at(file)),
    }
}
