//! Tests that a directory has one writer, whatever else the process does. `ctests/store_lock.c` has
//! the cases with other processes.
#![cfg(feature = "disk")]

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use kvds::testing::{Backend, Distributor, Kind, Options, Outcome, Ref, Store};
use tempfile::tempdir;

use super::scale;

const ID: &CStr = c"store";

fn distributor(base: &Path) -> Ref<Distributor> {
    let options = Options { write_buffer_bytes: 1 << 20, ..Options::default() };
    Distributor::open(Some(base), &options).expect("a distributor can be made")
}

fn open(distributor: &Distributor) -> kvds::testing::Result<Ref<Store>> {
    distributor.get_or_create(ID, Backend::Disk).map(|store| store.expect("it is made"))
}

fn fill(store: &Store, whose: &str, keys: usize) -> kvds::testing::Result<()> {
    for key in 0..keys {
        let value = [whose.as_bytes(), &[key as u8; 1000]].concat();
        assert_eq!(store.set(format!("{whose} {key:06}").as_bytes(), &value)?, Outcome::Applied);
    }
    Ok(())
}

fn check(store: &Store, whose: &str, keys: usize) {
    for key in 0..keys {
        let value = store.get(format!("{whose} {key:06}").as_bytes()).expect("the read works");
        assert_eq!(
            value.as_deref(),
            Some(&[whose.as_bytes(), &[key as u8; 1000]].concat()[..]),
            "{whose} {key}"
        );
    }
}

/// Returns all files of a directory with their bytes.
fn bytes(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(directory).expect("the directory can be listed");
    let paths = entries.map(|entry| entry.expect("the directory can be listed").path());
    paths
        .map(|path| (path.display().to_string(), fs::read(&path).expect("the file can be read")))
        .collect()
}

/// A program had a store open while its directory was moved for a backup, or removed, and a new
/// store took its place. RocksDB creates and removes files by name, so the program overwrote the
/// tables and logs of the new store.
#[test]
fn a_moved_store_does_not_write_into_its_replacement() -> testkit::Result {
    let keys = scale(1000, 20_000);
    for removed in [false, true] {
        let base = tempdir()?;
        let (path, moved) = (base.path().join("store"), base.path().join("moved"));
        let old_distributor = distributor(base.path());
        let old = open(&old_distributor)?;
        fill(&old, "flushed", keys)?;
        old.compact()?;
        fill(&old, "old", 10)?;
        if removed {
            fs::remove_dir_all(&path)?;
        } else {
            fs::rename(&path, &moved)?;
        }
        let new = open(&distributor(base.path()))?;
        fill(&new, "new", keys)?;
        drop(new);
        let before = bytes(&path);

        let error = fill(&old, "more", 10_000).expect_err("no new files can be made");
        assert_eq!(error.kind(), Kind::Io, "{error}");
        for _ in 0..10 {
            let error = fill(&old, "more", 1).expect_err("it stays so");
            assert_eq!(error.kind(), Kind::Io, "{error}");
            assert!(error.to_string().contains("was moved, removed or replaced"), "{error}");
        }
        for error in
            [old.compact(), old.sync()].map(|result| result.expect_err("it needs new files"))
        {
            assert_eq!(error.kind(), Kind::Io, "{error}");
        }
        let error = old.checkpoint(&base.path().join("copy")).expect_err("it needs new files");
        assert_eq!(error.kind(), Kind::Io, "{error}");
        assert!(!base.path().join("copy").exists(), "there is no half copy");
        let error = old_distributor.destroy(ID, Backend::Disk).expect_err("it is in use");
        assert_eq!(error.kind(), Kind::Busy, "{error}");
        check(&old, "flushed", keys);
        check(&old, "old", 10);
        assert!(bytes(&path) == before, "nothing of the new store has changed");

        if !removed {
            // What was moved back is there again.
            fs::rename(&path, base.path().join("new"))?;
            fs::rename(&moved, &path)?;
            fill(&old, "more", 10)?;
            old.sync()?;
            fs::rename(&path, &moved)?;
            fs::rename(base.path().join("new"), &path)?;
        }
        drop((old, old_distributor));
        assert!(
            bytes(&path) == before,
            "nothing of the new store has changed when the old one was closed"
        );
        let new = open(&distributor(base.path()))?;
        check(&new, "new", keys);
        assert!(new.get(b"old 000000")?.is_none());
        if !removed {
            drop(new);
            fs::remove_dir_all(&path)?;
            fs::rename(&moved, &path)?;
            let old = open(&distributor(base.path()))?;
            check(&old, "flushed", keys);
            check(&old, "more", 10);
        }
    }
    Ok(())
}

/// On a case-insensitive file system, two ids can have one directory. A symbolic link stands for
/// that here.
#[test]
fn two_names_of_one_directory_are_one_store() -> testkit::Result {
    let base = tempdir()?;
    symlink("store", base.path().join("STORE"))?;
    let distributor = distributor(base.path());
    let store = open(&distributor)?;
    fill(&store, "ours", 10)?;
    let error = distributor.get_or_create(c"STORE", Backend::Disk).err().expect("it is open");
    assert_eq!(error.kind(), Kind::Locked, "{error}");
    assert!(error.to_string().contains("under another name"), "{error}");
    let error = distributor.destroy(c"STORE", Backend::Disk).expect_err("it is open");
    assert_eq!(error.kind(), Kind::Locked, "{error}");
    drop(store);
    let store = distributor.get_or_create(c"STORE", Backend::Disk)?.expect("it is there");
    check(&store, "ours", 10);
    Ok(())
}

/// Files have the modes that the header promises, whatever the umask is.
#[test]
fn file_modes_follow_the_umask() -> testkit::Result {
    const BASE: &str = "KVDS_TEST_UMASK";
    if let Some(base) = std::env::var_os(BASE) {
        let store = open(&distributor(base.as_ref()))?;
        fill(&store, "ours", 10)?;
        store.compact()?;
        return Ok(());
    }
    for umask in [0o002, 0o022, 0o077] {
        let base = tempdir()?;
        let base = base.path().join("base");
        let mut other = Command::new(std::env::current_exe()?);
        other.args(["--exact", "locks::file_modes_follow_the_umask"]).env(BASE, &base);
        // SAFETY: umask is safe between fork and exec.
        unsafe {
            other.pre_exec(move || {
                libc::umask(umask);
                Ok(())
            });
        }
        assert!(other.output()?.status.success());
        let mode =
            |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        for directory in [&base, &base.join("store")] {
            assert_eq!(mode(directory), 0o777 & !umask, "{}", directory.display());
        }
        for name in bytes(&base.join("store")).keys() {
            assert_eq!(mode(Path::new(name)), 0o644 & !umask, "{name}");
        }
    }
    Ok(())
}
