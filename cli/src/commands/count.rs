//! `count`: how many pairs there are.

use clap::Args;

use super::Context;
use crate::args::RangeArguments;
use crate::failure::Result;
use crate::library::{Cursor, Range};
use crate::output::Output;
use crate::progress::Progress;
use crate::signals;

/// Counts pairs, by reading their keys
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    range: RangeArguments,
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<bool> {
    write(context, &arguments.range.range(context.form)?, u64::MAX)
}

/// Writes how many pairs the range has, up to `limit`.
pub fn write(context: &Context, range: &Range, limit: u64) -> Result<bool> {
    let store = context.place()?.open_to_read()?;
    signals::install();
    let mut cursor = Cursor::new(&store, range)?;
    let mut progress = Progress::new(context.quiet, "counting", 0);
    let mut found = limit > 0 && cursor.first()?;
    while found {
        signals::check()?;
        progress.add(cursor.key()?.len());
        found = progress.pairs() < limit && cursor.next()?;
    }
    progress.finish();
    let mut out = Output::stdout();
    out.write(format!("{}\n", progress.pairs()).as_bytes())?;
    out.finish()?;
    Ok(true)
}
