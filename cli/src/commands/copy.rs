//! `copy`: pairs of a store are written to another one.

use clap::Args;

use super::load::Load;
use super::{Context, dump};
use crate::args::OtherStore;
use crate::dump_format::Pair;
use crate::failure::{Failure, Result};
use crate::library::{Cursor, Range};
use crate::progress::Progress;
use crate::signals;

/// Copies all pairs to another store, which may be in another place and on another backend
///
/// The copy is of one point in time. Other keys of the other store stay. For a disk store on the
/// same file system, "checkpoint" is much faster.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    other: OtherStore,
    /// Only keys that begin with this
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<std::ffi::OsString>,
    /// Only keys that do not exist in the other store
    #[arg(long)]
    if_absent: bool,
    /// The copies never expire
    #[arg(long)]
    no_ttl: bool,
    /// Creates the other store if it does not exist
    #[arg(long)]
    create: bool,
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<bool> {
    let prefix = match &arguments.prefix {
        Some(prefix) => crate::input::bytes(context.form, "--prefix", prefix)?,
        None => Vec::new(),
    };
    let (from, to) = (context.place()?, context.other_place(&arguments.other)?);
    if from.is_same(&to) {
        return Err(Failure::usage("the store and the other store are the same"));
    }
    let source = from.open_to_read()?;
    let target = to.open_or_create(arguments.create)?;
    signals::install();
    let mut progress = Progress::new(context.quiet, "copying", source.stats()?.keys);
    let mut load = Load::new(&target, &to, arguments.if_absent)?;
    let mut cursor = Cursor::new(&source, &Range::of_prefix(&prefix))?;
    let mut copy = || -> Result<()> {
        let mut pair = Pair::default();
        let mut found = cursor.first()?;
        while found {
            signals::check()?;
            pair.key.clear();
            pair.key.extend_from_slice(cursor.key()?);
            pair.value.clear();
            pair.value.extend_from_slice(cursor.value()?);
            pair.expires = if arguments.no_ttl { None } else { dump::expires(&mut cursor)? };
            load.add(&pair)?;
            progress.add(pair.key.len() + pair.value.len());
            found = cursor.next()?;
        }
        Ok(())
    };
    let result = copy();
    progress.finish();
    let flushed = load.flush().and_then(|()| Ok(target.sync()?));
    let done = load.done();
    result.and(flushed).map_err(|failure| failure.after(&done))?;
    context.note(&done);
    Ok(true)
}
