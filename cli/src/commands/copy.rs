//! `copy`: pairs of a store are written to another one.

use std::mem;

use clap::Args;

use super::bulk_write::{BulkWrite, WriteArguments};
use super::{Context, dump};
use crate::args::{OtherStore, PrefixArgument};
use crate::failure::{Failure, Result};
use crate::library::Cursor;
use crate::progress::Progress;
use crate::signals;

const RESUME: &str = "\
Continues an interrupted copy: writes only from the first pair on that the other store has not. \
A pair that was deleted since the interrupted copy stays in the other store: \"diff\" shows it";

/// Copies all pairs to another store, which may be in another place and on another backend
///
/// The copy is of one point in time. Other keys of the other store stay. For a disk store on the
/// same file system, "checkpoint" is much faster.
#[derive(Args)]
#[command(mut_arg("resume", |resume| resume.help(RESUME)))]
pub struct Arguments {
    #[command(flatten)]
    other: OtherStore,
    #[command(flatten)]
    prefix: PrefixArgument,
    #[command(flatten)]
    write: WriteArguments,
    /// The copies never expire
    #[arg(long)]
    no_ttl: bool,
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<bool> {
    let range = arguments.prefix.range(context.form)?;
    let (from, to) = (context.place()?, context.other_place(&arguments.other)?);
    if from.is_same(&to) {
        return Err(Failure::usage("the store and the other store are the same"));
    }
    let source = from.open_to_read()?;
    let target = to.open_or_create(arguments.write.create)?;
    signals::install();
    let progress = Progress::new(context.quiet, "copying", source.stats()?.keys);
    let write = BulkWrite::new(&target, &to, &arguments.write)?;
    let mut cursor = Cursor::new(&source, &range)?;
    let mut is_first = true;
    write.run("copied", "", progress, context, |pair| {
        let found = if mem::take(&mut is_first) { cursor.first()? } else { cursor.next()? };
        if found {
            pair.key.clear();
            pair.key.extend_from_slice(cursor.key()?);
            pair.value.clear();
            pair.value.extend_from_slice(cursor.value()?);
            pair.expires = if arguments.no_ttl { None } else { dump::expires(&mut cursor)? };
        }
        Ok(found)
    })
}
