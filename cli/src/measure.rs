//! Calls of several threads for a time, and how long each call takes.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::signals;
use crate::text::Form;

/// Latencies are recorded up to a minute, in nanoseconds, with three digits.
const MAX_LATENCY_NS: u64 = 60_000_000_000;
const DIGITS: u8 = 3;

/// What a call reads or writes.
#[derive(Clone, Copy, Default)]
pub struct Moved {
    pub pairs: u64,
    pub bytes: u64,
}

/// How long a part lasts: until the time or the number of calls is reached.
#[derive(Clone, Copy)]
pub struct Limits {
    pub time: Duration,
    pub calls: u64,
    pub threads: u64,
}

/// The calls of a part.
pub struct Measured {
    latencies: Histogram<u64>,
    moved: Moved,
    elapsed: Duration,
    threads: u64,
}

impl Measured {
    fn new(threads: u64) -> Result<Measured> {
        let latencies = Histogram::new_with_max(MAX_LATENCY_NS, DIGITS)
            .map_err(|error| Failure::failed(format!("no histogram of latencies: {error}")))?;
        Ok(Measured { latencies, moved: Moved::default(), elapsed: Duration::ZERO, threads })
    }

    pub fn pairs(&self) -> u64 {
        self.moved.pairs
    }

    /// Writes the names of the columns of [`Measured::write`].
    pub fn write_header(form: Form, out: &mut Output) -> Result<()> {
        if form == Form::Json {
            return Ok(());
        }
        let line = format!(
            "{:<16} {:>9} {:>11} {:>9} {:>10} {:>10} {:>10}",
            "part", "calls", "pairs/s", "MB/s", "p50 us", "p99 us", "max us"
        );
        out.with_line(|out| out.extend_from_slice(line.as_bytes()))?;
        out.flush()
    }

    /// Writes the figures as a line of a table, or as a JSON object.
    pub fn write(&self, part: &str, form: Form, out: &mut Output) -> Result<()> {
        let seconds = self.elapsed.as_secs_f64().max(1e-9);
        let pairs = self.moved.pairs as f64 / seconds;
        let megabytes = self.moved.bytes as f64 / seconds / 1e6;
        let microseconds = |ns: u64| ns as f64 / 1e3;
        let [p50, p99] = [0.5, 0.99].map(|q| microseconds(self.latencies.value_at_quantile(q)));
        let (max, calls) = (microseconds(self.latencies.max()), self.latencies.len());
        let line = if form == Form::Json {
            format!(
                "{{\"part\":\"{part}\",\"threads\":{},\"calls\":{calls},\"pairs\":{},\"bytes\":{},\
                 \"seconds\":{seconds:.6},\"pairs_per_s\":{pairs:.0},\"mb_per_s\":{megabytes:.3},\
                 \"p50_us\":{p50:.1},\"p99_us\":{p99:.1},\"max_us\":{max:.1}}}",
                self.threads, self.moved.pairs, self.moved.bytes,
            )
        } else {
            format!(
                "{part:<16} {calls:>9} {pairs:>11.0} {megabytes:>9.2} {p50:>10.1} {p99:>10.1} \
                 {max:>10.1}"
            )
        };
        out.with_line(|out| out.extend_from_slice(line.as_bytes()))?;
        // A part takes seconds, and its line shows the progress.
        out.flush()
    }
}

/// Makes the calls of a part on all of its threads.
///
/// `call` gets the number of the call. The numbers of all threads together are 0, 1, 2 and so on,
/// and each thread makes every n-th call.
pub fn measure<C>(limits: Limits, worker: impl Fn() -> Result<C> + Sync) -> Result<Measured>
where
    C: FnMut(u64) -> Result<Moved>,
{
    let total = Mutex::new(Measured::new(limits.threads)?);
    let start = Instant::now();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..limits.threads)
            .map(|thread| {
                let (total, worker) = (&total, &worker);
                scope.spawn(move || {
                    let own = {
                        let mut call = worker()?;
                        run_thread(limits, thread, start, |number| call(number).map(Some))?
                    };
                    let mut total = total.lock().unwrap_or_else(|error| error.into_inner());
                    total.moved.pairs += own.moved.pairs;
                    total.moved.bytes += own.moved.bytes;
                    // Both histograms have the same bounds.
                    let _ = total.latencies.add(&own.latencies);
                    Ok(())
                })
            })
            .collect();
        // All threads end before the first failure returns.
        let results: Vec<Result<()>> = threads
            .into_iter()
            .map(|thread| {
                thread.join().unwrap_or_else(|_| Err(Failure::failed("a thread panicked")))
            })
            .collect();
        results.into_iter().collect::<Result<()>>()
    })?;
    let mut total = total.into_inner().unwrap_or_else(|error| error.into_inner());
    total.elapsed = start.elapsed();
    Ok(total)
}

/// Makes the calls of a part on this thread, until `call` returns `None`.
pub fn measure_here(
    limits: Limits,
    call: impl FnMut(u64) -> Result<Option<Moved>>,
) -> Result<Measured> {
    let start = Instant::now();
    let limits = Limits { threads: 1, ..limits };
    let mut measured = run_thread(limits, 0, start, call)?;
    measured.elapsed = start.elapsed();
    Ok(measured)
}

fn run_thread(
    limits: Limits,
    thread: u64,
    start: Instant,
    mut call: impl FnMut(u64) -> Result<Option<Moved>>,
) -> Result<Measured> {
    let mut own = Measured::new(limits.threads)?;
    let mut number = thread;
    let mut before = Instant::now();
    // A slow machine starts threads late, and a part without a call would have no figures.
    let mut ended = false;
    while number < limits.calls && !ended {
        signals::check()?;
        let Some(moved) = call(number)? else { break };
        // The end of a call is the start of the next one, so the clock is read once for each.
        let after = Instant::now();
        let latency = after.duration_since(before).as_nanos();
        own.latencies.saturating_record(u64::try_from(latency).unwrap_or(u64::MAX));
        own.moved.pairs += moved.pairs;
        own.moved.bytes += moved.bytes;
        before = after;
        ended = after.duration_since(start) >= limits.time;
        number += limits.threads;
    }
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_share_the_calls() {
        let limits = Limits { time: Duration::from_secs(60), calls: 10, threads: 3 };
        let numbers = Mutex::new(Vec::new());
        let measured = measure(limits, || {
            Ok(|number| {
                numbers.lock().unwrap().push(number);
                Ok(Moved { pairs: 2, bytes: 5 })
            })
        });
        let measured = measured.unwrap();
        let mut numbers = numbers.into_inner().unwrap();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..10).collect::<Vec<_>>());
        assert_eq!((measured.pairs(), measured.moved.bytes), (20, 50));
        assert_eq!(measured.latencies.len(), 10);
    }

    #[test]
    fn a_failure_ends_the_part() {
        let limits = Limits { time: Duration::from_secs(60), calls: u64::MAX, threads: 2 };
        let result = measure(limits, || {
            Ok(|number| match number {
                0..100 => Ok(Moved::default()),
                _ => Err(Failure::failed("no")),
            })
        });
        assert!(result.is_err());
    }
}
