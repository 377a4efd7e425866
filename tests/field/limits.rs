//! Tests that memory and disk space stay within the limits of the header.
#![cfg(feature = "disk")]

use std::path::Path;

use kvds::testing::{Backend, Distributor, Options, Outcome, Ref, Store};
use tempfile::tempdir;

use super::scale;

const MIB: usize = 1 << 20;

fn store(base: &Path, options: &Options) -> Ref<Store> {
    let distributor = Distributor::open(Some(base), options).expect("a distributor can be made");
    distributor.get_or_create(c"store", Backend::Disk).expect("it opens").expect("it is made")
}

fn set(store: &Store, key: &[u8], value: &[u8]) {
    assert_eq!(store.set(key, value).expect("the write works"), Outcome::Applied);
}

fn number(store: &Store, name: &str) -> usize {
    let text = store.property(name).expect("it can be told").expect("it is known");
    text.parse().expect("it is a number")
}

fn noise(len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(len as u64);
    std::iter::repeat_with(|| random.u8(..)).take(len).collect()
}

/// Indexes and filters were once pinned in the cache, which could exceed its limit. With 4,000 keys
/// of 64 KiB and a long common prefix, the indexes exceeded it by 262 MB.
#[test]
fn indexes_of_long_keys_stay_within_the_cache() -> testkit::Result {
    let base = tempdir()?;
    let options =
        Options { block_cache_bytes: 1 << 20, write_buffer_bytes: 8 << 20, ..Options::default() };
    let store = store(base.path(), &options);
    let begin = noise((64 << 10) - 8);
    let key = |number: usize| [&begin[..], &(number as u64).to_be_bytes()].concat();
    let count = scale(400, 4000);
    for number in 0..count {
        set(&store, &key(number), b"value");
    }
    store.compact()?;
    for number in (0..count).step_by(scale(10, 100)) {
        assert_eq!(store.get(&key(number))?.as_deref(), Some(&b"value"[..]));
    }
    // The other half is for single values.
    let (pinned, used) = (
        number(&store, "rocksdb.block-cache-pinned-usage"),
        number(&store, "rocksdb.block-cache-usage"),
    );
    assert!(pinned <= MIB / 2 && used <= MIB, "{pinned} bytes are pinned, {used} in the cache");
    let readers = number(&store, "rocksdb.estimate-table-readers-mem");
    assert!(readers <= 16 * MIB, "{readers} bytes for tables");
    Ok(())
}

/// With many small keys, filters were pinned: 49 MB for 40 million keys, whatever the size of the
/// cache.
#[test]
fn filters_of_many_keys_stay_within_the_cache() -> testkit::Result {
    let base = tempdir()?;
    let options =
        Options { block_cache_bytes: 1 << 20, write_buffer_bytes: 8 << 20, ..Options::default() };
    let store = store(base.path(), &options);
    let count = scale(1_000_000, 20_000_000) as u64;
    let keys: Vec<_> = (0..1000_u64).collect();
    for begin in (0..count).step_by(keys.len()) {
        let keys: Vec<_> = keys.iter().map(|key| (begin + key).to_be_bytes()).collect();
        let operations: Vec<_> =
            keys.iter().map(|key| kvds::testing::Operation::Set { key, value: b"" }).collect();
        let batch = kvds::testing::WriteBatch { expectations: &[], operations: &operations };
        assert_eq!(store.write(&batch)?, Outcome::Applied);
    }
    store.compact()?;
    for key in (0..count).step_by(count as usize / 100) {
        assert!(store.get(&key.to_be_bytes())?.is_some());
    }
    let (pinned, used) = (
        number(&store, "rocksdb.block-cache-pinned-usage"),
        number(&store, "rocksdb.block-cache-usage"),
    );
    assert!(pinned <= MIB / 2 && used <= MIB, "{pinned} bytes are pinned, {used} in the cache");
    Ok(())
}

/// A value larger than the cache once stayed in it until the distributor was released: 63 MB in a
/// cache of 8 MB.
#[test]
fn a_value_larger_than_the_cache_does_not_stay_in_it() -> testkit::Result {
    let base = tempdir()?;
    let cache = 8 * MIB;
    let options = Options { block_cache_bytes: cache as u64, ..Options::default() };
    let store = store(base.path(), &options);
    for len in [scale(20, 60) * MIB, scale(24, 63) * MIB] {
        let value = noise(len);
        set(&store, &len.to_be_bytes(), &value);
        store.compact()?;
        assert!(store.get(&len.to_be_bytes())?.as_deref() == Some(&value[..]));
    }
    let used = number(&store, "rocksdb.block-cache-usage");
    assert!(used <= cache / 2, "{used} bytes");
    Ok(())
}
