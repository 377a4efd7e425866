//! Pairs are written to a store in batches, and an interrupted run can be continued.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use clap::Args;

use super::{Context, dump, pairs};
use crate::dump_format::Pair;
use crate::failure::Result;
use crate::library::{Batch, MAX_TTL_MS, Store};
use crate::place::Place;
use crate::progress::Progress;
use crate::signals;

/// How much two times to live of one pair differ at most.
///
/// A pair of a batch expires later than its source says by the time that the batch takes. A cluster
/// may keep a key for much longer, so there the first pair that expires often ends the comparison.
const SAME_TTL_MS: u64 = 2000;

/// How pairs are written.
#[derive(Args)]
pub struct WriteArguments {
    /// Leaves existing keys unchanged
    #[arg(long)]
    if_absent: bool,
    /// Continues an interrupted run: writes only from the first pair on that the store has not
    #[arg(long, conflicts_with = "if_absent")]
    resume: bool,
    /// Creates the store to write if it does not exist
    #[arg(long)]
    pub create: bool,
}

/// Pairs on their way into a store.
pub struct BulkWrite<'a> {
    store: &'a Store,
    arguments: &'a WriteArguments,
    batch: Batch,
    batch_bytes: usize,
    max_pairs: usize,
    max_bytes: usize,
    /// Whether all pairs up to now were in the store already.
    resuming: bool,
    written: u64,
    unchanged: u64,
    exist: u64,
    expired: u64,
}

impl<'a> BulkWrite<'a> {
    pub fn new(
        store: &'a Store,
        place: &Place,
        arguments: &'a WriteArguments,
    ) -> Result<BulkWrite<'a>> {
        // A server takes 128 operations and 1.5 MiB in a request by default.
        let (max_pairs, max_bytes) =
            if place.is_cluster() { (100, 512 << 10) } else { (1000, 1 << 20) };
        Ok(BulkWrite {
            store,
            arguments,
            batch: Batch::new()?,
            batch_bytes: 0,
            max_pairs,
            max_bytes,
            resuming: arguments.resume,
            written: 0,
            unchanged: 0,
            exist: 0,
            expired: 0,
        })
    }

    /// Writes all pairs that `next` reads, and says that they were `done`, such as "loaded".
    ///
    /// `next` returns `false` after the last pair. `again` says what else the command needs that
    /// continues an interrupted run.
    pub fn run(
        mut self,
        done: &str,
        again: &str,
        mut progress: Progress,
        context: &Context,
        mut next: impl FnMut(&mut Pair) -> Result<bool>,
    ) -> Result<bool> {
        let mut reading = false;
        let mut write_all = || -> Result<()> {
            let mut pair = Pair::default();
            loop {
                signals::check()?;
                reading = true;
                if !next(&mut pair)? {
                    return Ok(());
                }
                reading = false;
                self.add(&pair)?;
                progress.add(pair.key.len() + pair.value.len());
            }
        };
        let result = write_all();
        progress.finish();
        // What cannot be read must be corrected first. Otherwise the same command can continue.
        let can_continue = !reading || result.is_ok() || signals::interrupted();
        let flushed = self.flush().and_then(|()| Ok(self.store.sync()?));
        let done = self.summary(done);
        result.and(flushed).map_err(|failure| match can_continue {
            true => {
                let command = self.command_to_continue(&context.words);
                failure.after(&format!("{done}; to continue, run{again}: {command}"))
            }
            false => failure.after(&done),
        })?;
        context.note(&done);
        Ok(true)
    }

    /// Adds a pair, and writes the batch before it if that is full.
    fn add(&mut self, pair: &Pair) -> Result<()> {
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
            // An interrupted run has set no pair after this one, so comparing more takes time.
            self.resuming = false;
        }
        if self.arguments.if_absent {
            // A batch is applied as a whole or not at all, so each pair is a write of its own.
            match self.store.set_if_absent(&pair.key, &pair.value, ttl)? {
                true => self.written += 1,
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
    fn flush(&mut self) -> Result<()> {
        let count = self.batch.count() as u64;
        if count > 0 {
            self.store.write(&self.batch)?;
            self.written += count;
            self.batch.clear();
            self.batch_bytes = 0;
        }
        Ok(())
    }

    /// Returns what was done until now.
    fn summary(&self, done: &str) -> String {
        let mut text = format!("{done} {}", pairs(self.written));
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

    /// Returns the command that continues the one of `words`.
    fn command_to_continue(&self, words: &[OsString]) -> String {
        let mut words = words.to_vec();
        if !self.arguments.resume && !self.arguments.if_absent {
            let at = words.iter().position(|word| word == "--").unwrap_or(words.len());
            words.insert(at, "--resume".into());
        }
        shell_command(&words)
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
