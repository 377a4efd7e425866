//! The command-line program `kvds`, without its `main`.
//!
//! This is a library so that cargo can compile it before there is a `libkvds.so` to link with.

mod args;
mod commands;
mod completion;
mod dump_format;
mod engine_properties;
mod failure;
mod figures;
mod input;
mod kept;
mod library;
mod lock_holder;
mod man;
mod measure;
mod output;
mod place;
mod process_usage;
mod progress;
mod shell;
mod signals;
mod store_files;
mod text;
mod writer_counters;

use std::env;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, Job};
use commands::Context;
use failure::{EXIT_NO, Failure, Result};
use place::Settings;

/// Runs the program.
pub fn main() -> ExitCode {
    completion::run_if_requested();
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_NO),
        Err(failure) => {
            if let Some(text) = failure.text() {
                output::say(&text);
            }
            if matches!(failure, Failure::BrokenPipe) {
                signals::end_by_sigpipe();
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Runs the command. Returns `false` for a plain "no".
fn run(arguments: &Arguments) -> Result<bool> {
    let options = arguments.options.iter().map(library_option).collect::<Result<_>>()?;
    let context = Context {
        settings: Settings {
            base: arguments.base.clone(),
            cluster: arguments.cluster.clone(),
            options,
            quiet: arguments.output.quiet,
            kept: None,
        },
        store: arguments.store().cloned(),
        form: arguments.output.form(),
        explicit_form: arguments.output.explicit_form(),
        quiet: arguments.output.quiet,
        words: env::args_os().collect(),
        usage: "kvds STORE COMMAND",
    };
    match &arguments.job {
        Job::Command(command) => commands::run(command, &context),
        Job::Shell(arguments) => shell::run(arguments, context),
        Job::ManPages(arguments) => commands::man_pages::run(arguments),
    }
}

/// Splits the argument of `--option`.
fn library_option(text: &OsString) -> Result<(String, OsString)> {
    let bytes = text.as_bytes();
    let at = bytes.iter().position(|&byte| byte == b'=');
    let name = at.and_then(|at| std::str::from_utf8(&bytes[..at]).ok());
    match (name, at) {
        (Some(name), Some(at)) if !name.is_empty() => {
            Ok((name.to_owned(), OsString::from_vec(bytes[at + 1..].to_vec())))
        }
        _ => Err(Failure::usage(format!("--option takes NAME=VALUE, not {}", text.display()))),
    }
}
