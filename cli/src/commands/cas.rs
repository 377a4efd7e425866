//! `cas`: a key gets a value, or is deleted, if it has the expected value.

use std::ffi::OsString;

use clap::Args;

use super::Context;
use crate::failure::{Failure, Result};
use crate::input;
use crate::library::Swap;

/// Sets a key to a value if it has the expected value (compare and swap)
///
/// The key then never expires, also if it had a time to live. Otherwise nothing changes, and the
/// exit code is 1.
#[derive(Args)]
pub struct Arguments {
    #[arg(value_name = "KEY")]
    key: OsString,
    /// The value that the key must have; like VALUE
    #[arg(value_name = "EXPECTED")]
    expected: OsString,
    /// The new value; @FILE for the contents of a file, "-" for standard input
    #[arg(value_name = "VALUE", required_unless_present = "delete")]
    value: Option<OsString>,
    /// Deletes the key instead
    #[arg(long, conflicts_with = "value")]
    delete: bool,
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<bool> {
    let key = context.key(&arguments.key)?;
    if arguments.expected == "-" && arguments.value.as_deref() == Some("-".as_ref()) {
        return Err(Failure::usage("only one of EXPECTED and VALUE can be standard input"));
    }
    let expected = input::value(context.form, "EXPECTED", &arguments.expected)?;
    let value = match &arguments.value {
        Some(value) => Some(input::value(context.form, "VALUE", value)?),
        None => None,
    };
    let store = context.place()?.open_to_write(false)?;
    let result = match value {
        Some(value) => store.compare_and_swap(&key, &expected, &value)?,
        None => store.compare_and_delete(&key, &expected)?,
    };
    store.sync()?;
    match result {
        Swap::Done => return Ok(true),
        Swap::NotFound => context.note("no such key"),
        Swap::Mismatch => context.note("the key has another value"),
    }
    Ok(false)
}
