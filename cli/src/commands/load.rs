//! `load`: pairs of a dump are written to a store.

use std::env;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use clap::Args;

use super::{Context, dump, pairs};
use crate::args::FileArgument;
use crate::dump_format::{Pair, Reader};
use crate::failure::Result;
use crate::input;
use crate::library::{Batch, MAX_TTL_MS, Store};
use crate::place::Place;
use crate::progress::Progress;
use crate::signals;

/// How much two times to live of one pair differ at most.
///
/// A pair of a batch expires later than the dump says by the time that the batch takes. A cluster
/// may keep a key for much longer, so there the first pair that expires often ends the comparison.
const SAME_TTL_MS: u64 = 2000;

/// Sets the pairs of a dump
///
/// The form of the dump is recognized. A line that cannot be read ends the command, which names
/// its number; the pairs before it are in the store. Keys that have expired since the dump are
/// left out.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    file: FileArgument,
    /// Only keys that do not exist
    #[arg(long)]
    if_absent: bool,
    /// Continues an interrupted load: writes only from the first pair on that the store has not
    #[arg(long, conflicts_with = "if_absent")]
    resume: bool,
    /// Creates the store if it does not exist
    #[arg(long)]
    create: bool,
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<bool> {
    let place = context.place()?;
    // The input is opened first, so that a wrong name creates no store.
    let (input, name) = input::open(arguments.file.file.as_deref())?;
    signals::install();
    let mut reader = Reader::new(input, name)?;
    let store = place.open_or_create(arguments.create)?;
    let mut load = Load::new(&store, &place, arguments.if_absent)?;
    load.resuming = arguments.resume;
    let mut progress = Progress::new(context.quiet, "loading", 0);
    let mut reading = false;
    let mut step = |load: &mut Load, pair: &mut Pair| -> Result<bool> {
        signals::check()?;
        reading = true;
        if !reader.next(pair)? {
            return Ok(false);
        }
        reading = false;
        load.add(pair)?;
        progress.add(pair.key.len() + pair.value.len());
        Ok(true)
    };
    let mut pair = Pair::default();
    let result = loop {
        match step(&mut load, &mut pair) {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(failure) => break Err(failure),
        }
    };
    progress.finish();
    let flushed = load.flush().and_then(|()| Ok(store.sync()?));
    let done = load.done();
    // A dump that cannot be read must be corrected first. Otherwise the same command can continue.
    let can_continue = !reading || result.is_ok() || signals::interrupted();
    result.and(flushed).map_err(|failure| match can_continue {
        true => failure.after(&format!("{done}; {}", arguments.how_to_continue())),
        false => failure.after(&done),
    })?;
    context.note(&done);
    Ok(true)
}

impl Arguments {
    /// Says which command loads the rest of the dump.
    fn how_to_continue(&self) -> String {
        let mut words: Vec<OsString> = env::args_os().collect();
        if !self.resume && !self.if_absent {
            let at = words.iter().position(|word| word == "--").unwrap_or(words.len());
            words.insert(at, "--resume".into());
        }
        let command = shell_command(&words);
        match self.file.is_standard() {
            true => format!("to continue, run this with the same input: {command}"),
            false => format!("to continue, run: {command}"),
        }
    }
}

/// Returns the line for a shell that runs a command of these words.
fn shell_command(words: &[OsString]) -> String {
    let quoted: Vec<String> = words
        .iter()
        .map(|word| match shlex::bytes::try_quote(word.as_bytes()) {
            Ok(quoted) => String::from_utf8_lossy(&quoted).into_owned(),
            // Only a NUL cannot be quoted, and no argument contains one.
            Err(_) => word.to_string_lossy().into_owned(),
        })
        .collect();
    quoted.join(" ")
}

/// Pairs on their way into a store, in batches.
pub struct Load<'a> {
    store: &'a Store,
    batch: Batch,
    batch_bytes: usize,
    max_pairs: usize,
    max_bytes: usize,
    if_absent: bool,
    /// Whether all pairs up to now were in the store already.
    resuming: bool,
    loaded: u64,
    unchanged: u64,
    exist: u64,
    expired: u64,
}

impl<'a> Load<'a> {
    pub fn new(store: &'a Store, place: &Place, if_absent: bool) -> Result<Load<'a>> {
        // A server takes 128 operations and 1.5 MiB in a request by default.
        let (max_pairs, max_bytes) =
            if place.is_cluster() { (100, 512 << 10) } else { (1000, 1 << 20) };
        Ok(Load {
            store,
            batch: Batch::new()?,
            batch_bytes: 0,
            max_pairs,
            max_bytes,
            if_absent,
            resuming: false,
            loaded: 0,
            unchanged: 0,
            exist: 0,
            expired: 0,
        })
    }

    /// Adds a pair, and writes the batch before it if that is full.
    pub fn add(&mut self, pair: &Pair) -> Result<()> {
        let ttl = match pair.expires {
            None => None,
            Some(expires) => match expires.saturating_sub(dump::now_ms()) {
                0 => {
                    self.expired += 1;
                    return Ok(());
                }
                left => Some(left.min(MAX_TTL_MS)),
            },
        };
        if self.resuming {
            if self.has(pair, ttl)? {
                self.unchanged += 1;
                return Ok(());
            }
            // An interrupted load has set no pair after this one, so comparing more takes time.
            self.resuming = false;
        }
        if self.if_absent {
            // A batch is applied as a whole or not at all, so each pair is a write of its own.
            match self.store.set_if_absent(&pair.key, &pair.value, ttl)? {
                true => self.loaded += 1,
                false => self.exist += 1,
            }
            return Ok(());
        }
        let len = pair.key.len() + pair.value.len();
        if self.batch.count() >= self.max_pairs || self.batch_bytes + len > self.max_bytes {
            self.flush()?;
        }
        self.batch.set(&pair.key, &pair.value, ttl)?;
        self.batch_bytes += len;
        Ok(())
    }

    /// Returns whether setting `pair` would change nothing.
    fn has(&self, pair: &Pair, ttl: Option<u64>) -> Result<bool> {
        match self.store.get(&pair.key)? {
            Some(value) if *value == *pair.value => {}
            _ => return Ok(false),
        }
        let left = self.store.ttl(&pair.key)?.map(|left| u64::try_from(left).ok());
        Ok(match (left, ttl) {
            (Some(None), None) => true,
            (Some(Some(left)), Some(ttl)) => left.abs_diff(ttl) <= SAME_TTL_MS,
            _ => false,
        })
    }

    /// Writes what was added.
    pub fn flush(&mut self) -> Result<()> {
        let count = self.batch.count() as u64;
        if count > 0 {
            self.store.write(&self.batch)?;
            self.loaded += count;
            self.batch.clear();
            self.batch_bytes = 0;
        }
        Ok(())
    }

    /// Returns what was done until now.
    pub fn done(&self) -> String {
        let mut text = format!("loaded {}", pairs(self.loaded));
        let left_out = [
            (self.unchanged, "that the store has already"),
            (self.exist, "that exist"),
            (self.expired, "that expired"),
        ];
        for (count, why) in left_out {
            if count > 0 {
                text += &format!(", left out {count} {why}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::shell_command;

    #[test]
    fn words_for_a_shell_are_quoted() {
        let words = ["kvds", "a b", "load", "it's", "", "--resume"].map(Into::into);
        let line = shell_command(&words);
        let output = std::process::Command::new("sh")
            .args(["-c", &format!("printf '%s|' {line}")])
            .output()
            .unwrap();
        assert_eq!(output.stdout, b"kvds|a b|load|it's||--resume|");
    }
}
