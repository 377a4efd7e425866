//! LMDB, by heed.

use std::ops::Bound;
use std::path::Path;

use anyhow::Result;
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, PutFlags};

use super::ALL;
use crate::data::digest;
use crate::peer::{Durability, Medium, Pair, Peer, Store, Visit};

/// The maximum size of the file. It only reserves addresses.
const MAP: usize = 64 << 30;

pub fn peers() -> Vec<Peer> {
    let heed::LmdbVersion { major, minor, patch, .. } = heed::lmdb_version();
    let peer = |settings, durability, open| Peer {
        name: super::LMDB,
        version: format!("{major}.{minor}.{patch}"),
        settings,
        medium: Medium::Disk,
        durability,
        can: ALL,
        open,
    };
    vec![
        peer(
            "MDB_NOSYNC | MDB_NORDAHEAD: pages are written and not synced",
            Durability::ProcessCrash,
            |path| Lmdb::open(path, EnvFlags::NO_SYNC),
        ),
        peer("MDB_NORDAHEAD: every commit is synced", Durability::PowerCut, |path| {
            Lmdb::open(path, EnvFlags::empty())
        }),
    ]
}

struct Lmdb {
    env: Env,
    all: Database<'static, Bytes, Bytes>,
}

impl Lmdb {
    fn open(path: &Path, flags: EnvFlags) -> Result<Box<dyn Store>> {
        let mut options = EnvOpenOptions::new();
        options.map_size(MAP).max_readers(64);
        // SAFETY: nothing else opens these files, and no flag disables locks.
        let env = unsafe { options.flags(flags | EnvFlags::NO_READ_AHEAD).open(path)? };
        let writing = env.write_txn()?;
        let all = env.create_databases_and_commit(writing, |opener, writing| {
            opener.create_database(writing, None).map(CommitOrAbort::<_, ()>::Commit)
        })?;
        let all = all.unwrap_commit();
        Ok(Box::new(Lmdb { env, all }))
    }

    fn try_get(&self, key: &[u8]) -> heed::Result<Option<u64>> {
        let reading = self.env.read_txn()?;
        Ok(self.all.get(&reading, key)?.map(digest))
    }

    fn try_set(&self, key: &[u8], value: &[u8]) -> heed::Result<()> {
        let mut writing = self.env.write_txn()?;
        self.all.put(&mut writing, key, value)?;
        writing.commit()
    }

    fn try_del(&self, key: &[u8]) -> heed::Result<()> {
        let mut writing = self.env.write_txn()?;
        self.all.delete(&mut writing, key)?;
        writing.commit()
    }

    fn try_iterate(&self, prefix: &[u8], visit: Visit<'_>) -> heed::Result<()> {
        let reading = self.env.read_txn()?;
        // LMDB has no empty keys.
        let start = if prefix.is_empty() { Bound::Unbounded } else { Bound::Included(prefix) };
        for entry in self.all.range(&reading, &(start, Bound::Unbounded))? {
            let (key, value) = entry?;
            if !key.starts_with(prefix) {
                break;
            }
            visit(key, value);
        }
        Ok(())
    }

    fn try_scan(
        &self,
        start: &[u8],
        count: usize,
        backward: bool,
        visit: Visit<'_>,
    ) -> heed::Result<()> {
        let reading = self.env.read_txn()?;
        if backward {
            let down = self.all.rev_range(&reading, &(Bound::Unbounded, Bound::Included(start)))?;
            down.take(count).try_for_each(|entry| entry.map(|(key, value)| visit(key, value)))
        } else {
            let up = self.all.range(&reading, &(Bound::Included(start), Bound::Unbounded))?;
            up.take(count).try_for_each(|entry| entry.map(|(key, value)| visit(key, value)))
        }
    }

    fn try_set_nx(&self, key: &[u8], value: &[u8]) -> heed::Result<bool> {
        let mut writing = self.env.write_txn()?;
        let held =
            self.all.get_or_put_with_flags(&mut writing, PutFlags::empty(), key, value)?.is_some();
        writing.commit()?;
        Ok(!held)
    }

    fn try_swap(&self, key: &[u8], expected: &[u8], value: &[u8]) -> heed::Result<bool> {
        let mut writing = self.env.write_txn()?;
        let same = self.all.get(&writing, key)? == Some(expected);
        if same {
            self.all.put(&mut writing, key, value)?;
        }
        writing.commit()?;
        Ok(same)
    }

    fn try_set_batch(&self, pairs: &[Pair<'_>]) -> heed::Result<()> {
        let mut writing = self.env.write_txn()?;
        for pair in pairs {
            self.all.put(&mut writing, pair.key, pair.value)?;
        }
        writing.commit()
    }
}

const FAILED: &str = "LMDB failed";

impl Store for Lmdb {
    fn get(&self, key: &[u8]) -> Option<u64> {
        self.try_get(key).expect(FAILED)
    }

    fn exists(&self, key: &[u8]) -> bool {
        let reading = self.env.read_txn().expect(FAILED);
        self.all.get(&reading, key).expect(FAILED).is_some()
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        self.try_set(key, value).expect(FAILED);
    }

    fn del(&self, key: &[u8]) {
        self.try_del(key).expect(FAILED);
    }

    fn iterate(&self, prefix: &[u8], visit: Visit<'_>) {
        self.try_iterate(prefix, visit).expect(FAILED);
    }

    fn scan(&self, start: &[u8], count: usize, backward: bool, visit: Visit<'_>) {
        self.try_scan(start, count, backward, visit).expect(FAILED);
    }

    fn set_nx(&self, key: &[u8], value: &[u8]) -> bool {
        self.try_set_nx(key, value).expect(FAILED)
    }

    fn compare_and_swap(&self, key: &[u8], expected: &[u8], value: &[u8]) -> bool {
        self.try_swap(key, expected, value).expect(FAILED)
    }

    fn set_batch(&self, pairs: &[Pair<'_>]) {
        self.try_set_batch(pairs).expect(FAILED);
    }
}
