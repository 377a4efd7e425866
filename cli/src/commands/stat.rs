//! `stat`: the statistics and properties of a store.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use clap::Args;

use super::Context;
use crate::engine_properties::{self as properties, Entries};
use crate::failure::{Failure, Result};
use crate::figures::{Figure, Figures};
use crate::library::{Cursor, Range, Store};
use crate::output::Output;
use crate::place::Place;
use crate::progress::Progress;
use crate::signals;
use crate::store_files::{Files, Kind};
use crate::writer_counters::Counters;

/// Writes the figures of a store: keys, bytes, files, levels and memory
///
/// The keys of a disk store are counted if there are at most 10,000. The number is an estimate
/// otherwise, which counts a key once for each of its versions that no compaction has removed yet.
#[derive(Args)]
pub struct Arguments {
    /// Counts the keys and their bytes, however many there are
    #[arg(long, conflicts_with = "property")]
    exact: bool,
    /// Only this property, such as rocksdb.stats or etcd.version; the exit code is 1 if there is
    /// no such property
    #[arg(long, value_name = "NAME")]
    property: Option<String>,
}

/// Pairs that are counted without `--exact`, which takes milliseconds.
const MAX_COUNTED_PAIRS: u64 = 10_000;
/// The bytes of these pairs: 10,000 large values would take long.
const MAX_COUNTED_BYTES: u64 = 64 << 20;
/// Entries of a store that is counted. A search may have to skip all that are deletions.
const MAX_COUNTED_ENTRIES: u64 = 100_000;

pub fn run(arguments: &Arguments, context: &Context) -> Result<bool> {
    let place = context.place()?;
    let store = place.open_to_read()?;
    let mut out = Output::stdout();
    if let Some(name) = &arguments.property {
        let Some(value) = store.property(name.as_bytes())? else {
            context.note(&format!("no property {name}"));
            return Ok(false);
        };
        out.write(value.trim_ascii_end())?;
        out.write(b"\n")?;
        out.finish()?;
        return Ok(true);
    }
    signals::install();
    let mut figures = Figures::default();
    figures.add("store", Figure::Text(place.name()));
    match place.directory() {
        Some(directory) => {
            figures.add("backend", Figure::text("disk"));
            disk(&mut figures, &store, &place, &directory, arguments, context)?;
        }
        None => {
            figures.add("backend", Figure::text("cluster"));
            cluster(&mut figures, &store, &place)?;
        }
    }
    figures.write(context.form, &mut out)?;
    out.finish()?;
    Ok(true)
}

fn disk(
    figures: &mut Figures,
    store: &Store,
    place: &Place,
    directory: &Path,
    arguments: &Arguments,
    context: &Context,
) -> Result<()> {
    figures.add("directory", Figure::Text(directory.as_os_str().as_bytes().to_vec()));
    if let Some(holder) = place.holder() {
        figures.add("writer", Figure::Count(holder.pid().into()));
        figures.add("writer_name", Figure::text(holder.name()));
        if let Some(counters) = Counters::of(holder.pid(), directory) {
            let counters = counters.named().into_iter();
            counters.for_each(|(name, count)| figures.add(name, Figure::Count(count)));
        }
    }
    // Counting fills this process's block cache, so its size is read before.
    let memory = memory(store)?;
    let entries = properties::entries(store)?;
    keys(figures, store, &entries, arguments, context)?;
    figures.add("table_entries", Figure::Count(entries.count));
    figures.add("table_deletions", Figure::Count(entries.deletions));
    figures.add("table_key_bytes", Figure::Bytes(entries.key_bytes));
    figures.add("table_value_bytes", Figure::Bytes(entries.value_bytes));
    let files = Files::read(directory).map_err(|cause| Failure::io(directory.display(), &cause))?;
    figures.add("disk_bytes", Figure::Bytes(files.all_bytes()));
    figures.add("table_files", Figure::Count(files.count(Kind::Table) as u64));
    figures.add("table_bytes", Figure::Bytes(files.bytes(Kind::Table)));
    figures.add("wal_files", Figure::Count(files.count(Kind::Wal) as u64));
    figures.add("wal_bytes", Figure::Bytes(files.bytes(Kind::Wal)));
    figures.add("levels", Figure::Levels(properties::levels(store)?));
    figures.add_known("pending_compaction_bytes", pending_compaction(store)?);
    memory.into_iter().for_each(|(name, figure)| figures.add(name, figure));
    own_work(figures, store)?;
    figures.add("last_write_s", Figure::Seconds(files.age().as_secs()));
    Ok(())
}

fn pending_compaction(store: &Store) -> Result<Option<Figure>> {
    let bytes = properties::number(store, "rocksdb.estimate-pending-compaction-bytes")?;
    Ok(bytes.map(Figure::Bytes))
}

/// Adds the keys: counted if there are few, or if the command line says so.
fn keys(
    figures: &mut Figures,
    store: &Store,
    entries: &Entries,
    arguments: &Arguments,
    context: &Context,
) -> Result<()> {
    let in_memory = properties::number(store, "rocksdb.num-entries-active-mem-table")?;
    let all = entries.count.saturating_add(in_memory.unwrap_or(0));
    let counted = if arguments.exact {
        count(store, u64::MAX, u64::MAX, context.quiet)?
    } else if all <= MAX_COUNTED_ENTRIES {
        count(store, MAX_COUNTED_PAIRS, MAX_COUNTED_BYTES, true)?
    } else {
        None
    };
    match counted {
        Some(counted) => {
            figures.add("keys", Figure::Keys { count: counted.pairs, counted: true });
            figures.add("key_bytes", Figure::Bytes(counted.key_bytes));
            figures.add("value_bytes", Figure::Bytes(counted.value_bytes));
        }
        None => {
            let count = store.stats()?.keys;
            figures.add("keys", Figure::Keys { count, counted: false });
        }
    }
    Ok(())
}

#[derive(Default)]
struct Counted {
    pairs: u64,
    key_bytes: u64,
    value_bytes: u64,
}

/// Counts all pairs. Returns `None` if there are more, or more bytes, than the limits.
fn count(store: &Store, max_pairs: u64, max_bytes: u64, quiet: bool) -> Result<Option<Counted>> {
    let mut cursor = Cursor::new(store, &Range::default())?;
    let mut progress = Progress::new(quiet, "counting", 0);
    let mut counted = Counted::default();
    let mut found = cursor.first()?;
    while found {
        signals::check()?;
        let (key, value) = (cursor.key()?.len(), cursor.value()?.len());
        counted.pairs += 1;
        counted.key_bytes += key as u64;
        counted.value_bytes += value as u64;
        progress.add(key + value);
        if counted.pairs > max_pairs || counted.key_bytes + counted.value_bytes > max_bytes {
            return Ok(None);
        }
        found = cursor.next()?;
    }
    Ok(Some(counted))
}

/// Returns the memory that the data of the log and the open tables take in this process.
fn memory(store: &Store) -> Result<Vec<(&'static str, Figure)>> {
    const NAMES: [(&str, &str); 3] = [
        ("memtable_bytes", "rocksdb.cur-size-all-mem-tables"),
        ("table_reader_bytes", "rocksdb.estimate-table-readers-mem"),
        ("block_cache_bytes", "rocksdb.block-cache-usage"),
    ];
    let mut memory = Vec::new();
    for (name, property) in NAMES {
        if let Some(bytes) = properties::number(store, property)? {
            memory.push((name, Figure::Bytes(bytes)));
        }
    }
    Ok(memory)
}

/// Adds what this process did itself, if it did any of it.
///
/// A store that was opened for reading runs no compactions, and sees no snapshots of its writer.
fn own_work(figures: &mut Figures, store: &Store) -> Result<()> {
    let stats = store.stats()?;
    if stats.reads > 0 {
        figures.add("reads", Figure::Count(stats.reads));
        figures.add("hits", Figure::Count(stats.hits));
    }
    if stats.writes > 0 {
        figures.add("writes", Figure::Count(stats.writes));
    }
    for (name, property) in [
        ("running_compactions", "rocksdb.num-running-compactions"),
        ("snapshots", "rocksdb.num-snapshots"),
    ] {
        if let Some(count) = properties::number(store, property)?.filter(|&count| count > 0) {
            figures.add(name, Figure::Count(count));
        }
    }
    Ok(())
}

fn cluster(figures: &mut Figures, store: &Store, place: &Place) -> Result<()> {
    figures.add_known("cluster", place.url().map(|url| Figure::Text(url.as_bytes().to_vec())));
    // The server counts.
    figures.add("keys", Figure::Keys { count: store.stats()?.keys, counted: true });
    for (name, property) in [("etcd_version", "etcd.version"), ("etcd_leader", "etcd.leader")] {
        let value = store.property(property.as_bytes())?;
        figures.add_known(name, value.map(|value| Figure::Text(value.to_vec())));
    }
    let revision = properties::number(store, "etcd.revision")?;
    figures.add_known("etcd_revision", revision.map(Figure::Count));
    let bytes = properties::number(store, "etcd.db_size")?;
    figures.add_known("etcd_db_bytes", bytes.map(Figure::Bytes));
    Ok(())
}
