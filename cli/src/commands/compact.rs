//! `compact`: disk space is reclaimed.

use clap::Args;
use indicatif::HumanBytes;

use super::Context;
use crate::failure::{Failure, Result};

/// Reclaims the disk space of overwritten and deleted pairs now, instead of over time
#[derive(Args)]
pub struct Arguments {}

pub fn run(_arguments: &Arguments, context: &Context) -> Result<bool> {
    let place = context.place()?;
    if place.is_cluster() {
        return Err(Failure::failed("the operator of a cluster compacts it, not its stores"));
    }
    let store = place.open_to_write(false)?;
    let before = store.stats()?.disk_bytes;
    store.compact()?;
    let after = store.stats()?.disk_bytes;
    context.note(&format!("{} before, {} now", HumanBytes(before), HumanBytes(after)));
    Ok(true)
}
