//! The commands of a line: those of the program, and those of the shell itself.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::args::{Command, OutputArguments};
use crate::text::Form;

/// Runs the commands of kvds, on a store that stays open
///
/// A line is a command and its arguments, which may be quoted: 'a b', "a b", or a\ b. A line that
/// ends with a backslash, or inside of quotes, continues in the next line.
#[derive(Parser)]
#[command(no_binary_name = true, name = "")]
#[command(override_usage = "COMMAND [ARGUMENTS]", subcommand_value_name = "COMMAND")]
#[command(max_term_width = 100)]
pub struct Line {
    #[command(flatten)]
    pub output: OutputArguments,
    #[command(subcommand)]
    pub action: Action,
}

#[derive(Subcommand)]
pub enum Action {
    #[command(flatten)]
    Command(Command),
    #[command(flatten)]
    Shell(ShellCommand),
}

/// The commands that change the shell.
#[derive(Subcommand)]
pub enum ShellCommand {
    /// Lists the commands, or describes one
    #[command(name = ".help")]
    Help {
        #[arg(value_name = "COMMAND")]
        command: Option<OsString>,
    },
    /// Opens another store, instead of the current one
    #[command(name = ".open")]
    Open(OpenArguments),
    /// Lists the stores beside the current one
    #[command(name = ".stores")]
    Stores,
    /// Runs the lines of a file
    #[command(name = ".read")]
    Read {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Writes results to a file, until the next ".output"
    ///
    /// The file is replaced. Without FILE, results go to standard output again.
    #[command(name = ".output")]
    Output {
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Sets the form of keys and values, in lines and in results
    #[command(name = ".form")]
    Form {
        #[arg(value_name = "FORM", value_enum)]
        form: Form,
    },
    /// Sets whether the time that each command takes is written to standard error
    #[command(name = ".timing")]
    Timing {
        #[arg(value_name = "SWITCH", value_enum)]
        switch: Switch,
    },
    /// Lists the lines that were typed, also in earlier shells
    #[command(name = ".history")]
    History,
    /// Ends the shell, like Ctrl-D
    #[command(name = ".quit", visible_alias = ".exit")]
    Quit,
}

#[derive(Args)]
pub struct OpenArguments {
    /// The store: its name, or the path of its directory
    #[arg(value_name = "STORE")]
    pub store: OsString,
    /// The directory that the store is under, if it is another one
    #[arg(long, value_name = "DIR", conflicts_with = "cluster")]
    pub base: Option<OsString>,
    /// The cluster that the store is in, if it is another one
    #[arg(long, value_name = "URL")]
    pub cluster: Option<OsString>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

/// Returns the definition of all commands, with names and arguments that can be looked up.
pub fn definition() -> clap::Command {
    let mut command = Line::command();
    command.build();
    command
}

/// Parses the words of a line.
pub fn parse<'a>(words: impl Iterator<Item = &'a OsStr>) -> Result<Line, clap::Error> {
    Line::try_parse_from(words)
}
