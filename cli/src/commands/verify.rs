//! `verify`: all files of a store are read and checked.

use clap::Args;

use super::Context;
use super::damage::{self, Report};
use crate::failure::Result;
use crate::library::damage::{Verdict, verify};
use crate::signals;

/// Reads all files of a disk store, and checks every checksum
///
/// It writes a line for each damage: the file, what is damaged, and the keys that are lost. All
/// others can still be read: "salvage" copies them. The exit code is 1 if there is damage. Another
/// process may be writing the store.
#[derive(Args)]
pub struct Arguments {}

pub fn run(_arguments: &Arguments, context: &Context) -> Result<bool> {
    let place = context.place()?;
    let directory = damage::directory(&place)?;
    let options = place.options(&[])?;
    signals::install();
    let mut report = Report::new(context, "verifying");
    let verdict = verify(damage::bytes(&directory), &options, &mut |damage, done, total| {
        report.add(damage, done, total)
    })?;
    let damages = report.finish()?;
    if verdict == Verdict::NoStore {
        return Err(place.not_found(""));
    }
    let is_whole = verdict == Verdict::Whole;
    context.note(&match damages {
        _ if is_whole => "no damage".to_owned(),
        1 => "1 damage".to_owned(),
        damages => format!("{damages} damages"),
    });
    Ok(is_whole)
}
