//! `destroy`: a store is deleted.

use std::io::{self, IsTerminal, Write};

use clap::Args;

use super::Context;
use crate::failure::{Failure, Result};

/// Deletes the store with all of its data
///
/// The exit code is 1 if there is no such store, or if the reply to the question is not "yes".
#[derive(Args)]
pub struct Arguments {
    /// Does not ask
    #[arg(short, long)]
    yes: bool,
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<bool> {
    let place = context.place()?;
    if !arguments.yes {
        if !io::stdin().is_terminal() {
            return Err(Failure::usage("there is no terminal to ask on: use --yes"));
        }
        eprint!("Delete the store {place} with all of its data? [yes/no] ");
        let failure = |cause| Failure::io("the terminal", &cause);
        io::stderr().flush().map_err(failure)?;
        let mut reply = String::new();
        io::stdin().read_line(&mut reply).map_err(failure)?;
        if reply.trim() != "yes" {
            context.note("nothing was deleted");
            return Ok(false);
        }
    }
    let existed = place.destroy()?;
    if !existed {
        context.note(&format!("there is no store {place}"));
    }
    Ok(existed)
}
