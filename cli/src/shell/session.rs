//! Runs the lines of a shell, and keeps what they change: the store, the form, the timing.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Instant;

use clap::error::ErrorKind;

use super::line::{self, Action, Line, OpenArguments, ShellCommand, Switch};
use super::source::{Script, Source};
use super::words;
use crate::args::Command;
use crate::commands::{self, Context, stores};
use crate::failure::{Failure, Result};
use crate::kept::Kept;
use crate::output::{self, Output};
use crate::signals;

/// How deep files may read each other.
const MAX_DEPTH: usize = 16;

/// How to open a store, for messages that none is open.
const OPEN_ADVICE: &str = ".open STORE opens one";

/// The state of a shell.
pub struct Session {
    context: Context,
    read_only: bool,
    keep_going: bool,
    timing: bool,
    /// How many files are being read.
    depth: usize,
}

/// What the shell does after a line.
enum Next {
    /// Runs the next one. The value is `false` for a plain "no".
    Line(bool),
    Quit,
}

/// What all lines of a source came to.
struct Ended {
    /// Whether no command had a plain "no".
    yes: bool,
    /// Whether the shell ends, not only this source.
    quit: bool,
}

impl Session {
    pub fn new(mut context: Context, read_only: bool, keep_going: bool) -> Result<Session> {
        if context.store.is_some() {
            let kept = Kept::new(context.place()?, read_only);
            context.settings.kept = Some(kept);
        }
        context.usage = OPEN_ADVICE;
        Ok(Session { context, read_only, keep_going, timing: false, depth: 0 })
    }

    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Opens the store before the first command, so that the user sees what is not right with it.
    pub fn open_now(&self) {
        let Some(kept) = &self.context.settings.kept else {
            self.context.note(&format!("no store is open: {OPEN_ADVICE}"));
            return;
        };
        if let Err(failure) = kept.to_read() {
            output::say(&failure.text().unwrap_or_default());
        }
    }

    /// Runs all lines. Returns `false` if a command had a plain "no".
    pub fn run(&mut self, source: &mut dyn Source) -> Result<bool> {
        Ok(self.run_all(source)?.yes)
    }

    fn run_all(&mut self, source: &mut dyn Source) -> Result<Ended> {
        let mut all = true;
        let mut failed = None;
        let quit = loop {
            let Some(text) = source.next(&self.context)? else { break false };
            let place = source.place();
            let start = Instant::now();
            signals::resume()?;
            let mut result = self.run_line(&text, place.is_none(), source);
            // Ctrl-C ends a script, also while a command runs that has nothing to undo.
            if place.is_some() && result.is_ok() {
                result = signals::check().and(result);
            }
            if self.timing {
                output::say(&format!("{:.3} s", start.elapsed().as_secs_f64()));
            }
            let failure = match result {
                Ok(Next::Line(yes)) => {
                    all &= yes;
                    continue;
                }
                Ok(Next::Quit) => break true,
                Err(failure) => failure,
            };
            let failure = match &place {
                Some(place) => failure.at(place),
                None => failure,
            };
            let is_interrupted = matches!(failure, Failure::Interrupted(_));
            let ends = match place {
                Some(_) => !self.keep_going || is_interrupted,
                None => false,
            };
            if ends || matches!(failure, Failure::BrokenPipe) {
                return Err(failure);
            }
            if is_interrupted {
                source.discard();
            }
            failed = failed.or(Some(failure.exit_code()));
            if let Some(text) = failure.text() {
                output::say(&text);
            }
        };
        match failed {
            // A user has seen each failure, and ends the shell when all is well.
            Some(code) if source.place().is_some() => Err(Failure::Reported(code)),
            _ => Ok(Ended { yes: all, quit }),
        }
    }

    fn run_line(&mut self, text: &[u8], is_typed: bool, source: &dyn Source) -> Result<Next> {
        let words = words::split(text).words;
        if words.is_empty() {
            return Ok(Next::Line(true));
        }
        let words = words.iter().map(|word| OsStr::from_bytes(&word.text));
        self.context.words = words.map(OsStr::to_owned).collect();
        match line::parse(self.context.words.iter().map(OsString::as_os_str)) {
            Ok(line) => self.run_action(&line, source),
            Err(error) => usage(&error, is_typed),
        }
    }

    fn run_action(&mut self, line: &Line, source: &dyn Source) -> Result<Next> {
        let mut context = self.context.clone();
        context.quiet |= line.output.quiet;
        context.settings.quiet = context.quiet;
        context.form = line.output.explicit_form().unwrap_or(context.form);
        // Each value has a line of its own, as the next result follows it.
        context.explicit_form = Some(context.form);
        match &line.action {
            Action::Command(command) => commands::run(command, &context).map(Next::Line),
            Action::Shell(command) => self.run_shell_command(command, &context, source),
        }
    }

    fn run_shell_command(
        &mut self,
        command: &ShellCommand,
        context: &Context,
        source: &dyn Source,
    ) -> Result<Next> {
        match command {
            ShellCommand::Help { command } => {
                let words = [OsStr::new("help")].into_iter().chain(command.as_deref());
                if let Err(error) = line::parse(words) {
                    return usage(&error, false);
                }
            }
            ShellCommand::Open(arguments) => self.open(arguments)?,
            ShellCommand::Stores => return list_stores(context).map(Next::Line),
            ShellCommand::Read { file } => return self.read(file),
            ShellCommand::Output { file } => output::redirect(file.as_deref())?,
            ShellCommand::Form { form } => self.context.form = *form,
            ShellCommand::Timing { switch } => self.timing = *switch == Switch::On,
            ShellCommand::History => {
                let mut out = Output::stdout();
                for line in source.history() {
                    out.with_line(|out| out.extend_from_slice(line.as_bytes()))?;
                }
                out.finish()?;
            }
            ShellCommand::Quit => return Ok(Next::Quit),
        }
        Ok(Next::Line(true))
    }

    /// Opens another store. The current one stays if that fails.
    fn open(&mut self, arguments: &OpenArguments) -> Result<()> {
        let OpenArguments { store, base, cluster } = arguments;
        let mut settings = self.context.settings.elsewhere(store, base, cluster);
        let place = settings.place(store)?;
        if self.context.settings.kept.as_ref().is_some_and(|kept| kept.is_of(&place)) {
            // It is opened again, perhaps for writing now. Two handles would exclude each other.
            self.context.settings.kept.iter().for_each(Kept::close);
        }
        settings.kept = None;
        let kept = Kept::new(settings.place(store)?, self.read_only);
        kept.to_read()?;
        settings.kept = Some(kept);
        self.context.settings = settings;
        self.context.store = Some(store.clone());
        Ok(())
    }

    fn read(&mut self, file: &Path) -> Result<Next> {
        if self.depth == MAX_DEPTH {
            let text = format!("{}: files read each other too deeply", file.display());
            return Err(Failure::usage(text));
        }
        let mut script = Script::open(file)?;
        self.depth += 1;
        let result = self.run_all(&mut script);
        self.depth -= 1;
        result.map(|ended| if ended.quit { Next::Quit } else { Next::Line(ended.yes) })
    }
}

/// Lists the stores under the base path, or those beside a store that is named by its path.
fn list_stores(context: &Context) -> Result<bool> {
    let mut context = context.clone();
    let place = context.settings.kept.as_ref().map(Kept::place);
    if let Some(base) = place.and_then(|place| place.base()) {
        context.settings.base = Some(base.as_os_str().to_owned());
    }
    commands::run(&Command::Stores(stores::Arguments {}), &context)
}

/// Shows the help that a line asks for, or returns what is not right with the line.
///
/// A user who typed it gets all of the message, and a script the sentence that fits in a line.
fn usage(error: &clap::Error, is_typed: bool) -> Result<Next> {
    let is_help = error.kind() == ErrorKind::DisplayHelp;
    if is_help || is_typed {
        // Without the stream there is no place to report that it is missing.
        let _ = error.print();
    }
    if is_help {
        return Ok(Next::Line(true));
    }
    let code = Failure::usage("").exit_code();
    if is_typed {
        return Err(Failure::Reported(code));
    }
    // The names of all commands would make a long line.
    if error.kind() == ErrorKind::MissingSubcommand {
        return Err(Failure::usage("the line has no command"));
    }
    let text = error.to_string();
    let text = text.split("\n\n").next().unwrap_or_default();
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    Err(Failure::usage(text.strip_prefix("error: ").unwrap_or(&text)))
}
