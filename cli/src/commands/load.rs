//! `load`: pairs of a dump are written to a store.

use clap::Args;

use super::Context;
use super::bulk_write::{BulkWrite, WriteArguments};
use crate::args::FileArgument;
use crate::dump_format::Reader;
use crate::failure::Result;
use crate::input;
use crate::progress::Progress;
use crate::signals;

/// Sets the pairs of a dump
///
/// The form of the dump is recognized. A line that cannot be read ends the command, which names
/// its number; the pairs before it are in the store. Keys that have expired since the dump are
/// left out.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    file: FileArgument,
    #[command(flatten)]
    write: WriteArguments,
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<bool> {
    let place = context.place()?;
    // The input is opened first, so that a wrong name creates no store.
    let (input, name) = input::open(arguments.file.file.as_deref())?;
    signals::install();
    let mut reader = Reader::new(input, name)?;
    let store = place.open_or_create(arguments.write.create)?;
    let write = BulkWrite::new(&store, &place, &arguments.write)?;
    let progress = Progress::new(context.quiet, "loading", 0);
    let again = if arguments.file.is_standard() { " this with the same input" } else { "" };
    write.run("loaded", again, progress, context, |pair| reader.next(pair))
}
