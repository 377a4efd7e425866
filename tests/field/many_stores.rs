//! Tests programs with many stores, and with small ones.
#![cfg(feature = "disk")]

use std::ffi::{CStr, CString};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{self, Command};

use kvds::testing::{Backend, Distributor, Options, Outcome, Ref, Store};
use tempfile::tempdir;

use super::scale;

const MIB: u64 = 1 << 20;

fn distributor(base: &Path, options: &Options) -> Ref<Distributor> {
    Distributor::open(Some(base), options).expect("a distributor can be made")
}

fn store(distributor: &Distributor, id: &CStr) -> Ref<Store> {
    distributor.get_or_create(id, Backend::Disk).expect("it opens").expect("it is made")
}

fn numbered(distributor: &Distributor, number: usize) -> Ref<Store> {
    store(distributor, &CString::new(format!("store-{number}")).expect("no zero"))
}

fn set(store: &Store, key: &[u8], value: &[u8]) {
    assert_eq!(store.set(key, value).expect("the write works"), Outcome::Applied);
}

fn files(store: &Path) -> impl Iterator<Item = fs::DirEntry> {
    fs::read_dir(store)
        .expect("the store can be listed")
        .map(|entry| entry.expect("the store can be listed"))
}

/// Returns the disk space of a store, which differs from the lengths of its files.
fn space(store: &Path) -> u64 {
    files(store).map(|file| file.metadata().map_or(0, |about| about.blocks() * 512)).sum()
}

/// Returns how many files a store has created: files have numbers.
fn files_made(store: &Path) -> usize {
    let number = |file: fs::DirEntry| file.file_name().to_str()?.split_once('.')?.0.parse().ok();
    files(store).filter_map(number).max().unwrap_or(0)
}

/// Sets a key, then waits for a flush if one has started.
fn set_slowly(store: &Store, key: &[u8], value: &[u8]) {
    set(store, key, value);
    let number = |name| store.property(name).expect("it can be told").expect("it is known");
    while number("rocksdb.num-running-flushes") != "0"
        || number("rocksdb.num-immutable-mem-table") != "0"
    {
        std::thread::yield_now();
    }
}

const BASE: &str = "KVDS_TEST_SMALL_STORE";

#[test]
#[ignore = "a process with one key, in the test below"]
fn child_process_with_one_key() {
    let Some(base) = std::env::var_os(BASE) else { return };
    let store = store(&distributor(Path::new(&base), &Options::default()), c"small");
    set(&store, b"key", b"value");
    if std::env::var_os("KVDS_TEST_KILLED").is_some() {
        // SAFETY: the process sends a signal to itself.
        #[allow(unsafe_code)]
        unsafe {
            libc::kill(libc::getpid(), libc::SIGKILL);
        }
    }
    process::exit(0);
}

/// RocksDB allocates disk space for a whole log and a large MANIFEST in advance. A store with one
/// key once took 13 MiB, also after its process ended or was killed. 30 of them filled a disk of 64
/// MB.
#[test]
fn a_store_with_one_key_takes_little_disk_space() -> testkit::Result {
    for killed in [false, true] {
        // Not /tmp, which may be in memory.
        let base = testkit::temporary_directory()?;
        let path = base.path().join("small");
        let mut child = Command::new(std::env::current_exe()?);
        child
            .args(["--ignored", "--exact", "many_stores::child_process_with_one_key"])
            .env(BASE, base.path());
        child.stdout(process::Stdio::null());
        if killed {
            child.env("KVDS_TEST_KILLED", "");
        }
        let status = child.status()?;
        assert_eq!(status.success(), !killed, "{status}");
        for opened in 0..3 {
            let bytes = space(&path);
            assert!(
                (1..=2 * MIB).contains(&bytes),
                "{bytes} bytes after {opened} openings, killed: {killed}"
            );
            let store = store(&distributor(base.path(), &Options::default()), c"small");
            assert_eq!(store.get(b"key")?.as_deref(), Some(&b"value"[..]));
            set(&store, format!("key {opened}").as_bytes(), b"value");
            let bytes = space(&path);
            assert!(bytes <= 2 * MIB, "{bytes} bytes while it is open for the {opened}th time");
        }
    }
    Ok(())
}

/// The memory of stores was once counted in blocks of up to 1 MiB. While the sum was too large,
/// each write flushed its own store, however little it held. With 14 stores and small buffers, or
/// 112 stores and the default ones, each write created a table. Ten seconds had 1,001 flushes and
/// 351 compactions.
#[test]
fn writing_many_stores_in_turn_causes_few_flushes() -> testkit::Result {
    let base = tempdir()?;
    let options = Options { write_buffer_bytes: MIB, ..Options::default() };
    let distributor = distributor(base.path(), &options);
    let count = scale(40, 1000);
    let stores: Vec<_> = (0..count).map(|number| numbered(&distributor, number)).collect();
    let made = || -> usize {
        (0..count).map(|number| files_made(&base.path().join(format!("store-{number}")))).sum()
    };
    let before = made();
    let (rounds, value) = (40, [7; 20]);
    for round in 0..rounds as u32 {
        for store in &stores {
            set_slowly(store, &round.to_be_bytes(), &value);
        }
    }
    // What a store holds would have room in less than the 64 KiB that each of them may hold.
    let made = made() - before;
    assert!(made <= count, "{made} files for {} writes to {count} stores", rounds * count);
    Ok(())
}

/// If stores without writes hold the memory, those are flushed.
#[test]
fn a_store_is_not_flushed_for_the_memory_of_others() -> testkit::Result {
    let base = tempdir()?;
    let options = Options { write_buffer_bytes: MIB, ..Options::default() };
    let distributor = distributor(base.path(), &options);
    // Each of them keeps less than its half of the memory, and both together nearly all.
    let full: Vec<_> = (0..2).map(|number| numbered(&distributor, number)).collect();
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(4000).collect();
    for (store, values) in full.iter().zip([105, 90_u32]) {
        (0..values).for_each(|number| set(store, &number.to_be_bytes(), &noise));
    }
    let small = numbered(&distributor, 2);
    let path = base.path().join("store-2");
    let before = files_made(&path);
    let writes = scale(200, 2000) as u32;
    for number in 0..writes {
        set_slowly(&small, &(number % 100).to_be_bytes(), &noise[..1000]);
    }
    let made = files_made(&path) - before;
    assert!(made <= writes as usize / 10, "{made} files for {writes} small writes");
    Ok(())
}
