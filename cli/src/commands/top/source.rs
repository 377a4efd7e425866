//! Readings of a store, or of all stores of a base path, and the rates between them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::metric::Metric;
use crate::commands::stores::{self, Listed};
use crate::engine_properties::{self as properties, Level};
use crate::failure::{Failure, Result};
use crate::library;
use crate::lock_holder::{self, Holder};
use crate::place::{Open, Place};
use crate::process_usage::Usage;
use crate::store_files::{Files, Kind};
use crate::writer_counters::Counters;

/// A refresh opens the store again, so it gets at most this share of the time.
const REFRESH_SHARE: u32 = 5;

/// A reading.
pub struct Frame {
    /// The time since the first reading.
    pub time: Duration,
    pub content: Content,
}

pub enum Content {
    Store(StoreContent),
    Base(Vec<Row>),
}

/// What a store shows.
#[derive(Default)]
pub struct StoreContent {
    /// Each metric; without a value where it is not known.
    pub values: Vec<(Metric, Option<f64>)>,
    pub levels: Vec<Level>,
    pub writer: Option<Holder>,
    /// What the writer has counted since it opened the store.
    pub counters: Option<Counters>,
}

/// A store of a base path.
pub struct Row {
    pub id: Vec<u8>,
    pub disk_bytes: u64,
    pub wal_bytes: u64,
    /// By how many bytes its files grew per second; negative if they became smaller.
    pub growth: Option<f64>,
    /// The bytes per second that were written to its log and its tables.
    pub written: Option<f64>,
    pub age: Duration,
    pub writer: Option<Holder>,
}

/// The store or the stores that are read.
pub struct Source {
    start: Instant,
    kind: SourceKind,
}

enum SourceKind {
    Disk(Box<DiskSource>),
    Cluster(ClusterSource),
    Base(BaseSource),
}

impl Source {
    /// Opens a store for reading.
    pub fn store(place: &Place) -> Result<Source> {
        let store = place.open_to_read()?;
        Ok(Source::new(match place.directory() {
            Some(directory) => SourceKind::Disk(Box::new(DiskSource::new(store, directory))),
            None => SourceKind::Cluster(ClusterSource { store, before: None }),
        }))
    }

    /// Returns the disk stores under `base`.
    pub fn base(base: &Path) -> Source {
        Source::new(SourceKind::Base(BaseSource { base: base.to_path_buf(), before: None }))
    }

    fn new(kind: SourceKind) -> Source {
        Source { start: Instant::now(), kind }
    }

    pub fn read(&mut self) -> Result<Frame> {
        let time = self.start.elapsed();
        let content = match &mut self.kind {
            SourceKind::Disk(source) => Content::Store(source.read()?),
            SourceKind::Cluster(source) => Content::Store(source.read()?),
            SourceKind::Base(source) => Content::Base(source.read()?),
        };
        Ok(Frame { time, content })
    }
}

/// Returns `value` per second.
fn per_second(value: f64, time: Duration) -> f64 {
    value / time.as_secs_f64().max(0.001)
}

fn change_per_second(before: u64, after: u64, time: Duration) -> f64 {
    per_second(after as f64 - before as f64, time)
}

/// A disk store, opened for reading only.
struct DiskSource {
    store: Open,
    directory: PathBuf,
    before: Option<DiskReading>,
    content: Refreshed,
}

struct DiskReading {
    at: Instant,
    files: Files,
    writer: Option<Writer>,
}

/// The process that writes a store.
struct Writer {
    pid: u32,
    usage: Usage,
    counters: Option<Counters>,
}

/// What the last refresh showed.
struct Refreshed {
    at: Instant,
    /// How long it took.
    took: Duration,
    files: Files,
    keys: u64,
    keys_per_second: Option<f64>,
    pending: Option<u64>,
    levels: Vec<Level>,
}

impl DiskSource {
    fn new(store: Open, directory: PathBuf) -> DiskSource {
        let content = Refreshed {
            at: Instant::now(),
            took: Duration::ZERO,
            files: Files::default(),
            keys: 0,
            keys_per_second: None,
            pending: None,
            levels: Vec::new(),
        };
        DiskSource { store, directory, before: None, content }
    }

    fn read(&mut self) -> Result<StoreContent> {
        let failure = |cause| Failure::io(self.directory.display(), &cause);
        let files = Files::read(&self.directory).map_err(failure)?;
        self.refresh(&files)?;
        let writer = lock_holder::find(&self.directory);
        let reading = writer.as_ref().and_then(|writer| {
            let pid = writer.pid();
            Some(Writer {
                pid,
                usage: Usage::of(pid)?,
                counters: Counters::of(pid, &self.directory),
            })
        });
        let now = DiskReading { at: Instant::now(), files, writer: reading };
        let values = Metric::DISK.map(|metric| (metric, self.value(metric, &now)));
        let counters = now.writer.as_ref().and_then(|writer| writer.counters);
        self.before = Some(now);
        let levels = self.content.levels.clone();
        Ok(StoreContent { values: values.to_vec(), levels, writer, counters })
    }

    fn value(&self, metric: Metric, now: &DiskReading) -> Option<f64> {
        let before = self.before.as_ref();
        let written = |kind| {
            let before = before?;
            let bytes = now.files.written_since(&before.files, kind);
            Some(per_second(bytes as f64, now.at - before.at))
        };
        let writer = now.writer.as_ref();
        match metric {
            Metric::Keys => Some(self.content.keys as f64),
            Metric::KeysPerSecond => self.content.keys_per_second,
            Metric::Reads => self.counted(now, |counters| counters.reads),
            Metric::Hits => {
                let reads =
                    self.counted(now, |counters| counters.reads).filter(|&reads| reads > 0.0);
                Some(self.counted(now, |counters| counters.hits)? / reads? * 100.0)
            }
            Metric::Writes => self.counted(now, |counters| counters.writes),
            Metric::Compactions => Some(writer?.counters?.running_compactions as f64),
            Metric::DiskBytes => Some(now.files.all_bytes() as f64),
            Metric::WalBytes => Some(now.files.bytes(Kind::Wal) as f64),
            Metric::WalWritten => written(Kind::Wal),
            Metric::TablesWritten => written(Kind::Table),
            Metric::PendingCompaction => self.content.pending.map(|bytes| bytes as f64),
            Metric::Memory => writer.map(|writer| writer.usage.memory_bytes as f64),
            Metric::Cpu => self.usage_rate(now, |usage| Some(usage.cpu.as_secs_f64() * 100.0)),
            Metric::DiskRead => self.usage_rate(now, |usage| Some(usage.disk?.read_bytes as f64)),
            Metric::DiskWritten => {
                self.usage_rate(now, |usage| Some(usage.disk?.written_bytes as f64))
            }
            Metric::Revisions | Metric::DatabaseBytes => None,
        }
    }

    /// Returns by how much a number of the writer grew per second, if it is the same process.
    fn rate(&self, now: &DiskReading, number: impl Fn(&Writer) -> Option<f64>) -> Option<f64> {
        let before = self.before.as_ref()?;
        let (writer, writer_before) = (now.writer.as_ref()?, before.writer.as_ref()?);
        if writer.pid != writer_before.pid || !writer.usage.is_same_process(&writer_before.usage) {
            return None;
        }
        Some(per_second(number(writer)? - number(writer_before)?, now.at - before.at))
    }

    fn usage_rate(&self, now: &DiskReading, number: fn(&Usage) -> Option<f64>) -> Option<f64> {
        self.rate(now, |writer| number(&writer.usage))
    }

    /// Returns how much the writer counted per second, unless it opened the store again meanwhile.
    fn counted(&self, now: &DiskReading, number: fn(&Counters) -> u64) -> Option<f64> {
        self.rate(now, |writer| Some(number(&writer.counters?) as f64)).filter(|&rate| rate >= 0.0)
    }

    /// Shows the writes since the last refresh, if files changed and it may take that time.
    fn refresh(&mut self, files: &Files) -> Result<()> {
        let start = Instant::now();
        let before = &self.content;
        let first = self.before.is_none();
        if !first && files.equal(&before.files) {
            self.content.keys_per_second = Some(0.0);
            return Ok(());
        }
        let at = before.at;
        if start - at < before.took * (REFRESH_SHARE - 1) {
            return Ok(());
        }
        if !first {
            match self.store.refresh() {
                Ok(()) => {}
                // It writes faster than the store can be opened; the next reading may do better.
                Err(error) if error.is_busy() => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        let keys = self.store.stats()?.keys;
        self.content = Refreshed {
            at: Instant::now(),
            took: start.elapsed(),
            files: files.clone(),
            keys,
            keys_per_second: (!first).then(|| change_per_second(before.keys, keys, at.elapsed())),
            pending: properties::number(&self.store, "rocksdb.estimate-pending-compaction-bytes")?,
            levels: properties::levels(&self.store)?,
        };
        Ok(())
    }
}

/// A store of a cluster.
struct ClusterSource {
    store: Open,
    before: Option<ClusterReading>,
}

struct ClusterReading {
    at: Instant,
    keys: u64,
    revision: Option<u64>,
    database_bytes: Option<u64>,
}

impl ClusterSource {
    fn read(&mut self) -> Result<StoreContent> {
        let now = match self.request() {
            Ok(now) => now,
            // Servers may be unreachable for a time.
            Err(error) if error.is_busy() => {
                let values = Metric::CLUSTER.map(|metric| (metric, None));
                return Ok(StoreContent { values: values.to_vec(), ..StoreContent::default() });
            }
            Err(error) => return Err(error.into()),
        };
        let values = Metric::CLUSTER.map(|metric| (metric, self.value(metric, &now)));
        self.before = Some(now);
        Ok(StoreContent { values: values.to_vec(), ..StoreContent::default() })
    }

    fn request(&self) -> library::Result<ClusterReading> {
        let number = |name| properties::number(&self.store, name);
        Ok(ClusterReading {
            at: Instant::now(),
            keys: self.store.stats()?.keys,
            revision: number("etcd.revision")?,
            database_bytes: number("etcd.db_size")?,
        })
    }

    fn value(&self, metric: Metric, now: &ClusterReading) -> Option<f64> {
        let before = self.before.as_ref();
        match metric {
            Metric::Keys => Some(now.keys as f64),
            Metric::KeysPerSecond => {
                before.map(|before| change_per_second(before.keys, now.keys, now.at - before.at))
            }
            Metric::Revisions => {
                let before = before?;
                Some(change_per_second(before.revision?, now.revision?, now.at - before.at))
            }
            Metric::DatabaseBytes => now.database_bytes.map(|bytes| bytes as f64),
            _ => None,
        }
    }
}

/// All disk stores of a base path, which are not opened.
struct BaseSource {
    base: PathBuf,
    before: Option<(Instant, Vec<Listed>)>,
}

impl BaseSource {
    /// Reads the directories. Stores that are written come first, then the large ones.
    fn read(&mut self) -> Result<Vec<Row>> {
        let at = Instant::now();
        let stores = stores::list(&self.base)?;
        let mut rows: Vec<Row> = stores.iter().map(|store| self.row(store, at)).collect();
        self.before = Some((at, stores));
        rows.sort_by(|a, b| {
            let written = |row: &Row| row.written.unwrap_or(0.0);
            written(b)
                .total_cmp(&written(a))
                .then_with(|| b.disk_bytes.cmp(&a.disk_bytes))
                .then_with(|| a.id.cmp(&b.id))
        });
        Ok(rows)
    }

    fn row(&self, store: &Listed, at: Instant) -> Row {
        let files = &store.files;
        // A store that is new has grown by all of its bytes.
        let none = Files::default();
        let before = self.before.as_ref().map(|(before, stores)| {
            let index = stores.binary_search_by(|other| other.id.cmp(&store.id));
            (at - *before, index.map_or(&none, |index| &stores[index].files))
        });
        let rate = |number: fn(&Files, &Files) -> f64| {
            let (time, before) = before?;
            Some(per_second(number(before, files), time))
        };
        Row {
            id: store.id.clone(),
            disk_bytes: files.all_bytes(),
            wal_bytes: files.bytes(Kind::Wal),
            growth: rate(|before, after| after.all_bytes() as f64 - before.all_bytes() as f64),
            written: rate(|before, after| {
                let [wal, tables] =
                    [Kind::Wal, Kind::Table].map(|kind| after.written_since(before, kind));
                (wal + tables) as f64
            }),
            age: files.age(),
            writer: store.writer.clone(),
        }
    }
}
