//! Runs random programs of writes, snapshots, cursors and scans on an engine and on a `BTreeMap`.

use proptest::collection::vec;
use proptest::prelude::*;
use testkit::engines::{self, no_lease};
use testkit::model::{Change, Expect, Move, Pick, Step, run};

/// Few and short keys, so that operations hit the same keys.
fn key() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![Just(0), Just(b'a'), Just(b'b'), Just(0xFF)], 0..3)
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => vec(0..3u8, 0..2), 1 => (0..=255u8).prop_map(|byte| vec![byte; 20_000])]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let expect = prop_oneof![
        key().prop_map(Expect::Present),
        key().prop_map(Expect::Absent),
        (key(), value()).prop_map(|(key, value)| Expect::Equals(key, value)),
    ];
    let change = prop_oneof![
        3 => (key(), value()).prop_map(|(key, value)| Change::Set(key, value)),
        1 => key().prop_map(Change::Delete),
        1 => (key(), proptest::option::of(key()))
            .prop_map(|(start, end)| Change::DeleteRange(start, end)),
    ];
    let go = prop_oneof![
        1 => Just(Move::First),
        1 => Just(Move::Last),
        4 => Just(Move::Next),
        4 => Just(Move::Prev),
        2 => key().prop_map(Move::Seek),
    ];
    let step = prop_oneof![
        8 => (vec(expect, 0..2), vec(change, 0..4))
            .prop_map(|(expects, changes)| Step::Write(expects, changes)),
        1 => Just(Step::Compact),
        2 => Just(Step::Snapshot),
        1 => any::<Pick>().prop_map(Step::DropSnapshot),
        2 => (any::<Pick>(), key()).prop_map(|(index, key)| Step::Get(index, key)),
        2 => (any::<Pick>(), key()).prop_map(|(index, prefix)| Step::Scan(index, prefix)),
        2 => (any::<Pick>(), key(), proptest::option::of(key()))
            .prop_map(|(index, start, end)| Step::Cursor(index, start, end)),
        1 => any::<Pick>().prop_map(Step::DropCursor),
        8 => (any::<Pick>(), go).prop_map(|(index, go)| Step::Move(index, go)),
    ];
    vec(step, 1..80)
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn memory(steps in steps()) {
        run(&engines::memory(no_lease()), &steps);
        run(&engines::memory_scope(no_lease()), &steps);
    }
}

#[cfg(feature = "disk")]
proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn disk(steps in steps()) {
        run(&engines::disk(no_lease()), &steps);
        run(&engines::disk_scope(no_lease()), &steps);
    }
}
