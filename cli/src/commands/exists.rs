//! `exists`: whether there are keys.

use std::ffi::OsString;

use clap::Args;

use super::Context;
use crate::failure::Result;

/// Ends with the exit code 0 if all of the keys exist, and 1 otherwise
#[derive(Args)]
pub struct Arguments {
    #[arg(value_name = "KEY", required = true)]
    keys: Vec<OsString>,
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<bool> {
    let keys = arguments.keys.iter().map(|key| context.key(key)).collect::<Result<Vec<_>>>()?;
    let store = context.place()?.open_to_read()?;
    for key in &keys {
        if !store.exists(key)? {
            return Ok(false);
        }
    }
    Ok(true)
}
