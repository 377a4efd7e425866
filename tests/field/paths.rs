//! Tests calls that take a path, on file systems that do not cooperate.
//!
//! A base path below a dangling link once made `kvds_distributor_get_or_create` retry forever, at
//! full load. So did a directory where creating one always returned "not found". Here every such
//! call runs on every such path, each path in a child process with a time limit.
#![cfg(feature = "disk")]

use std::env;
use std::ffi::{CString, OsStr};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kvds::testing::ffi::*;
use kvds::testing::{
    Backend, Conflict, Cursor, Engine, Error, Identity, Kind, Outcome, Range, Reader, Result,
    Store, Value, WriteBatch,
};
use tempfile::TempDir;

/// The limit of processor time, which ends a call that loops. A slow machine does not reach it.
const PROCESSOR_SECONDS: u64 = 5;

/// The limit of elapsed time, which ends a call that sleeps. It is long, as a machine may be slow.
const LIMIT: Duration = Duration::from_secs(60);

/// The variables that name the path of a child, and the directory where it creates it.
const PLACE: &str = "KVDS_TEST_PLACE";
const DIRECTORY: &str = "KVDS_TEST_DIRECTORY";

/// A path, how to create it in a directory, and what calls return there.
struct Place {
    name: &'static str,
    make: fn(&Path) -> PathBuf,
    /// The status of opening a store there or below.
    status: kvds_status,
    /// What the error text must contain.
    says: &'static [&'static str],
}

const PLACES: &[Place] = &[
    Place {
        name: "a dangling link",
        make: |here| link("/missing/target", here.join("link")),
        status: KVDS_IO,
        says: &["/link", "/missing/target"],
    },
    Place {
        name: "below a dangling link",
        make: |here| link("/missing/target", here.join("link")).join("a/b"),
        status: KVDS_IO,
        says: &["/link", "/missing/target"],
    },
    Place {
        name: "a loop of links",
        make: |here| {
            link("two", here.join("one"));
            link("one", here.join("two"))
        },
        status: KVDS_IO,
        says: &["/two", "one"],
    },
    Place {
        name: "below a loop of links",
        make: |here| link("self", here.join("self")).join("a"),
        status: KVDS_IO,
        says: &["/self"],
    },
    Place { name: "in /proc", make: |_| "/proc/kvds".into(), status: KVDS_IO, says: &["/proc"] },
    Place {
        name: "deep in /proc",
        make: |_| "/proc/self/kvds/a".into(),
        status: KVDS_IO,
        says: &["/proc/self"],
    },
    Place { name: "in /sys", make: |_| "/sys/kvds/a".into(), status: KVDS_IO, says: &["/sys"] },
    Place {
        name: "/dev/null",
        make: |_| "/dev/null".into(),
        status: KVDS_IO,
        says: &["/dev/null"],
    },
    Place {
        name: "below /dev/null",
        make: |_| "/dev/null/a/b".into(),
        status: KVDS_IO,
        says: &["/dev/null is not"],
    },
    Place {
        name: "a FIFO",
        make: |here| fifo(here.join("fifo")),
        status: KVDS_IO,
        says: &["/fifo is not"],
    },
    Place {
        name: "below a FIFO",
        make: |here| fifo(here.join("fifo")).join("a"),
        status: KVDS_IO,
        says: &["/fifo is not"],
    },
    Place {
        name: "a file",
        make: |here| file(here.join("file")),
        status: KVDS_IO,
        says: &["/file is not"],
    },
    Place {
        name: "below a file",
        make: |here| file(here.join("file")).join("a/b"),
        status: KVDS_IO,
        says: &["/file is not"],
    },
    Place {
        name: "below a directory that may not be entered",
        make: |here| mode(directory(here.join("closed")), 0o600).join("a/b"),
        status: KVDS_IO,
        says: &["/closed", "denied"],
    },
    Place {
        name: "below a directory for reading only",
        make: |here| mode(directory(here.join("shut")), 0o555).join("a/b"),
        status: KVDS_IO,
        says: &["/shut", "denied"],
    },
    Place {
        name: "a name of 256 bytes",
        make: |here| here.join("n".repeat(256)),
        status: KVDS_IO,
        says: &["too long"],
    },
    Place {
        name: "a path of 5,000 bytes",
        make: |here| here.join("a/".repeat(2500)),
        status: KVDS_IO,
        says: &["too long"],
    },
];

fn link(target: &str, path: PathBuf) -> PathBuf {
    symlink(target, &path).expect("a link can be made");
    path
}

fn fifo(path: PathBuf) -> PathBuf {
    // SAFETY: the path ends with a NUL.
    assert_eq!(unsafe { libc::mkfifo(text(&path).as_ptr(), 0o666) }, 0, "a FIFO can be made");
    path
}

fn file(path: PathBuf) -> PathBuf {
    fs::write(&path, "a regular file").expect("a file can be written");
    path
}

fn directory(path: PathBuf) -> PathBuf {
    fs::create_dir(&path).expect("a directory can be made");
    path
}

fn mode(path: PathBuf, mode: u32) -> PathBuf {
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode can be set");
    path
}

fn text(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("a path has no NUL")
}

/// Prints the name of a call before making it, in case it hangs.
fn call(what: &str, call: impl FnOnce() -> kvds_status) -> kvds_status {
    println!("{what}");
    let status = call();
    println!("{what}: {status}");
    status
}

fn last_error() -> String {
    // SAFETY: the text is valid until the next failure on this thread.
    unsafe { std::ffi::CStr::from_ptr(kvds_last_error()) }.to_string_lossy().into_owned()
}

fn check(place: &Place, what: &str, status: kvds_status) {
    assert_eq!(status, place.status, "{}: {what}: {}", place.name, last_error());
    if status < 0 {
        for text in place.says {
            assert!(
                last_error().contains(text),
                "{}: {what}: {text} is not in: {}",
                place.name,
                last_error()
            );
        }
    }
}

/// Opens stores in `path` in every way, with options that create a store and that do not.
fn open(place: &Place, path: &Path) {
    let mut store: *mut kvds_store = ptr::null_mut();
    let out = &raw mut store;
    // SAFETY: all pointers are live for the calls, and what they return is released.
    unsafe {
        let options = kvds_options_new();
        for (option, value) in
            [(c"create_if_missing", c"1"), (c"create_if_missing", c"0"), (c"read_only", c"1")]
        {
            kvds_options_set(options, option.as_ptr(), value.as_ptr());
            let makes = value == c"1" && option == c"create_if_missing";
            let status =
                call("kvds_store_open", || kvds_store_open(text(path).as_ptr(), options, out));
            if makes {
                check(place, "kvds_store_open", status);
            } else {
                assert!(
                    status == KVDS_IO || status == KVDS_NOT_FOUND,
                    "{}: {status}",
                    last_error()
                );
            }
            assert!(store.is_null());

            // As the base path, and as the directory of a store.
            let (parent, name) =
                (path.parent().unwrap_or(path), path.file_name().unwrap_or(OsStr::new("x")));
            for (base, id) in
                [(path, OsStr::new("store")), (path, OsStr::new("a store/of old")), (parent, name)]
            {
                let mut distributor = ptr::null_mut();
                assert_eq!(
                    kvds_distributor_open(text(base).as_ptr(), options, &raw mut distributor),
                    KVDS_OK
                );
                let id = text(Path::new(id));
                let status = call("kvds_distributor_get_or_create", || {
                    kvds_distributor_get_or_create(distributor, id.as_ptr(), KVDS_DISK, out)
                });
                let is_named = id.as_bytes().len() <= 255;
                if makes && is_named {
                    check(place, "kvds_distributor_get_or_create", status);
                } else if is_named {
                    assert!(
                        status == KVDS_IO || status == KVDS_NOT_FOUND,
                        "{}: {status}",
                        last_error()
                    );
                }
                assert!(store.is_null());
                let status = call("kvds_distributor_destroy_store", || {
                    kvds_distributor_destroy_store(distributor, id.as_ptr())
                });
                assert!(
                    [KVDS_IO, KVDS_NOT_FOUND, KVDS_DENIED].contains(&status) || !is_named,
                    "{}: {status}",
                    last_error()
                );
                kvds_distributor_release(distributor);
            }
        }
        kvds_options_free(options);
    }
}

/// Copies stores of both backends to `path`.
fn copy(place: &Place, path: &Path, from: &Path) {
    // SAFETY: as above.
    unsafe {
        let distributor = kvds_distributor_new(text(from).as_ptr());
        for backend in [KVDS_MEMORY, KVDS_DISK] {
            let mut store: *mut kvds_store = ptr::null_mut();
            assert_eq!(
                kvds_distributor_get_or_create(
                    distributor,
                    c"from".as_ptr(),
                    backend,
                    &raw mut store
                ),
                KVDS_OK
            );
            assert_eq!(
                kvds_set(store, c"key".as_ptr().cast(), 3, c"value".as_ptr().cast(), 5),
                KVDS_OK
            );
            for path in [path.to_path_buf(), path.join("a")] {
                let status =
                    call("kvds_checkpoint", || kvds_checkpoint(store, text(&path).as_ptr()));
                if path.symlink_metadata().is_ok() {
                    assert_eq!(
                        status,
                        KVDS_INVALID_ARGUMENT,
                        "the place is taken: {}",
                        last_error()
                    );
                } else {
                    assert_eq!(status, place.status, "{}: {}", place.name, last_error());
                }
            }
            kvds_store_release(store);
        }
        kvds_distributor_release(distributor);
    }
}

#[test]
#[ignore = "the process that tries one place, in the tests below"]
fn child_process_with_one_path() -> testkit::Result {
    let (Ok(name), Some(here)) = (env::var(PLACE), env::var_os(DIRECTORY)) else { return Ok(()) };
    let here = PathBuf::from(here);
    if let Some(place) = PLACES.iter().find(|place| place.name == name) {
        let path = (place.make)(&here);
        open(place, &path);
        copy(place, &path, &directory(here.join("from")));
    } else {
        let change =
            CHANGES.iter().find(|(change, _)| *change == name).expect("the place is in a table");
        use_while_it_changes(&here, change.1);
    }
    println!("done");
    Ok(())
}

/// Runs this program as a child process to try one path. It does not run as root, which ignores
/// file modes.
fn try_place(name: &str) {
    let base = TempDir::new().expect("a directory can be made");
    mode(base.path().to_path_buf(), 0o755);
    // A directory that the user of the child can write.
    let here = mode(directory(base.path().join("here")), 0o777);
    let out = base.path().join("out");
    let mut command = Command::new(env::current_exe().expect("a program has a path"));
    command.args(["--ignored", "--exact", "--nocapture", "paths::child_process_with_one_path"]);
    command.env(PLACE, name).env(DIRECTORY, &here).env("TMPDIR", &here);
    let output = fs::File::create(&out).expect("a file can be made");
    command
        .stdin(Stdio::null())
        .stderr(output.try_clone().expect("a file has copies"))
        .stdout(output);
    // SAFETY: the function only makes system calls.
    if unsafe { libc::geteuid() } == 0 {
        use std::os::unix::process::CommandExt;
        command.gid(65534).uid(65534);
    }
    // SAFETY: between fork and exec the function makes one system call.
    unsafe {
        use std::os::unix::process::CommandExt;
        command.pre_exec(|| {
            let limit = libc::rlimit { rlim_cur: PROCESSOR_SECONDS, rlim_max: PROCESSOR_SECONDS };
            match libc::setrlimit(libc::RLIMIT_CPU, &limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(cause) => panic!("the program must be one that everyone may run: {cause}"),
    };
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break status;
        }
        if began.elapsed() > LIMIT {
            child.kill().expect("a child can be killed");
            child.wait().expect("a child can be waited for");
            panic!(
                "{name}: a call does not return:\n{}",
                fs::read_to_string(&out).unwrap_or_default()
            );
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    for closed in ["closed", "shut"] {
        let _ = fs::set_permissions(here.join(closed), fs::Permissions::from_mode(0o755));
    }
    let text = fs::read_to_string(&out).unwrap_or_default();
    assert!(status.success() && text.contains("done"), "{name}: {status}\n{text}");
}

#[test]
fn every_call_returns_on_every_kind_of_path() {
    for place in PLACES {
        try_place(place.name);
    }
}

/// A change, and the function that makes it.
type Change = (&'static str, fn(&Path));

/// Changes of the directory of an open store.
const CHANGES: &[Change] = &[
    ("the store's directory is removed", |path| {
        fs::remove_dir_all(path).expect("it can be removed")
    }),
    ("the store's directory is renamed", |path| {
        fs::rename(path, path.with_extension("moved")).expect("it can be renamed");
    }),
    ("the store's directory is replaced by another", |path| {
        fs::rename(path, path.with_extension("moved")).expect("it can be renamed");
        fs::create_dir(path).expect("another can be made");
    }),
    ("the store's directory is replaced by a FIFO", |path| {
        fs::rename(path, path.with_extension("moved")).expect("it can be renamed");
        fifo(path.to_path_buf());
    }),
    ("the store's directory is replaced by a link to itself", |path| {
        fs::rename(path, path.with_extension("moved")).expect("it can be renamed");
        symlink(path, path).expect("a link can be made");
    }),
    ("the store's files are replaced by FIFOs", |path| {
        for entry in fs::read_dir(path).expect("it can be read") {
            let file = entry.expect("it can be read").path();
            fs::remove_file(&file).expect("it can be removed");
            fifo(file);
        }
    }),
];

/// Makes every call on a store whose directory changes, and on the store that the id then names.
/// The statuses do not matter here.
fn use_while_it_changes(here: &Path, change: fn(&Path)) {
    // SAFETY: as above.
    unsafe {
        let distributor = kvds_distributor_new(text(here).as_ptr());
        let open = |what: &str| {
            let mut store: *mut kvds_store = ptr::null_mut();
            call(what, || {
                kvds_distributor_get_or_create(
                    distributor,
                    c"store".as_ptr(),
                    KVDS_DISK,
                    &raw mut store,
                )
            });
            store
        };
        let store = open("kvds_distributor_get_or_create");
        let set = || kvds_set(store, c"key".as_ptr().cast(), 3, c"value".as_ptr().cast(), 5);
        assert_eq!(set(), KVDS_OK);
        assert_eq!(kvds_sync(store), KVDS_OK);
        change(&here.join("store"));

        let mut value = kvds_value { data: ptr::null(), len: 0, owner: ptr::null_mut() };
        let get = || kvds_get(store, c"key".as_ptr().cast(), 3, &raw mut value);
        assert_eq!(call("kvds_get", get), KVDS_OK, "{}", last_error());
        kvds_value_release(&raw mut value);
        for _ in 0..2 {
            call("kvds_set", set);
            call("kvds_sync", || kvds_sync(store));
            call("kvds_compact", || kvds_compact(store));
            call("kvds_checkpoint", || kvds_checkpoint(store, text(&here.join("copy")).as_ptr()));
        }
        call("kvds_store_release", || kvds_store_release(store) as kvds_status);
        kvds_store_release(open("again: kvds_distributor_get_or_create"));
        call("destroy", || kvds_distributor_destroy_store(distributor, c"store".as_ptr()));
        kvds_store_release(open("and again: kvds_distributor_get_or_create"));
        kvds_distributor_release(distributor);
    }
}

#[test]
fn every_call_returns_when_its_directory_changes() {
    for (change, _) in CHANGES {
        try_place(change);
    }
}

/// Opening a FIFO waits until another process opens the other end.
#[test]
fn a_fifo_among_the_files_of_a_store_returns_io() -> testkit::Result {
    let base = TempDir::new()?;
    let files = [
        "CURRENT",
        "LOCK",
        "000004.log",
        "MANIFEST-000001",
        "OPTIONS-000001",
        "IDENTITY",
        "DESTROYED",
    ];
    for file in files {
        let store = directory(base.path().join(file));
        fifo(store.join(file));
        let mut opened: *mut kvds_store = ptr::null_mut();
        let out = &raw mut opened;
        // SAFETY: as above.
        unsafe {
            assert_eq!(
                kvds_store_open(text(&store).as_ptr(), ptr::null(), out),
                KVDS_IO,
                "{}",
                last_error()
            );
            assert!(
                last_error().contains(file) && last_error().contains("regular"),
                "{}",
                last_error()
            );
            let distributor = kvds_distributor_new(text(base.path()).as_ptr());
            let id = CString::new(file)?;
            assert_eq!(
                kvds_distributor_destroy_store(distributor, id.as_ptr()),
                KVDS_IO,
                "{}",
                last_error()
            );
            kvds_distributor_release(distributor);
        }
    }
    Ok(())
}

/// An engine where another write always comes between a read and a conditional write.
struct Contended;

impl Reader for Contended {
    fn get(&self, _: &[u8]) -> Result<Option<Value>> {
        Ok(None)
    }

    fn contains(&self, _: &[u8]) -> Result<bool> {
        Ok(false)
    }

    fn cursor(&self, _: Range) -> Result<Box<dyn Cursor>> {
        Err(Error::new(Kind::Unsupported, "no cursors"))
    }

    fn get_many(&self, _: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        Ok(Vec::new())
    }
}

impl Engine for Contended {
    fn apply(&self, _: &WriteBatch<'_>) -> Result<Outcome> {
        Ok(Outcome::Refused(Conflict::Exists))
    }

    fn snapshot(&self) -> Result<Arc<dyn Reader>> {
        Ok(Arc::new(Contended))
    }
}

/// Continuous writes to a counter once kept an add from returning.
#[test]
fn add_returns_busy_after_many_conflicts() {
    let identity = Identity { tag: 0, id: c"contended".to_owned(), backend: Backend::Memory };
    let store = Store::on(Arc::new(Contended), identity, Arc::default());
    let error = store.add(b"key", 1).expect_err("each attempt fails");
    assert_eq!(error.kind(), Kind::Busy, "{error}");
}

/// Threads that add to one counter never make each other fail.
#[test]
fn concurrent_adds_all_succeed() -> testkit::Result {
    let (threads, each) = (8, crate::scale(500, 20_000));
    let base = TempDir::new()?;
    let distributor =
        kvds::testing::Distributor::open(Some(base.path()), &kvds::testing::Options::default())?;
    for backend in [Backend::Memory, Backend::Disk] {
        let store = distributor.get_or_create(c"store", backend)?.expect("it is made");
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    (0..each).for_each(|_| assert!(store.add(b"key", 1).expect("it is added") > 0))
                });
            }
        });
        assert_eq!(store.add(b"key", 0)?, (threads * each) as i64);
    }
    Ok(())
}
