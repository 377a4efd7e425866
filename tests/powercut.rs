//! What a power cut leaves of a store.
#![cfg(feature = "disk")]

mod preload;

use std::env;
use std::process::Command;

use kvds::{Backend, Distributor, Kind, Options};

/// Run in a process of its own by the test below it.
#[test]
#[ignore = "the inside of another test"]
fn failing_calls() {
    let base = env::var_os("KVDS_TEST_BASE").expect("where to put the store");
    let distributor = Distributor::open(Some(base.as_ref()), &Options::default()).expect("a distributor can be made");
    let store = distributor.get_or_create(c"store", Backend::Disk).expect("it opens").expect("it is made");
    assert!(preload::is_there());
    preload::fail(preload::WRITE, ".log", libc::ENOSPC, 1, 1);
    let written = || store.set(b"key", b"value");
    written().map(drop).expect("the first one is let through");
    let error = written().expect_err("the second one is not");
    assert_eq!(error.kind(), Kind::NoSpace, "{error}");
    assert_eq!((preload::seen(), preload::failed()), (2, 1));
    preload::heal();
}

#[test]
fn calls_can_be_made_to_fail() {
    let base = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory can be made");
    let mut inside = Command::new(env::current_exe().expect("a program has a path"));
    inside.args(["--ignored", "--exact", "failing_calls"]).env("KVDS_TEST_BASE", base.path());
    preload::put_before(&mut inside, base.path());
    assert!(inside.status().expect("it runs").success());
}
