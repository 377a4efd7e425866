//! The cluster engine, on etcd.
//!
//! A store is the keys `NAMESPACE/NAME/`, then one byte for their kind: `d` for data, `f` for
//! fences, `m` for the marker, which shows that the store exists. No process owns a store. Every
//! write is one transaction of etcd; an acknowledged one is on the disks of a majority.
//!
//! | module | it has |
//! |---|---|
//! | `url` | the URL of a cluster |
//! | `wire` | the messages of etcd's API |
//! | `stream`, `channel` | a connection, driven by the calling thread |
//! | `verdict` | what a failure means |
//! | `pool` | the connections, the servers, the login and the lease of a distributor |
//! | `plan` | a batch as the operations of a transaction |
//! | `fence` | writes whose lost responses are settled |
//! | `cursor` | pages of one revision |
//! | `watch` | the events of a range |

mod channel;
mod cursor;
mod fence;
mod plan;
mod pool;
mod stream;
mod url;
mod verdict;
mod watch;
pub mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;

use self::cursor::ClusterCursor;
use self::fence::Fences;
pub use self::pool::Client;
use self::pool::Consistency;
use self::url::Url;
use self::verdict::Verdict;
use self::watch::ClusterWatch;
use self::wire::{
    CREATE, Compare, CompareWith, DeleteRangeRequest, EQUAL, PutRequest, RangeRequest, Request,
    Response, StatusRequest, TxnRequest, TxnResponse, VERSION,
};
use crate::batch::{Outcome, WriteBatch};
use crate::engine::{
    Cursor, Engine, Lease, Maintenance, Range, Reader, Stats, TimeLeft, Value, Watch,
};
use crate::error::{Error, Kind, Result};
use crate::options::Options;

/// The version of the layout, which is the value of the marker.
const LAYOUT: &[u8] = b"1";

/// The reads that one level of a transaction takes.
const READS: usize = 126;

/// Checks the options of cluster stores, and uses no network.
pub fn check(options: &Options) -> Result<()> {
    if !options.cluster.is_empty() {
        Url::parse(options.cluster.reveal())?;
    }
    Ok(())
}

/// A store in a cluster.
pub struct Cluster {
    store: Arc<Keyspace>,
}

/// What the engine, its snapshots and its cursors share.
struct Keyspace {
    client: Arc<Client>,
    /// `NAMESPACE/NAME/`.
    prefix: Vec<u8>,
    /// The revision in which the store was created.
    created: i64,
    fences: Fences,
    read_only: bool,
    reads: AtomicU64,
    hits: AtomicU64,
    writes: AtomicU64,
    /// Dropped last.
    _lease: Lease,
}

fn prefix(client: &Client, name: &[u8]) -> Vec<u8> {
    [client.namespace(), b"/", name, b"/"].concat()
}

impl Keyspace {
    /// Returns the key in the cluster of a key of some kind.
    fn key(&self, kind: u8, key: &[u8]) -> Bytes {
        [&self.prefix[..], &[kind], key].concat().into()
    }

    /// Returns the end of all data.
    fn data_end(&self) -> Bytes {
        self.key(b'd' + 1, b"")
    }

    fn data_prefix_len(&self) -> usize {
        self.prefix.len() + 1
    }

    fn marker(&self) -> Bytes {
        self.key(b'm', b"")
    }

    /// Returns the current revision of the cluster.
    fn revision(&self) -> Result<i64> {
        let request =
            RangeRequest { key: self.marker(), count_only: true, ..RangeRequest::default() };
        let response = self.client.ask(&request, Consistency::Linearizable)?;
        Ok(response.header.map_or(0, |header| header.revision))
    }

    fn get(&self, key: &[u8], revision: i64) -> Result<Option<Value>> {
        let request = RangeRequest {
            key: self.key(b'd', key),
            revision,
            serializable: revision != 0,
            ..RangeRequest::default()
        };
        let response = self.client.ask(&request, consistency(revision))?;
        let value = response.kvs.into_iter().next().map(|pair| pair.value);
        self.count(1, u64::from(value.is_some()));
        Ok(value.map(pinned))
    }

    fn contains(&self, key: &[u8], revision: i64) -> Result<bool> {
        let request = RangeRequest {
            key: self.key(b'd', key),
            revision,
            serializable: revision != 0,
            count_only: true,
            ..RangeRequest::default()
        };
        let response = self.client.ask(&request, consistency(revision))?;
        self.count(1, u64::from(response.count > 0));
        Ok(response.count > 0)
    }

    fn time_left(&self, key: &[u8], revision: i64) -> Result<Option<TimeLeft>> {
        let request = RangeRequest {
            key: self.key(b'd', key),
            revision,
            serializable: revision != 0,
            keys_only: true,
            ..RangeRequest::default()
        };
        let response = self.client.ask(&request, consistency(revision))?;
        let Some(pair) = response.kvs.first() else { return Ok(None) };
        self.client.time_left(pair.lease).map(Some)
    }

    fn get_many(&self, keys: &[&[u8]], revision: i64) -> Result<Vec<Option<Value>>> {
        if keys.is_empty() {
            self.client.check()?;
            return Ok(Vec::new());
        }
        let reads = keys.iter().map(|key| {
            let range = RangeRequest {
                key: self.key(b'd', key),
                revision,
                serializable: revision != 0,
                ..RangeRequest::default()
            };
            Request::Range(range).into()
        });
        // The levels count as those of a write do: two comparisons are too many to worry about.
        let success = plan::nested(reads.collect(), 2.min(READS), false);
        let request = TxnRequest { success, ..TxnRequest::default() };
        let response = self.client.ask(&request, consistency(revision))?;
        let mut values = Vec::with_capacity(keys.len());
        flatten(response, &mut values);
        if values.len() != keys.len() {
            return Err(Error::new(Kind::Io, "etcd responded with another number of values"));
        }
        let found = values.iter().flatten().count();
        self.count(keys.len() as u64, found as u64);
        Ok(values)
    }

    fn count(&self, reads: u64, hits: u64) {
        self.reads.fetch_add(reads, Relaxed);
        self.hits.fetch_add(hits, Relaxed);
    }
}

fn consistency(revision: i64) -> Consistency {
    if revision == 0 { Consistency::Linearizable } else { Consistency::Serializable }
}

fn pinned(value: Bytes) -> Value {
    Value::Pinned(Box::new(value))
}

/// Collects the values that a read-only transaction found, in order.
fn flatten(response: TxnResponse, values: &mut Vec<Option<Value>>) {
    for response in response.responses {
        match response.response {
            Some(Response::Range(range)) => {
                values.push(range.kvs.into_iter().next().map(|pair| pinned(pair.value)));
            }
            Some(Response::Txn(inner)) => flatten(inner, values),
            _ => {}
        }
    }
}

impl Cluster {
    /// Returns that this build has cluster stores.
    pub fn available() -> Result<()> {
        Ok(())
    }

    /// Opens the store `name`. Returns `None` if it does not exist and the options forbid creating
    /// it.
    pub fn open(
        client: &Arc<Client>,
        name: &[u8],
        options: &Options,
        lease: Lease,
    ) -> Result<Option<Arc<dyn Engine>>> {
        let prefix = prefix(client, name);
        let creates = options.create_if_missing && !options.read_only;
        let Some(created) = find_or_create(client, &prefix, creates)? else { return Ok(None) };
        let store = Keyspace {
            client: client.clone(),
            prefix,
            created,
            fences: Fences::new()?,
            read_only: options.read_only,
            reads: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            _lease: lease,
        };
        Ok(Some(Arc::new(Cluster { store: Arc::new(store) })))
    }

    /// Deletes the store `name`. Returns whether it existed.
    pub fn destroy(client: &Arc<Client>, name: &[u8]) -> Result<bool> {
        let prefix = prefix(client, name);
        let Some(created) = find_or_create(client, &prefix, false)? else { return Ok(false) };
        let mut end = prefix.clone();
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        let marker = Bytes::from([&prefix[..], b"m"].concat());
        let range = DeleteRangeRequest { key: prefix.into(), range_end: end.into() };
        let request = TxnRequest {
            compare: vec![Compare {
                result: EQUAL,
                target: CREATE,
                key: marker,
                with: Some(CompareWith::CreateRevision(created)),
            }],
            success: vec![Request::DeleteRange(range).into()],
            failure: Vec::new(),
        };
        // Sent again after a lost response: it deletes no store that was created since.
        let mut turns = client.turns()?;
        loop {
            match turns.attempt(&request, Consistency::Linearizable) {
                Ok(response) => return response.map(|_| true),
                Err(failure) => match failure.verdict(client.has_login()) {
                    Verdict::Unknown => turns.again(failure, Kind::UnknownOutcome)?,
                    _ => turns.settled(failure)?,
                },
            }
        }
    }
}

/// Returns the revision in which the store was created, and creates it if that is allowed.
fn find_or_create(client: &Client, prefix: &[u8], creates: bool) -> Result<Option<i64>> {
    let marker = Bytes::from([prefix, b"m"].concat());
    let read = RangeRequest { key: marker.clone(), ..RangeRequest::default() };
    let create = TxnRequest {
        compare: vec![Compare {
            result: EQUAL,
            target: VERSION,
            key: marker.clone(),
            with: Some(CompareWith::Version(0)),
        }],
        success: vec![
            Request::Put(PutRequest {
                key: marker.clone(),
                value: Bytes::from_static(LAYOUT),
                lease: 0,
                ignore_value: false,
            })
            .into(),
        ],
        failure: Vec::new(),
    };
    let mut turns = client.turns()?;
    let mut found = client.ask(&read, Consistency::Linearizable)?.kvs.into_iter().next();
    while found.is_none() && creates {
        // It makes no difference who creates the marker, so a lost response is no matter.
        match turns.attempt(&create, Consistency::Linearizable) {
            Ok(response) => {
                response?;
            }
            Err(failure) => match failure.verdict(client.has_login()) {
                Verdict::Unknown => turns.again(failure, Kind::Busy)?,
                _ => turns.settled(failure)?,
            },
        }
        found = client.ask(&read, Consistency::Linearizable)?.kvs.into_iter().next();
        if found.is_none() && std::time::Instant::now() >= turns.deadline {
            return Err(turns.failed(Kind::Busy));
        }
    }
    let Some(marker) = found else { return Ok(None) };
    if marker.value != LAYOUT {
        return Err(Error::new(Kind::Unsupported, "a newer version of kvds has written the store"));
    }
    Ok(Some(marker.create_revision))
}

impl Reader for Cluster {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.store.get(key, 0)
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        self.store.contains(key, 0)
    }

    fn time_left(&self, key: &[u8]) -> Result<Option<TimeLeft>> {
        self.store.time_left(key, 0)
    }

    fn cursor(&self, range: Range) -> Result<Box<dyn Cursor>> {
        Ok(Box::new(ClusterCursor::new(&self.store, &range, None)?))
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        self.store.get_many(keys, 0)
    }
}

impl Engine for Cluster {
    fn apply(&self, batch: &WriteBatch<'_>) -> Result<Outcome> {
        if self.store.read_only {
            return Err(Error::new(Kind::Denied, "the store was opened for reading only"));
        }
        let outcome = fence::apply(&self.store, batch)?;
        if outcome == Outcome::Applied {
            self.store.writes.fetch_add(batch.operations.len() as u64, Relaxed);
        }
        Ok(outcome)
    }

    fn snapshot(&self) -> Result<Arc<dyn Reader>> {
        Ok(Arc::new(Snapshot { store: self.store.clone(), revision: self.store.revision()? }))
    }

    fn watch(&self, range: Range, after: Option<u64>) -> Result<Box<dyn Watch>> {
        Ok(Box::new(ClusterWatch::new(&self.store, &range, after)?))
    }

    fn check(&self) -> Result<()> {
        self.store.client.check()
    }

    fn maintenance(&self) -> Option<&dyn Maintenance> {
        Some(self)
    }
}

// Nothing is to be synced: what is acknowledged is on the disks of a majority. Compaction is the
// operator's, and would end the snapshots of others.
impl Maintenance for Cluster {
    fn sync(&self) -> Result<()> {
        self.check()
    }

    fn compact(&self) -> Result<()> {
        self.check()
    }

    fn refresh(&self) -> Result<()> {
        self.check()
    }

    fn stats(&self) -> Result<Stats> {
        let request = RangeRequest {
            key: self.store.key(b'd', b""),
            range_end: self.store.data_end(),
            count_only: true,
            ..RangeRequest::default()
        };
        let response = self.store.client.ask(&request, Consistency::Linearizable)?;
        Ok(Stats {
            keys: response.count.try_into().unwrap_or(0),
            reads: self.store.reads.load(Relaxed),
            hits: self.store.hits.load(Relaxed),
            writes: self.store.writes.load(Relaxed),
            ..Stats::default()
        })
    }

    fn property(&self, name: &str) -> Result<Option<String>> {
        let field = match name.strip_prefix("etcd.") {
            Some(field @ ("version" | "db_size" | "leader" | "revision")) => field,
            _ => return Ok(None),
        };
        let status = self.store.client.ask(&StatusRequest {}, Consistency::Linearizable)?;
        Ok(Some(match field {
            "version" => status.version,
            "db_size" => status.db_size.to_string(),
            "leader" => format!("{:x}", status.leader),
            _ => status.header.map_or(0, |header| header.revision).to_string(),
        }))
    }
}

/// A revision of a store.
struct Snapshot {
    store: Arc<Keyspace>,
    revision: i64,
}

impl Reader for Snapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.store.get(key, self.revision)
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        self.store.contains(key, self.revision)
    }

    fn time_left(&self, key: &[u8]) -> Result<Option<TimeLeft>> {
        self.store.time_left(key, self.revision)
    }

    fn cursor(&self, range: Range) -> Result<Box<dyn Cursor>> {
        Ok(Box::new(ClusterCursor::new(&self.store, &range, Some(self.revision))?))
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        self.store.get_many(keys, self.revision)
    }
}
