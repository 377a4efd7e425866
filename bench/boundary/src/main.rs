//! Counts the instructions of a call with callgrind: through the C functions of libkvds.so, of a
//! store in Rust, and of the engine below it. What C has more than the store is what the boundary
//! adds; what the store has more than the engine is the price of being able to close it at any
//! time. On disk, the data are in the row cache.
//!
//! usage: kvds-boundary LIBRARY [MEDIUM [CALL]]
//!
//! It prints a line per call: `memory get c 245.0 store 234.0 engine 218.0`.

mod calls;

use std::path::Path;
use std::process::{Command, Output};
use std::{env, fs};

use calls::{CALLS, MEDIA, WAYS};

/// The first run makes so many calls, and the second twice as many. What they differ by is calls
/// and nothing else.
const COUNT: u64 = 10_000;

/// How many keys the store has. Each key can be deleted once.
const KEYS: u64 = 2 * COUNT;

/// The argument of the runs under callgrind.
const CHILD: &str = "--calls";

fn named<T: Copy>(list: &[(&str, T)], name: &str) -> T {
    let Some((_, item)) = list.iter().find(|(listed, _)| *listed == name) else {
        let names: Vec<_> = list.iter().map(|(name, _)| *name).collect();
        panic!("there is no {name}; there are {}", names.join(", "))
    };
    *item
}

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let (medium, call) = match arguments[..] {
        [CHILD, library, medium, call, way, count, directory] => {
            let (medium, call, way) =
                (named(&MEDIA, medium), named(&CALLS, call), named(&WAYS, way));
            let count = count.parse().expect("a number");
            calls::run(Path::new(library), medium, call, way, KEYS, count, Path::new(directory));
            return;
        }
        [_] => (None, None),
        [_, medium] => (Some(medium), None),
        [_, medium, call] => (Some(medium), Some(call)),
        _ => panic!("usage: kvds-boundary LIBRARY [MEDIUM [CALL]]"),
    };
    for (medium, _) in MEDIA.iter().filter(|(name, _)| medium.is_none_or(|only| only == *name)) {
        for (call, _) in CALLS.iter().filter(|(name, _)| call.is_none_or(|only| only == *name)) {
            let mut line = format!("{medium} {call}");
            for (way, _) in WAYS {
                let counted = count(arguments[0], medium, call, way);
                line.push_str(&format!(" {way} {counted:.1}"));
            }
            println!("{line}");
        }
    }
}

/// Counts the instructions of one call.
fn count(library: &str, medium: &str, call: &str, way: &str) -> f64 {
    let run = |count| instructions(library, medium, call, way, count) as f64;
    (run(2 * COUNT) - run(COUNT)) / COUNT as f64
}

/// Counts the instructions of the main thread of a run. RocksDB's threads are left out: what they
/// do depends on the clock.
fn instructions(library: &str, medium: &str, call: &str, way: &str, count: u64) -> u64 {
    let scratch = env::temp_dir().join(format!("kvds-boundary-{}", std::process::id()));
    let store = scratch.join("store");
    fs::create_dir_all(&store).expect("the directory can be created");
    let Output { status, stderr, .. } = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--separate-threads=yes"])
        .arg(format!("--callgrind-out-file={}", scratch.join("out").display()))
        .arg(env::current_exe().expect("the program has a path"))
        .args([CHILD, library, medium, call, way, &count.to_string()])
        .arg(store)
        .output()
        .expect("valgrind is installed");
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    let text = fs::read_to_string(scratch.join("out-01")).expect("callgrind has written its file");
    fs::remove_dir_all(&scratch).expect("the directory can be removed");
    let number = |line: &str| -> Option<u64> {
        line.strip_prefix("summary:").or(line.strip_prefix("totals:"))?.trim().parse().ok()
    };
    text.lines().find_map(number).expect("callgrind's file has a sum")
}
