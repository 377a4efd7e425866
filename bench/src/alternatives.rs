//! Compares two implementations, round by round. Decisions 4 and 5 cite these figures.

use std::time::Instant;

use anyhow::Result;

use crate::contest::median;
use crate::peer::{Pair, Store};
use crate::peers::kvds::Kvds;

const ROUNDS: usize = 7;

/// Runs both in turn, and prints the medians and their ratio.
fn compare(
    what: &str,
    per: usize,
    (one_name, mut one): (&str, impl FnMut() -> f64),
    (other_name, mut other): (&str, impl FnMut() -> f64),
) {
    let (ones, others): (Vec<f64>, Vec<f64>) = (0..ROUNDS).map(|_| (one(), other())).unzip();
    let (one, other) = (median(&ones) / per as f64, median(&others) / per as f64);
    println!(
        "{what:<52} {one_name} {one:8.0} ns   {other_name} {other:8.0} ns   {:5.2} : 1",
        one / other
    );
}

fn nanoseconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos() as f64
}

fn key(number: usize) -> Vec<u8> {
    format!("user{:016x}", (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)).into_bytes()
}

fn iterate(store: &Kvds, prefix: &[u8]) -> usize {
    let mut pairs = 0;
    store.iterate(prefix, &mut |_, _| pairs += 1);
    pairs
}

pub fn run() -> Result<()> {
    for disk in [false, true] {
        let directory = tempfile::tempdir()?;
        let name = if disk { "disk" } else { "memory" };
        let open = || if disk { Kvds::disk(directory.path(), false) } else { Kvds::memory() };
        let fill = |store: &Kvds, prefix: &str, count: usize| {
            let numbers: Vec<_> = (0..count).collect();
            for chunk in numbers.chunks(1000) {
                let keys: Vec<_> = chunk
                    .iter()
                    .map(|number| [prefix.as_bytes(), &key(*number)].concat())
                    .collect();
                let pairs: Vec<_> = keys.iter().map(|key| Pair { key, value: &[7; 100] }).collect();
                store.set_batch(&pairs);
            }
        };
        let count = 200_000;
        {
            let store = open()?;
            fill(&store, "", count);
            if !disk {
                many(&store, name, count);
            }
        }
        let store = open()?;
        if disk {
            // The store was closed and opened again, so the data is in table files.
            many(&store, name, count);
        }
        for removed in [1000, 100_000] {
            let by_prefix = || {
                fill(&store, "gone", removed);
                store.delete_prefix(b"gone");
                nanoseconds(|| assert_eq!(iterate(&store, b"g"), 0))
            };
            let by_keys = || {
                fill(&store, "gone", removed);
                let keys: Vec<_> =
                    (0..removed).map(|number| [b"gone", &key(number)[..]].concat()).collect();
                store.delete_batch(&keys);
                nanoseconds(|| assert_eq!(iterate(&store, b"g"), 0))
            };
            let what = format!("{name}: iterate over {removed} deleted keys");
            compare(&what, 1, ("by prefix", by_prefix), ("by keys", by_keys));
            let remove_prefix = || {
                fill(&store, "gone", removed);
                nanoseconds(|| store.delete_prefix(b"gone"))
            };
            let remove_keys = || {
                fill(&store, "gone", removed);
                let keys: Vec<_> =
                    (0..removed).map(|number| [b"gone", &key(number)[..]].concat()).collect();
                nanoseconds(|| store.delete_batch(&keys))
            };
            let what = format!("{name}: delete {removed} keys");
            compare(&what, 1, ("by prefix", remove_prefix), ("by keys", remove_keys));
        }
    }
    Ok(())
}

fn many(store: &Kvds, name: &str, count: usize) {
    for batch in [10, 100] {
        let keys: Vec<_> = (0..count / batch)
            .map(|group| {
                (0..batch)
                    .map(|index| key((group * 7919 + index * 104_729) % count))
                    .collect::<Vec<_>>()
            })
            .collect();
        let at_once =
            || nanoseconds(|| keys.iter().for_each(|keys| assert!(store.multi_get(keys) > 0)));
        let one_by_one = || {
            nanoseconds(|| {
                keys.iter()
                    .for_each(|keys| assert!(keys.iter().all(|key| store.get(key).is_some())))
            })
        };
        compare(
            &format!("{name}: read {batch} keys, per key"),
            keys.len() * batch,
            ("at once", at_once),
            ("one by one", one_by_one),
        );
    }
}
