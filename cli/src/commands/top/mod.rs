//! `top`: what happens in a store, or in all stores of a base path, as long as it runs.

mod history;
mod lines;
mod metric;
mod screen;
mod source;
mod terminal;

use std::io::{self, IsTerminal};
use std::time::Duration;

use clap::Args;

use super::Context;
use crate::failure::{Failure, Result};
use crate::input;
use crate::output;
use crate::signals;
use crate::text::Form;
use source::Source;

/// Shows the rates, the sizes and the writer of a store; without STORE, all stores
///
/// This shows the files of the store, its content as of the last refresh, and the process that
/// writes it: what it has counted (reads, hits, writes, compactions), and what it uses of the
/// machine. Keys: q ends it, p pauses, + and - change the interval, ? helps.
#[derive(Args)]
#[command(override_usage = "kvds [OPTIONS] [STORE] top [OPTIONS]")]
pub struct Arguments {
    /// The time between two readings
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = input::duration)]
    interval: u64,
    /// Writes a line at each reading; so it does if standard output is no terminal
    #[arg(long)]
    lines: bool,
    /// Ends after this many readings; implies --lines
    #[arg(short = 'n', long, value_name = "COUNT",
          value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Ends after one reading, which has no rates
    #[arg(long, conflicts_with = "count")]
    once: bool,
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<bool> {
    let (source, title) = match &context.store {
        Some(_) => {
            let place = context.place()?;
            (Source::store(&place)?, place.to_string())
        }
        None => {
            let base = super::stores::base(context)?;
            (Source::base(&base), format!("stores in {}", base.display()))
        }
    };
    let interval = Duration::from_millis(arguments.interval);
    let count = if arguments.once { Some(1) } else { arguments.count };
    let terminal = output::is_terminal() && io::stdin().is_terminal();
    signals::install();
    let result = if arguments.lines || count.is_some() || context.form == Form::Json || !terminal {
        lines::run(source, interval, count.unwrap_or(u64::MAX), context)
    } else {
        terminal::run(source, interval, title)
    };
    match result {
        // Without a count, there is no other end.
        Err(Failure::Interrupted(_)) if count.is_none() => Ok(true),
        other => other.map(|()| true),
    }
}
