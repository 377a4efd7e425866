//! redb, a copy-on-write B+ tree in Rust.
//!
//! It has two levels: `Durability::Immediate` syncs, and `Durability::None` does not survive the
//! process. The level in between, the default of other stores, needs a `StorageBackend` that does
//! not sync: the system has each commit, which survives a killed process.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::FileExt;

use anyhow::Result;
use redb::{
    AccessGuard, Database, ReadableDatabase, ReadableTable, StorageBackend, StorageError,
    TableDefinition,
};

use super::ALL;
use crate::data::digest;
use crate::peer::{Durability, Medium, Pair, Peer, Store, Visit};

const TABLE: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("all");
const FAILED: &str = "redb failed";

pub fn peers() -> Vec<Peer> {
    let peer = |settings, durability, open| Peer {
        name: "redb",
        version: env!("VERSION_REDB").to_owned(),
        settings,
        medium: Medium::Disk,
        durability,
        can: ALL,
        open,
    };
    vec![
        peer(
            "256 MiB cache, on a StorageBackend that does not sync: the system has every commit",
            Durability::ProcessCrash,
            |path| {
                let mut how = OpenOptions::new();
                let file = how
                    .read(true)
                    .write(true)
                    .create(true)
                    .truncate(false)
                    .open(path.join("redb"))?;
                Redb::on(builder().create_with_backend(Unsynced(file))?)
            },
        ),
        peer("256 MiB cache, Durability::Immediate", Durability::PowerCut, |path| {
            Redb::on(builder().create(path.join("redb"))?)
        }),
    ]
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(super::CACHE_BYTES);
    builder
}

/// A file that is written and not synced.
#[derive(Debug)]
struct Unsynced(File);

impl StorageBackend for Unsynced {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.0.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.0.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.0.write_all_at(data, offset)
    }
}

struct Redb(Database);

/// An item of an iteration.
type Entry<'a> =
    Result<(AccessGuard<'a, &'static [u8]>, AccessGuard<'a, &'static [u8]>), StorageError>;

impl Redb {
    fn on(database: Database) -> Result<Box<dyn Store>> {
        let writing = database.begin_write()?;
        writing.open_table(TABLE)?;
        writing.commit()?;
        Ok(Box::new(Redb(database)))
    }

    fn read<R>(
        &self,
        read: impl FnOnce(&redb::ReadOnlyTable<&'static [u8], &'static [u8]>) -> R,
    ) -> R {
        let reading = self.0.begin_read().expect(FAILED);
        read(&reading.open_table(TABLE).expect(FAILED))
    }

    fn write<R>(
        &self,
        write: impl FnOnce(&mut redb::Table<'_, &'static [u8], &'static [u8]>) -> R,
    ) -> R {
        let writing = self.0.begin_write().expect(FAILED);
        let result = write(&mut writing.open_table(TABLE).expect(FAILED));
        writing.commit().expect(FAILED);
        result
    }
}

impl Store for Redb {
    fn get(&self, key: &[u8]) -> Option<u64> {
        self.read(|table| table.get(key).expect(FAILED).map(|value| digest(value.value())))
    }

    fn exists(&self, key: &[u8]) -> bool {
        self.read(|table| table.get(key).expect(FAILED).is_some())
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        self.write(|table| drop(table.insert(key, value).expect(FAILED)));
    }

    fn del(&self, key: &[u8]) {
        self.write(|table| drop(table.remove(key).expect(FAILED)));
    }

    fn iterate(&self, prefix: &[u8], visit: Visit<'_>) {
        self.read(|table| {
            let from =
                table.range::<&[u8]>((Bound::Included(prefix), Bound::Unbounded)).expect(FAILED);
            for entry in from {
                let (key, value) = entry.expect(FAILED);
                if !key.value().starts_with(prefix) {
                    break;
                }
                visit(key.value(), value.value());
            }
        });
    }

    fn scan(&self, start: &[u8], count: usize, backward: bool, visit: Visit<'_>) {
        self.read(|table| {
            let mut show = |entry: Entry<'_>| {
                let (key, value) = entry.expect(FAILED);
                visit(key.value(), value.value());
            };
            if backward {
                let down = table
                    .range::<&[u8]>((Bound::Unbounded, Bound::Included(start)))
                    .expect(FAILED)
                    .rev();
                down.take(count).for_each(&mut show);
            } else {
                let up =
                    table.range::<&[u8]>((Bound::Included(start), Bound::Unbounded)).expect(FAILED);
                up.take(count).for_each(&mut show);
            }
        });
    }

    fn set_nx(&self, key: &[u8], value: &[u8]) -> bool {
        self.write(|table| {
            let free = table.get(key).expect(FAILED).is_none();
            if free {
                table.insert(key, value).expect(FAILED);
            }
            free
        })
    }

    fn compare_and_swap(&self, key: &[u8], expected: &[u8], value: &[u8]) -> bool {
        self.write(|table| {
            let same = table.get(key).expect(FAILED).is_some_and(|held| held.value() == expected);
            if same {
                table.insert(key, value).expect(FAILED);
            }
            same
        })
    }

    fn set_batch(&self, pairs: &[Pair<'_>]) {
        self.write(|table| {
            for pair in pairs {
                table.insert(pair.key, pair.value).expect(FAILED);
            }
        });
    }
}
