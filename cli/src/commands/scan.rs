//! `scan`: the pairs of a range.

use clap::Args;

use super::Context;
use crate::args::RangeArguments;
use crate::failure::Result;
use crate::library::Cursor;
use crate::output::Output;
use crate::signals;

/// Writes pairs in the order of their keys: each key, a tab and the value
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    range: RangeArguments,
    /// From the last key to the first
    #[arg(short, long)]
    reverse: bool,
    /// Ends after this many pairs
    #[arg(short = 'n', long, value_name = "COUNT")]
    limit: Option<u64>,
    /// Without the values
    #[arg(short, long, conflicts_with = "values_only")]
    keys_only: bool,
    /// Without the keys
    #[arg(long)]
    values_only: bool,
    /// Writes only how many pairs there are
    #[arg(short, long, conflicts_with_all = ["keys_only", "values_only", "reverse"])]
    count: bool,
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<bool> {
    let range = arguments.range.range(context.form)?;
    let limit = arguments.limit.unwrap_or(u64::MAX);
    if arguments.count {
        return super::count::write(context, &range, limit);
    }
    let store = context.place()?.open_to_read()?;
    signals::install();
    let mut out = Output::stdout();
    let mut cursor = Cursor::new(&store, &range)?;
    let mut left = limit;
    let mut found = left > 0 && if arguments.reverse { cursor.last()? } else { cursor.first()? };
    while found {
        signals::check()?;
        let key = if arguments.values_only { None } else { Some(cursor.key()?) };
        let value = if arguments.keys_only { None } else { Some(cursor.value()?) };
        out.pair(context.form, key, value)?;
        left -= 1;
        found = left > 0 && if arguments.reverse { cursor.prev()? } else { cursor.next()? };
    }
    out.finish()?;
    Ok(true)
}
