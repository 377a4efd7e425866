//! A store whose files were damaged: what was read before is read again, or a failure is told, but
//! never a wrong value, never a key that is there passed off as one that is not, and never a crash.
//!
//! Every case damages one file of a copy of a small store, in one way, opens it twice and reads all
//! of it in every way there is. Cases run in processes of their own, as RocksDB could take one
//! down; what a process did last says which case it was. `make test` runs a sample, `make damage`
//! (KVDS_DAMAGE=all) every byte.
//!
//! One kind of damage cannot be told from the death of the machine while it wrote: a torn end of
//! the log. What is promised there: the store is as it was after some write, only writes whose
//! records are cut or lie behind the cut are lost, and a byte that changes inside the log loses the
//! last record at most.
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

/// Where a process of this test finds what it is to do.
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

/// What the processes of the test above run: nothing, if nobody gave orders.
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
            // A bit for each byte, and all its bits; and what is read of the file ends here.
            cases.extend(
                [Damage::Flipped(at, 1 << (at % 8)), Damage::Flipped(at, 0xFF), Damage::Cut(at)]
                    .map(of),
            );
        }
    }
    cases
}

/// Every file removed, the small ones that others hang on byte by byte, and some of the rest, the
/// same in every run.
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
    // Where a log or a list of tables can be read wrong without a checksum that says so: the
    // lengths of its records.
    for (file, at) in fixture.lengths_of_records() {
        cases.push(Case { file, damage: Damage::Flipped(at, 0x40) });
    }
    cases
}
