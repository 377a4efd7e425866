//! etcd-client, the Rust client of etcd: asynchronous, over tokio and tonic.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use etcd_client::{
    Client, Compare, CompareOp, DeleteOptions, GetOptions, KvClient, PutOptions, Txn, TxnOp,
};
use tokio::runtime::{Builder, Runtime};

use crate::data::digest;
use crate::peer::{Pair, Store, Visit};

pub const VERSION: &str = env!("VERSION_ETCD_CLIENT");

/// What one thread uses. Its keys are in a namespace, as those of kvds are.
pub struct EtcdClient {
    runtime: Arc<Runtime>,
    // A lock without contention: each thread has its own client.
    client: Mutex<KvClient>,
    prefix: Vec<u8>,
}

impl EtcdClient {
    /// Returns a client for each of `count` threads, over one runtime and one connection to each
    /// server. So programs with a runtime use the crate.
    pub fn sharing(addresses: &[String], prefix: &str, count: usize) -> Result<Vec<EtcdClient>> {
        let runtime = Arc::new(Builder::new_multi_thread().enable_all().build()?);
        let client = runtime.block_on(Client::connect(addresses, None))?;
        let new = |_| EtcdClient::new(&runtime, &client, prefix);
        Ok((0..count).map(new).collect())
    }

    /// Returns a client with a runtime and connections of its own.
    pub fn alone(addresses: &[String], prefix: &str) -> Result<EtcdClient> {
        let runtime = Arc::new(Builder::new_current_thread().enable_all().build()?);
        let client = runtime.block_on(Client::connect(addresses, None))?;
        Ok(EtcdClient::new(&runtime, &client, prefix))
    }

    fn new(runtime: &Arc<Runtime>, client: &Client, prefix: &str) -> EtcdClient {
        EtcdClient {
            runtime: runtime.clone(),
            client: Mutex::new(client.kv_client()),
            prefix: prefix.as_bytes().to_vec(),
        }
    }

    /// Removes all keys.
    pub fn clear(&self) {
        let options = DeleteOptions::new().with_prefix();
        must(self.runtime.block_on(self.client().delete(self.prefix.clone(), Some(options))));
    }

    fn client(&self) -> MutexGuard<'_, KvClient> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(&self, key: &[u8]) -> Vec<u8> {
        [&self.prefix, key].concat()
    }
}

fn must<T>(result: Result<T, etcd_client::Error>) -> T {
    result.unwrap_or_else(|cause| panic!("etcd-client: {cause}"))
}

impl Store for EtcdClient {
    fn get(&self, key: &[u8]) -> Option<u64> {
        let response = must(self.runtime.block_on(self.client().get(self.key(key), None)));
        response.kvs().first().map(|pair| digest(pair.value()))
    }

    fn exists(&self, key: &[u8]) -> bool {
        let options = GetOptions::new().with_count_only();
        must(self.runtime.block_on(self.client().get(self.key(key), Some(options)))).count() > 0
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        let options: Option<PutOptions> = None;
        must(self.runtime.block_on(self.client().put(self.key(key), value, options)));
    }

    fn del(&self, key: &[u8]) {
        must(self.runtime.block_on(self.client().delete(self.key(key), None)));
    }

    fn iterate(&self, prefix: &[u8], visit: Visit<'_>) {
        let options = GetOptions::new().with_prefix();
        let key = self.key(prefix);
        let response = must(self.runtime.block_on(self.client().get(key, Some(options))));
        for pair in response.kvs() {
            visit(&pair.key()[self.prefix.len()..], pair.value());
        }
    }

    fn compare_and_swap(&self, key: &[u8], expected: &[u8], value: &[u8]) -> bool {
        let key = self.key(key);
        let txn = Txn::new()
            .when([Compare::value(key.clone(), CompareOp::Equal, expected)])
            .and_then([TxnOp::put(key, value, None)]);
        must(self.runtime.block_on(self.client().txn(txn))).succeeded()
    }

    fn set_batch(&self, pairs: &[Pair<'_>]) {
        let puts = pairs.iter().map(|pair| TxnOp::put(self.key(pair.key), pair.value, None));
        let txn = Txn::new().and_then(puts.collect::<Vec<_>>());
        must(self.runtime.block_on(self.client().txn(txn)));
    }
}
