//! Completions for shells.
//!
//! The scripts that are installed call the program with `KVDS_COMPLETE=SHELL` and the words of the
//! command line. The program replies with candidates, so all shells complete alike: names of
//! stores, then commands, options and files.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};
use clap_complete::CompleteEnv;
use clap_complete::engine::{
    ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};

use crate::args::Arguments;
use crate::place;

const VARIABLE: &str = "KVDS_COMPLETE";

/// Prints completions and ends the program, if a shell asks for them.
pub fn run_if_requested() {
    CompleteEnv::with_factory(command).var(VARIABLE).bin("kvds").completer("kvds").complete();
}

/// Completes the argument STORE.
pub fn stores() -> ArgValueCompleter {
    ArgValueCompleter::new(|text: &OsStr| {
        let base = given(&Arguments::command(), &words()).base.or_else(place::base_of_environment);
        let mut found = match base {
            Some(base) if !text.as_bytes().contains(&b'/') => names(Path::new(&base), text),
            _ => Vec::new(),
        };
        found.extend(PathCompleter::dir().complete(text));
        found
    })
}

/// Returns the stores below `base` whose names begin with `start`.
///
/// Names that a shell would have to quote are left out.
fn names(base: &Path, start: &OsStr) -> Vec<CompletionCandidate> {
    let mut names: Vec<_> = fs::read_dir(base)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().join("CURRENT").is_file())
        .filter_map(|entry| String::from_utf8(place::decoded(entry.file_name().as_bytes())).ok())
        .filter(|name| name.as_bytes().starts_with(start.as_bytes()))
        .filter(|name| {
            name.chars().all(|letter| letter.is_alphanumeric() || "_-.".contains(letter))
        })
        .collect();
    names.sort();
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// What the command line has before the word that is completed.
#[derive(Debug, Default, PartialEq)]
struct Given {
    base: Option<OsString>,
    store: bool,
}

/// Returns the command line without the commands that cannot come next.
fn command() -> Command {
    let command = Arguments::command();
    let given = given(&command, &words());
    let others = command
        .get_subcommands()
        .filter(|one| !one.is_hide_set() && !is_possible(one, given.store))
        .map(|one| one.get_name().to_owned())
        .collect::<Vec<_>>();
    others
        .into_iter()
        .fold(command, |command, name| command.mut_subcommand(name, |one| one.hide(true)))
}

/// Returns whether a command can follow: most need a store before them. The usage of the others
/// has `[STORE]`, or no STORE.
fn is_possible(command: &Command, has_store: bool) -> bool {
    match command.get_overridden_usage().map(ToString::to_string) {
        Some(usage) if usage.contains("[STORE]") => true,
        Some(usage) => has_store == usage.contains("STORE"),
        None => has_store,
    }
}

/// Returns the words of the command line, after the name of the program and without the last one,
/// which is being completed.
fn words() -> Vec<OsString> {
    let mut words: Vec<_> = env::args_os().skip_while(|word| word != "--").skip(2).collect();
    words.pop();
    words
}

/// Finds the base path and the store in the words of a command line.
fn given(command: &Command, words: &[OsString]) -> Given {
    let mut given = Given::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (name, mut value) = match word.to_str().and_then(|word| word.split_once('=')) {
            Some((name, value)) => (OsStr::new(name), Some(OsString::from(value))),
            None => (word.as_os_str(), None),
        };
        if !name.as_bytes().starts_with(b"-") {
            given.store = true;
            break;
        }
        let Some(option) = command.get_arguments().find(|option| is_named(option, name)) else {
            continue;
        };
        if option.get_action().takes_values() && value.is_none() {
            value = words.next().cloned();
        }
        match option.get_id().as_str() {
            "base" => given.base = value,
            "named_store" => given.store = true,
            _ => {}
        }
    }
    given
}

/// Returns whether an option has the name `name`, such as "--base" or "-o".
fn is_named(option: &Arg, name: &OsStr) -> bool {
    let long = option.get_long().is_some_and(|long| *name == *format!("--{long}"));
    long || option.get_short().is_some_and(|short| *name == *format!("-{short}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_line_gives() {
        let cases: [(&[&str], Option<&str>, bool); 6] = [
            (&[], None, false),
            (&["--base", "data"], Some("data"), false),
            (&["--base=data", "-q", "born"], Some("data"), true),
            (&["-o", "durability=sync", "--base", "d"], Some("d"), false),
            (&["--hex", "born", "scan", "--from", "x"], None, true),
            (&["--store", "stat", "--base", "d"], Some("d"), true),
        ];
        for (words, base, store) in cases {
            let words: Vec<_> = words.iter().map(OsString::from).collect();
            let expected = Given { base: base.map(OsString::from), store };
            assert_eq!(given(&Arguments::command(), &words), expected, "{words:?}");
        }
    }
}
