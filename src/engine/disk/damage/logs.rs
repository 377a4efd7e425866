//! Checks the logs of a store, and reports their damage.

use std::path::Path;

use super::report::{Report, Step};
use super::survey::{Survey, log_name, lost_writes, open_if_exists};
use crate::engine::disk::wal::check::{self, Predecessor, Problem};
use crate::error::Result;

/// A log up to its first problem.
pub struct UsableLog {
    pub number: u64,
    pub end: u64,
}

/// The logs up to the first problem.
#[derive(Default)]
pub struct UsableLogs {
    pub logs: Vec<UsableLog>,
    /// Writes that were not synced are missing, which is no damage.
    pub has_gap: bool,
}

/// Checks the logs of the store in `path`, and reports their damage.
pub fn check_logs(
    path: &Path,
    settings: &rocksdb::Options,
    survey: &Survey,
    report: &mut Report<'_>,
) -> Step<UsableLogs> {
    let first_log = survey.manifest.as_ref().map(|(_, files)| files.first_log);
    let mut usable = UsableLogs::default();
    let mut is_cut = false;
    for &number in &survey.logs {
        let file = path.join(log_name(number));
        // A writer may have deleted it meanwhile.
        let Some(opened) = open_if_exists(&file)? else { continue };
        let len = opened.metadata().map_or(0, |metadata| metadata.len());
        let checked = check::check(opened);
        if !is_cut {
            match Link::of(checked.predecessor, usable.logs.last(), first_log) {
                Link::Whole => usable.logs.push(UsableLog { number, end: checked.end }),
                Link::LostEnd => (usable.has_gap, is_cut) = (true, true),
                Link::Missing(before) if is_needed(path, settings, before)? => {
                    let missing = path.join(log_name(before));
                    report.damage(&lost_writes(&missing, "the log is missing"))?;
                    is_cut = true;
                }
                Link::Missing(_) => usable.logs.push(UsableLog { number, end: checked.end }),
            }
        }
        match checked.problem {
            Some(Problem::Gap) => (usable.has_gap, is_cut) = (true, true),
            Some(Problem::Damage(problem)) if is_needed(path, settings, number)? => {
                report.damage(&lost_writes(&file, &problem))?;
                is_cut = true;
            }
            _ => {}
        }
        report.advance(len)?;
    }
    Ok(usable)
}

/// How a log continues the one before it.
enum Link {
    Whole,
    /// The log before has lost its end.
    LostEnd,
    /// The log with this number is missing.
    Missing(u64),
}

impl Link {
    fn of(
        recorded: Option<Predecessor>,
        before: Option<&UsableLog>,
        first_log: Option<u64>,
    ) -> Link {
        // The first log of a store has none before it.
        let Some(recorded) = recorded.filter(|recorded| recorded.number != 0) else {
            return Link::Whole;
        };
        let is_missing = match before {
            Some(log) => log.number != recorded.number,
            None => first_log.is_some_and(|first| recorded.number >= first),
        };
        if is_missing {
            Link::Missing(recorded.number)
        } else if before.is_some_and(|log| log.end < recorded.size) {
            Link::LostEnd
        } else {
            Link::Whole
        }
    }
}

/// Returns whether the store still needs a log. A writer may have moved its content to a table
/// meanwhile.
fn is_needed(path: &Path, settings: &rocksdb::Options, log: u64) -> Result<bool> {
    let survey = Survey::read(path, settings)?;
    Ok(survey.manifest.is_none_or(|(_, files)| log >= files.first_log))
}
