//! Verifies all files of a store.

use std::path::Path;

use super::logs::check_logs;
use super::report::{Report, Step, unless_stopped};
use super::survey::{Survey, is_store};
use super::tables::TableFile;
use crate::engine::damage::{Damage, Loss, Verdict, Visit};
use crate::engine::disk::read_only::ReadOnly;
use crate::engine::disk::settings::{self, SharedCaches};
use crate::engine::disk::wal::gap;
use crate::error::{Kind, Result};
use crate::options::Options;

/// Verifies the store in the directory `path`, which another process may be writing.
pub fn verify(path: &Path, options: &Options, visit: &mut Visit<'_>) -> Result<Verdict> {
    if !is_store(path)? {
        return Ok(Verdict::Absent);
    }
    let mut report = Report::new(visit);
    let verified = unless_stopped(verify_files(path, options, &mut report))?;
    Ok(match (verified, report.damages()) {
        (None, _) => Verdict::Stopped,
        (Some(()), 0) => Verdict::Whole,
        (Some(()), damages) => Verdict::Damaged(damages),
    })
}

fn verify_files(path: &Path, options: &Options, report: &mut Report<'_>) -> Step {
    let settings = settings::plain();
    let survey = Survey::read(path, &settings)?;
    let tables = survey.tables(path)?;
    report.expect(tables.iter().map(|table| table.size).sum());
    report.expect(survey.logs_size(path));
    survey.report(path, report)?;
    for table in &tables {
        let file = table.path(path);
        let checked = TableFile { table, path: &file };
        let exists = checked.check(&settings, report)?;
        if !exists && is_still_listed(path, &settings, table.number)? {
            checked.lose("the file is missing", report)?;
        }
    }
    let logs = check_logs(path, &settings, &survey, report)?;
    if report.damages() == 0 && !logs.has_gap {
        open_once(path, options, report)?;
    }
    Ok(())
}

/// Returns whether the store still needs a table. A writer may have replaced it meanwhile.
fn is_still_listed(path: &Path, settings: &rocksdb::Options, number: u64) -> Result<bool> {
    let survey = Survey::read(path, settings)?;
    Ok(survey.tables(path)?.iter().any(|table| table.number == number))
}

/// Opens the store and closes it, for damage that no checksum shows, such as files that do not fit
/// together.
fn open_once(path: &Path, options: &Options, report: &mut Report<'_>) -> Step {
    let options = Options { read_only: true, ..options.clone() };
    let opened = ReadOnly::open(path, &options, &SharedCaches::new(&options), Box::new(()));
    let Err(error) = opened else { return Ok(()) };
    let text = error.to_string();
    match error.kind() {
        // A writer was faster.
        Kind::Busy => Ok(()),
        Kind::Corruption if gap::is_lost_end(&text) => Ok(()),
        Kind::Corruption => report.damage(&Damage {
            file: path,
            problem: &text,
            loss: Loss::Pairs,
            first: None,
            last: None,
        }),
        _ => Err(error.into()),
    }
}
