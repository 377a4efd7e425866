//! `shell`: commands that are typed, or read from standard input, on a store that stays open.

mod complete;
mod editor;
mod hang_up;
mod highlight;
mod history;
mod line;
mod session;
mod source;
mod words;

use std::env;
use std::ffi::OsStr;
use std::io::{self, IsTerminal};

use clap::Args;

use crate::args;
use crate::commands::Context;
use crate::failure::Result;
use crate::signals;
use crate::text::shown;
use editor::Editor;
use session::Session;
use source::{Prompted, Script};

/// The prompt of a line that continues the one before.
const CONTINUATION: &str = "...> ";

/// Runs commands that are typed, on a store that stays open: ".help" lists them
///
/// If standard input is no terminal, its lines are the commands. The first failure then ends the
/// shell with its exit code. If none fails, the exit code is 1 if one of the commands had it.
#[derive(Args)]
#[command(override_usage = "kvds [OPTIONS] [STORE] shell")]
pub struct Arguments {
    /// Runs the commands after one that fails, too; the exit code is that of the first failure
    #[arg(long)]
    keep_going: bool,
    /// Opens stores for reading only, so that another process can write them meanwhile
    #[arg(long)]
    read_only: bool,
}

pub fn run(arguments: &Arguments, context: Context) -> Result<bool> {
    let mut session = Session::new(context, arguments.read_only, arguments.keep_going)?;
    let is_interactive = io::stdin().is_terminal() && io::stderr().is_terminal();
    if !is_interactive {
        return session.run(&mut Script::stdin());
    }
    signals::resume()?;
    hang_up::watch();
    let context = session.context();
    context.note(&format!("version {}; .help lists the commands, .quit ends", args::version()));
    session.open_now();
    let is_dumb = env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    let result = match is_dumb {
        true => session.run(&mut Prompted),
        false => session.run(&mut Editor::new(has_color())),
    };
    // A plain "no" is an exit code for scripts only.
    result.map(|_| true)
}

/// Returns whether the user did not turn colors off.
fn has_color() -> bool {
    env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Returns the prompt, which shows the store and whether it can be written.
fn prompt(context: &Context) -> String {
    let Some(store) = &context.store else { return "kvds> ".to_owned() };
    let name = shown(OsStr::as_encoded_bytes(store));
    let open = context.settings.kept.as_ref().and_then(|kept| kept.current());
    match open.is_some_and(|open| !open.is_writable()) {
        true => format!("{name} (read-only)> "),
        false => format!("{name}> "),
    }
}
