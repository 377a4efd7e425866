//! `exists`: whether there are keys.

use clap::Args;

use super::Context;
use crate::args::KeyArguments;
use crate::failure::Result;

/// Ends with the exit code 0 if all of the keys exist, and 1 otherwise
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    keys: KeyArguments,
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<bool> {
    let keys = arguments.keys.bytes(context.form)?;
    let store = context.place()?.open_to_read()?;
    for key in &keys {
        if !store.exists(key)? {
            return Ok(false);
        }
    }
    Ok(true)
}
