//! `add`: a number is changed.

use std::ffi::OsString;

use clap::Args;

use super::Context;
use crate::failure::Result;
use crate::output::Output;

/// Adds to the decimal number under a key, and writes the sum
///
/// A key that does not exist counts as 0 and is created. The key then never expires, also if it
/// had a time to live.
#[derive(Args)]
pub struct Arguments {
    #[arg(value_name = "KEY")]
    key: OsString,
    /// What is added
    #[arg(value_name = "NUMBER", default_value_t = 1, allow_negative_numbers = true)]
    delta: i64,
    /// Creates the store if it does not exist
    #[arg(long)]
    create: bool,
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<bool> {
    let key = context.key(&arguments.key)?;
    let store = context.place()?.open_or_create(arguments.create)?;
    let sum = store.add(&key, arguments.delta)?;
    store.sync()?;
    let mut out = Output::stdout();
    out.write(format!("{sum}\n").as_bytes())?;
    out.finish()?;
    Ok(true)
}
