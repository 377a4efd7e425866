//! `load`: pairs of a dump are written to a store.

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
    let mut progress = Progress::new(context.quiet, "loading", 0);
    let mut step = |load: &mut Load, pair: &mut Pair| -> Result<bool> {
        signals::check()?;
        if !reader.next(pair)? {
            return Ok(false);
        }
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
    result.and(flushed).map_err(|failure| failure.after(&done))?;
    context.note(&done);
    Ok(true)
}

/// Pairs on their way into a store, in batches.
pub struct Load<'a> {
    store: &'a Store,
    batch: Batch,
    batch_bytes: usize,
    max_pairs: usize,
    max_bytes: usize,
    if_absent: bool,
    loaded: u64,
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
            loaded: 0,
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
        for (count, why) in [(self.exist, "that exist"), (self.expired, "that expired")] {
            if count > 0 {
                text += &format!(", left out {count} {why}");
            }
        }
        text
    }
}
