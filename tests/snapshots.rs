//! Measures what a snapshot costs: one old version of each overwritten key, until it is dropped.

use kvds::testing::Engine;
use testkit::engines::{self, get, no_lease, set, write};

const KEYS: u32 = 10_000;
const OVERWRITES: u32 = 1_000_000;
const VALUE: usize = 100;

/// Overwrites the keys in batches, with different values that don't compress.
fn overwrite(engine: &dyn Engine, count: u32) {
    let mut random = 88_172_645_463_325_252_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for start in (0..count).step_by(1000) {
        let keys: Vec<_> =
            (start..start + 1000).map(|number| (number % KEYS).to_be_bytes()).collect();
        let values: Vec<Vec<u8>> = keys
            .iter()
            .map(|_| (0..VALUE / 8 + 1).flat_map(|_| next().to_le_bytes()).take(VALUE).collect())
            .collect();
        let operations: Vec<_> =
            keys.iter().zip(&values).map(|(key, value)| set(key, value)).collect();
        write(engine, &operations);
    }
}

/// However often a key is overwritten, a snapshot keeps one old version of it.
#[test]
fn a_memory_snapshot_keeps_one_old_version_per_key() -> testkit::Result {
    let bench = engines::memory(no_lease());
    overwrite(&*bench.engine, KEYS);
    let held = || bench.maintenance().stats().expect("there are figures").memory_bytes;
    let before = held();
    let snapshot = bench.engine.snapshot()?;
    let old = get(&*snapshot, &0_u32.to_be_bytes());
    overwrite(&*bench.engine, OVERWRITES);
    let with = held();
    assert!(
        with > before + u64::from(KEYS) * VALUE as u64,
        "the old values are kept: {before} -> {with}"
    );
    assert!(with < before * 2 + before / 10, "and only once: {before} -> {with}");
    assert_eq!(get(&*snapshot, &0_u32.to_be_bytes()), old);
    drop(snapshot);
    assert_eq!(held(), before);
    Ok(())
}

/// A snapshot keeps one old version of each key in files, and none in memory.
#[test]
#[cfg(feature = "disk")]
fn a_disk_snapshot_keeps_one_old_version_per_key() -> testkit::Result {
    let bench = engines::disk(no_lease());
    overwrite(&*bench.engine, KEYS);
    let taken = || {
        bench.maintenance().compact().expect("it compacts");
        bench.maintenance().stats().expect("there are figures")
    };
    let before = taken();
    let snapshot = bench.engine.snapshot()?;
    let old = get(&*snapshot, &0_u32.to_be_bytes());
    overwrite(&*bench.engine, OVERWRITES);
    let with = taken();
    assert_eq!(get(&*snapshot, &0_u32.to_be_bytes()), old);
    drop(snapshot);
    // RocksDB checks its files again only after a write.
    overwrite(&*bench.engine, KEYS);
    let after = taken();
    let bytes = u64::from(KEYS) * VALUE as u64;
    let text = format!("{before:?}\n-> {with:?}\n-> {after:?}");
    assert!(
        with.disk_bytes > before.disk_bytes + bytes * 9 / 10,
        "the old values are kept: {text}"
    );
    assert!(with.disk_bytes < before.disk_bytes + bytes * 3, "and only once: {text}");
    assert!(after.disk_bytes < before.disk_bytes + bytes / 2, "and they go: {text}");
    assert!(with.memory_bytes < before.memory_bytes + bytes, "they are not in memory: {text}");
    Ok(())
}
