//! Damages the files of a store. A read returns the right value or `KVDS_CORRUPTION`, never a wrong
//! value, never "not found" for a key that exists, and never a crash.
//!
//! Each case damages one file of a copy of a small store in one way. It opens the copy twice and
//! reads all of it with every call. Cases run in child processes, as RocksDB could crash. The last
//! line of a child names the case. `make test` runs a sample, `make damage` (KVDS_DAMAGE=all) every
//! byte.
//!
//! One kind of damage looks like a power failure during a write: a torn end of the log. Then the
//! store must have the state after some write. It may lose only records at or after the cut. A
//! changed byte inside the log may lose the last record only.
#![cfg(feature = "disk")]

mod case;
mod check_store;
mod fixture;
mod processes;

use std::collections::BTreeMap;
use std::path::Path;

use case::{Case, Damage};
use fixture::Fixture;
use processes::Verdict;

/// The variable that names the file with the orders of a child.
const ORDERS: &str = "KVDS_DAMAGE_ORDERS";

#[test]
fn damage_is_reported_and_no_wrong_value_is_read() {
    let fixture = Fixture::new();
    let all = std::env::var("KVDS_DAMAGE").is_ok_and(|how| how == "all");
    let cases = if all { every_case(&fixture) } else { sample(&fixture) };
    eprintln!("{}", fixture.description());
    let verdicts = processes::in_processes(&fixture, &cases, ORDERS, "child_process_with_cases");
    let mut table: BTreeMap<(&str, &str), BTreeMap<&str, usize>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (case, verdict) in cases.iter().zip(&verdicts) {
        *table
            .entry((case.kind(), case.damage.kind()))
            .or_default()
            .entry(verdict.column())
            .or_default() += 1;
        if let Verdict::Wrong(how) = verdict {
            wrong.push(format!("{case}: {how}"));
        }
    }
    for ((file, damage), counts) in table {
        eprintln!("{file:10} {damage:10} {counts:?}");
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// Does nothing without orders.
#[test]
fn child_process_with_cases() {
    if let Some(orders) = std::env::var_os(ORDERS) {
        processes::follow(Path::new(&orders));
    }
}

fn every_case(fixture: &Fixture) -> Vec<Case> {
    let mut cases = Vec::new();
    for (file, len) in fixture.files() {
        let of = |damage| Case { file: file.clone(), damage };
        cases.push(of(Damage::Removed));
        for at in 0..*len {
            // One bit, all bits, and a file that ends before this byte.
            cases.extend(
                [Damage::Flipped(at, 1 << (at % 8)), Damage::Flipped(at, 0xFF), Damage::Cut(at)]
                    .map(of),
            );
        }
    }
    cases
}

/// Returns the same cases in every run: each file removed, every byte of the small important files,
/// and some bytes of the rest.
fn sample(fixture: &Fixture) -> Vec<Case> {
    let mut picks = (0_u64..).map(|number| number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20);
    let mut pick = |below: u64| picks.next().unwrap_or_default() % below.max(1);
    let mut cases = Vec::new();
    for (file, len) in fixture.files() {
        let of = |damage| Case { file: file.clone(), damage };
        cases.push(of(Damage::Removed));
        let (flips, cuts) = match of(Damage::Removed).kind() {
            "CURRENT" | "MANIFEST" => (*len, *len),
            "log" => (100, 60),
            "table" => (150, 40),
            _ => (3, 2),
        };
        if *len == 0 {
            continue;
        }
        let dense = flips == *len;
        for number in 0..flips {
            let at = if dense { number } else { pick(*len) };
            cases.push(of(Damage::Flipped(at, 1 << (at % 8))));
        }
        for number in 0..cuts {
            cases.push(of(Damage::Cut(if dense { number } else { pick(*len) })));
        }
    }
    // The lengths of records are the only bytes of a log or a MANIFEST that no checksum covers.
    for (file, at) in fixture.lengths_of_records() {
        cases.push(Case { file, damage: Damage::Flipped(at, 0x40) });
    }
    cases
}
