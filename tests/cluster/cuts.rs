//! Connections that end at each byte of a write, on a real server.
//!
//! The proxy cuts one connection and lets all others pass, so every write can be settled in time:
//! each must succeed. Each sets a key that nothing else sets, on the condition that it does not
//! exist. A write that was applied and sent again would return that the key exists.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};

use kvds::testing::{Engine, Expectation, Operation, Outcome, Range, WriteBatch};
use testkit::etcd;

use crate::proxy::{Direction, Proxy};
use crate::{open, options};

/// How long each write may take.
const TIMEOUT: u64 = 3000;

/// Most of the time is waiting, so there are more threads than processors.
const THREADS: u64 = 8;

fn set_new(engine: &dyn Engine, key: &[u8]) -> kvds::testing::Result<Outcome> {
    engine.apply(&WriteBatch {
        expectations: &[Expectation::Absent { key }],
        operations: &[Operation::Set { key, value: b"value" }],
    })
}

/// What a thread uses: a proxy, and where it is.
struct Cuts {
    proxy: Proxy,
    url: String,
    direction: Direction,
}

impl Cuts {
    /// Writes on a connection that has worked before.
    fn on_a_warm_connection(&self, engine: &dyn Engine, at: u64) -> testkit::Result<bool> {
        assert_eq!(set_new(engine, format!("warm {at} before").as_bytes())?, Outcome::Applied);
        self.proxy.cut_after(self.direction, at);
        let outcome = set_new(engine, format!("warm {at}").as_bytes())?;
        assert_eq!(outcome, Outcome::Applied);
        Ok(self.proxy.take_cut())
    }

    /// Opens a store on a connection, and writes. The lease is granted on it too.
    fn on_a_new_connection(&self, at: u64) -> testkit::Result<bool> {
        self.proxy.cut_after(self.direction, at);
        let engine = open(&options(self.url.clone(), TIMEOUT))?;
        let outcome = set_new(&*engine, format!("new {at}").as_bytes())?;
        assert_eq!(outcome, Outcome::Applied);
        Ok(self.proxy.take_cut())
    }
}

fn cut_at_each_byte(direction: Direction) -> testkit::Result {
    let Some(servers) = etcd::shared() else { return Ok(()) };
    let namespace = etcd::fresh_namespace();
    let server: SocketAddr = servers.node(0).address().parse()?;
    let direct = open(&options(servers.url(&namespace), TIMEOUT))?;
    let failures = Mutex::new(Vec::new());
    let mut expected = BTreeSet::new();
    for is_warm in [true, false] {
        let next = AtomicU64::new(0);
        let ended = AtomicBool::new(false);
        let run = || -> testkit::Result {
            let proxy = Proxy::start(server)?;
            let url = format!("etcd://{}/{namespace}", proxy.address);
            let cuts = Cuts { proxy, url, direction };
            let engine = open(&options(cuts.url.clone(), TIMEOUT))?;
            // Ends at the first byte that the whole exchange does not reach.
            while !ended.load(SeqCst) {
                let at = next.fetch_add(1, SeqCst);
                let passed = if is_warm {
                    cuts.on_a_warm_connection(&*engine, at)
                } else {
                    cuts.on_a_new_connection(at)
                };
                if passed.map_err(|cause| format!("{direction:?}, byte {at}: {cause}"))? {
                    ended.store(true, SeqCst);
                }
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    if let Err(cause) = run() {
                        let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
                        failures.push(cause.to_string());
                    }
                });
            }
        });
        let count = next.load(SeqCst);
        eprintln!("{direction:?}, warm: {is_warm}: {count} cuts");
        assert!(count > 50, "{count} bytes are no write");
        for at in 0..count {
            if is_warm {
                expected.insert(format!("warm {at} before").into_bytes());
                expected.insert(format!("warm {at}").into_bytes());
            } else {
                expected.insert(format!("new {at}").into_bytes());
            }
        }
    }
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(failures, [""; 0]);
    let mut found = BTreeSet::new();
    direct.scan(Range::prefix(b""), &mut |key, _| found.insert(key.to_vec()))?;
    assert_eq!(found, expected);
    Ok(())
}

#[test]
fn a_write_whose_response_is_cut_at_each_byte() -> testkit::Result {
    cut_at_each_byte(Direction::ToClient)
}

#[test]
fn a_write_whose_request_is_cut_at_each_byte() -> testkit::Result {
    cut_at_each_byte(Direction::ToServer)
}
