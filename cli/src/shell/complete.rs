//! What Tab offers: commands, options, keys, stores and files.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use clap::{Arg, ArgAction, Command};
use reedline::{Completer, Span, Suggestion};

use super::words::{self, End, Word};
use crate::commands::{Context, stores};
use crate::failure::Result;
use crate::library::{Cursor, Range};
use crate::text::{self, Form, shown};

/// How many keys or files are read at most, so that Tab is fast in every store.
const MAX_CANDIDATES: usize = 100;

/// Completes the word before the cursor.
pub struct Completion {
    definition: Command,
    /// The state of the shell, which changes between lines.
    context: Arc<Mutex<Option<Context>>>,
}

/// A word that may replace the one before the cursor.
struct Candidate {
    word: String,
    about: Option<String>,
    /// Whether the next word comes after it.
    is_whole: bool,
}

impl Candidate {
    fn new(word: String) -> Candidate {
        Candidate { word, about: None, is_whole: true }
    }
}

impl Completer for Completion {
    fn complete(&mut self, line: &str, pos: usize) -> Vec<Suggestion> {
        let Some(head) = line.get(..pos) else { return Vec::new() };
        let mut split = words::split(head.as_bytes());
        let (start, partial) = match split.end {
            End::Space => (pos, Vec::new()),
            // A part of an escape completes nothing.
            End::Backslash => return Vec::new(),
            End::Word | End::Quote => match split.words.pop() {
                Some(word) => (word.start, word.text),
                None => (pos, Vec::new()),
            },
        };
        // A comment is no command.
        if split.words.is_empty() && head.trim_start().starts_with('#') {
            return Vec::new();
        }
        let span = Span::new(start, pos);
        let candidates = self.candidates(&split.words, &partial);
        candidates.into_iter().map(|candidate| suggestion(candidate, span)).collect()
    }
}

impl Completion {
    pub fn new(definition: Command, context: Arc<Mutex<Option<Context>>>) -> Completion {
        Completion { definition, context }
    }

    fn candidates(&self, before: &[Word], partial: &[u8]) -> Vec<Candidate> {
        let Some((command, arguments)) = before.split_first() else {
            return commands(&self.definition, partial);
        };
        let name = OsStr::from_bytes(&command.text);
        let Some(command) = self.definition.find_subcommand(name) else { return Vec::new() };
        let (argument, takes_options) = expected(command, arguments);
        if takes_options && partial.starts_with(b"-") {
            return options(command, partial);
        }
        let Some(argument) = argument else { return Vec::new() };
        let values = argument.get_possible_values();
        if !values.is_empty() {
            let names = values.iter().map(|value| value.get_name().to_owned());
            return beginning_with(names, partial);
        }
        let kind = argument.get_value_names().and_then(|names| names.first());
        match kind.map_or("", |kind| kind.as_str()) {
            "KEY" | "PREFIX" => self.keys(arguments, partial).unwrap_or_default(),
            "STORE" | "OTHER" => {
                let mut found = self.stores(partial);
                found.extend(files(partial, true));
                found
            }
            "FILE" => files(partial, false),
            "DIR" => files(partial, true),
            "COMMAND" => commands(&self.definition, partial),
            _ => Vec::new(),
        }
    }

    fn context(&self) -> Option<Context> {
        // A panic leaves a context or none, so the value is always valid.
        self.context.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the first keys that begin with `partial`.
    ///
    /// Digits of a key in another form would complete to bytes that a user cannot read.
    fn keys(&self, arguments: &[Word], partial: &[u8]) -> Result<Vec<Candidate>> {
        let is_text = |context: &Context| {
            let other = |word: &Word| word.text == b"--hex" || word.text == b"--base64";
            matches!(context.form, Form::Text | Form::Json) && !arguments.iter().any(other)
        };
        let context = self.context().filter(is_text);
        let kept = context.and_then(|context| context.settings.kept);
        let (Some(store), Ok(prefix)) =
            (kept.and_then(|kept| kept.current()), text::unescape(partial))
        else {
            return Ok(Vec::new());
        };
        let mut keys = Vec::new();
        let mut cursor = Cursor::new(&store, &Range::of_prefix(&prefix))?;
        let mut found = cursor.first()?;
        while found && keys.len() < MAX_CANDIDATES {
            keys.push(Candidate::new(shown(cursor.key()?)));
            found = cursor.next()?;
        }
        Ok(keys)
    }

    fn stores(&self, partial: &[u8]) -> Vec<Candidate> {
        let names = self.context().map(|context| stores::names(&context)).unwrap_or_default();
        beginning_with(names.into_iter().filter_map(|name| String::from_utf8(name).ok()), partial)
    }
}

fn suggestion(candidate: Candidate, span: Span) -> Suggestion {
    Suggestion {
        value: words::quote(&candidate.word),
        description: candidate.about,
        span,
        append_whitespace: candidate.is_whole,
        ..Suggestion::default()
    }
}

fn beginning_with(names: impl Iterator<Item = String>, partial: &[u8]) -> Vec<Candidate> {
    let found = names.filter(|name| name.as_bytes().starts_with(partial));
    found.take(MAX_CANDIDATES).map(Candidate::new).collect()
}

/// Returns the commands that begin with `partial`. Those of the shell itself need their dot.
fn commands(definition: &Command, partial: &[u8]) -> Vec<Candidate> {
    let mut found = Vec::new();
    for command in definition.get_subcommands() {
        let names = std::iter::once(command.get_name()).chain(command.get_visible_aliases());
        for name in names {
            let is_hidden = name.starts_with('.') && partial.is_empty();
            if name.as_bytes().starts_with(partial) && !is_hidden {
                let about = command.get_about().map(ToString::to_string);
                found.push(Candidate { word: name.to_owned(), about, is_whole: true });
            }
        }
    }
    found
}

fn options(command: &Command, partial: &[u8]) -> Vec<Candidate> {
    let mut found = Vec::new();
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        let Some(name) = argument.get_long().map(|long| format!("--{long}")) else { continue };
        if name.as_bytes().starts_with(partial) {
            let about = argument.get_help().map(ToString::to_string);
            found.push(Candidate { word: name, about, is_whole: true });
        }
    }
    found
}

/// Returns the argument that the word after `words` is, and whether it may be an option.
fn expected<'a>(command: &'a Command, words: &[Word]) -> (Option<&'a Arg>, bool) {
    let mut positionals = command.get_positionals();
    let mut current = positionals.next();
    let mut takes_options = true;
    let mut value_of = None;
    for word in words {
        if value_of.take().is_some() {
            continue;
        }
        match word.text.as_slice() {
            b"--" if takes_options => takes_options = false,
            [b'-', _, ..] if takes_options => value_of = option_with_value(command, &word.text),
            // An argument that takes many words stays.
            _ if current.is_some_and(is_many) => {}
            _ => current = positionals.next(),
        }
    }
    match value_of {
        Some(_) => (value_of, false),
        None => (current, takes_options),
    }
}

fn is_many(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::Append)
}

/// Returns the option `text` if its value is the next word.
fn option_with_value<'a>(command: &'a Command, text: &[u8]) -> Option<&'a Arg> {
    let text = std::str::from_utf8(text).ok()?;
    let is_it = |argument: &&Arg| match text.strip_prefix("--") {
        Some(long) => argument.get_long() == Some(long),
        None => {
            let mut letters = text.chars().skip(1);
            let letter = letters.next();
            letters.next().is_none() && argument.get_short() == letter
        }
    };
    let argument = command.get_arguments().find(is_it)?;
    argument.get_action().takes_values().then_some(argument)
}

/// Returns the files, or only the directories, whose paths begin with `partial`.
fn files(partial: &[u8], only_directories: bool) -> Vec<Candidate> {
    let Ok(partial) = std::str::from_utf8(partial) else { return Vec::new() };
    let (directory, name) = match partial.rfind('/') {
        Some(at) => partial.split_at(at + 1),
        None => ("", partial),
    };
    let entries =
        fs::read_dir(if directory.is_empty() { Path::new(".") } else { directory.as_ref() });
    let mut found = Vec::new();
    for entry in entries.into_iter().flatten().flatten() {
        // Names that a line cannot contain are left out, and hidden ones that are not asked for.
        let Ok(file) = entry.file_name().into_string() else { continue };
        let is_hidden = file.starts_with('.') && !name.starts_with('.');
        let is_directory = entry.path().is_dir();
        if !file.starts_with(name) || is_hidden || (only_directories && !is_directory) {
            continue;
        }
        let slash = if is_directory { "/" } else { "" };
        let word = format!("{directory}{file}{slash}");
        found.push(Candidate { word, about: None, is_whole: !is_directory });
        if found.len() == MAX_CANDIDATES {
            break;
        }
    }
    found.sort_by(|a, b| a.word.cmp(&b.word));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what Tab offers after `line`, without a store.
    fn offered(line: &str) -> Vec<String> {
        let definition = super::super::line::definition();
        let mut completion = Completion::new(definition, Arc::default());
        completion.complete(line, line.len()).into_iter().map(|found| found.value).collect()
    }

    #[test]
    fn commands_options_and_their_values() {
        let cases: [(&str, &[&str]); 12] = [
            ("sc", &["scan"]),
            (".e", &[".exit"]),
            (".help .re", &[".read"]),
            ("scan --re", &["--reverse"]),
            ("scan -- --re", &[]),
            ("scan --from --re", &[]),
            ("dump --format ", &["json", "mdb", "binary"]),
            ("dump -f m", &["mdb"]),
            (".form b", &["base64"]),
            ("# sc", &[]),
            ("nonsense ", &[]),
            ("get a\\", &[]),
        ];
        for (line, words) in cases {
            assert_eq!(offered(line), words, "{line}");
        }
        let all = offered("");
        assert!(all.contains(&"get".to_owned()), "{all:?}");
        assert!(!all.iter().any(|name| name.starts_with('.')), "{all:?}");
    }

    #[test]
    fn the_argument_that_comes_next() {
        let definition = super::super::line::definition();
        let cases = [
            ("get ", "KEY"),
            ("get a b ", "KEY"),
            ("set ", "KEY"),
            ("set a ", "VALUE"),
            ("set a b ", ""),
            ("scan ", "PREFIX"),
            ("scan --from ", "KEY"),
            ("scan -r ", "PREFIX"),
            ("scan a --to ", "KEY"),
            ("scan -n 5 ", "PREFIX"),
            ("dump ", "FILE"),
            ("del --prefix ", "PREFIX"),
            ("diff ", "OTHER"),
            (".open --base ", "DIR"),
        ];
        for (line, name) in cases {
            let words = words::split(line.as_bytes()).words;
            let command = String::from_utf8_lossy(&words[0].text).into_owned();
            let command = definition.find_subcommand(command).unwrap();
            let argument = expected(command, &words[1..]).0;
            let names = argument.and_then(|argument| argument.get_value_names());
            assert_eq!(names.map_or("", |names| names[0].as_str()), name, "{line}");
        }
    }
}
