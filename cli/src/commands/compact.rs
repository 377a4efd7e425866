//! `compact`: disk space is reclaimed.

use clap::Args;
use indicatif::HumanBytes;

use super::Context;
use crate::failure::Result;

/// Reclaims the disk space of overwritten and deleted pairs now, instead of over time
#[derive(Args)]
pub struct Arguments {}

pub fn run(_arguments: &Arguments, context: &Context) -> Result<bool> {
    let store = context.place()?.open_to_write(false)?;
    let before = store.stats()?.disk_bytes;
    store.compact()?;
    let after = store.stats()?.disk_bytes;
    context.note(&format!("{} before, {} now", HumanBytes(before), HumanBytes(after)));
    Ok(true)
}
