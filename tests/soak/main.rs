//! Creates, uses, closes, reopens and destroys stores in several threads, through the C functions.
//!
//! `make test` runs this for some seconds, which checks all results. `make soak` runs it for
//! MINUTES=30 and also checks that memory, threads and open files level off.
#![cfg(feature = "disk")]

mod c;
mod load;
mod resource_usage;

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use c::Distributor;
use load::Worker;
use resource_usage::Sample;

const THREADS: usize = 4;

/// How long it runs without `KVDS_SOAK_MINUTES`.
const SHORT: Duration = Duration::from_millis(2500);

/// How many samples a long run takes: enough for a median of each quarter.
const SAMPLES: u32 = 200;

#[test]
fn opening_and_closing_stores_leaks_nothing() -> testkit::Result {
    let minutes: Option<f64> =
        std::env::var("KVDS_SOAK_MINUTES").ok().map(|text| text.parse().expect("a number"));
    let duration = minutes.map_or(SHORT, |minutes| Duration::from_secs_f64(minutes * 60.0));
    let samples = run(duration, minutes.is_some());
    if minutes.is_some() {
        let courses = resource_usage::courses(&samples);
        eprintln!("\n{}", resource_usage::head());
        courses.iter().for_each(|course| eprintln!("{course}"));
        let growing = courses.iter().filter(|course| !course.levels_off()).count();
        assert_eq!(growing, 0, "something grows: see the table");
        eprintln!("soak: everything levels off, and every answer was right");
    }
    Ok(())
}

fn run(duration: Duration, tell: bool) -> Vec<Sample> {
    let directory = tempfile::tempdir().expect("a directory can be made");
    // Small, so that caches and buffers fill in the first quarter.
    let options = [("block_cache_bytes", "4M"), ("write_buffer_bytes", "4M")];
    let distributor = Distributor::open(directory.path(), &options);
    let (done, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    let begin = Instant::now();
    let mut samples = Vec::new();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|number| {
                let (distributor, done, rounds, base) =
                    (&distributor, &done, &rounds, directory.path());
                scope.spawn(move || {
                    // A thread that panics ends the run.
                    let _end = Ending(done);
                    let mut worker = Worker::new(number, distributor, base);
                    while !done.load(Relaxed) {
                        worker.round();
                        rounds.fetch_add(1, Relaxed);
                    }
                })
            })
            .collect();
        while begin.elapsed() < duration && !done.load(Relaxed) {
            thread::sleep((duration / SAMPLES).max(Duration::from_millis(10)));
            let sample = Sample::now(begin.elapsed());
            samples.push(sample);
            if tell {
                progress(&sample, duration, rounds.load(Relaxed));
            }
        }
        done.store(true, Relaxed);
        workers.into_iter().for_each(|worker| worker.join().expect("every answer is right"));
    });
    assert!(rounds.load(Relaxed) > 0);
    samples
}

struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Prints one line, which the next one overwrites on a terminal.
fn progress(sample: &Sample, duration: Duration, rounds: u64) {
    let Sample { after, memory, threads, files } = sample;
    let (so_far, all) = (after.as_secs(), duration.as_secs());
    let line = format!(
        "{so_far:5} of {all} s: {rounds} rounds, {memory} KiB, {threads} threads, {files} files"
    );
    let mut out = std::io::stderr();
    let written =
        if out.is_terminal() { write!(out, "\r{line}  ") } else { writeln!(out, "{line}") };
    written.and_then(|()| out.flush()).expect("progress can be told");
}

/// A check that never fails would be useless.
#[test]
fn growth_is_detected() {
    let course = |growth: u64| -> Vec<Sample> {
        let sample = |at: u64| Sample {
            memory: 50_000 + at * growth,
            threads: 9,
            files: 30,
            ..Sample::default()
        };
        (0..200).map(sample).collect()
    };
    assert!(resource_usage::courses(&course(0)).iter().all(|course| course.levels_off()));
    let verdicts = resource_usage::courses(&course(200)).map(|course| course.levels_off());
    assert_eq!(verdicts, [false, true, true], "40 MB more at the end are not level");
}
