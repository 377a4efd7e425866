//! The work on a store, and its times.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::data::{Data, Dice, Versions, Zipfian, digest, mix};
use crate::peer::{Ability, Pair, Store};
use crate::worker::{Choice, Mix, Op, Worker};

#[derive(Clone, Copy, Debug)]
pub enum Work {
    /// Fills a new store key by key.
    Load {
        sorted: bool,
    },
    Mix(Mix, Choice),
    /// Sets batches of so many random present keys.
    Batch(usize),
    /// Iterates over a prefix of a random key.
    Prefix,
    All,
    /// Times each set, alone or while another thread repeatedly iterates over everything.
    SetWhile {
        iterating: bool,
    },
    /// Times each get, alone or while another thread sets batches of 1,000 new keys.
    GetWhile {
        loading: bool,
    },
}

impl Work {
    /// Returns the names of the results, which are nanoseconds.
    pub fn metrics(&self) -> &'static [&'static str] {
        match self {
            Work::SetWhile { .. } | Work::GetWhile { .. } => &["p50", "p99", "p99.9"],
            Work::Load { .. } | Work::Mix(..) => &["per call"],
            Work::Batch(_) => &["per key"],
            Work::Prefix | Work::All => &["per pair"],
        }
    }

    pub fn needs(&self) -> Vec<Ability> {
        let of_op = |(op, _): &(Op, u64)| match op {
            Op::Scan(_) | Op::ScanBack(_) | Op::ScanUpTo(_) => Some(Ability::Scan),
            Op::SetNx => Some(Ability::SetNx),
            Op::Swap => Some(Ability::Swap),
            _ => None,
        };
        match self {
            Work::Mix(mix, _) => mix.iter().filter_map(of_op).collect(),
            Work::Batch(_) => vec![Ability::Batch],
            Work::Prefix | Work::All | Work::SetWhile { .. } => vec![Ability::Iterate],
            Work::GetWhile { .. } => vec![Ability::Batch],
            Work::Load { .. } => Vec::new(),
        }
    }
}

/// A store with its data.
pub struct Ground<'a> {
    pub store: &'a dyn Store,
    pub data: Data,
    pub zipfian: &'a Zipfian,
    pub versions: &'a Versions,
    /// The range of key numbers that were inserted beyond the data and not removed.
    pub gone: AtomicU64,
    pub next: AtomicU64,
}

impl<'a> Ground<'a> {
    pub fn new(
        store: &'a dyn Store,
        data: Data,
        zipfian: &'a Zipfian,
        versions: &'a Versions,
    ) -> Ground<'a> {
        Ground {
            store,
            data,
            zipfian,
            versions,
            gone: AtomicU64::new(data.keys),
            next: AtomicU64::new(data.keys),
        }
    }

    /// Runs `work` on `threads` threads, `calls` times in each. `round` is the random seed, equal
    /// for all peers.
    pub fn run(&self, work: Work, threads: usize, calls: u64, round: u64) -> Vec<f64> {
        match work {
            Work::Load { sorted } => vec![self.load(sorted)],
            Work::Mix(mix, choice) => vec![self.mix(mix, choice, threads, calls, round)],
            Work::Batch(size) => vec![self.batches(size, calls, round)],
            Work::Prefix => vec![self.prefixes(calls, round)],
            Work::All => vec![self.iterations(calls)],
            Work::SetWhile { iterating } => self.set_while(iterating, calls, round),
            Work::GetWhile { loading } => self.get_while(loading, calls, round),
        }
    }

    /// Returns the number of calls per thread that take about `budget`.
    pub fn calibrate(&self, work: Work, threads: usize, budget: Duration) -> u64 {
        // The time of the other thread's work does not depend on the number of calls.
        let work = match work {
            Work::SetWhile { .. } => Work::SetWhile { iterating: false },
            Work::GetWhile { .. } => Work::GetWhile { loading: false },
            work => work,
        };
        let time = |calls| {
            let start = Instant::now();
            self.run(work, threads, calls, u64::MAX);
            start.elapsed()
        };
        let mut calls = 1;
        loop {
            let mut took = time(calls);
            if took >= budget / 4 {
                // The machine may have been slow.
                took = took.min(time(calls));
            }
            if took >= budget / 4 || calls >= 1 << 30 {
                let wanted = calls as f64 * budget.as_secs_f64() / took.as_secs_f64().max(1e-9);
                return (wanted as u64).max(1);
            }
            calls *= if took < budget / 64 { 8 } else { 2 };
        }
    }

    /// Fills the store with all data, in batches if the peer has them.
    pub fn fill(&self, batches: bool) {
        let mut value = Vec::new();
        if batches {
            for first in (0..self.data.keys).step_by(1000) {
                self.set_all(&(first..(first + 1000).min(self.data.keys)).collect::<Vec<_>>());
            }
        } else {
            for number in 0..self.data.keys {
                self.data.value(number, self.versions.now(number), &mut value);
                self.store.set(&self.data.key(number), &value);
            }
        }
    }

    /// Sets many keys in one batch. Returns the time without generating the pairs.
    fn set_all(&self, numbers: &[u64]) -> Duration {
        let owned: Vec<_> = numbers
            .iter()
            .map(|number| {
                let mut value = Vec::new();
                self.data.value(*number, self.versions.next(*number), &mut value);
                (self.data.key(*number), value)
            })
            .collect();
        let pairs: Vec<_> = owned.iter().map(|(key, value)| Pair { key, value }).collect();
        let start = Instant::now();
        self.store.set_batch(&pairs);
        start.elapsed()
    }

    fn load(&self, sorted: bool) -> f64 {
        let order = if sorted { self.data.sorted() } else { Vec::new() };
        let mut value = Vec::new();
        let start = Instant::now();
        for number in 0..self.data.keys {
            // Numbers in key order are mixed already. Their values are those of other numbers, of
            // the same kind.
            let key = order
                .get(number as usize)
                .map_or_else(|| self.data.key(number), |mixed| self.data.mixed_key(*mixed));
            self.data.value(number, self.versions.now(number), &mut value);
            self.store.set(&key, &value);
        }
        nanoseconds(start.elapsed()) / self.data.keys as f64
    }

    fn mix(&self, mix: Mix, choice: Choice, threads: usize, calls: u64, round: u64) -> f64 {
        let took = self.timed(mix, choice, threads, calls, round);
        self.tidy();
        nanoseconds(took) / (calls * threads as u64) as f64
    }

    /// Makes `calls` calls in each thread, and returns how long all of them took.
    pub fn timed(
        &self,
        mix: Mix,
        choice: Choice,
        threads: usize,
        calls: u64,
        round: u64,
    ) -> Duration {
        if mix.iter().any(|(op, _)| *op == Op::Del) {
            self.insert(calls * threads as u64);
        }
        let barrier = Barrier::new(threads);
        let worker = |thread: u64| {
            let mut worker = Worker::new(self, choice, mix_seed(round, thread));
            barrier.wait();
            let start = Instant::now();
            worker.calls(mix, calls);
            (start, Instant::now())
        };
        let times: Vec<_> = if threads == 1 {
            vec![worker(0)]
        } else {
            std::thread::scope(|scope| {
                let started: Vec<_> =
                    (0..threads as u64).map(|thread| scope.spawn(move || worker(thread))).collect();
                started
                    .into_iter()
                    .map(|thread| thread.join().expect("a worker panicked"))
                    .collect()
            })
        };
        let first = times.iter().map(|(start, _)| *start).min();
        let last = times.iter().map(|(_, end)| *end).max();
        first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first)
    }

    fn batches(&self, size: usize, calls: u64, round: u64) -> f64 {
        let mut dice = Dice::new(mix_seed(round, 0));
        let mut batch = || (0..size).map(|_| dice.below(self.data.keys)).collect::<Vec<_>>();
        let took: Duration = (0..calls).map(|_| self.set_all(&batch())).sum();
        nanoseconds(took) / (calls * size as u64) as f64
    }

    fn prefixes(&self, calls: u64, round: u64) -> f64 {
        let mut dice = Dice::new(mix_seed(round, 0));
        let (mut pairs, len) = (0_u64, self.data.prefix_len());
        let start = Instant::now();
        for _ in 0..calls {
            pairs += self.iterate(&self.data.key(dice.below(self.data.keys))[..len]);
        }
        nanoseconds(start.elapsed()) / pairs as f64
    }

    fn iterations(&self, calls: u64) -> f64 {
        let start = Instant::now();
        let pairs: u64 = (0..calls).map(|_| self.iterate(b"")).sum();
        assert_eq!(pairs, calls * self.data.keys, "an iteration must show every pair once");
        nanoseconds(start.elapsed()) / pairs as f64
    }

    fn iterate(&self, prefix: &[u8]) -> u64 {
        let (mut pairs, mut sum) = (0, 0);
        self.store.iterate(prefix, &mut |key, value| {
            pairs += 1;
            sum ^= digest(key) ^ digest(value);
        });
        black_box(sum);
        pairs
    }

    fn set_while(&self, iterating: bool, calls: u64, round: u64) -> Vec<f64> {
        let beside = |stop: &AtomicBool| {
            while iterating && !stop.load(Ordering::Relaxed) {
                self.iterate(b"");
                // A mutex is not fair: without a pause, this thread locks it again before others
                // wake up.
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        self.latencies(&[(Op::Update, 100)], calls, round, beside)
    }

    fn get_while(&self, loading: bool, calls: u64, round: u64) -> Vec<f64> {
        let beside = |stop: &AtomicBool| {
            while loading && !stop.load(Ordering::Relaxed) {
                let first = self.next.fetch_add(1000, Ordering::Relaxed);
                self.set_all(&(first..first + 1000).collect::<Vec<_>>());
            }
        };
        let result = self.latencies(&[(Op::Get, 100)], calls, round, beside);
        self.tidy();
        result
    }

    /// Times each call, within a limit, while another thread does something else.
    fn latencies(
        &self,
        mix: Mix,
        calls: u64,
        round: u64,
        beside: impl Fn(&AtomicBool) + Sync,
    ) -> Vec<f64> {
        let mut times =
            Histogram::<u64>::new_with_bounds(1, LONGEST, 3).expect("3 digits are possible");
        let (stop, barrier) = (AtomicBool::new(false), Barrier::new(2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                barrier.wait();
                beside(&stop);
            });
            barrier.wait();
            let mut worker = Worker::new(self, Choice::Uniform, mix_seed(round, 0));
            let began = Instant::now();
            for _ in 0..calls {
                let start = Instant::now();
                worker.calls(mix, 1);
                times.saturating_record(start.elapsed().as_nanos() as u64);
                // A peer whose calls each wait for a whole iteration would take too long.
                if began.elapsed() > PATIENCE {
                    break;
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
        [0.5, 0.99, 0.999].map(|quantile| times.value_at_quantile(quantile) as f64).to_vec()
    }

    /// Inserts keys to delete.
    fn insert(&self, count: u64) {
        let mut value = Vec::new();
        for number in (0..count).map(|_| self.next.fetch_add(1, Ordering::Relaxed)) {
            self.data.value(number, self.versions.now(number), &mut value);
            self.store.set(&self.data.key(number), &value);
        }
    }

    /// Deletes the keys that were inserted beyond the data, so that all work finds the same store.
    fn tidy(&self) {
        let first = self.gone.load(Ordering::Relaxed);
        (first..self.next.load(Ordering::Relaxed))
            .for_each(|number| self.store.del(&self.data.key(number)));
        self.gone.store(self.data.keys, Ordering::Relaxed);
        self.next.store(self.data.keys, Ordering::Relaxed);
    }
}

fn mix_seed(round: u64, thread: u64) -> u64 {
    mix(round ^ (thread << 32))
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_nanos() as f64
}

/// The time limit for the calls of one round.
const PATIENCE: Duration = Duration::from_secs(3);

/// Calls that take longer than this minute count as a minute.
const LONGEST: u64 = 60_000_000_000;
