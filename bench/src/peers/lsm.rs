//! fjall, a log-structured store in Rust.

use std::ops::Bound;
use std::path::Path;

use anyhow::Result;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::data::digest;
use crate::peer::{Ability, Durability, Medium, Pair, Peer, Store, Visit};

pub fn peers() -> Vec<Peer> {
    use Ability::*;
    let peer = |settings, durability, open| Peer {
        name: "fjall",
        version: env!("VERSION_FJALL").to_owned(),
        settings,
        medium: Medium::Disk,
        durability,
        can: &[Iterate, Scan, Batch],
        open,
    };
    vec![
        peer("256 MiB cache: the system has every write", Durability::ProcessCrash, |path| {
            Fjall::open(path, PersistMode::Buffer)
        }),
        peer("persist(SyncData) after every write", Durability::PowerCut, |path| {
            Fjall::open(path, PersistMode::SyncData)
        }),
    ]
}

struct Fjall {
    database: Database,
    all: Keyspace,
    persist: PersistMode,
}

impl Fjall {
    fn open(path: &Path, persist: PersistMode) -> Result<Box<dyn Store>> {
        let database = Database::builder(path).cache_size(super::CACHE_BYTES as u64).open()?;
        let all = database.keyspace("all", KeyspaceCreateOptions::default)?;
        Ok(Box::new(Fjall { database, all, persist }))
    }

    /// The mode to persist after each write. By default the system has it already.
    fn written(&self, result: fjall::Result<()>) {
        result.expect(FAILED);
        if self.persist != PersistMode::Buffer {
            self.database.persist(self.persist).expect(FAILED);
        }
    }
}

const FAILED: &str = "fjall failed";

impl Store for Fjall {
    fn get(&self, key: &[u8]) -> Option<u64> {
        self.all.get(key).expect(FAILED).map(|value| digest(&value))
    }

    fn exists(&self, key: &[u8]) -> bool {
        self.all.contains_key(key).expect(FAILED)
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        self.written(self.all.insert(key, value));
    }

    fn del(&self, key: &[u8]) {
        self.written(self.all.remove(key));
    }

    fn iterate(&self, prefix: &[u8], visit: Visit<'_>) {
        for entry in self.all.prefix(prefix) {
            let (key, value) = entry.into_inner().expect(FAILED);
            visit(&key, &value);
        }
    }

    fn scan(&self, start: &[u8], count: usize, backward: bool, visit: Visit<'_>) {
        let mut show = |entry: fjall::Guard| {
            let (key, value) = entry.into_inner().expect(FAILED);
            visit(&key, &value);
        };
        if backward {
            let down = self.all.range::<&[u8], _>((Bound::Unbounded, Bound::Included(start))).rev();
            down.take(count).for_each(&mut show);
        } else {
            let up = self.all.range::<&[u8], _>((Bound::Included(start), Bound::Unbounded));
            up.take(count).for_each(&mut show);
        }
    }

    fn set_batch(&self, pairs: &[Pair<'_>]) {
        let mut batch = self.database.batch();
        for pair in pairs {
            batch.insert(&self.all, pair.key, pair.value);
        }
        self.written(batch.commit());
    }
}
