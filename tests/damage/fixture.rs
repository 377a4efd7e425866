//! A small store with all that a store can have: tables on two levels, compressed in every way and
//! not at all, removed keys and ranges, values in several blocks, and a log that was not brought to
//! a table yet, as after the death of a process.

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

/// What a store shows.
pub type Map = BTreeMap<Vec<u8>, Vec<u8>>;

pub struct Fixture {
    _whole: TempDir,
    base: PathBuf,
    files: Vec<(String, u64)>,
    /// The length of the log after each of its records.
    ends: Vec<u64>,
}

/// One write.
enum Step {
    Set(String, Vec<u8>),
    Delete(String),
    DeletePrefix(&'static str),
}

impl Step {
    fn set(key: String, len: usize) -> Step {
        // As good as random, so that no compression makes two tables alike.
        let mut state = key
            .bytes()
            .fold(len as u32 + 1, |state, byte| state.wrapping_mul(31).wrapping_add(byte.into()));
        let value = (0..len).map(|at| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Half of it can be compressed.
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

/// What goes to tables of the lowest level, with how each of these is compressed. They have
/// different keys, as they would be made one else. Both have keys between the first and the last of
/// `flushed`, so that compacting reads them.
fn tables() -> [(Compression, Vec<Step>); 2] {
    let mut first: Vec<Step> =
        (0..150).map(|number| Step::set(format!("key{number:03}"), 20 + number % 9)).collect();
    first.extend((0..10).map(|number| Step::set(format!("key/range/{number}"), 16)));
    let mut second: Vec<Step> =
        (0..50).map(|number| Step::set(format!("label{number:02}"), 40)).collect();
    // Longer than a block, and long enough to be handed out in place.
    second.push(Step::set("label/long".to_owned(), 10_000));
    [(Compression::Zstd, first), (Compression::Lz4, second)]
}

/// What goes to one more table while the store is open, without compression. No more: the table
/// that is made of the log in opening is the second, and RocksDB wants to make one of three.
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

/// What stays in the log, one record each.
fn log() -> Vec<Step> {
    let mut steps: Vec<Step> =
        (0..12).map(|number| Step::set(format!("key{:03}", number * 16), 22)).collect();
    // Over the border between two blocks of the log.
    steps.push(Step::set("long/log".to_owned(), 33_000));
    steps.push(Step::Delete("key016".to_owned()));
    steps.push(Step::DeletePrefix("key19"));
    steps.extend((0..12).map(|number| Step::set(format!("log/{number}"), 30)));
    steps
}

/// The store after each record of the log; the first is how it is without any.
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

/// Every key that was ever there, and some that never were.
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

/// A directory, in memory where there is a place for that: RocksDB syncs a lot, and no disk is
/// asked here what it kept.
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
            // Without a log, a sync makes a table.
            let options =
                Options { compression, durability: Durability::None, ..Options::default() };
            let store = open(&alive, &options).expect("it opens");
            steps.iter().for_each(|step| step.apply(&store));
            store.sync().expect("it can be synced");
            // Two tables are made one. A single one would only be moved, and have RocksDB put it in
            // order later, when damage to it should be found by a read.
            steps.iter().for_each(|step| step.apply(&store));
            store.compact().expect("it can be compacted");
        }
        let options = Options { compression: Compression::None, ..Options::default() };
        let store = open(&alive, &options).expect("it opens");
        let directory = alive.join("store");
        // A copy makes a table of what is in the log, so that the list of tables goes on while the
        // store is open.
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

    /// Where the untouched store is.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// The names of its files, and their lengths.
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

    /// The upper byte of the length of every record of the log and of the list of tables.
    pub fn lengths_of_records(&self) -> Vec<(String, u64)> {
        let mut found = Vec::new();
        for (name, _) in self
            .files
            .iter()
            .filter(|(name, _)| name.ends_with(".log") || name.starts_with("MANIFEST"))
        {
            let bytes = fs::read(self.base.join("store").join(name)).expect("a file can be read");
            let mut at = 0;
            // A checksum of four bytes, a length of two, a type; and no record begins in the last
            // six bytes of a block.
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

/// A log and a list of tables are written in blocks of so many bytes.
const BLOCK: usize = 32 << 10;

/// Where the records of the log end, for those who only have the directory.
pub fn ends(base: &Path) -> Vec<u64> {
    let text = fs::read_to_string(base.join("ends")).expect("a file can be read");
    text.lines().map(|line| line.parse().expect("a number")).collect()
}

/// The files of a store, by name, with their lengths.
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
