//! `bench`: how fast stores are in this directory or cluster.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use clap::builder::RangedU64ValueParser;

use super::Context;
use crate::failure::{Failure, Result};
use crate::input;
use crate::library::{Batch, Cursor, Range, Store};
use crate::measure::{Limits, Measured, Moved, measure, measure_here};
use crate::output::Output;
use crate::place::Place;
use crate::progress::Progress;
use crate::signals;

/// Measures sets, batches, gets and scans in a new store, which is deleted afterwards
///
/// The new store is in the base path, or in the cluster, and is called kvds-bench-N. A STORE on the
/// command line is read, never written: it is scanned, and keys that the scan found are read. Each
/// call goes through the C interface of the library, as those of a program in C do. A part ends
/// after --seconds, or after --keys calls. The option durability is that of --option, but for the
/// part set_sync, in which each set is on the disk when it returns.
#[derive(Args)]
#[command(override_usage = "kvds [OPTIONS] [STORE] bench [OPTIONS]")]
pub struct Arguments {
    /// How long a part lasts at most, such as 500ms or 10s
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = input::duration)]
    seconds: u64,
    /// Keys of the new store, and calls of a part at most
    #[arg(long, value_name = "N", default_value_t = 1_000_000,
          value_parser = RangedU64ValueParser::<u64>::new().range(1..=1_000_000_000))]
    keys: u64,
    /// Bytes of a value
    #[arg(long, value_name = "BYTES", default_value_t = 100,
          value_parser = RangedU64ValueParser::<usize>::new().range(0..=16 << 20))]
    value_size: usize,
    /// Threads that call at the same time
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = RangedU64ValueParser::<u64>::new().range(1..=256))]
    threads: u64,
}

/// Pairs of a scan, and of a batch at most.
const GROUP: u64 = 100;
/// Bytes of a batch of several pairs: a server of a cluster takes 1.5 MiB in a request by default.
const MAX_BATCH_BYTES: u64 = 512 << 10;
/// Keys of the store of the user that are read again.
const SAMPLE: usize = 10_000;
/// Values are parts of this many random bytes, so that compression cannot shrink them.
const POOL: usize = 1 << 20;

pub fn run(arguments: &Arguments, context: &Context) -> Result<bool> {
    signals::install();
    let id = scratch_id();
    let (scratch, user) = match &context.store {
        Some(_) => {
            let place = context.place()?;
            (place.sibling(&id)?, Some(place))
        }
        None => (context.settings.place(OsStr::from_bytes(&id))?, None),
    };
    // Opening the store would create its base path, which would stay.
    if let Some(base) = scratch.directory().as_deref().and_then(Path::parent) {
        fs::metadata(base).map_err(|cause| Failure::io(base.display(), &cause))?;
    }
    let limits = Limits {
        time: Duration::from_millis(arguments.seconds),
        calls: arguments.keys,
        threads: arguments.threads,
    };
    let mut report = Report { context, limits, out: Output::stdout() };
    // The store is opened before anything is written, as its name may be wrong.
    let user = user.map(|place| place.open_to_read()).transpose()?;
    context.note(&format!(
        "the new store {scratch} gets up to {} keys of {KEY_BYTES} bytes, with values of {} bytes",
        arguments.keys, arguments.value_size
    ));
    Measured::write_header(context.form, &mut report.out)?;
    if let Some(store) = &user {
        read_user_store(store, &mut report)?;
    }
    drop(user);
    let result = write_scratch(&scratch, arguments.value_size, &mut report);
    // The store is deleted also if a part failed or a signal came.
    let deleted = scratch.destroy();
    result?;
    deleted?;
    report.out.finish()?;
    Ok(true)
}

/// Returns the name of a store that does not exist: two processes differ, and so do two times.
fn scratch_id() -> Vec<u8> {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    format!("kvds-bench-{}-{time}", std::process::id()).into_bytes()
}

/// Measures parts, and writes their figures.
struct Report<'a> {
    context: &'a Context,
    limits: Limits,
    out: Output,
}

impl Report<'_> {
    /// Measures the calls of all threads.
    fn part<C>(
        &mut self,
        name: &'static str,
        worker: impl Fn() -> Result<C> + Sync,
    ) -> Result<Measured>
    where
        C: FnMut(u64) -> Result<Moved>,
    {
        let limits = self.limits;
        self.add(name, || measure(limits, worker))
    }

    fn add(
        &mut self,
        name: &'static str,
        measure: impl FnOnce() -> Result<Measured>,
    ) -> Result<Measured> {
        let progress = Progress::of_time(self.context.quiet, name, self.limits.time);
        let measured = measure()?;
        drop(progress);
        measured.write(name, self.context.form, &mut self.out)?;
        Ok(measured)
    }
}

/// Scans the user's store, and reads keys that the scan found.
fn read_user_store(store: &Store, report: &mut Report) -> Result<()> {
    let mut sample = Sample::default();
    let mut cursor = Cursor::new(store, &Range::default())?;
    let limits = Limits { calls: u64::MAX, ..report.limits };
    let scan = |number| {
        let found = if number == 0 { cursor.first()? } else { cursor.next()? };
        if !found {
            return Ok(None);
        }
        let (key, value) = (cursor.key()?, cursor.value()?);
        sample.add(key);
        Ok(Some(Moved { pairs: 1, bytes: (key.len() + value.len()) as u64 }))
    };
    report.add("store_scan", || measure_here(limits, scan))?;
    let keys = &sample.keys;
    if keys.is_empty() {
        report.context.note("the store has no pairs to read");
        return Ok(());
    }
    report.part("store_get", || {
        let mut random = fastrand::Rng::new();
        Ok(move |_| get(store, &keys[random.usize(..keys.len())]))
    })?;
    Ok(())
}

/// Keys of which each that was added is as likely as any other: a reservoir.
#[derive(Default)]
struct Sample {
    keys: Vec<Vec<u8>>,
    added: u64,
}

impl Sample {
    fn add(&mut self, key: &[u8]) {
        self.added += 1;
        if self.keys.len() < SAMPLE {
            self.keys.push(key.to_vec());
            return;
        }
        let at = fastrand::u64(..self.added);
        if let Some(place) = usize::try_from(at).ok().and_then(|at| self.keys.get_mut(at)) {
            place.clear();
            place.extend_from_slice(key);
        }
    }
}

/// Measures all parts in the new store.
fn write_scratch(scratch: &Place, value_size: usize, report: &mut Report) -> Result<()> {
    let values = Values::new(value_size);
    let store = scratch.open_to_write(true)?;
    write_parts(&store, &values, report)?;
    drop(store);
    if scratch.is_cluster() {
        // Every write to a cluster is on the disks of most members when it returns.
        return Ok(());
    }
    let open = scratch.open_to_write_synced()?;
    let (store, keys): (&Store, _) = (&open, report.limits.calls);
    report.part("set_sync", || Ok(set_random(store, &values, keys)))?;
    Ok(())
}

fn write_parts(store: &Store, values: &Values, report: &mut Report) -> Result<()> {
    let sets = report.part("set_sequential", || {
        let mut random = fastrand::Rng::new();
        Ok(move |number| set(store, number, values.pick(&mut random)))
    })?;
    // Threads differ in speed, so a few of the last keys may be missing.
    let keys = sets.pairs().max(1);
    report.part("set_random", || Ok(set_random(store, values, keys)))?;
    report.part("batch_random", || batches(store, values, keys))?;
    report.part("get_hit", || {
        let mut random = fastrand::Rng::new();
        Ok(move |_| get(store, &key(random.u64(..keys))))
    })?;
    report.part("get_miss", || {
        let mut random = fastrand::Rng::new();
        Ok(move |_| {
            // Between two keys that exist, so that no table excludes it by its first and last key.
            let mut key = key(random.u64(..keys)).to_vec();
            key.push(b'x');
            get(store, &key)
        })
    })?;
    report.part("scan_100", || {
        let mut random = fastrand::Rng::new();
        Ok(move |_| scan(store, key(random.u64(..keys)).to_vec()))
    })?;
    Ok(())
}

const KEY_BYTES: usize = 16;

/// Returns the key of a number: the order of the keys is that of the numbers.
fn key(number: u64) -> [u8; KEY_BYTES] {
    let mut key = [b'0'; KEY_BYTES];
    let mut rest = number;
    for digit in key.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

/// Values of random bytes.
struct Values {
    pool: Vec<u8>,
    size: usize,
}

impl Values {
    fn new(size: usize) -> Values {
        let mut pool = vec![0; POOL + size];
        fastrand::Rng::new().fill(&mut pool);
        Values { pool, size }
    }

    fn pick(&self, random: &mut fastrand::Rng) -> &[u8] {
        let start = random.usize(..POOL);
        &self.pool[start..start + self.size]
    }
}

fn set(store: &Store, number: u64, value: &[u8]) -> Result<Moved> {
    store.set(&key(number), value, None)?;
    Ok(Moved { pairs: 1, bytes: (KEY_BYTES + value.len()) as u64 })
}

fn set_random(store: &Store, values: &Values, keys: u64) -> impl FnMut(u64) -> Result<Moved> {
    let mut random = fastrand::Rng::new();
    move |_| {
        let value = values.pick(&mut random);
        set(store, random.u64(..keys), value)
    }
}

/// Returns a call that writes a batch of random keys.
fn batches(store: &Store, values: &Values, keys: u64) -> Result<impl FnMut(u64) -> Result<Moved>> {
    let mut random = fastrand::Rng::new();
    let mut batch = Batch::new()?;
    let pair_bytes = (KEY_BYTES + values.size) as u64;
    let pairs = (MAX_BATCH_BYTES / pair_bytes).clamp(1, GROUP);
    Ok(move |_| {
        batch.clear();
        for _ in 0..pairs {
            let value = values.pick(&mut random);
            batch.set(&key(random.u64(..keys)), value, None)?;
        }
        store.write(&batch)?;
        Ok(Moved { pairs, bytes: pairs * pair_bytes })
    })
}

fn get(store: &Store, key: &[u8]) -> Result<Moved> {
    let value = store.get(key)?;
    let bytes = value.map_or(0, |value| key.len() + value.len());
    Ok(Moved { pairs: 1, bytes: bytes as u64 })
}

/// Reads up to [`GROUP`] pairs from `start` on.
fn scan(store: &Store, start: Vec<u8>) -> Result<Moved> {
    let mut cursor = Cursor::new(store, &Range { start, ..Range::default() })?;
    let mut moved = Moved::default();
    let mut found = cursor.first()?;
    while found && moved.pairs < GROUP {
        moved.pairs += 1;
        moved.bytes += (cursor.key()?.len() + cursor.value()?.len()) as u64;
        found = cursor.next()?;
    }
    Ok(moved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_their_numbers() {
        assert_eq!(&key(0), b"0000000000000000");
        assert_eq!(&key(1_000_203), b"0000000001000203");
        assert!(key(9) < key(10));
    }

    #[test]
    fn a_sample_has_keys_of_the_whole_scan() {
        let mut sample = Sample::default();
        for number in 0..3 * SAMPLE as u64 {
            sample.add(&key(number));
        }
        assert_eq!(sample.keys.len(), SAMPLE);
        let late = sample.keys.iter().filter(|key| ***key >= self::key(SAMPLE as u64)[..]);
        // Two thirds on average.
        assert!(late.count() > SAMPLE / 3);
    }
}
