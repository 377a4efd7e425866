//! `salvage`: what can be read of a damaged store is copied to a new one.

use clap::Args;

use super::damage::{self, Report};
use super::{Context, pairs};
use crate::args::OtherStore;
use crate::failure::{Failure, Result};
use crate::library::damage::{Verdict, salvage};
use crate::signals;

/// Copies what can still be read of a damaged disk store to a new one
///
/// It writes a line for each damage, like "verify", and then how much was saved. The exit code is 1
/// if something was lost. The damaged store must not be open, and is not changed. The new store has
/// no older value in place of a lost one, unless the list of files (MANIFEST) is lost, which is
/// reported.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    target: OtherStore,
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<bool> {
    let (from, to) = (context.place()?, context.other_place(&arguments.target)?);
    let (source, target) = (damage::directory(&from)?, damage::directory(&to)?);
    if target.exists() {
        return Err(Failure::failed(format!("{} exists already", target.display())));
    }
    let options = from.options(&[])?;
    signals::install();
    let mut report = Report::new(context, "salvaging");
    let (source, target) = (damage::bytes(&source), damage::bytes(&target));
    let result = salvage(source, target, &options, &mut |damage, done, total| {
        report.add(damage, done, total)
    });
    let (verdict, saved) = match result {
        Err(error) if error.is_locked() => return Err(from.locked()),
        result => result?,
    };
    let damages = report.finish()?;
    if verdict == Verdict::NoStore {
        return Err(from.not_found(""));
    }
    let mut text = format!("saved {}", pairs(saved.pairs));
    if saved.lost > 0 {
        text += &format!("; left out {} with only an older value", pairs(saved.lost));
    }
    if saved.ttls_lost > 0 {
        text += &format!("; {} may have lost a time to live", pairs(saved.ttls_lost));
    }
    if damages == 0 {
        text += "; there was no damage";
    }
    context.note(&text);
    Ok(damages == 0)
}
