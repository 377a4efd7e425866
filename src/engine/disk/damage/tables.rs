//! Checks a table of a store, and reports its damage.

use std::path::Path;

use super::live_tables::LiveTable;
use super::report::{Report, Step};
use super::survey::open_if_exists;
use super::table_check::{self, Part};
use crate::engine::damage::{Damage, Loss};
use crate::engine::disk::deadlines;

/// A table that is checked.
pub struct TableFile<'a> {
    pub table: &'a LiveTable,
    /// The file, as it is reported.
    pub path: &'a Path,
}

impl TableFile<'_> {
    /// Checks the table, and reports its damage. Returns false if the file does not exist.
    pub fn check(&self, settings: &rocksdb::Options, report: &mut Report<'_>) -> Step<bool> {
        let table = self.table;
        let Some(opened) = open_if_exists(self.path)? else { return Ok(false) };
        let len = opened.metadata().map_or(0, |metadata| metadata.len());
        let wrong_size = format!("the file has {len} bytes instead of {}", table.size);
        if len < table.size {
            self.lose(&wrong_size, report)?;
            return Ok(true);
        }
        if len > table.size {
            self.report(&wrong_size, Loss::Nothing, None, None, report)?;
        }
        let (mut unread, mut exists, mut result) = (table.size, true, Ok(()));
        table_check::check(settings, table, self.path, &mut |part| {
            result = match part {
                Part::Read(bytes) => {
                    unread = unread.saturating_sub(bytes);
                    report.advance(bytes)
                }
                Part::Filter { problem } => self.report(problem, Loss::Nothing, None, None, report),
                Part::Block { problem, first, last } => {
                    let (smallest, largest) = self.bounds();
                    let (first, last) = (first.or(smallest), last.or(largest));
                    self.report(problem, self.loss(), first, last, report)
                }
                // It was opened by its name once more, and a writer may have deleted it meanwhile.
                Part::File { .. } if !self.path.exists() => {
                    exists = false;
                    Ok(())
                }
                Part::File { problem } => self.lose(problem, report),
            };
            result.is_ok()
        });
        result?;
        report.advance(unread)?;
        Ok(exists)
    }

    /// Reports that the whole table is lost.
    pub fn lose(&self, problem: &str, report: &mut Report<'_>) -> Step {
        let (first, last) = self.bounds();
        self.report(problem, self.loss(), first, last, report)
    }

    fn bounds(&self) -> (Option<&[u8]>, Option<&[u8]>) {
        let keys = self.table.keys.as_ref();
        keys.map(|(first, last)| (&**first, &**last)).unzip()
    }

    fn loss(&self) -> Loss {
        if self.table.family == deadlines::NAME { Loss::Deadlines } else { Loss::Pairs }
    }

    fn report(
        &self,
        problem: &str,
        loss: Loss,
        first: Option<&[u8]>,
        last: Option<&[u8]>,
        report: &mut Report<'_>,
    ) -> Step {
        let (first, last) = match loss {
            // Without a manifest, a key may be one of the deadlines.
            Loss::Pairs if self.table.keys.is_none() => (None, None),
            Loss::Pairs => (first, last),
            Loss::Deadlines => deadlines::keys_between(first, last),
            Loss::Nothing => (None, None),
        };
        report.damage(&Damage { file: self.path, problem, loss, first, last })
    }
}
