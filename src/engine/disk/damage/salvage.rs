//! Copies what can be read of a damaged store into a new one.
//!
//! The work is done in a temporary directory that looks like the store: its tables are links to
//! those of the store, and its logs are copies up to their first problem. RocksDB opens this
//! directory, so the store itself is never changed.
//!
//! A pair is copied only if it is certain. A key that is in no damaged range is, as all its
//! versions can be read. Any other key is looked up: a lookup fails if something newer than the
//! version that it finds may be lost.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rocksdb::{ColumnFamily, ColumnFamilyDescriptor, DB, ErrorKind, ReadOptions};

use super::live_tables::{self, LiveTable};
use super::logs::{UsableLogs, check_logs};
use super::readable::{Skipped, rebuild_manifest};
use super::report::{Report, Step, unless_stopped};
use super::survey::{Survey, is_store, log_name};
use super::tables::TableFile;
use super::uncertain::Uncertain;
use crate::engine::damage::{Rescue, Salvaged, Visit};
use crate::engine::disk::bulk_load::{BulkLoad, MEMORY};
use crate::engine::disk::errors::rocksdb_error;
use crate::engine::disk::lock::DirLock;
use crate::engine::disk::settings::{self, SharedCaches};
use crate::engine::disk::wal::verify::ManifestVersion;
use crate::engine::disk::{checkpoint, deadlines, env};
use crate::error::{Error, Kind, Result};
use crate::options::Options;
use crate::sys::signals;

/// Copies the store in the directory `path` into a new one in `target`.
pub fn salvage(
    path: &Path,
    target: &Path,
    options: &Options,
    visit: &mut Visit<'_>,
) -> Result<Rescue> {
    if !is_store(path)? {
        return Ok(Rescue::Absent);
    }
    let _lock = lock(path)?;
    // Links in the temporary directory need the whole path.
    let source = path
        .canonicalize()
        .map_err(|cause| Error::io("cannot access the store's directory", cause).at(path))?;
    env::start_threads().map_err(|error| error.at(path))?;
    let mut report = Report::new(visit);
    let saved = checkpoint::build(target, |temporary, copy| {
        let work = Work::new(&source, temporary.join("work"), options, &mut report)?;
        work.copy_pairs(copy, options, &mut report)
    });
    Ok(unless_stopped(saved)?.map_or(Rescue::Stopped, Rescue::Complete))
}

/// Locks the store against processes that open it, where the file system supports that.
fn lock(path: &Path) -> Result<Option<DirLock>> {
    match DirLock::new(path) {
        Ok(lock) => Ok(Some(lock)),
        Err(error) if error.kind() == Kind::Locked => Err(error),
        Err(_) => Ok(None),
    }
}

/// The opened temporary directory.
struct Work<'a> {
    source: &'a Path,
    db: DB,
    skipped: Skipped,
    tables: Vec<LiveTable>,
    uncertain: Uncertain,
}

impl<'a> Work<'a> {
    /// Opens a copy of the store in `source`, and reports its damage.
    fn new(
        source: &'a Path,
        directory: PathBuf,
        options: &Options,
        report: &mut Report<'_>,
    ) -> Step<Work<'a>> {
        let options = Options {
            block_cache_bytes: options.block_cache_bytes.min(MEMORY),
            write_buffer_bytes: options.write_buffer_bytes.min(MEMORY),
            ..options.clone()
        };
        let mut settings = settings::database(&options, &SharedCaches::new(&options));
        let mut survey = Survey::read(source, &settings)?;
        if survey.manifest.is_none()
            && let Some((_, problem, _)) = &mut survey.damage
        {
            problem.push_str("; the list of files is rebuilt, and what was deleted can return");
        }
        let tables = survey.tables(source)?;
        // Each table is checked and then copied.
        report.expect(2 * tables.iter().map(|table| table.size).sum::<u64>());
        report.expect(survey.logs_size(source));
        survey.report(source, report)?;
        let logs = check_logs(source, &settings, &survey, report)?;
        link_files(source, &directory, &survey, &tables, &logs)
            .map_err(|cause| Error::io("cannot copy the files to work on", cause).at(&directory))?;
        if survey.manifest.is_none() {
            rebuild_manifest(&settings, &directory).map_err(|text| lost_manifest(source, text))?;
        }
        let skipped = Skipped::of(&mut settings);
        let db = open(&settings, &directory)
            .map_err(|cause| rocksdb_error("cannot open what is left", source, cause))?;
        let listed = ManifestVersion::read(&directory)
            .ok_or_else(|| lost_manifest(source, "it has no name".to_owned()))
            .map(|version| directory.join(version.name()))?;
        let listed = live_tables::read(&settings, &listed)
            .map_err(|text| lost_manifest(source, text))?
            .tables;
        check_tables(source, &tables, &listed, &settings, report)?;
        Ok(Work { source, db, skipped, tables: listed, uncertain: Uncertain::default() })
    }

    /// Copies the certain pairs into a new store in the directory `copy`.
    fn copy_pairs(
        mut self,
        copy: &Path,
        options: &Options,
        report: &mut Report<'_>,
    ) -> Step<Salvaged> {
        let mut copy = BulkLoad::new(copy, options)?;
        let mut saved = Salvaged::default();
        let mut scale = Scale::new(&self.db, report);
        let mut read = ReadOptions::default();
        read.fill_cache(false);
        let mut pairs = self.db.raw_iterator_opt(read);
        let family = self.db.cf_handle(deadlines::NAME);
        pairs.seek_to_first();
        loop {
            // Before the pair is used: it may be one of a skipped range.
            take_skipped(&self.skipped, &self.tables, &mut self.uncertain);
            let Some((key, value)) = pairs.item() else { break };
            scale.count(key.len() + value.len(), report)?;
            if !self.uncertain.contains(key) {
                let deadline = self.deadline(family, key, &mut saved)?;
                copy.put(key, value, deadline)?;
                saved.pairs += 1;
            } else {
                match readable(self.db.get_pinned(key), self.source)? {
                    Some(Some(value)) => {
                        let deadline = self.deadline(family, key, &mut saved)?;
                        copy.put(key, &value, deadline)?;
                        saved.pairs += 1;
                    }
                    Some(None) => {}
                    None => saved.lost += 1,
                }
            }
            pairs.next();
        }
        pairs
            .status()
            .map_err(|cause| rocksdb_error("cannot read what is left", self.source, cause))?;
        copy.finish()?;
        report.advance_to(u64::MAX)?;
        Ok(saved)
    }

    /// Returns the deadline of `key`, or 0 if it has none or cannot be read.
    fn deadline(
        &self,
        family: Option<&ColumnFamily>,
        key: &[u8],
        saved: &mut Salvaged,
    ) -> Result<u64> {
        let Some(family) = family else { return Ok(0) };
        let found = self.db.get_pinned_cf(family, deadlines::by_key(key));
        let found = readable(found, self.source)?;
        saved.deadlines_lost += u64::from(found.is_none());
        Ok(found.flatten().map_or(0, |value| deadlines::stored(&value)))
    }
}

/// Checks the tables of the store in `source`, and reports their damage. `listed` are those of the
/// directory that is worked on.
fn check_tables(
    source: &Path,
    originals: &[LiveTable],
    listed: &[LiveTable],
    settings: &rocksdb::Options,
    report: &mut Report<'_>,
) -> Step {
    for original in originals {
        // A rebuilt manifest knows the keys of a table.
        let listed = listed.iter().find(|table| table.number == original.number);
        let file = original.path(source);
        let checked = TableFile { table: listed.unwrap_or(original), path: &file };
        if !checked.check(settings, report)? {
            checked.lose("the file is missing", report)?;
        }
    }
    Ok(())
}

/// Adds what the iterators of the database have skipped.
fn take_skipped(skipped: &Skipped, tables: &[LiveTable], uncertain: &mut Uncertain) {
    skipped.take(&mut |skipped| {
        let table = tables.iter().find(|table| table.number == skipped.table);
        if table.is_some_and(|table| table.family != rocksdb::DEFAULT_COLUMN_FAMILY_NAME) {
            return;
        }
        if skipped.first.is_some() {
            return uncertain.add(skipped.first, skipped.last);
        }
        let keys = table.and_then(|table| table.keys.as_ref());
        let (first, last) = keys.map(|(first, last)| (&**first, &**last)).unzip();
        uncertain.add(first, last);
    });
}

/// Returns the result of a lookup, or `None` if what it needs is damaged.
fn readable<T>(found: std::result::Result<T, rocksdb::Error>, source: &Path) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(cause) if matches!(cause.kind(), ErrorKind::Corruption | ErrorKind::IOError) => {
            Ok(None)
        }
        Err(cause) => Err(rocksdb_error("cannot read what is left", source, cause)),
    }
}

fn lost_manifest(source: &Path, text: String) -> Error {
    let text = format!("the list of the store's files is lost and cannot be rebuilt: {text}");
    Error::new(Kind::Corruption, text).at(source)
}

/// Fills `directory` with what RocksDB opens instead of the store in `source`.
fn link_files(
    source: &Path,
    directory: &Path,
    survey: &Survey,
    tables: &[LiveTable],
    logs: &UsableLogs,
) -> io::Result<()> {
    fs::create_dir(directory)?;
    for table in tables {
        let (from, to) = (table.path(source), table.path(directory));
        match fs::metadata(&from) {
            // RocksDB opens no table that is longer than the manifest says.
            Ok(found) if found.len() > table.size => {
                io::copy(&mut File::open(from)?.take(table.size), &mut File::create_new(to)?)?;
            }
            Ok(_) => symlink(from, to)?,
            // RocksDB must find a file, which then is no table.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => drop(File::create_new(to)?),
            Err(cause) => return Err(cause),
        }
    }
    for log in &logs.logs {
        let name = log_name(log.number);
        let mut from = File::open(source.join(&name))?.take(log.end);
        io::copy(&mut from, &mut File::create_new(directory.join(name))?)?;
    }
    if let Some((manifest, _)) = &survey.manifest {
        let Some(name) = manifest.file_name().and_then(|name| name.to_str()) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        fs::copy(manifest, directory.join(name))?;
        fs::write(directory.join("CURRENT"), format!("{name}\n"))?;
    }
    Ok(())
}

/// Opens the database in `directory`, with all its column families.
fn open(settings: &rocksdb::Options, directory: &Path) -> std::result::Result<DB, rocksdb::Error> {
    let families = DB::list_cf(settings, directory)?;
    let descriptors =
        families.into_iter().map(|name| ColumnFamilyDescriptor::new(name, settings.clone()));
    signals::blocked(|| DB::open_cf_descriptors(settings, directory, descriptors))
}

/// Turns the pairs that were read into progress.
struct Scale {
    entries: u64,
    read: u64,
    bytes: usize,
    start: u64,
}

/// Progress is reported after so many bytes of pairs,
const BYTES: usize = 1 << 20;

/// or after so many pairs.
const PAIRS: u64 = 1 << 12;

impl Scale {
    fn new(db: &DB, report: &Report<'_>) -> Scale {
        let files = db.live_files().unwrap_or_default();
        let entries = files.iter().map(|file| file.num_entries).sum::<u64>().max(1);
        Scale { entries, read: 0, bytes: 0, start: report.progress().done }
    }

    /// Counts a pair.
    fn count(&mut self, bytes: usize, report: &mut Report<'_>) -> Step {
        self.read += 1;
        self.bytes += bytes;
        if self.bytes < BYTES && !self.read.is_multiple_of(PAIRS) {
            return Ok(());
        }
        self.bytes = 0;
        let rest = u128::from(report.progress().total - self.start);
        let done = rest * u128::from(self.read) / u128::from(self.entries);
        report.advance_to(self.start + done.min(rest) as u64)
    }
}
