//! `dump`: pairs are written to a file.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;

use super::{Context, pairs};
use crate::args::{DumpFormat, FileArgument, RangeArguments};
use crate::dump_format::Writer;
use crate::failure::Result;
use crate::library::Cursor;
use crate::output::Output;
use crate::progress::Progress;
use crate::signals;

/// Writes all pairs, or those of a range, for "load"
///
/// The dump is of one point in time, also beside a process that writes the store. A file appears
/// under its name once it is complete.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    file: FileArgument,
    #[arg(short, long, value_name = "FORM", value_enum, default_value_t = DumpFormat::Json)]
    format: DumpFormat,
    /// Leaves out when keys expire; the form "mdb" always does
    #[arg(long)]
    no_ttl: bool,
    #[command(flatten)]
    range: Bounds,
}

/// The range of a dump, where the first argument is the file.
#[derive(Args)]
struct Bounds {
    /// Only keys that begin with this
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<std::ffi::OsString>,
    /// Only this key and greater ones
    #[arg(long, value_name = "KEY")]
    from: Option<std::ffi::OsString>,
    /// Only keys less than this one
    #[arg(long, value_name = "KEY")]
    to: Option<std::ffi::OsString>,
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<bool> {
    let bounds = &arguments.range;
    let range = RangeArguments::new(&bounds.prefix, &bounds.from, &bounds.to);
    let range = range.range(context.form)?;
    let store = context.place()?.open_to_read()?;
    signals::install();
    let out = Output::create(arguments.file.file.as_deref())?;
    let mut writer = Writer::new(out, arguments.format)?;
    let with_ttl = !arguments.no_ttl && arguments.format != DumpFormat::Mdb;
    let expected = store.stats()?.keys;
    let mut progress = Progress::new(context.quiet, "dumping", expected);
    let mut cursor = Cursor::new(&store, &range)?;
    let mut found = cursor.first()?;
    while found {
        signals::check()?;
        let expires = if with_ttl { expires(&mut cursor)? } else { None };
        let (key, value) = (cursor.key()?, cursor.value()?);
        writer.pair(key, value, expires)?;
        progress.add(key.len() + value.len());
        found = cursor.next()?;
    }
    writer.finish()?;
    progress.finish();
    context.note(&format!("dumped {}", pairs(progress.pairs())));
    Ok(true)
}

/// Returns when the current entry expires, in milliseconds since 1970, if it does.
pub fn expires(cursor: &mut Cursor) -> Result<Option<u64>> {
    Ok(cursor.ttl()?.map(|left| now_ms().saturating_add(left)))
}

/// Returns the milliseconds since 1970.
pub fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
