//! What writes and reads do after each failure of a call.
//!
//! Each failure is tried on calls that it follows and on calls that it precedes: the server has
//! applied the call, or not. Whatever happens, the data must not be put twice, and no write may be
//! sent again before the one that may have happened is settled.

use std::time::{Duration, Instant};

use h2::Reason;
use kvds::testing::{Engine, Kind, Options, Outcome};

use crate::fake::{CallKind, Fake, Fault, Reply};
use crate::{failed, open, options, try_set};

/// The time of a call that cannot succeed.
const SHORT: u64 = 150;
/// The time of a call that must succeed, also where an attempt takes long.
const LONG: u64 = 10_000;

const PASSWORD: &str = "open sesame";

fn status(code: i32, message: &'static str) -> Reply {
    Reply::Status { code, message, late: false }
}

/// What the design promises for a failure.
enum Row {
    /// Nothing was changed: the call is sent again, and fails with the kind if that never helps.
    Again(Kind),
    /// The call fails at once with the kind. Nothing was changed.
    Final(Kind),
    /// It is unknown whether the write happened. It is settled, and sent again if it did not.
    Unknown,
    /// As before, but the write is not sent again. It fails with the kind.
    Broken(Kind),
}

/// The failures that are no gRPC status, and those that are.
fn rows() -> Vec<(Reply, Row)> {
    use Row::{Again, Broken, Final, Unknown};
    let again = || Again(Kind::Busy);
    let mut rows = vec![
        (Reply::Reset(Reason::REFUSED_STREAM), again()),
        (Reply::Reset(Reason::CANCEL), Unknown),
        (Reply::Reset(Reason::INTERNAL_ERROR), Unknown),
        (Reply::Reset(Reason::NO_ERROR), Unknown),
        (Reply::GoAway, Unknown),
        (Reply::Cut, Unknown),
        (Reply::Http(503), Broken(Kind::Io)),
        (Reply::Http(404), Broken(Kind::Io)),
        (Reply::Garbage(b"\xFF\xFF\xFF"), Broken(Kind::Io)),
        (Reply::Headless, Broken(Kind::Io)),
        (status(0, "no message"), Broken(Kind::Io)),
        (status(15, "etcdserver: corrupt cluster"), Broken(Kind::Corruption)),
    ];
    for (code, message, row) in [
        (14, "etcdserver: no leader", again()),
        (14, "etcdserver: not capable", again()),
        (14, "etcdserver: rpc not supported for learner", again()),
        (8, "etcdserver: too many requests", again()),
        (16, "etcdserver: invalid auth token", Again(Kind::Denied)),
        (3, "etcdserver: revision of auth store is old", Again(Kind::Denied)),
        (3, "etcdserver: user name is empty", Again(Kind::Denied)),
        (7, "etcdserver: permission denied", Final(Kind::Denied)),
        (3, "etcdserver: authentication failed, invalid user ID or password", Final(Kind::Denied)),
        (3, "etcdserver: request is too large", Final(Kind::Unsupported)),
        (3, "etcdserver: too many operations in txn request", Final(Kind::Unsupported)),
        (8, "grpc: received message larger than max (3 vs. 2)", Final(Kind::Unsupported)),
        (3, "etcdserver: duplicate key given in txn request", Final(Kind::Internal)),
        (14, "etcdserver: request timed out", Unknown),
        (14, "etcdserver: leader changed", Unknown),
        (14, "etcdserver: server stopped", Unknown),
        (1, "context canceled", Unknown),
        (2, "unknown", Unknown),
        (4, "context deadline exceeded", Unknown),
        (13, "internal", Unknown),
        (12, "unknown service", Unknown),
        (8, "something new", Unknown),
        (14, "something new", Unknown),
        (99, "something new", Unknown),
    ] {
        rows.push((status(code, message), row));
    }
    rows
}

/// A fake server with an open store, which has a lease already.
struct Scene {
    fake: Fake,
    options: Options,
    patient: std::sync::Arc<dyn Engine>,
    hasty: std::sync::Arc<dyn Engine>,
}

impl Scene {
    fn new() -> testkit::Result<Scene> {
        let fake = Fake::start()?;
        let mut options = options(fake.url(), LONG);
        options.cluster_user = "user".to_owned();
        options.cluster_password = PASSWORD.to_owned().into();
        let patient = open(&options)?;
        let hasty = open(&Options { cluster_timeout_ms: SHORT, ..options.clone() })?;
        for engine in [&patient, &hasty] {
            assert_eq!(try_set(&**engine, "first", b"")?, Outcome::Applied);
        }
        fake.take_calls();
        Ok(Scene { fake, options, patient, hasty })
    }

    fn fail(&self, kind: CallKind, reply: &Reply, applies: bool, times: usize) {
        self.fake.fail(Fault { kind, reply: reply.clone(), applies, times });
    }

    /// Checks a failed call: that the text names the server, and has no password.
    #[track_caller]
    fn failed<T>(&self, result: kvds::testing::Result<T>, kind: Kind) -> String {
        let text = failed(result, kind).to_string();
        assert!(text.contains(&self.fake.address.to_string()), "{text}");
        assert!(!text.contains(PASSWORD), "{text}");
        text
    }

    /// Checks that each write that may have happened was settled before the next was sent.
    fn assert_settled(&self, what: &str) {
        let calls = self.fake.take_calls();
        let writes: Vec<usize> =
            (0..calls.len()).filter(|at| calls[*at] == CallKind::Write).collect();
        for pair in writes.windows(2) {
            assert!(calls[pair[0]..pair[1]].contains(&CallKind::Settle), "{what}: {calls:?}");
        }
    }
}

const ALWAYS: usize = usize::MAX;

#[test]
fn a_write_after_each_failure() -> testkit::Result {
    let scene = Scene::new()?;
    for (at, (reply, row)) in rows().iter().enumerate() {
        for applies in [false, true] {
            let key = format!("key {at} {applies}");
            let what = format!("{reply:?}, applied: {applies}");
            let applied = || usize::from(applies);
            match row {
                Row::Again(_) | Row::Final(_) if applies => continue,
                Row::Again(kind) => {
                    scene.fail(CallKind::Write, reply, applies, 1);
                    assert_eq!(try_set(&*scene.patient, &key, b"v")?, Outcome::Applied, "{what}");
                    assert_eq!(scene.fake.puts(key.as_bytes()), 1, "{what}");
                    let calls = scene.fake.take_calls();
                    assert!(!calls.contains(&CallKind::Settle), "{what}: {calls:?}");
                    let logs_in = calls.contains(&CallKind::LogIn);
                    assert_eq!(logs_in, *kind == Kind::Denied, "{what}: {calls:?}");
                    let key = format!("{key} always");
                    scene.fail(CallKind::Write, reply, applies, ALWAYS);
                    scene.failed(try_set(&*scene.hasty, &key, b"v"), *kind);
                    assert_eq!(scene.fake.puts(key.as_bytes()), 0, "{what}");
                }
                Row::Final(kind) => {
                    scene.fail(CallKind::Write, reply, applies, 1);
                    let text = scene.failed(try_set(&*scene.patient, &key, b"v"), *kind);
                    let names_flag = text.contains("--max-request-bytes");
                    assert_eq!(names_flag, *kind == Kind::Unsupported, "{what}: {text}");
                    assert_eq!(scene.fake.take_calls(), [CallKind::Write], "{what}");
                }
                Row::Unknown => {
                    scene.fail(CallKind::Write, reply, applies, 1);
                    assert_eq!(try_set(&*scene.patient, &key, b"v")?, Outcome::Applied, "{what}");
                    assert_eq!(scene.fake.puts(key.as_bytes()), 1, "{what}");
                    scene.assert_settled(&what);
                    // The settling fails too, and may have happened.
                    let key = format!("{key} twice");
                    scene.fail(CallKind::Write, reply, applies, 1);
                    scene.fail(CallKind::Settle, reply, true, 1);
                    assert_eq!(try_set(&*scene.patient, &key, b"v")?, Outcome::Applied, "{what}");
                    assert_eq!(scene.fake.puts(key.as_bytes()), 1, "{what}");
                    scene.assert_settled(&what);
                    let key = format!("{key} always");
                    scene.fail(CallKind::Write, reply, applies, 1);
                    scene.fail(CallKind::Settle, reply, false, ALWAYS);
                    scene.failed(try_set(&*scene.hasty, &key, b"v"), Kind::UnknownOutcome);
                    assert_eq!(scene.fake.puts(key.as_bytes()), applied(), "{what}");
                    scene.assert_settled(&what);
                }
                Row::Broken(kind) => {
                    scene.fail(CallKind::Write, reply, applies, 1);
                    let result = try_set(&*scene.patient, &key, b"v");
                    if applies {
                        assert_eq!(result?, Outcome::Applied, "{what}");
                    } else {
                        scene.failed(result, *kind);
                    }
                    assert_eq!(scene.fake.puts(key.as_bytes()), applied(), "{what}");
                    scene.assert_settled(&what);
                }
            }
            scene.fake.recover();
            scene.fake.take_calls();
        }
        // The connection, the slot and the lease still serve.
        for engine in [&scene.patient, &scene.hasty] {
            assert_eq!(try_set(&**engine, "last", b"")?, Outcome::Applied, "after {reply:?}");
        }
        scene.fake.take_calls();
    }
    Ok(())
}

#[test]
fn a_read_after_each_failure() -> testkit::Result {
    let scene = Scene::new()?;
    let get = |engine: &dyn Engine| engine.get(b"first").map(|value| value.is_some());
    for (reply, row) in rows() {
        scene.fail(CallKind::Read, &reply, false, 1);
        let once = get(&*scene.patient);
        scene.fail(CallKind::Read, &reply, false, ALWAYS);
        let always = get(&*scene.hasty);
        scene.fake.recover();
        match row {
            Row::Again(kind) => {
                assert!(once?, "{reply:?}");
                scene.failed(always, kind);
            }
            Row::Unknown => {
                assert!(once?, "{reply:?}");
                scene.failed(always, Kind::Busy);
            }
            Row::Final(kind) | Row::Broken(kind) => {
                scene.failed(once, kind);
                scene.failed(always, kind);
            }
        }
    }
    Ok(())
}

/// The texts of statuses that come in trailers, after headers, are read as those without any.
#[test]
fn a_status_in_trailers_counts() -> testkit::Result {
    let scene = Scene::new()?;
    let reply = Reply::Status { code: 7, message: "etcdserver: permission%20denied", late: true };
    scene.fail(CallKind::Write, &reply, false, 1);
    let text = scene.failed(try_set(&*scene.patient, "key", b""), Kind::Denied);
    assert!(text.contains("permission denied (gRPC status 7)"), "{text}");
    Ok(())
}

#[test]
fn a_user_without_a_login_is_denied() -> testkit::Result {
    let fake = Fake::start()?;
    let engine = open(&options(fake.url(), LONG))?;
    for (code, message) in
        [(3, "etcdserver: user name is empty"), (16, "etcdserver: invalid auth token")]
    {
        for kind in [CallKind::Write, CallKind::Read] {
            fake.fail(Fault { kind, reply: status(code, message), applies: false, times: 1 });
        }
        let text = failed(try_set(&*engine, "key", b""), Kind::Denied).to_string();
        assert!(text.contains(message), "{text}");
        failed(engine.get(b"key").map(drop), Kind::Denied);
    }
    Ok(())
}

/// The lease has ended, and the fence with it: the write gets new ones.
#[test]
fn a_lease_that_is_gone_is_replaced() -> testkit::Result {
    let scene = Scene::new()?;
    let gone = status(5, "etcdserver: requested lease not found");
    scene.fail(CallKind::Write, &gone, false, 1);
    assert_eq!(try_set(&*scene.patient, "key", b"")?, Outcome::Applied);
    assert_eq!(scene.fake.puts(b"key"), 1);
    assert_eq!(scene.fake.take_calls(), [CallKind::Write, CallKind::Grant, CallKind::Write]);
    scene.fail(CallKind::Write, &gone, false, ALWAYS);
    scene.failed(try_set(&*scene.hasty, "other", b""), Kind::Busy);
    assert_eq!(scene.fake.puts(b"other"), 0);
    scene.fake.recover();
    // Lost together with the write: only the fence could tell, and it went with the lease.
    scene.fail(CallKind::Write, &Reply::Cut, true, 1);
    scene.fail(CallKind::Settle, &gone, false, ALWAYS);
    scene.failed(try_set(&*scene.patient, "lost", b""), Kind::UnknownOutcome);
    Ok(())
}

/// etcd may say that the database is full for a write that it applied.
#[test]
fn no_space_is_checked_by_the_fence() -> testkit::Result {
    let scene = Scene::new()?;
    let full = status(8, "etcdserver: mvcc: database space exceeded");
    scene.fail(CallKind::Write, &full, false, 1);
    let text = scene.failed(try_set(&*scene.patient, "not", b""), Kind::NoSpace);
    assert!(text.contains("--quota-backend-bytes"), "{text}");
    assert_eq!(scene.fake.puts(b"not"), 0);
    scene.fail(CallKind::Write, &full, true, 1);
    assert_eq!(try_set(&*scene.patient, "applied", b"")?, Outcome::Applied);
    assert_eq!(scene.fake.puts(b"applied"), 1);
    // The read of the fence may meet the end of the login, as any call.
    scene.fail(CallKind::Write, &full, true, 1);
    scene.fail(CallKind::Read, &status(16, "etcdserver: invalid auth token"), false, 1);
    scene.fake.take_calls();
    assert_eq!(try_set(&*scene.patient, "login", b"")?, Outcome::Applied);
    assert!(scene.fake.take_calls().contains(&CallKind::LogIn));
    Ok(())
}

#[test]
fn a_revision_that_is_gone_is_expired() -> testkit::Result {
    let scene = Scene::new()?;
    let snapshot = scene.hasty.snapshot()?;
    let compacted = status(11, "etcdserver: mvcc: required revision has been compacted");
    scene.fail(CallKind::Read, &compacted, false, 1);
    scene.failed(snapshot.get(b"first").map(drop), Kind::Expired);
    let future = status(11, "etcdserver: mvcc: required revision is a future revision");
    scene.fail(CallKind::Read, &future, false, 1);
    assert!(snapshot.get(b"first")?.is_some());
    scene.fail(CallKind::Read, &future, false, ALWAYS);
    scene.failed(snapshot.get(b"first").map(drop), Kind::Busy);
    Ok(())
}

/// A frozen server neither responds nor ends the connection. The attempt ends, not the call.
#[test]
fn a_server_that_is_silent_costs_one_attempt() -> testkit::Result {
    let scene = Scene::new()?;
    for (applies, key) in [(false, "not"), (true, "applied")] {
        scene.fail(CallKind::Write, &Reply::Silence, applies, 1);
        let start = Instant::now();
        assert_eq!(try_set(&*scene.patient, key, b"")?, Outcome::Applied);
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        assert_eq!(scene.fake.puts(key.as_bytes()), 1);
        scene.assert_settled(key);
    }
    scene.fail(CallKind::Write, &Reply::Late(Duration::from_millis(100)), true, 1);
    assert_eq!(try_set(&*scene.patient, "late", b"")?, Outcome::Applied);
    assert_eq!(scene.fake.take_calls(), [CallKind::Write]);
    Ok(())
}

/// A time limit that is shorter than one attempt leaves time to settle.
#[test]
fn a_short_time_limit_leaves_time_to_settle() -> testkit::Result {
    let scene = Scene::new()?;
    let options = Options { cluster_timeout_ms: 900, ..scene.options.clone() };
    let engine = open(&options)?;
    assert_eq!(try_set(&*engine, "first", b"")?, Outcome::Applied);
    for (applies, key) in [(false, "not"), (true, "applied")] {
        scene.fail(CallKind::Write, &Reply::Silence, applies, 1);
        assert_eq!(try_set(&*engine, key, b"")?, Outcome::Applied);
        assert_eq!(scene.fake.puts(key.as_bytes()), 1);
    }
    Ok(())
}

/// The token ends while it is unknown whether the write happened. "Denied" would say that it did
/// not.
#[test]
fn a_login_that_ends_during_settling_hides_no_write() -> testkit::Result {
    let scene = Scene::new()?;
    let ended = status(16, "etcdserver: invalid auth token");
    scene.fail(CallKind::Write, &Reply::Cut, true, 1);
    scene.fail(CallKind::Settle, &ended, false, 1);
    assert_eq!(try_set(&*scene.patient, "once", b"")?, Outcome::Applied);
    scene.fail(CallKind::Write, &Reply::Cut, true, 1);
    scene.fail(CallKind::Settle, &ended, false, ALWAYS);
    scene.failed(try_set(&*scene.patient, "always", b""), Kind::UnknownOutcome);
    Ok(())
}

/// A login that fails has sent no write.
#[test]
fn a_failed_login_changes_nothing() -> testkit::Result {
    let scene = Scene::new()?;
    for reply in [Reply::Cut, status(14, "etcdserver: request timed out"), Reply::Http(503)] {
        let what = format!("{reply:?}");
        let engine = open(&Options { cluster_timeout_ms: SHORT, ..scene.options.clone() })?;
        assert_eq!(try_set(&*engine, "first", b"")?, Outcome::Applied);
        let ended = status(16, "etcdserver: invalid auth token");
        scene.fail(CallKind::Write, &ended, false, 1);
        scene.fail(CallKind::LogIn, &reply, false, ALWAYS);
        let error = try_set(&*engine, "key", b"").expect_err("no login is possible");
        let expected = if matches!(reply, Reply::Http(_)) { Kind::Io } else { Kind::Busy };
        assert_eq!(error.kind(), expected, "{what}: {error}");
        assert!(!error.to_string().contains(PASSWORD), "{error}");
        scene.fake.recover();
    }
    let wrong = status(3, "etcdserver: authentication failed, invalid user ID or password");
    scene.fail(CallKind::LogIn, &wrong, false, 1);
    scene.failed(open(&scene.options), Kind::Denied);
    Ok(())
}

#[test]
fn another_cluster_at_the_same_address_closes_the_store() -> testkit::Result {
    let scene = Scene::new()?;
    scene.fake.replace_cluster();
    for _ in 0..2 {
        let error = failed(scene.patient.get(b"first").map(drop), Kind::Closed);
        assert!(error.to_string().contains("replaced"), "{error}");
        failed(try_set(&*scene.patient, "key", b""), Kind::Closed);
    }
    Ok(())
}
