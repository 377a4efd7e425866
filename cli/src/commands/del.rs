//! `del`: keys are deleted.

use std::ffi::OsString;

use clap::Args;

use super::Context;
use crate::failure::{Failure, Result};
use crate::input;

/// Deletes keys
///
/// The exit code is 1 if a key does not exist.
#[derive(Args)]
pub struct Arguments {
    #[arg(value_name = "KEY", required_unless_present = "prefix")]
    keys: Vec<OsString>,
    /// Deletes all keys that begin with this, in one step
    #[arg(long, conflicts_with = "keys")]
    prefix: Option<OsString>,
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<bool> {
    let keys = arguments.keys.iter().map(|key| context.key(key)).collect::<Result<Vec<_>>>()?;
    let prefix = match &arguments.prefix {
        Some(prefix) => Some(input::bytes(context.form, "--prefix", prefix)?),
        None => None,
    };
    // More often a variable that is empty than a wish, and there is "destroy", which asks.
    if prefix.as_ref().is_some_and(Vec::is_empty) {
        return Err(Failure::usage("--prefix is empty: that would delete all keys"));
    }
    let store = context.place()?.open_to_write(false)?;
    let mut all = true;
    if let Some(prefix) = prefix {
        store.delete_prefix(&prefix)?;
    }
    for key in &keys {
        if !store.del(key)? {
            context.note(&format!("no key {}", crate::text::shown(key)));
            all = false;
        }
    }
    store.sync()?;
    Ok(all)
}
