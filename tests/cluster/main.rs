//! Tests the cluster engine on real servers that fail, and on a fake one.
#![cfg(feature = "cluster")]

mod partitions;
mod processes;
mod unique_keys;

use std::sync::Arc;

use kvds::testing::{Backend, Client, Cluster, Identity, Options, Ref, Store};
use testkit::engines::no_lease;

/// Opens the store of a URL, with a time limit for each call.
fn open(url: String, cluster_timeout_ms: u64) -> testkit::Result<Ref<Store>> {
    let options = Options { cluster: url.into(), cluster_timeout_ms, ..Options::default() };
    let client = Client::new(&options)?;
    let engine = Cluster::open(&client, b"store", &options, no_lease())?.ok_or("no store")?;
    let identity = Identity { tag: 0, id: c"store".to_owned(), backend: Backend::Cluster };
    Ok(Store::on(engine, identity, Arc::default()))
}
