//! Tests stores that other programs wrote, and what those programs can read of ours.
//!
//! Some tests need RocksDB itself. They use Debian's program `ldb` (package rocksdb-tools, RocksDB
//! 7.8) if it is installed.
#![cfg(feature = "disk")]

use std::ffi::{CString, OsStr};
use std::fs;
use std::path::Path;
use std::process::Command;

use kvds::testing::{Backend, Distributor, Options, Ref, Store};
use tempfile::TempDir;

fn store(base: &Path, id: &str) -> Ref<Store> {
    let distributor =
        Distributor::open(Some(base), &Options::default()).expect("a distributor can be opened");
    let id = CString::new(id).expect("no NUL");
    distributor
        .get_or_create(&id, Backend::Disk)
        .expect("the store can be opened")
        .expect("it is made")
}

fn get(store: &Store, key: &str) -> Option<String> {
    let value = store.get(key.as_bytes()).expect("it can be read")?;
    Some(String::from_utf8_lossy(&value).into_owned())
}

/// Runs Debian's `ldb` on a store. Returns whether it succeeded and its output, or None if it is
/// not installed.
fn ldb(store: &Path, arguments: &[&str]) -> Option<(bool, String)> {
    let mut command = Command::new("ldb");
    // The file OPTIONS names options that an older RocksDB does not know. Programs don't read it,
    // this one does.
    command
        .arg(format!("--db={}", store.display()))
        .arg("--try_load_options=false")
        .args(arguments);
    let Ok(output) = command.output() else {
        println!("skipped: there is no ldb (package rocksdb-tools)");
        return None;
    };
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

/// Writes some keys and compacts. RocksDB before 9.11 ignores what is in the log:
/// docs/migrating.md.
fn write(store: &Store, name: &str) {
    for number in 0..1000 {
        let (key, value) =
            (format!("{name}-{number:04}"), format!("{number} {}", "value".repeat(number % 50)));
        let _ = store.set(key.as_bytes(), value.as_bytes()).expect("it can be written");
    }
    store.compact().expect("it can be compacted");
}

/// Returns every file of the store with this extension.
fn files<'a>(store: &Path, ending: &'a str) -> impl Iterator<Item = Vec<u8>> + use<'a> {
    let entries: Vec<_> =
        fs::read_dir(store).expect("it can be read").flatten().map(|entry| entry.path()).collect();
    entries
        .into_iter()
        .filter(move |path| path.extension() == Some(OsStr::new(ending)))
        .map(|path| fs::read(path).expect("a file can be read"))
}

/// After kvds opened a store once, RocksDB 7.8 (Debian 12) could not open it any more. Its tables
/// had format 7, which RocksDB reads from 10.4 on. RocksDB reads format 5 from 6.6 on.
#[test]
fn tables_are_in_a_format_that_older_rocksdb_reads() -> testkit::Result {
    const MAGIC: u64 = 0x88E2_41B7_85F4_CFF7;
    let base = TempDir::new()?;
    let store = store(base.path(), "store");
    write(&store, "key");
    let _ = store.set(b"later", b"in the log")?;
    store.checkpoint(&base.path().join("copy"))?;
    drop(store);
    for directory in ["store", "copy"] {
        let mut tables = 0;
        for table in files(&base.path().join(directory), "sst") {
            // A table ends with the number of its format and a magic number.
            let end = table.len();
            let version = u32::from_le_bytes(table[end - 12..end - 8].try_into()?);
            assert_eq!(u64::from_le_bytes(table[end - 8..].try_into()?), MAGIC);
            assert_eq!(version, 5, "an older RocksDB does not read this table");
            tables += 1;
        }
        assert!(tables > 0, "{directory} has a table");
    }
    Ok(())
}

#[test]
fn kvds_and_an_older_rocksdb_open_each_others_stores() -> testkit::Result {
    let base = TempDir::new()?;
    let path = base.path().join("store");
    // Begun by the other, then each in turn, twice.
    let begun = ldb(&path, &["--create_if_missing", "--compression_type=no", "put", "theirs", "0"]);
    let Some((begun, text)) = begun else { return Ok(()) };
    assert!(begun, "{text}");
    for round in 0..2 {
        let ours = store(base.path(), "store");
        assert_eq!(get(&ours, "theirs"), Some(round.to_string()));
        write(&ours, &format!("ours-{round}"));
        drop(ours);
        let (read, text) = ldb(&path, &["scan"]).expect("it is there");
        assert!(read && text.contains(&format!("ours-{round}-0999 : 999 value")), "{text}");
        assert_eq!(text.lines().count(), 1000 * (round + 1) + 1);
        let next = (round + 1).to_string();
        let (written, text) =
            ldb(&path, &["--compression_type=lz4", "put", "theirs", &next]).expect("it is there");
        assert!(written, "{text}");
        let (compacted, text) =
            ldb(&path, &["--compression_type=lz4", "compact"]).expect("it is there");
        assert!(compacted, "{text}");
    }
    assert_eq!(
        get(&store(base.path(), "store"), "ours-1-0999").map(|value| value.len()),
        Some(4 + 49 * 5)
    );
    Ok(())
}

/// Copies have everything in tables.
#[test]
fn an_older_rocksdb_reads_our_stores_and_copies() -> testkit::Result {
    let base = TempDir::new()?;
    let ours = store(base.path(), "store");
    write(&ours, "ours");
    let _ = ours.set(b"later", b"value")?;
    let memory = Distributor::open(None, &Options::default())?;
    let memory = memory.get_or_create(c"store", Backend::Memory)?.expect("it is made");
    let _ = memory.set(b"later", b"value")?;
    for (store, copy) in [(&ours, "copy"), (&memory, "copy of another")] {
        let copy = base.path().join(copy);
        store.checkpoint(&copy)?;
        let Some((read, text)) = ldb(&copy, &["scan"]) else { return Ok(()) };
        assert!(read && text.contains("later : value"), "{text}");
    }
    ours.compact()?;
    drop(ours);
    let (read, text) = ldb(&base.path().join("store"), &["scan"]).expect("it is there");
    assert!(
        read && text.contains("ours-0999 : 999 value") && text.contains("later : value"),
        "{text}"
    );
    Ok(())
}

/// The original package left RocksDB stores in directories of the plain ids, whatever characters
/// these have.
#[test]
fn stores_under_their_plain_ids_are_opened() -> testkit::Result {
    let base = TempDir::new()?;
    for id in ["plain", "a b", "users:1", "a/b", "ünï"] {
        let path = base.path().join(id);
        fs::create_dir_all(path.parent().expect("it has one"))?;
        let put = ["--create_if_missing", "--compression_type=no", "put", "key", id];
        let Some((written, text)) = ldb(&path, &put) else { return Ok(()) };
        assert!(written, "{text}");
        assert_eq!(get(&store(base.path(), id), "key").as_deref(), Some(id));
    }
    let names = fs::read_dir(base.path())?.flatten().map(|entry| entry.file_name());
    assert!(
        names.into_iter().all(|name| !name.to_string_lossy().contains('%')),
        "no store beside the old one"
    );
    Ok(())
}

/// Stores with tables of every compression that kvds reads, as Debian's RocksDB writes them now.
#[test]
fn tables_of_every_listed_compression_are_read() -> testkit::Result {
    for compression in ["no", "lz4", "zstd", "snappy", "zlib"] {
        let base = TempDir::new()?;
        let path = base.path().join("store");
        let option = format!("--compression_type={compression}");
        let value = "value".repeat(1000);
        let Some((written, text)) =
            ldb(&path, &["--create_if_missing", &option, "put", "key", &value])
        else {
            return Ok(());
        };
        assert!(written, "{text}");
        let (compacted, text) = ldb(&path, &[&option, "compact"]).expect("it is there");
        assert!(compacted, "{text}");
        assert_eq!(
            get(&store(base.path(), "store"), "key").as_ref(),
            Some(&value),
            "{compression}"
        );
    }
    Ok(())
}

/// Debian's RocksDB compresses with Snappy by default. Opening such a store returned
/// `KVDS_UNSUPPORTED`. The stores in `debian_rocksdb` are from RocksDB 7.8.3 (Debian 12), so this
/// test needs no `ldb`. kvds opens copies, as it writes to a store that it opens.
#[test]
fn stores_of_debians_rocksdb_with_snappy_and_zlib_are_read_and_written() -> testkit::Result {
    for compression in ["snappy", "zlib"] {
        let base = TempDir::new()?;
        let kept = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/field/debian_rocksdb")
            .join(compression);
        let path = base.path().join("store");
        fs::create_dir(&path)?;
        for entry in fs::read_dir(&kept)? {
            let entry = entry?;
            fs::copy(entry.path(), path.join(entry.file_name()))?;
        }
        let store = store(base.path(), "store");
        for number in 0..200 {
            let expected = format!("value {number:03} {}", "again ".repeat(12));
            let found = get(&store, &format!("key{number:03}"));
            assert_eq!(found.as_ref(), Some(&expected), "{compression}");
        }
        // A compaction decompresses all of it once more.
        let _ = store.set(b"key200", b"ours")?;
        store.compact()?;
        assert_eq!(get(&store, "key200").as_deref(), Some("ours"));
        let last = get(&store, "key199").expect("it is there");
        assert!(last.starts_with("value 199"), "{compression}: {last}");
    }
    Ok(())
}
