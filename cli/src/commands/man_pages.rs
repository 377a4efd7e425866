//! `man-pages`: the manual of the program, for its installation.

use std::path::PathBuf;

use clap::{Args, CommandFactory, ValueHint};

use crate::args;
use crate::failure::Result;
use crate::man;

/// Writes the man pages of the program to a directory
#[derive(Args)]
#[command(hide = true, override_usage = "kvds man-pages --date DATE DIRECTORY")]
pub struct Arguments {
    /// The date in the pages, such as 2026-01-31
    #[arg(long)]
    date: String,
    #[arg(value_name = "DIRECTORY", value_hint = ValueHint::DirPath)]
    directory: PathBuf,
}

pub fn run(arguments: &Arguments) -> Result<bool> {
    man::write(args::Arguments::command(), &arguments.directory, &arguments.date)?;
    Ok(true)
}
