//! `set`: a key gets a value.

use std::ffi::OsString;

use clap::Args;

use super::Context;
use crate::failure::Result;
use crate::input;

/// Sets a key to a value
#[derive(Args)]
pub struct Arguments {
    #[arg(value_name = "KEY")]
    key: OsString,
    /// The value; @FILE for the contents of a file, "-" for standard input
    #[arg(value_name = "VALUE")]
    value: OsString,
    /// The key is deleted after this time, such as 90s, 5m or 2h
    #[arg(long, value_name = "TIME", value_parser = input::duration)]
    ttl: Option<u64>,
    /// Only if the key does not exist; otherwise the exit code is 1
    #[arg(long)]
    if_absent: bool,
    /// Creates the store if it does not exist
    #[arg(long)]
    create: bool,
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<bool> {
    let key = context.key(&arguments.key)?;
    let value = input::value(context.form, "VALUE", &arguments.value)?;
    let store = context.place()?.open_or_create(arguments.create)?;
    let done = if arguments.if_absent {
        store.set_if_absent(&key, &value, arguments.ttl)?
    } else {
        store.set(&key, &value, arguments.ttl)?;
        true
    };
    store.sync()?;
    if !done {
        context.note("the key exists");
    }
    Ok(done)
}
