//! `watch`: the changes of a range as they happen.

use std::path::Path;
use std::time::Duration;

use clap::Args;

use super::Context;
use super::merge::{Difference, differences};
use crate::args::RangeArguments;
use crate::failure::{Failure, Result};
use crate::input;
use crate::library::{Change, Event, Range, Store, Watch};
use crate::output::Output;
use crate::signals;
use crate::store_files::Files;
use crate::text::{Form, json_member};

/// Writes changes as they happen: "set", the key and the value, or "del" and the key
///
/// In a cluster, it writes every change. A disk store that another process writes is read again
/// and compared whenever its files change, so of several changes to a key between two readings it
/// writes only the last, and the time that a reading takes grows with the range.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    range: RangeArguments,
    /// Ends after this many changes
    #[arg(short = 'n', long, value_name = "COUNT")]
    limit: Option<u64>,
    /// How often the files of a disk store are looked at
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = input::duration)]
    interval: u64,
}

/// Where the changes go.
struct Changes {
    out: Output,
    form: Form,
    left: u64,
}

impl Changes {
    /// Writes a change. Returns `false` after the last that the command line asks for.
    fn write(&mut self, kind: &str, key: &[u8], value: Option<(&str, &[u8])>) -> Result<bool> {
        let form = self.form;
        self.out.with_line(|line| {
            if form == Form::Json {
                line.extend_from_slice(format!("{{\"change\":\"{kind}\",").as_bytes());
                json_member("key", key, line);
                if let Some((name, value)) = value {
                    line.push(b',');
                    json_member(name, value, line);
                }
                line.push(b'}');
            } else {
                line.extend_from_slice(format!("{kind}\t").as_bytes());
                form.write(key, line);
                if let Some((_, value)) = value {
                    line.push(b'\t');
                    form.write(value, line);
                }
            }
        })?;
        self.left -= 1;
        Ok(self.left > 0)
    }
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<bool> {
    let range = arguments.range.range(context.form)?;
    let place = context.place()?;
    let store = place.open_to_read()?;
    let left = arguments.limit.unwrap_or(u64::MAX);
    if left == 0 {
        return Ok(true);
    }
    signals::install();
    let mut changes = Changes { out: Output::stdout(), form: context.form, left };
    let result = match place.directory() {
        Some(_) if store.is_writable() => {
            // Only a shell watches a store that it can write.
            let text = format!(
                "this shell has {place} open for writing, so no other process can \
                                change it; \"shell --read-only\" leaves that to others"
            );
            Err(Failure::failed(text))
        }
        Some(directory) => {
            let interval = Duration::from_millis(arguments.interval);
            watch_files(&store, &directory, &range, interval, &mut changes)
        }
        None => watch_cluster(&store, &range, context, &mut changes),
    };
    match result {
        // A watch without a limit has no other end.
        Err(Failure::Interrupted(_)) if arguments.limit.is_none() => Ok(true),
        other => other.map(|()| true),
    }
}

fn watch_cluster(
    store: &Store,
    range: &Range,
    context: &Context,
    changes: &mut Changes,
) -> Result<()> {
    let mut watch = Watch::new(store, range)?;
    let timeout = i64::try_from(signals::STEP.as_millis()).unwrap_or(100);
    loop {
        signals::check()?;
        let more = match watch.next(timeout)? {
            Event::Changed(Change::Set { key, value }) => {
                changes.write("set", key, Some(("value", value)))?
            }
            Event::Changed(Change::Delete { key }) => changes.write("del", key, None)?,
            Event::Changed(Change::DeleteRange { start, end }) => {
                changes.write("del-range", start, Some(("end", end)))?
            }
            Event::Nothing => {
                changes.out.flush()?;
                true
            }
            Event::Missed => {
                context.note("some changes were missed");
                true
            }
        };
        if !more {
            return changes.out.flush();
        }
    }
}

fn watch_files(
    store: &Store,
    directory: &Path,
    range: &Range,
    interval: Duration,
    changes: &mut Changes,
) -> Result<()> {
    let mut seen = files(directory)?;
    let mut before = store.snapshot()?;
    loop {
        signals::sleep(interval)?;
        let now = files(directory)?;
        if now.equal(&seen) {
            continue;
        }
        // What changes from here on changes the files again.
        seen = now;
        store.refresh()?;
        let after = store.snapshot()?;
        differences(&before, &after, range, |difference| match difference {
            Difference::First { key, .. } => changes.write("del", key, None),
            Difference::Second { key, value } | Difference::Value { key, second: value, .. } => {
                changes.write("set", key, Some(("value", value)))
            }
        })?;
        changes.out.flush()?;
        if changes.left == 0 {
            return Ok(());
        }
        before = after;
    }
}

fn files(directory: &Path) -> Result<Files> {
    Files::read(directory).map_err(|cause| Failure::io(directory.display(), &cause))
}
