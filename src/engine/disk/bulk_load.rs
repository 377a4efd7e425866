//! Fills a new store with pairs, without a log.

use std::path::Path;
use std::sync::Arc;

use super::deadlines;
use super::settings::{self, SharedCaches};
use super::{Disk, Writer};
use crate::engine::Maintenance;
use crate::error::Result;
use crate::options::{Durability, Options};

/// The bytes that are written at once.
const BATCH: usize = 1 << 20;

/// The memory for blocks, and that for writes. Pairs that are read or written in order need no
/// more.
pub const MEMORY: u64 = 16 << 20;

/// A new store. Dropping it removes the store, unless [`BulkLoad::finish`] was called.
pub struct BulkLoad {
    /// `None` once it is finished.
    disk: Option<Arc<Disk>>,
    batch: rocksdb::WriteBatch,
}

impl BulkLoad {
    /// Creates a store in the directory `path`, with the compression of `options`.
    pub fn new(path: &Path, options: &Options) -> Result<BulkLoad> {
        let options = Options {
            durability: Durability::None,
            read_only: false,
            create_if_missing: true,
            block_cache_bytes: options.block_cache_bytes.min(MEMORY),
            write_buffer_bytes: options.write_buffer_bytes.min(MEMORY),
            ..options.clone()
        };
        let Some(disk) = Disk::open(path, &options, &SharedCaches::new(&options), Box::new(()))?
        else {
            unreachable!("these options create a missing store")
        };
        Ok(BulkLoad { disk: Some(disk), batch: rocksdb::WriteBatch::default() })
    }

    fn disk(&self) -> Result<(&Disk, &Writer)> {
        let Some(disk) = &self.disk else { unreachable!("it is finished only once") };
        Ok((disk, disk.writer()?))
    }

    /// Adds a pair. `deadline` is 0 if the key does not expire.
    pub fn put(&mut self, key: &[u8], value: &[u8], deadline: u64) -> Result<()> {
        self.batch.put(key, value);
        if deadline != 0 {
            let mut batch = std::mem::take(&mut self.batch);
            let (disk, writer) = self.disk()?;
            disk.create_deadlines(&disk.open.db, writer)?;
            if let Some(deadlines) = disk.open.deadlines.get() {
                deadlines::put(&mut batch, deadlines, deadline, key);
            }
            self.batch = batch;
        }
        if self.batch.size_in_bytes() >= BATCH { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        let (disk, _) = self.disk()?;
        let written = disk.open.db.write_opt(batch, &settings::write(Durability::None));
        written.map_err(|cause| disk.error("cannot write", cause))
    }

    /// Makes the store survive a power failure, and closes it.
    pub fn finish(mut self) -> Result<()> {
        self.write()?;
        let (disk, _) = self.disk()?;
        let db = &disk.open.db;
        let flushed = db.flush().and_then(|()| match disk.open.deadlines.get() {
            Some(deadlines) => db.flush_cf(deadlines),
            None => Ok(()),
        });
        flushed.map_err(|cause| disk.error("cannot write", cause))?;
        disk.sync()?;
        self.disk = None;
        Ok(())
    }
}

impl Drop for BulkLoad {
    fn drop(&mut self) {
        if let Some(disk) = self.disk.take() {
            let path = disk.path.clone();
            drop(disk);
            let _ = Disk::destroy(&path);
        }
    }
}
