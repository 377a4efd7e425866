//! `checkpoint`: a copy of a store as a directory.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use clap::Args;

use super::Context;
use crate::failure::Result;

/// Copies the store as it is now to a new disk store
#[derive(Args)]
pub struct Arguments {
    /// The directory of the copy, which must not exist
    #[arg(value_name = "DIR")]
    path: OsString,
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<bool> {
    let store = context.place()?.open_to_read()?;
    store.checkpoint(arguments.path.as_bytes())?;
    Ok(true)
}
