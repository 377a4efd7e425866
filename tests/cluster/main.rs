//! Tests what the cluster engine does in failures: of a server, of the network, and at the limits
//! of a cluster.
//!
//! | module | it has |
//! |---|---|
//! | `fake` | a server that fails as a test says |
//! | `proxy` | a proxy that cuts connections at a byte |
//! | `verdicts` | each failure of a call, on the fake server |
//! | `cuts` | connections that end at each byte, on a real server |
//! | `limits` | limits, logins, TLS and lost stores, on real servers |
//! | `unique_keys` | writers of unique keys while servers fail |
//! | `partitions` | the same while the network comes apart |
//! | `processes` | a counter of many processes while the leader is killed |
#![cfg(feature = "cluster")]

mod cuts;
mod fake;
mod limits;
mod partitions;
mod processes;
mod proxy;
mod unique_keys;
mod verdicts;

use std::sync::Arc;

use kvds::testing::{
    Backend, Client, Cluster, Engine, Error, Identity, Kind, Operation, Options, Outcome, Ref,
    Result as StoreResult, Store, WriteBatch,
};
use testkit::engines::no_lease;

/// Returns options for a cluster, with a time limit for each call.
fn options(url: String, timeout_ms: u64) -> Options {
    Options { cluster: url.into(), cluster_timeout_ms: timeout_ms, ..Options::default() }
}

/// Opens the store `s` with a client of its own.
fn open(options: &Options) -> StoreResult<Arc<dyn Engine>> {
    let client = Client::new(options)?;
    let engine = Cluster::open(&client, b"s", options, no_lease())?;
    engine.ok_or_else(|| Error::new(Kind::Internal, "there is no store"))
}

fn try_set(engine: &dyn Engine, key: &str, value: &[u8]) -> StoreResult<Outcome> {
    let operations = [Operation::Set { key: key.as_bytes(), value }];
    engine.apply(&WriteBatch { expectations: &[], operations: &operations })
}

/// Returns the error that a call must fail with.
#[track_caller]
fn failed<T>(result: StoreResult<T>, kind: Kind) -> Error {
    match result {
        Ok(_) => panic!("it should fail with {kind:?}"),
        Err(error) => {
            assert_eq!(error.kind(), kind, "{error}");
            error
        }
    }
}

/// Opens the store `s` of a URL.
fn open_store(url: String, timeout_ms: u64) -> testkit::Result<Ref<Store>> {
    let engine = open(&options(url, timeout_ms))?;
    let identity = Identity { tag: 0, id: c"s".to_owned(), backend: Backend::Cluster };
    Ok(Store::on(engine, identity, Arc::default()))
}
