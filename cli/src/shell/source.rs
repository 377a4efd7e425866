//! Where the lines of a shell come from: a file, standard input, or the editor on a terminal.

use std::io::{self, BufRead, Write};
use std::path::Path;

use super::words;
use crate::commands::Context;
use crate::failure::{Failure, Result};
use crate::input;
use crate::signals;

/// The lines of a shell.
pub trait Source {
    /// Returns the lines of the next command, or `None` at the end.
    fn next(&mut self, context: &Context) -> Result<Option<Vec<u8>>>;

    /// Returns the place of the last command, such as "standard input, line 3".
    ///
    /// `None` for lines that a user types, who sees them.
    fn place(&self) -> Option<String>;

    /// Returns the lines that were typed, from the oldest.
    fn history(&self) -> Vec<String> {
        Vec::new()
    }

    /// Forgets what was typed ahead, after Ctrl-C.
    fn discard(&mut self) {}
}

/// Lines of a file, or of standard input.
pub struct Script {
    reader: Reader,
    name: String,
    /// The line where the last command began, and the last line.
    first: u64,
    last: u64,
}

enum Reader {
    /// The buffer of standard input is shared with commands that read it.
    Stdin,
    Open(Box<dyn BufRead>),
}

impl Script {
    pub fn stdin() -> Script {
        Script::new(Reader::Stdin, "standard input".to_owned())
    }

    pub fn open(path: &Path) -> Result<Script> {
        let (reader, name) = input::open(Some(path))?;
        Ok(Script::new(Reader::Open(reader), name))
    }

    /// Returns the lines of `text`, whose last line has no end.
    pub fn of_text(mut text: String) -> Script {
        text.push('\n');
        Script::new(Reader::Open(Box::new(io::Cursor::new(text))), String::new())
    }

    fn new(reader: Reader, name: String) -> Script {
        Script { reader, name, first: 0, last: 0 }
    }

    /// Appends a line with its end. Returns `false` at the end of the input.
    fn append_line(&mut self, text: &mut Vec<u8>) -> Result<bool> {
        let read = match &mut self.reader {
            Reader::Open(reader) => reader.read_until(b'\n', text),
            Reader::Stdin => {
                // No job runs that has anything to finish.
                signals::uninstall();
                io::stdin().lock().read_until(b'\n', text)
            }
        };
        self.last += 1;
        Ok(read.map_err(|cause| input::read_error(&self.name, &cause))? > 0)
    }
}

impl Source for Script {
    fn next(&mut self, _context: &Context) -> Result<Option<Vec<u8>>> {
        let mut text = Vec::new();
        if !self.append_line(&mut text)? {
            return Ok(None);
        }
        self.first = self.last;
        // Each line makes the text longer, and the end of the input ends the loop.
        while is_unfinished(&text) {
            if !self.append_line(&mut text)? {
                let place = self.place().unwrap_or_default();
                return Err(Failure::usage(format!(
                    "{place}: the input ends before the command does, in quotes or after a \
                     backslash"
                )));
            }
        }
        Ok(Some(text))
    }

    fn place(&self) -> Option<String> {
        Some(format!("{}, line {}", self.name, self.first))
    }
}

/// Returns whether the command of `text` continues after the line break at its end.
fn is_unfinished(text: &[u8]) -> bool {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    words::split(text).is_unfinished()
}

/// Lines from a terminal that cannot move its cursor (`TERM=dumb`), each after a prompt.
pub struct Prompted;

impl Prompted {
    /// Appends a line. Returns `false` at the end of the input, and fails after a signal.
    fn append_line(prompt: &str, text: &mut Vec<u8>) -> Result<bool> {
        let name = "the terminal";
        let mut stderr = io::stderr();
        // Without standard error the lines are read anyway.
        let _ = stderr.write_all(prompt.as_bytes()).and_then(|()| stderr.flush());
        input::wait_for_stdin().map_err(|cause| input::read_error(name, &cause))?;
        let read = io::stdin().lock().read_until(b'\n', text);
        Ok(read.map_err(|cause| input::read_error(name, &cause))? > 0)
    }
}

impl Source for Prompted {
    fn next(&mut self, context: &Context) -> Result<Option<Vec<u8>>> {
        let mut text = Vec::new();
        let mut prompt = super::prompt(context);
        // The user ends the loop with a complete line or Ctrl-D.
        loop {
            match Prompted::append_line(&prompt, &mut text) {
                Ok(true) if !is_unfinished(&text) => return Ok(Some(text)),
                Ok(true) => prompt = super::CONTINUATION.to_owned(),
                Ok(false) => return Ok(None),
                Err(Failure::Interrupted(_)) => {
                    eprintln!();
                    signals::resume()?;
                    text.clear();
                    prompt = super::prompt(context);
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    fn place(&self) -> Option<String> {
        None
    }
}
