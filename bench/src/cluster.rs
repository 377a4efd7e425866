//! Cluster stores beside etcd-client. The calls take as long as the server, so lines also have the
//! CPU time of the client.

use std::hint::black_box;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use anyhow::{Context, Result, ensure};
use comfy_table::Table;
use jiff::Zoned;
use serde::Serialize;

use crate::Choices;
use crate::contest::{self, Score};
use crate::data::{Data, Dice, Versions, digest};
use crate::etcd::{self, Server};
use crate::machine::{self, Machine};
use crate::peer::{Pair, Store};
#[cfg(feature = "etcd-client")]
use crate::peers::etcd_client::{self, EtcdClient};
use crate::peers::kvds::Kvds;
use crate::progress::Progress;
use crate::report;
use crate::scratch::Scratch;

const DATA: Data = Data { keys: 10_000, key_len: 20, value_len: 100 };
const THREADS: [usize; 3] = [1, 4, MOST_THREADS];
const MOST_THREADS: usize = 16;
const BATCH: u64 = 100;

/// The pairs of a scan. Their keys begin with `SCANNED`, and nothing changes them.
const SCAN: u64 = 1000;
const SCANNED: &[u8] = b"scan";

/// The gets after which a leak would show.
const GETS: u64 = 10_000;

#[derive(Clone, Copy, PartialEq)]
enum Work {
    Set,
    Get,
    Swap,
    Batch,
    Scan,
}

const LINES: [(&str, Work); 5] = [
    ("set", Work::Set),
    ("get", Work::Get),
    ("compare_and_swap", Work::Swap),
    ("batch of 100", Work::Batch),
    ("scan of 1,000", Work::Scan),
];

/// A peer. Thread `n` uses the store `n`, or all threads one store.
struct Contender {
    name: &'static str,
    stores: Vec<Box<dyn Store>>,
    versions: Versions,
}

/// The servers to measure.
struct Target {
    url: String,
    /// `HOST:PORT` of each.
    addresses: Vec<String>,
    #[cfg_attr(not(feature = "etcd-client"), allow(dead_code, reason = "only peers read it"))]
    namespace: String,
}

/// The results of a line: microseconds per call.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    threads: usize,
    elapsed: Vec<Score>,
    cpu: Vec<Score>,
}

#[derive(Serialize)]
struct Report {
    date: String,
    form: &'static str,
    machine: Machine,
    etcd: String,
    rounds: usize,
    rows: Vec<Row>,
    resources: Vec<String>,
}

pub fn run(choices: &Choices, library: &Path) -> Result<()> {
    let scratch = Scratch::new(&choices.directory)?;
    let machine = Machine::here(scratch.root());
    let server = match choices.cluster {
        Some(_) => None,
        None => Some(Server::start(&scratch.directory("etcd")?)?),
    };
    let url = server.as_ref().map(Server::url).or_else(|| choices.cluster.clone());
    let target = Target::new(url.unwrap_or_default())?;
    let etcd = etcd::version(&target.addresses[0])?;
    let (form, rounds, budget) = match choices.full {
        true => ("full", 15, Duration::from_secs(1)),
        false => ("short", 7, Duration::from_millis(300)),
    };
    let wanted: Vec<_> = LINES
        .into_iter()
        .filter(|(name, _)| choices.filter.as_ref().is_none_or(|part| name.contains(part)))
        .collect();
    let progress = Progress::new((wanted.len() * THREADS.len()) as u64);
    progress.say("counting descriptors, memory and connections");
    let resources = resources(&target)?;
    let contenders = target.contenders(choices)?;
    let mut rows = Vec::new();
    for (name, work) in wanted {
        for threads in THREADS {
            progress.say(&format!("{name}, {threads} thread(s)"));
            rows.push(row(name, work, threads, &contenders, rounds, budget));
            progress.step();
        }
    }
    progress.finish();
    let date = Zoned::now().strftime("%Y-%m-%d-%H%M%S").to_string();
    let report = Report { date, form, machine, etcd, rounds, rows, resources };
    report.print(library);
    let path = choices.out.join(format!("{}-{form}-cluster.json", report.date));
    fs::create_dir_all(&choices.out)?;
    fs::write(&path, serde_json::to_string_pretty(&report)? + "\n")?;
    println!("\nWritten: {}", path.display());
    drop(contenders);
    target.clear()
}

impl Target {
    fn new(url: String) -> Result<Target> {
        let rest = url.strip_prefix("etcd://").context("--cluster takes etcd://HOST,.../NAME")?;
        let (hosts, namespace) = rest.split_once('/').unwrap_or((rest, "kvds"));
        let address = |host: &str| match host.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_ok() => host.to_owned(),
            _ => format!("{host}:2379"),
        };
        let addresses: Vec<String> = hosts.split(',').map(address).collect();
        let namespace = namespace.to_owned();
        Ok(Target { url, addresses, namespace })
    }

    /// Opens all peers, and fills their stores.
    fn contenders(&self, choices: &Choices) -> Result<Vec<Contender>> {
        let mut peers: Vec<(&'static str, Vec<Box<dyn Store>>)> =
            vec![("kvds", vec![Box::new(Kvds::cluster(&self.url)?)])];
        #[cfg(feature = "etcd-client")]
        {
            let sharing = self.client_prefix("sharing");
            let sharing = EtcdClient::sharing(&self.addresses, &sharing, MOST_THREADS)?;
            peers.push(("etcd-client", boxed(sharing)));
            let alone = || EtcdClient::alone(&self.addresses, &self.client_prefix("alone"));
            let alone = (0..MOST_THREADS).map(|_| alone()).collect::<Result<Vec<_>>>()?;
            peers.push(("a runtime each", boxed(alone)));
        }
        if let Some(chosen) = &choices.peers {
            peers.retain(|(name, _)| *name == "kvds" || chosen.iter().any(|one| one == name));
        }
        let contender = |(name, stores): (_, Vec<Box<dyn Store>>)| {
            fill(&*stores[0]);
            Contender { name, stores, versions: Versions::new(DATA.keys) }
        };
        Ok(peers.into_iter().map(contender).collect())
    }

    #[cfg(feature = "etcd-client")]
    fn client_prefix(&self, name: &str) -> String {
        format!("{}/etcd-client-{name}/d", self.namespace)
    }

    /// Removes all keys.
    fn clear(&self) -> Result<()> {
        #[cfg(feature = "etcd-client")]
        for name in ["sharing", "alone"] {
            EtcdClient::alone(&self.addresses, &self.client_prefix(name))?.clear();
        }
        Kvds::cluster(&self.url)?.destroy_in_cluster(&other_stores())
    }
}

#[cfg(feature = "etcd-client")]
fn boxed(clients: Vec<EtcdClient>) -> Vec<Box<dyn Store>> {
    clients.into_iter().map(|client| Box::new(client) as Box<dyn Store>).collect()
}

fn scanned_key(number: u64) -> Vec<u8> {
    [SCANNED, format!("{number:016}").as_bytes()].concat()
}

/// Sets all keys, and those of scans.
fn fill(store: &dyn Store) {
    let keys = (0..DATA.keys).map(|number| DATA.key(number).to_vec());
    let keys: Vec<Vec<u8>> = keys.chain((0..SCAN).map(scanned_key)).collect();
    for (at, keys) in keys.chunks(BATCH as usize).enumerate() {
        let first = at as u64 * BATCH;
        let values: Vec<Vec<u8>> =
            (first..).take(keys.len()).map(|number| value(number, 0)).collect();
        let pairs = keys.iter().zip(&values).map(|(key, value)| Pair { key, value });
        store.set_batch(&pairs.collect::<Vec<_>>());
    }
}

fn value(number: u64, version: u8) -> Vec<u8> {
    let mut value = Vec::new();
    DATA.value(number, version, &mut value);
    value
}

fn row(
    name: &'static str,
    work: Work,
    threads: usize,
    contenders: &[Contender],
    rounds: usize,
    budget: Duration,
) -> Row {
    let mut elapsed: Vec<_> = contenders.iter().map(|one| (one.name, Vec::new())).collect();
    let mut cpu = elapsed.clone();
    for round in 0..=rounds {
        for (index, contender) in contenders.iter().enumerate() {
            let [per_call, cpu_per_call] = contender.run(work, threads, round as u64, budget);
            // The first round opens connections.
            if round > 0 {
                elapsed[index].1.push(per_call);
                cpu[index].1.push(cpu_per_call);
            }
        }
    }
    Row { name, threads, elapsed: contest::scores(elapsed), cpu: contest::scores(cpu) }
}

impl Contender {
    /// Calls from all threads until the time is up. Returns the elapsed microseconds per call, and
    /// those of the CPU.
    fn run(&self, work: Work, threads: usize, round: u64, budget: Duration) -> [f64; 2] {
        let calls = AtomicU64::new(0);
        let barrier = Barrier::new(threads + 1);
        let (start, cpu) = thread::scope(|scope| {
            for thread in 0..threads {
                let (calls, barrier) = (&calls, &barrier);
                scope.spawn(move || {
                    let mut dice = Dice::new(round << 8 | thread as u64);
                    barrier.wait();
                    let end = Instant::now() + budget;
                    let mut count = 0;
                    // Bounded by the time, which a call exceeds by its own length at most.
                    while Instant::now() < end {
                        self.call(work, thread, threads, &mut dice);
                        count += 1;
                    }
                    calls.fetch_add(count, Relaxed);
                });
            }
            let cpu = cpu_time();
            let start = Instant::now();
            barrier.wait();
            (start, cpu)
        });
        let (elapsed, cpu) = (start.elapsed(), cpu_time().saturating_sub(cpu));
        [elapsed, cpu].map(|time| time.as_secs_f64() * 1e6 / calls.load(Relaxed) as f64)
    }

    fn call(&self, work: Work, thread: usize, threads: usize, dice: &mut Dice) {
        let store = &*self.stores[thread % self.stores.len()];
        // A thread writes keys of its own, so it knows their values.
        let own = |choice: u64| {
            let share = DATA.keys / threads as u64;
            (choice % share) * threads as u64 + thread as u64
        };
        let number = own(dice.roll());
        let key = DATA.key(number);
        match work {
            Work::Set => store.set(&key, &value(number, self.versions.next(number))),
            Work::Get => {
                black_box(store.get(&key).expect("the key is there"));
            }
            Work::Swap => {
                let expected = value(number, self.versions.now(number));
                let new = value(number, self.versions.next(number));
                assert!(store.compare_and_swap(&key, &expected, &new), "another value was there");
            }
            Work::Batch => {
                let first = dice.roll();
                let numbers = (0..BATCH).map(|at| own(first.wrapping_add(at) & u64::MAX >> 1));
                let pairs: Vec<_> = numbers
                    .map(|number| (DATA.key(number), value(number, self.versions.next(number))))
                    .collect();
                let pairs = pairs.iter().map(|(key, value)| Pair { key, value });
                store.set_batch(&pairs.collect::<Vec<_>>());
            }
            Work::Scan => {
                let mut count = 0;
                store.iterate(SCANNED, &mut |key, value| {
                    black_box(digest(key) ^ digest(value));
                    count += 1;
                });
                assert_eq!(count, SCAN, "the pairs of a scan");
            }
        }
    }
}

/// Returns the CPU time of this process so far.
fn cpu_time() -> Duration {
    // SAFETY: all zeros is a valid value, which the call overwrites.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is writable.
    let status = unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    assert_eq!(status, 0, "getrusage succeeds");
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// Returns the numbers of open descriptors and of those that are sockets.
fn descriptors() -> io::Result<(usize, usize)> {
    let entries = fs::read_dir("/proc/self/fd")?.flatten();
    let links: Vec<_> = entries.flat_map(|entry| fs::read_link(entry.path())).collect();
    let sockets = links.iter().filter(|link| link.to_string_lossy().starts_with("socket:"));
    Ok((links.len(), sockets.count()))
}

fn other_stores() -> Vec<String> {
    (1..MOST_THREADS).map(|number| format!("store-{number}")).collect()
}

/// Measures what kvds takes beside time. Returns sentences.
fn resources(target: &Target) -> Result<Vec<String>> {
    let (_, before) = descriptors()?;
    let store = Kvds::cluster(&target.url)?;
    let key = DATA.key(0);
    store.set(&key, &value(0, 0));
    let gets = |count| (0..count).for_each(|_| _ = black_box(store.get(&key)));
    gets(GETS / 10);
    let (opened, memory) = (descriptors()?.0, machine::resident());
    gets(GETS);
    let (opened_after, memory_after) = (descriptors()?.0, machine::resident());
    let mut stores = vec![store];
    for id in other_stores() {
        stores.push(stores[0].another_in_cluster(&id)?);
    }
    thread::scope(|scope| {
        for first in 0..MOST_THREADS {
            let stores = &stores;
            scope.spawn(move || {
                for at in 0..MOST_THREADS * 10 {
                    let store = &stores[(first + at) % stores.len()];
                    store.set(&key, &value(at as u64, first as u8));
                    black_box(store.get(&key));
                }
            });
        }
    });
    let connections = descriptors()?.1 - before;
    drop(stores);
    let (_, after) = descriptors()?;
    ensure!(after == before, "{} sockets are open after the last release", after - before);
    let [memory, memory_after] = [memory, memory_after].map(|bytes| bytes >> 10);
    Ok(vec![
        format!(
            "{GETS} gets: descriptors {opened} -> {opened_after}, resident memory {memory} -> \
             {memory_after} KiB"
        ),
        format!("{MOST_THREADS} threads on {MOST_THREADS} stores: {connections} connections"),
    ])
}

impl Report {
    fn print(&self, library: &Path) {
        println!("{} form, {} rounds, {}", self.form, self.rounds, self.date);
        println!("{}", self.machine.text());
        println!("kvds: {}; etcd: {}", library.display(), self.etcd);
        #[cfg(feature = "etcd-client")]
        println!(
            "etcd-client {}: one connection and a runtime of many threads, or one of each for \
             every thread",
            etcd_client::VERSION
        );
        #[cfg(not(feature = "etcd-client"))]
        println!("etcd-client is left out: the benchmark was built without the feature");
        println!("\n{}.", report::data_text(DATA));
        for (title, scores) in [
            ("Microseconds per call", (|row| &row.elapsed) as fn(&Row) -> &Vec<Score>),
            ("CPU microseconds of the client per call", |row| &row.cpu),
        ] {
            println!("\n{title}. Peers: how many times as much as kvds.\n");
            println!("{}", self.table(scores));
        }
        println!();
        self.resources.iter().for_each(|sentence| println!("{sentence}."));
    }

    fn table(&self, scores: fn(&Row) -> &Vec<Score>) -> Table {
        let peers = self.rows.first().map_or(&[][..], |row| &scores(row)[..]);
        let header = ["", "threads"].into_iter().chain(peers.iter().map(|score| score.peer));
        let mut table = report::table(header.map(str::to_owned).collect(), 1);
        for row in &self.rows {
            let scores = scores(row);
            let fixed = [row.name.to_owned(), row.threads.to_string()];
            let subject = report::figure(scores[0].median);
            let peers = scores[1..].iter().map(|score| report::figure(score.times));
            table.add_row(fixed.into_iter().chain([subject]).chain(peers));
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_addresses_and_a_namespace() {
        let target = Target::new("etcd://one,two:1/name".to_owned()).expect("a URL");
        assert_eq!(target.addresses, ["one:2379", "two:1"]);
        assert_eq!(target.namespace, "name");
        assert!(Target::new("etcds://one/name".to_owned()).is_err());
    }
}
