//! Tests errors that only a disk store can have.
#![cfg(feature = "disk")]

use std::ffi::CStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use kvds::testing::{
    Backend, Distributor, Kind, Operation, Options, Outcome, Ref, Store, WriteBatch,
};
use tempfile::tempdir;

const ID: &CStr = c"store";

fn distributor(base: &Path) -> Ref<Distributor> {
    Distributor::open(Some(base), &Options::default()).expect("a distributor can be made")
}

fn store(base: &Path) -> kvds::testing::Result<Ref<Store>> {
    distributor(base).get_or_create(ID, Backend::Disk).map(|store| store.expect("it is made"))
}

fn fill(store: &Store, keys: std::ops::Range<u32>) {
    for key in keys {
        assert_eq!(
            store.set(&key.to_be_bytes(), &key.to_le_bytes()).expect("the write works"),
            Outcome::Applied
        );
    }
}

fn found(store: &Store, keys: std::ops::Range<u32>) -> usize {
    keys.filter(|key| {
        store.get(&key.to_be_bytes()).expect("the read works").as_deref()
            == Some(&key.to_le_bytes())
    })
    .count()
}

fn log_of(base: &Path) -> PathBuf {
    let entries = fs::read_dir(base.join("store")).expect("the store can be listed");
    let paths = entries.map(|entry| entry.expect("the store can be listed").path());
    paths
        .max_by_key(|path| (path.extension() == Some("log".as_ref()), path.clone()))
        .expect("the store has a log")
}

/// Returns a copy of the files of an open store, as a killed process leaves them, and its log.
fn killed(keys: u32) -> (tempfile::TempDir, PathBuf) {
    let (alive, dead) =
        (tempdir().expect("a directory can be made"), tempdir().expect("a directory can be made"));
    let store = store(alive.path()).expect("it opens");
    fill(&store, 0..keys);
    fs::create_dir(dead.path().join("store")).expect("a directory can be made");
    for entry in fs::read_dir(alive.path().join("store")).expect("the store can be listed") {
        let path = entry.expect("the store can be listed").path();
        fs::copy(&path, dead.path().join("store").join(path.file_name().expect("a name")))
            .expect("a file can be copied");
    }
    let log = log_of(dead.path());
    (dead, log)
}

/// A flipped byte in the middle of the log once counted as its end. The acknowledged writes after
/// it were lost without an error.
#[test]
fn opening_a_store_with_a_damaged_log_returns_corruption() -> testkit::Result {
    let (base, log) = killed(1000);
    let mut bytes = fs::read(&log)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xFF;
    fs::write(&log, bytes)?;
    for _ in 0..2 {
        let error = store(base.path()).err().expect("the damage is seen");
        assert_eq!(error.kind(), Kind::Corruption, "{error}");
        assert!(error.to_string().contains(base.path().to_str().expect("UTF-8")), "{error}");
    }
    Ok(())
}

/// A write that a killed process or a power failure tore is not damage: it was never acknowledged.
#[test]
fn a_torn_last_log_record_is_not_corruption() -> testkit::Result {
    for torn in [1, 10, 30] {
        let (base, log) = killed(1000);
        let bytes = fs::read(&log)?;
        fs::write(&log, &bytes[..bytes.len() - torn])?;
        let store = store(base.path())?;
        let found = found(&store, 0..1000);
        assert!((990..1000).contains(&found), "{found} of 1000 with {torn} bytes torn off");
    }
    Ok(())
}

/// A thread that destroyed a store once kept the claim on its inode for too long. Another thread,
/// whose new store got the same inode, got `KVDS_LOCKED`.
#[test]
fn destroying_a_store_locks_no_other_store() -> testkit::Result {
    let base = tempdir()?;
    let distributor = distributor(base.path());
    std::thread::scope(|scope| {
        for id in [c"one", c"two", c"three", c"four"] {
            let distributor = &distributor;
            scope.spawn(move || {
                for _ in 0..50 {
                    let store = distributor
                        .get_or_create(id, Backend::Disk)
                        .expect("no other store has its lock");
                    drop(store.expect("it is made"));
                    assert!(
                        distributor
                            .destroy(id, Backend::Disk)
                            .expect("no other store has its lock")
                    );
                }
            });
        }
    });
    Ok(())
}

/// A second process that found the store locked once changed the owner's files first.
#[test]
fn opening_a_locked_store_changes_no_file() -> testkit::Result {
    let base = tempdir()?;
    let store = store(base.path())?;
    fill(&store, 0..10);
    let names = || {
        let entries = fs::read_dir(base.path().join("store")).expect("the store can be listed");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("the store can be listed").file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    assert!(
        !before.iter().any(|name| name.to_string_lossy().starts_with("LOG")),
        "there is no log file: {before:?}"
    );
    let error = self::store(base.path()).err().expect("it is locked");
    assert_eq!(error.kind(), Kind::Locked);
    assert_eq!(names(), before);
    let error = distributor(base.path()).destroy(ID, Backend::Disk).expect_err("it is locked");
    assert_eq!(error.kind(), Kind::Locked);
    assert_eq!(names(), before);
    Ok(())
}

/// A process can be killed, or power can fail, after RocksDB created the MANIFEST of a new store
/// and before it creates the log. RocksDB verifies logs, so it takes this for a store that lost its
/// log.
#[test]
fn a_partly_created_store_counts_as_absent() -> testkit::Result {
    /// The records of a new MANIFEST: the comparator, and the numbers of the next file and write.
    const LIST: &[u8] = b"\xe5\xb2\x88\x87\x2d\0\x01\x81\x40\x24\
          b8460858-b43d-4d1e-b13a-87bc068aa911\x02\0\x03\x02\x04\0";
    let base = tempdir()?;
    let directory = base.path().join("store");
    fs::create_dir(&directory)?;
    for (name, content) in
        [("LOCK", &b""[..]), ("MANIFEST-000001", LIST), ("CURRENT", b"MANIFEST-000001\n")]
    {
        fs::write(directory.join(name), content)?;
    }
    for options in [
        Options { read_only: true, ..Options::default() },
        Options { create_if_missing: false, ..Options::default() },
    ] {
        let distributor = Distributor::open(Some(base.path()), &options)?;
        assert!(distributor.get_or_create(ID, Backend::Disk)?.is_none());
    }
    for keys in [0..0, 0..10] {
        let store = store(base.path())?;
        assert_eq!(found(&store, 0..10), keys.len());
        fill(&store, 0..10);
    }
    Ok(())
}

/// A process that was killed while it destroyed a store once left files that could neither be
/// opened nor replaced by a new store.
#[test]
fn a_partly_destroyed_store_counts_as_absent() -> testkit::Result {
    let (base, log) = killed(10);
    let all = fs::read_dir(log.parent().expect("it is in the store"))?.count();
    for gone in 1..all {
        let (base, _log) = killed(10);
        let path = base.path().join("store");
        // As it is found when the process dies after some of the files.
        fs::write(path.join("DESTROYED"), "")?;
        let entries: Vec<_> = fs::read_dir(&path)?.collect();
        let paths = entries.into_iter().map(|entry| entry.expect("the store can be listed").path());
        for path in paths.filter(|path| !path.ends_with("DESTROYED")).take(gone) {
            fs::remove_file(path)?;
        }
        let options = Options { create_if_missing: false, ..Options::default() };
        let asked = Distributor::open(Some(base.path()), &options)?;
        assert!(asked.get_or_create(ID, Backend::Disk)?.is_none());
        let store = store(base.path())?;
        assert_eq!(found(&store, 0..10), 0);
        fill(&store, 0..10);
        drop(store);
        assert_eq!(found(&self::store(base.path()).expect("it opens"), 0..10), 10);
    }
    assert!(distributor(base.path()).destroy(ID, Backend::Disk)?);
    assert!(!base.path().join("store").exists(), "nothing is left of it");
    Ok(())
}

/// The path is part of RocksDB's error text. Its words must not change the status.
#[test]
fn a_directory_named_like_an_error_does_not_change_the_status() -> testkit::Result {
    let base = tempdir()?;
    let path = base.path().join("While lock file, No space left on device, File too large");
    let opened = store(&path)?;
    fill(&opened, 0..10);
    drop(opened);
    fs::write(path.join("store/CURRENT"), "nonsense")?;
    let error = store(&path).err().expect("the damage is seen");
    assert_eq!(error.kind(), Kind::Corruption, "{error}");
    Ok(())
}

/// A reader beside a busy writer once missed the writes of a log that became a table while the
/// reader was opened. It still showed later writes.
#[test]
fn a_reader_beside_a_writer_sees_all_writes_up_to_one_point() -> testkit::Result {
    let base = tempdir()?;
    let small = |read_only| {
        let options = Options { write_buffer_bytes: 1 << 20, read_only, ..Options::default() };
        Distributor::open(Some(base.path()), &options).expect("a distributor can be made")
    };
    let store = small(false).get_or_create(ID, Backend::Disk)?.expect("it is made");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let pad = [7; 4000];
            for number in 0..20_000_u32 {
                let (key, last) =
                    ([&b"k"[..], &number.to_be_bytes()].concat(), number.to_be_bytes());
                let operations = [
                    Operation::Set { key: &key, value: &pad },
                    Operation::Set { key: b"a", value: &last },
                ];
                let batch = WriteBatch { expectations: &[], operations: &operations };
                assert_eq!(store.write(&batch).expect("the write works"), Outcome::Applied);
                if done.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        let mut looks = 0;
        let reader = loop {
            // Opening may return Busy beside a fast writer, but no other error.
            match small(true).get_or_create(ID, Backend::Disk) {
                Ok(reader) => break reader.expect("it is there"),
                Err(error) => assert_eq!(error.kind(), Kind::Busy, "{error}"),
            }
        };
        for _ in 0..40 {
            let (mut keys, mut last) = (0, None);
            let complete = reader.iterate(b"", |key, value| {
                match key {
                    b"a" => last = value.try_into().ok().map(u32::from_be_bytes),
                    _ => keys += 1,
                }
                true
            });
            assert!(complete.expect("the iteration works"));
            assert_eq!(
                keys,
                last.map_or(0, |last| last + 1),
                "every batch up to the last one is there"
            );
            match reader.refresh() {
                Ok(()) => looks += 1,
                Err(error) => assert_eq!(error.kind(), Kind::Busy, "{error}"),
            }
        }
        done.store(true, Ordering::Relaxed);
        eprintln!("{looks} of 40 looks");
    });
    Ok(())
}
