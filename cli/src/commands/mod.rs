//! The commands, one in each file.

pub mod add;
pub mod bench;
mod bulk_write;
pub mod cas;
pub mod checkpoint;
pub mod compact;
pub mod copy;
pub mod count;
mod damage;
pub mod del;
pub mod destroy;
pub mod diff;
pub mod dump;
pub mod exists;
pub mod get;
pub mod keys;
pub mod load;
pub mod man_pages;
mod merge;
pub mod salvage;
pub mod scan;
pub mod set;
pub mod stat;
pub mod stores;
pub mod top;
pub mod ttl;
pub mod verify;
pub mod watch;

use std::ffi::{OsStr, OsString};

use crate::args::{Command, OtherStore};
use crate::failure::{Failure, Result};
use crate::input;
use crate::output;
use crate::place::{Place, Settings};
use crate::text::Form;

/// What all commands take from the command line.
#[derive(Clone)]
pub struct Context {
    pub settings: Settings,
    pub store: Option<OsString>,
    pub form: Form,
    /// The form, if the command line names one.
    pub explicit_form: Option<Form>,
    pub quiet: bool,
    /// The command line, or the line of a shell.
    pub words: Vec<OsString>,
    /// How the user names a store, for the message that there is none.
    pub usage: &'static str,
}

impl Context {
    /// Returns the store that the command is about.
    pub fn place(&self) -> Result<Place> {
        match &self.store {
            Some(store) => self.settings.place(store),
            None => Err(Failure::usage(format!("no store is named: {}", self.usage))),
        }
    }

    /// Returns the second store of a command, which is in the place of the first by default.
    pub fn other_place(&self, other: &OtherStore) -> Result<Place> {
        let (base, cluster) = (&other.other_base, &other.other_cluster);
        self.settings.elsewhere(&other.store, base, cluster).place(&other.store)
    }

    /// Returns the bytes of the argument `text`, which is a key.
    pub fn key(&self, text: &OsStr) -> Result<Vec<u8>> {
        input::bytes(self.form, "KEY", text)
    }

    /// Says what was done, on standard error.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            output::say(text);
        }
    }
}

/// Runs a command. Returns `false` for a plain "no".
pub fn run(command: &Command, context: &Context) -> Result<bool> {
    match command {
        Command::Get(arguments) => get::run(arguments, context),
        Command::Set(arguments) => set::run(arguments, context),
        Command::Del(arguments) => del::run(arguments, context),
        Command::Exists(arguments) => exists::run(arguments, context),
        Command::Add(arguments) => add::run(arguments, context),
        Command::Cas(arguments) => cas::run(arguments, context),
        Command::Scan(arguments) => scan::run(arguments, context),
        Command::Count(arguments) => count::run(arguments, context),
        Command::Stores(arguments) => stores::run(arguments, context),
        Command::Stat(arguments) => stat::run(arguments, context),
        Command::Top(arguments) => top::run(arguments, context),
        Command::Ttl(arguments) => ttl::run(arguments, context),
        Command::Dump(arguments) => dump::run(arguments, context),
        Command::Load(arguments) => load::run(arguments, context),
        Command::Copy(arguments) => copy::run(arguments, context),
        Command::Diff(arguments) => diff::run(arguments, context),
        Command::Compact(arguments) => compact::run(arguments, context),
        Command::Checkpoint(arguments) => checkpoint::run(arguments, context),
        Command::Destroy(arguments) => destroy::run(arguments, context),
        Command::Watch(arguments) => watch::run(arguments, context),
        Command::Verify(arguments) => verify::run(arguments, context),
        Command::Salvage(arguments) => salvage::run(arguments, context),
        Command::Keys(arguments) => keys::run(arguments, context),
        Command::Bench(arguments) => bench::run(arguments, context),
    }
}

/// Returns "1 pair" or "2 pairs".
pub fn pairs(count: u64) -> String {
    if count == 1 { "1 pair".to_owned() } else { format!("{count} pairs") }
}
