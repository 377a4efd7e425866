//! A small store with everything that a store can have. It has tables on two levels, with every
//! compression and without. It has deleted keys and ranges, values of several blocks, and a log as
//! a killed process leaves it.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fs;
use std::path::{Path, PathBuf};

use kvds::testing::{
    Backend, Compression, Distributor, Durability, Operation, Options, Outcome, Ref, Store,
    WriteBatch,
};
use tempfile::TempDir;

pub const ID: &CStr = c"store";

/// The content of a store.
pub type Map = BTreeMap<Vec<u8>, Vec<u8>>;

pub struct Fixture {
    _whole: TempDir,
    base: PathBuf,
    files: Vec<(String, u64)>,
    /// The length of the log after each record.
    ends: Vec<u64>,
}

/// A write.
enum Step {
    Set(String, Vec<u8>),
    Delete(String),
    DeletePrefix(&'static str),
}

impl Step {
    fn set(key: String, len: usize) -> Step {
        // Pseudorandom, so that no compression makes two tables equal.
        let mut state = key
            .bytes()
            .fold(len as u32 + 1, |state, byte| state.wrapping_mul(31).wrapping_add(byte.into()));
        let value = (0..len).map(|at| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Half of it compresses.
            if at % 8 < 4 { b'v' } else { (state >> 24) as u8 }
        });
        Step::Set(key, value.collect())
    }

    fn on(&self, map: &mut Map) {
        match self {
            Step::Set(key, value) => drop(map.insert(key.clone().into_bytes(), value.clone())),
            Step::Delete(key) => drop(map.remove(key.as_bytes())),
            Step::DeletePrefix(prefix) => map.retain(|key, _| !key.starts_with(prefix.as_bytes())),
        }
    }

    fn apply(&self, store: &Store) {
        let operation = match self {
            Step::Set(key, value) => Operation::Set { key: key.as_bytes(), value },
            Step::Delete(key) => Operation::Delete { key: key.as_bytes() },
            Step::DeletePrefix(prefix) => {
                assert_eq!(
                    store.delete_prefix(prefix.as_bytes()).expect("the write works"),
                    Outcome::Applied
                );
                return;
            }
        };
        let outcome = store.write(&WriteBatch { expectations: &[], operations: &[operation] });
        assert_eq!(outcome.expect("the write works"), Outcome::Applied);
    }
}

/// Returns the writes of each table on the lowest level, and its compression. The tables have
/// different keys, or a compaction would merge them. Both have keys within the range of `flushed`,
/// so that compacting reads them.
fn tables() -> [(Compression, Vec<Step>); 2] {
    let mut first: Vec<Step> =
        (0..150).map(|number| Step::set(format!("key{number:03}"), 20 + number % 9)).collect();
    first.extend((0..10).map(|number| Step::set(format!("key/range/{number}"), 16)));
    let mut second: Vec<Step> =
        (0..50).map(|number| Step::set(format!("label{number:02}"), 40)).collect();
    // Longer than a block, and long enough to be returned pinned.
    second.push(Step::set("label/long".to_owned(), 10_000));
    [(Compression::Zstd, first), (Compression::Lz4, second)]
}

/// Returns the writes of one more table, without compression. There must be no more tables: opening
/// makes a second one of the log, and RocksDB would merge three.
fn flushed() -> Vec<Step> {
    let key = |number: usize| format!("key{number:03}");
    let mut steps: Vec<Step> =
        (0..150).step_by(3).map(|number| Step::set(key(number), 24)).collect();
    steps.extend((0..150).step_by(7).map(|number| Step::Delete(key(number))));
    steps.extend((100..200).step_by(2).map(|number| Step::set(key(number), 18)));
    steps.push(Step::DeletePrefix("key/range/"));
    steps.push(Step::set("long/top".to_owned(), 4500));
    steps
}

/// Returns the writes that stay in the log, one record each.
fn log() -> Vec<Step> {
    let mut steps: Vec<Step> =
        (0..12).map(|number| Step::set(format!("key{:03}", number * 16), 22)).collect();
    // Crosses the border between two blocks of the log.
    steps.push(Step::set("long/log".to_owned(), 33_000));
    steps.push(Step::Delete("key016".to_owned()));
    steps.push(Step::DeletePrefix("key19"));
    steps.extend((0..12).map(|number| Step::set(format!("log/{number}"), 30)));
    steps
}

/// Returns the content after each record of the log. The first is the content without the log.
pub fn states() -> Vec<Map> {
    let mut map = Map::new();
    let flushed = flushed();
    tables().iter().flat_map(|(_, steps)| steps).chain(&flushed).for_each(|step| step.on(&mut map));
    let mut states = vec![map.clone()];
    states.extend(log().iter().map(|step| {
        step.on(&mut map);
        map.clone()
    }));
    states
}

/// Returns every key that ever existed, and some that never did.
pub fn keys() -> Vec<Vec<u8>> {
    let tables = tables();
    let (flushed, log) = (flushed(), log());
    let steps = tables.iter().flat_map(|(_, steps)| steps).chain(&flushed).chain(&log);
    let mut keys: Vec<Vec<u8>> = steps
        .filter_map(|step| match step {
            Step::Set(key, _) | Step::Delete(key) => Some(key.clone().into_bytes()),
            Step::DeletePrefix(_) => None,
        })
        .collect();
    keys.extend(["", "key", "key0005", "zzz"].map(|key| key.as_bytes().to_vec()));
    keys.sort();
    keys.dedup();
    keys
}

pub fn open(base: &Path, options: &Options) -> kvds::testing::Result<Ref<Store>> {
    let distributor = Distributor::open(Some(base), options)?;
    distributor
        .get_or_create(ID, Backend::Disk)
        .map(|store| store.expect("a store that is not there is made"))
}

/// Creates a temporary directory, in /dev/shm if there is one: RocksDB syncs often, and durability
/// does not matter here.
pub fn temporary_directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    made.expect("a directory can be made")
}

impl Fixture {
    pub fn new() -> Fixture {
        let whole = temporary_directory();
        let alive = whole.path().join("alive");
        for (compression, steps) in tables() {
            // Without a log, a sync creates a table.
            let options =
                Options { compression, durability: Durability::None, ..Options::default() };
            let store = open(&alive, &options).expect("it opens");
            steps.iter().for_each(|step| step.apply(&store));
            store.sync().expect("it can be synced");
            // Two tables become one. RocksDB would only move a single one and compact it later, but
            // a read should find damage in it.
            steps.iter().for_each(|step| step.apply(&store));
            store.compact().expect("it can be compacted");
        }
        let options = Options { compression: Compression::None, ..Options::default() };
        let store = open(&alive, &options).expect("it opens");
        let directory = alive.join("store");
        // A copy flushes the log to a table, so that the MANIFEST grows while the store is open.
        flushed().iter().for_each(|step| step.apply(&store));
        store.checkpoint(&whole.path().join("copy")).expect("it can be copied");
        let log_file =
            || files_of(&directory).into_iter().rfind(|(name, _)| name.ends_with(".log"));
        let mut ends = Vec::new();
        for step in log() {
            step.apply(&store);
            ends.push(log_file().expect("there is a log").1);
        }
        let levels = store.property("rocksdb.levelstats").expect("it is open").unwrap_or_default();
        let tables_at = |level: &str| {
            let mut words = levels.lines().map(str::split_whitespace);
            words.find_map(|mut words| {
                (words.next() == Some(level)).then(|| words.next()?.parse().ok())?
            })
        };
        assert!(tables_at("0") == Some(1) && tables_at("6") == Some(2), "{levels}");
        let base = whole.path().join("dead");
        copy(&directory, &base.join("store"));
        drop(store);
        let files = files_of(&base.join("store"));
        let fixture = Fixture { _whole: whole, base, files, ends };
        fs::write(
            fixture.ends_path(),
            fixture.ends.iter().map(|end| format!("{end}\n")).collect::<String>(),
        )
        .expect("a file can be written");
        fixture
    }

    /// Returns the base path of the undamaged store.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// Returns the names of its files and their lengths.
    pub fn files(&self) -> &[(String, u64)] {
        &self.files
    }

    pub fn description(&self) -> String {
        let files: Vec<String> =
            self.files.iter().map(|(name, len)| format!("{name} ({len})")).collect();
        format!(
            "a store of {} records in the log and these files: {}",
            self.ends.len(),
            files.join(", ")
        )
    }

    fn ends_path(&self) -> PathBuf {
        self.base.join("ends")
    }

    /// Returns the offset of the upper byte of each record's length, in the log and the MANIFEST.
    pub fn lengths_of_records(&self) -> Vec<(String, u64)> {
        let mut found = Vec::new();
        for (name, _) in self
            .files
            .iter()
            .filter(|(name, _)| name.ends_with(".log") || name.starts_with("MANIFEST"))
        {
            let bytes = fs::read(self.base.join("store").join(name)).expect("a file can be read");
            let mut at = 0;
            // A record has a checksum of four bytes, a length of two, and a type. None begins in
            // the last six bytes of a block.
            while let Some(&[low, high]) = bytes.get(at + 4..at + 6) {
                found.push((name.clone(), at as u64 + 5));
                at += 7 + usize::from(u16::from_le_bytes([low, high]));
                if BLOCK - at % BLOCK < 7 {
                    at = at.next_multiple_of(BLOCK);
                }
            }
        }
        found
    }
}

/// The block size of a log and a MANIFEST.
const BLOCK: usize = 32 << 10;

/// Reads where the records of the log end, for a child that only has the directory.
pub fn ends(base: &Path) -> Vec<u64> {
    let text = fs::read_to_string(base.join("ends")).expect("a file can be read");
    text.lines().map(|line| line.parse().expect("a number")).collect()
}

/// Returns the files of a store, by name, with their lengths.
fn files_of(directory: &Path) -> Vec<(String, u64)> {
    let entries = fs::read_dir(directory).expect("the store can be listed");
    let mut files: Vec<(String, u64)> = entries
        .map(|entry| {
            let entry = entry.expect("the store can be listed");
            let name = entry.file_name().into_string().expect("UTF-8");
            (name, entry.metadata().expect("a file").len())
        })
        .collect();
    files.sort();
    files
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory can be made");
    for (name, _) in files_of(from) {
        fs::copy(from.join(&name), to.join(&name)).expect("a file can be copied");
    }
}
