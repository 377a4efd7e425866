//! The limits of a cluster, logins and TLS, on real servers.

use std::path::Path;

use kvds::testing::{
    Engine, Expectation, Kind, Operation, Options, Outcome, Range, Result as StoreResult,
    WriteBatch,
};
use testkit::etcd::{self, Certificates, Servers, Setup};

use crate::{failed, open, options, try_set};

const TIMEOUT: u64 = 10_000;
/// For calls that cannot succeed.
const SHORT: u64 = 500;

fn apply(engine: &dyn Engine, operations: &[Operation<'_>]) -> StoreResult<Outcome> {
    engine.apply(&WriteBatch { expectations: &[], operations })
}

fn count(engine: &dyn Engine) -> testkit::Result<usize> {
    let mut count = 0;
    engine.scan(Range::prefix(b""), &mut |_, _| {
        count += 1;
        true
    })?;
    Ok(count)
}

#[test]
fn what_a_request_cannot_hold_is_refused() -> testkit::Result {
    let Some(url) = etcd::shared_url(&etcd::fresh_namespace()) else { return Ok(()) };
    let engine = open(&options(url, TIMEOUT))?;
    for len in [1600 << 10, 3 << 20] {
        let text = failed(try_set(&*engine, "large", &vec![1; len]), Kind::Unsupported).to_string();
        assert!(text.contains("--max-request-bytes"), "{text}");
    }
    assert_eq!(count(&*engine)?, 0);
    assert_eq!(try_set(&*engine, "large", &vec![1; 1400 << 10])?, Outcome::Applied);

    let names: Vec<String> = (0..127).map(|number| format!("absent {number}")).collect();
    let expectations: Vec<_> =
        names.iter().map(|name| Expectation::Absent { key: name.as_bytes() }).collect();
    let set = [Operation::Set { key: b"on condition", value: b"" }];
    let on = |expectations| engine.apply(&WriteBatch { expectations, operations: &set });
    failed(on(&expectations[..]), Kind::Unsupported);
    assert_eq!(on(&expectations[..126])?, Outcome::Applied);
    Ok(())
}

#[test]
fn a_batch_of_twenty_thousand_is_one_step() -> testkit::Result {
    let Some(url) = etcd::shared_url(&etcd::fresh_namespace()) else { return Ok(()) };
    let engine = open(&options(url, 60_000))?;
    let keys: Vec<[u8; 4]> = (0..20_000_u32).map(u32::to_be_bytes).collect();
    let sets: Vec<_> = keys.iter().map(|key| Operation::Set { key, value: b"v" }).collect();
    let before = engine.snapshot()?;
    assert_eq!(apply(&*engine, &sets)?, Outcome::Applied);
    assert_eq!(count(&*engine)?, keys.len());
    assert!(before.get(&keys[0])?.is_none());
    let all: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
    assert!(engine.get_many(&all[..5000])?.iter().all(Option::is_some));
    assert_eq!(
        apply(&*engine, &[Operation::DeleteRange { start: b"", end: None }])?,
        Outcome::Applied
    );
    assert_eq!(count(&*engine)?, 0);
    Ok(())
}

/// Removes what the server still has of deleted and overwritten pairs.
fn compact(servers: &Servers, engine: &dyn Engine) -> testkit::Result {
    let maintenance = engine.maintenance().ok_or("it has maintenance")?;
    let revision = maintenance.property("etcd.revision")?.ok_or("it has a revision")?;
    servers.etcdctl(&["compact", &revision, "--physical"])?;
    Ok(())
}

#[test]
fn a_full_database_still_reads_and_deletes() -> testkit::Result {
    let setup = Setup { quota_backend_bytes: Some(8 << 20), ..Setup::default() };
    let Some(servers) = setup.start()? else { return Ok(()) };
    let engine = open(&options(servers.url("full"), TIMEOUT))?;
    let value = vec![7; 256 << 10];
    let mut written = Vec::new();
    let full = loop {
        let key = format!("key {}", written.len());
        match try_set(&*engine, &key, &value) {
            Ok(_) => written.push(key),
            Err(error) => break error,
        }
        assert!(written.len() < 1000, "the quota is used up");
    };
    assert_eq!(full.kind(), Kind::NoSpace, "{full}");
    assert!(full.to_string().contains("--quota-backend-bytes"), "{full}");
    assert_eq!(count(&*engine)?, written.len());
    for key in &written {
        assert!(engine.contains(key.as_bytes())?);
        let delete = [Operation::Delete { key: key.as_bytes() }];
        assert_eq!(apply(&*engine, &delete)?, Outcome::Applied);
    }
    // A program that starts now has no lease, and gets none.
    let newcomer = open(&options(servers.url("full"), TIMEOUT))?;
    assert_eq!(
        apply(&*newcomer, &[Operation::DeleteRange { start: b"", end: None }])?,
        Outcome::Applied
    );
    failed(try_set(&*newcomer, "key", b""), Kind::NoSpace);
    compact(&servers, &*engine)?;
    servers.etcdctl(&["defrag"])?;
    servers.etcdctl(&["alarm", "disarm"])?;
    assert_eq!(try_set(&*engine, "key", &value)?, Outcome::Applied);
    assert_eq!(try_set(&*newcomer, "key", &value)?, Outcome::Applied);
    Ok(())
}

#[test]
fn a_compaction_ends_snapshots_and_cursors() -> testkit::Result {
    let Some(servers) = Servers::start(1)? else { return Ok(()) };
    let engine = open(&options(servers.url("compacted"), TIMEOUT))?;
    for number in 0..100 {
        assert_eq!(try_set(&*engine, &format!("{number:03}"), b"old")?, Outcome::Applied);
    }
    let snapshot = engine.snapshot()?;
    let mut cursor = engine.cursor(Range::prefix(b""))?;
    cursor.first()?;
    assert_eq!(try_set(&*engine, "000", b"new")?, Outcome::Applied);
    compact(&servers, &*engine)?;
    let text = failed(snapshot.get(b"000").map(drop), Kind::Expired).to_string();
    assert!(text.contains("take a new snapshot"), "{text}");
    failed(snapshot.get_many(&[b"000", b"001"]).map(drop), Kind::Expired);
    // The first page was read before.
    let mut moves = 0;
    let ended = loop {
        match cursor.next() {
            Ok(()) => moves += 1,
            Err(error) => break error,
        }
        assert!(moves < 100, "the cursor needs another page");
    };
    assert_eq!(ended.kind(), Kind::Expired, "{ended}");
    assert_eq!(engine.snapshot()?.get(b"000")?.as_deref(), Some(&b"new"[..]));
    assert_eq!(count(&*engine)?, 100);
    Ok(())
}

#[test]
fn a_write_after_the_end_of_the_lease_gets_a_new_one() -> testkit::Result {
    let Some(servers) = Servers::start(1)? else { return Ok(()) };
    let engine = open(&options(servers.url("lease"), TIMEOUT))?;
    for round in 0..3 {
        assert_eq!(try_set(&*engine, "key", b"value")?, Outcome::Applied, "round {round}");
        let leases = servers.etcdctl(&["lease", "list"])?;
        let lease = leases.lines().nth(1).ok_or("there is a lease")?.to_owned();
        servers.etcdctl(&["lease", "revoke", &lease])?;
    }
    assert_eq!(try_set(&*engine, "key", b"value")?, Outcome::Applied);
    let name = |text: &str| text.lines().count();
    assert_eq!(name(&servers.etcdctl(&["get", "--prefix", "--keys-only", "lease/s/d"])?), 2);
    // The end of the last owner takes the lease along.
    drop(engine);
    let left = servers.etcdctl(&["get", "--prefix", "--keys-only", "lease/s/f"])?;
    assert_eq!(left.trim(), "");
    Ok(())
}

#[test]
fn users_roles_and_tokens() -> testkit::Result {
    let password = "open sesame";
    let setup = Setup { root_password: Some(password.to_owned()), ..Setup::default() };
    let Some(servers) = setup.start()? else { return Ok(()) };
    servers.etcdctl(&["user", "add", &format!("worker:{password}")])?;
    servers.etcdctl(&["role", "add", "store"])?;
    let role = ["role", "grant-permission", "store", "--prefix=true", "readwrite", "mine/s/"];
    servers.etcdctl(&role)?;
    servers.etcdctl(&["user", "grant-role", "worker", "store"])?;
    let login = |namespace: &str, user: &str, password: &str| {
        let mut options = options(servers.url(namespace), TIMEOUT);
        options.cluster_user = user.to_owned();
        options.cluster_password = password.to_owned().into();
        options
    };
    let engine = open(&login("mine", "worker", password))?;
    assert_eq!(try_set(&*engine, "key", b"value")?, Outcome::Applied);
    for (namespace, user, password) in [
        ("mine", "worker", "wrong secret"),
        ("mine", "stranger", "wrong secret"),
        ("mine", "", ""),
        ("theirs", "worker", password),
    ] {
        let text = failed(open(&login(namespace, user, password)).map(drop), Kind::Denied);
        let text = text.to_string();
        assert!(!text.contains("secret") && !text.contains("sesame"), "{text}");
        assert!(text.contains("127.0.0.1"), "{text}");
    }
    // The server forgets its tokens when it restarts.
    servers.node(0).restart()?;
    servers.wait_until_healthy()?;
    assert_eq!(try_set(&*engine, "key", b"other")?, Outcome::Applied);
    servers.etcdctl(&["role", "revoke-permission", "store", "--prefix=true", "mine/s/"])?;
    failed(try_set(&*engine, "key", b"value"), Kind::Denied);
    failed(engine.get(b"key").map(drop), Kind::Denied);
    Ok(())
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn tls_needs_the_right_certificates() -> testkit::Result {
    let (directory, other) = (testkit::temporary_directory()?, testkit::temporary_directory()?);
    let Some(files) = Certificates::generate(directory.path())? else { return Ok(()) };
    let Some(foreign) = Certificates::generate(other.path())? else { return Ok(()) };
    let setup =
        Setup { certificates: Some(files.clone()), client_certificates: true, ..Setup::default() };
    let Some(servers) = setup.start()? else { return Ok(()) };
    let with = |ca: &Path, client: Option<&Certificates>, timeout| Options {
        cluster_ca: text(ca),
        cluster_cert: client.map_or(String::new(), |files| text(&files.client_cert)),
        cluster_key: client.map_or(String::new(), |files| text(&files.client_key)),
        ..options(servers.url("tls"), timeout)
    };
    let engine = open(&with(&files.ca, Some(&files), TIMEOUT))?;
    assert_eq!(try_set(&*engine, "key", &vec![3; 1 << 20])?, Outcome::Applied);
    assert_eq!(engine.get(b"key")?.map(|value| value.len()), Some(1 << 20));
    for (wrong, says) in [
        (with(&foreign.ca, Some(&files), SHORT), "invalid peer certificate"),
        (with(&files.ca, None, SHORT), "ertificate"),
        (with(&files.ca, Some(&foreign), SHORT), "ertificate"),
    ] {
        // On a slow machine the time may be up before the server has refused.
        let mut tries = [SHORT, 10 * SHORT, 60 * SHORT].into_iter().map(|timeout| {
            let options = Options { cluster_timeout_ms: timeout, ..wrong.clone() };
            failed(open(&options).map(drop), Kind::Busy).to_string()
        });
        let text = tries.find(|text| text.contains(says)).expect("one names the cause");
        assert!(text.contains("127.0.0.1"), "{text}");
    }
    let missing = with(Path::new("/no/such/file.pem"), None, SHORT);
    let text = failed(open(&missing).map(drop), Kind::Io).to_string();
    assert!(text.contains("cluster_ca") && text.contains("/no/such/file.pem"), "{text}");
    let empty = with(&files.server_key, None, SHORT);
    failed(open(&empty).map(drop), Kind::InvalidArgument);
    failed(open(&with(Path::new(""), None, SHORT)).map(drop), Kind::InvalidArgument);
    Ok(())
}
