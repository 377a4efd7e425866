//! Damages the files of a store, verifies it, and salvages what is left.
//!
//! The verification names the damaged file, or the damage does no harm. The new store holds only
//! pairs of the last state, and all pairs outside of the reported ranges.
#![cfg(feature = "disk")]

#[path = "damage/case.rs"]
#[allow(dead_code, reason = "another test uses the rest")]
mod case;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use case::{Case, Damage};
use kvds::testing::{
    Error, Kind, Loss, Options, Outcome, Ref, Rescue, Salvaged, Store, TimeLeft, Verdict, Visit,
    salvage, verify,
};
use tempfile::TempDir;

/// The value of each key, and whether it has a time to live.
type Map = BTreeMap<Vec<u8>, (Vec<u8>, bool)>;

/// Longer than a test takes.
const TTL: Duration = Duration::from_secs(24 * 3600);

/// A store with tables on two levels, with deadlines, and with a log as a killed process leaves it.
struct Fixture {
    _directory: TempDir,
    store: PathBuf,
    /// The content after each record of the log; the first is the content without the log.
    states: Vec<Map>,
    /// The length of the log after each record.
    ends: Vec<u64>,
}

fn temporary_directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let created = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    created.expect("a directory can be created")
}

fn open(path: &Path) -> Ref<Store> {
    open_with(path, &Options::default())
}

fn open_with(path: &Path, options: &Options) -> Ref<Store> {
    let store = Store::open(path, c"store", options).expect("the store opens");
    store.expect("the store is created")
}

fn key(number: usize) -> Vec<u8> {
    format!("key{number:05}").into_bytes()
}

/// Returns a value that names its key and its generation.
fn value(key: &[u8], generation: usize) -> Vec<u8> {
    let mut state = key.iter().fold(generation as u32, |state, byte| {
        state.wrapping_mul(31).wrapping_add(u32::from(*byte))
    });
    let noise = (0..60).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    [key, format!("/{generation}/").as_bytes(), &noise.collect::<Vec<u8>>()].concat()
}

/// Writes to a store and to a map.
struct Writer<'a> {
    store: &'a Store,
    map: &'a mut Map,
}

fn applied(outcome: kvds::testing::Result<Outcome>) {
    assert_eq!(outcome.expect("the write works"), Outcome::Applied);
}

impl Writer<'_> {
    fn set(&mut self, key: &[u8], generation: usize) {
        let value = value(key, generation);
        applied(self.store.set(key, &value));
        self.map.insert(key.to_vec(), (value, false));
    }

    fn set_ttl(&mut self, key: &[u8], generation: usize) {
        let value = value(key, generation);
        applied(self.store.set_ttl(key, &value, TTL));
        self.map.insert(key.to_vec(), (value, true));
    }

    fn delete(&mut self, key: &[u8]) {
        applied(self.store.delete(key));
        self.map.remove(key);
    }

    fn delete_prefix(&mut self, prefix: &[u8]) {
        applied(self.store.delete_prefix(prefix));
        self.map.retain(|key, _| !key.starts_with(prefix));
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory can be created");
    for entry in fs::read_dir(from).expect("a directory can be read") {
        let entry = entry.expect("a directory can be read");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a file can be copied");
    }
}

fn files_of(store: &Path) -> Vec<(String, u64)> {
    let file = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.expect("a directory can be read");
        let len = entry.metadata().expect("a file has a length").len();
        (entry.file_name().into_string().expect("UTF-8"), len)
    };
    let mut files: Vec<_> =
        fs::read_dir(store).expect("a directory can be read").map(file).collect();
    files.sort();
    files
}

impl Fixture {
    fn new() -> Fixture {
        let directory = temporary_directory();
        let alive = directory.path().join("alive");
        let mut map = Map::new();
        // A copy flushes the log into tables.
        let flush = |store: &Store| {
            let copy = directory.path().join("flush");
            store.checkpoint(&copy).expect("the store can be copied");
            fs::remove_dir_all(copy).expect("a directory can be removed");
        };
        let store = open(&alive);
        let mut writer = Writer { store: &store, map: &mut map };
        for number in 0..1500 {
            match number % 10 {
                0 => writer.set_ttl(&key(number), 1),
                _ => writer.set(&key(number), 1),
            }
        }
        (0..1200).for_each(|number| writer.set(format!("range/{number:05}").as_bytes(), 1));
        flush(&store);
        store.compact().expect("the store can be compacted");
        for generation in 2..4 {
            let mut writer = Writer { store: &store, map: &mut map };
            for number in (0..1500).step_by(4 + generation) {
                match number % 5 {
                    0 => writer.set_ttl(&key(number), generation),
                    _ => writer.set(&key(number), generation),
                }
            }
            (generation..1500).step_by(97).for_each(|number| writer.delete(&key(number)));
            flush(&store);
        }
        let levels = store.property("rocksdb.levelstats").expect("it is open").unwrap_or_default();
        let mut lines = levels.lines().map(str::split_whitespace);
        let on_level_0 = lines.find_map(|mut words| {
            (words.next()? == "0").then(|| words.next().map(str::to_owned))?
        });
        assert_eq!(on_level_0.as_deref(), Some("2"), "{levels}");

        let log_len = || {
            let log = files_of(&alive).into_iter().rfind(|(name, _)| name.ends_with(".log"));
            log.expect("there is a log").1
        };
        let (mut states, mut ends) = (vec![map.clone()], Vec::new());
        for number in 0..30 {
            let mut writer = Writer { store: &store, map: &mut map };
            match number {
                11 => writer.delete_prefix(b"range/"),
                12 => writer.set(b"range/again", 4),
                _ if number % 6 == 5 => writer.delete(&key(number * 41)),
                _ if number % 6 == 4 => writer.set_ttl(&key(number * 37), 4),
                _ => writer.set(&key(number * 31), 4),
            }
            states.push(map.clone());
            ends.push(log_len());
        }
        let dead = directory.path().join("dead");
        copy(&alive, &dead);
        drop(store);
        Fixture { _directory: directory, store: dead, states, ends }
    }

    fn files(&self) -> Vec<(String, u64)> {
        files_of(&self.store)
    }

    fn last(&self) -> &Map {
        self.states.last().expect("there is a state")
    }

    /// Returns the state that a store with this damage has.
    fn state(&self, case: &Case) -> &Map {
        let records = match case.damage {
            _ if case.kind() != "log" => self.ends.len(),
            Damage::Removed => 0,
            Damage::Cut(at) => self.ends.iter().filter(|end| **end <= at).count(),
            Damage::Flipped(at, _) => self.ends.iter().filter(|end| **end <= at).count(),
        };
        &self.states[records]
    }
}

/// A damage that was reported.
#[derive(Debug)]
struct Told {
    file: PathBuf,
    problem: String,
    loss: Loss,
    first: Option<Vec<u8>>,
    last: Option<Vec<u8>>,
}

impl Told {
    fn affects(&self, loss: Loss, key: &[u8]) -> bool {
        self.loss == loss
            && self.first.as_deref().is_none_or(|first| first <= key)
            && self.last.as_deref().is_none_or(|last| key <= last)
    }
}

/// Runs `call` with a callback that collects the damage.
fn collect<T>(
    call: impl FnOnce(&mut Visit<'_>) -> Result<T, Error>,
) -> (Result<T, Error>, Vec<Told>) {
    let (mut told, mut before) = (Vec::new(), 0);
    let result = call(&mut |damage, progress| {
        assert!(before <= progress.done && progress.done <= progress.total, "{progress:?}");
        before = progress.done;
        told.extend(damage.map(|damage| Told {
            file: damage.file.to_path_buf(),
            problem: damage.problem.to_owned(),
            loss: damage.loss,
            first: damage.first.map(<[u8]>::to_vec),
            last: damage.last.map(<[u8]>::to_vec),
        }));
        true
    });
    (result, told)
}

fn run_verify(store: &Path) -> (Result<Verdict, Error>, Vec<Told>) {
    collect(|visit| verify(store, &Options::default(), visit))
}

fn run_salvage(store: &Path, target: &Path) -> (Result<Rescue, Error>, Vec<Told>) {
    collect(|visit| salvage(store, target, &Options::default(), visit))
}

/// Reads a store.
fn content(store: &Path) -> Result<Map, Error> {
    let store = open_with(store, &Options { create_if_missing: false, ..Options::default() });
    let mut map = Map::new();
    store.iterate(b"", |key, value| {
        map.insert(key.to_vec(), (value.to_vec(), false));
        true
    })?;
    for (key, (_, has_ttl)) in &mut map {
        *has_ttl = matches!(store.time_left(key)?, Some(TimeLeft::AtLeast(_)));
    }
    Ok(map)
}

/// Requires that `found` is what a rescue may save of `state`.
fn check_content(found: &Map, state: &Map, told: &[Told], saved: Salvaged) -> Result<(), String> {
    let mut without_ttl = 0;
    for (key, (value, has_ttl)) in found {
        let name = key.escape_ascii();
        let Some((expected, expected_ttl)) = state.get(key) else {
            return Err(format!("{name} is back after it was deleted"));
        };
        if value != expected {
            return Err(format!("{name} has another value than the last one"));
        }
        let is_told = told.iter().any(|told| told.affects(Loss::Deadlines, key));
        if has_ttl != expected_ttl && (*has_ttl || !is_told) {
            return Err(format!("{name} has a time to live: {has_ttl}"));
        }
        without_ttl += u64::from(has_ttl != expected_ttl);
    }
    for key in state.keys().filter(|key| !found.contains_key(*key)) {
        if !told.iter().any(|told| told.affects(Loss::Pairs, key)) {
            return Err(format!("{} is lost, which was not reported", key.escape_ascii()));
        }
    }
    if without_ttl > saved.deadlines_lost {
        return Err(format!("{without_ttl} deadlines are lost: {saved:?}"));
    }
    if saved.pairs != found.len() as u64 {
        return Err(format!("{} pairs were counted, and there are {}", saved.pairs, found.len()));
    }
    Ok(())
}

/// Damages a copy of the store, and checks what is reported and saved. Returns how many pairs are
/// missing.
fn check_case(fixture: &Fixture, case: &Case) -> Result<usize, String> {
    let directory = temporary_directory();
    let (store, target) = (directory.path().join("store"), directory.path().join("target"));
    copy(&fixture.store, &store);
    case.apply(&store);
    let before = contents_of(&store);
    let state = fixture.state(case);

    let (verdict, told) = run_verify(&store);
    let file = store.join(&case.file);
    match verdict {
        Ok(Verdict::Whole) => {
            assert!(told.is_empty(), "{told:?}");
            let copy_of = directory.path().join("copy");
            copy(&store, &copy_of);
            let found = content(&copy_of).map_err(|error| format!("not verified: {error}"))?;
            if found != *state {
                return Err("a store with other content was verified".to_owned());
            }
        }
        Err(error) if error.kind() == Kind::Corruption => {
            // A log that is missing is only known by its directory.
            let is_named =
                |told: &Told| told.file == file || told.file == store && case.kind() == "log";
            if !told.iter().all(is_named) {
                return Err(format!("another file was reported: {told:?}"));
            }
            if told.is_empty() || told.iter().any(|told| told.problem.is_empty()) {
                return Err(format!("the damage has no text: {told:?}"));
            }
        }
        other => return Err(format!("the verification returned {other:?}")),
    }

    let (rescue, told) = run_salvage(&store, &target);
    let saved = match rescue {
        Ok(Rescue::Complete(saved)) => saved,
        other => return Err(format!("the rescue returned {other:?} after {told:?}")),
    };
    let found = content(&target).map_err(|error| format!("the new store is damaged: {error}"))?;
    check_content(&found, state, &told, saved).map_err(|text| format!("{text}: {told:?}"))?;
    if contents_of(&store) != before {
        return Err("the damaged store was changed".to_owned());
    }
    if fs::read_dir(directory.path()).expect("a directory can be read").count() > 3 {
        return Err("a temporary directory is left".to_owned());
    }
    Ok(state.len() - found.len())
}

fn contents_of(store: &Path) -> Vec<(String, Vec<u8>)> {
    let content = |(name, _): (String, u64)| {
        let bytes = fs::read(store.join(&name)).expect("a file can be read");
        (name, bytes)
    };
    files_of(store).into_iter().map(content).collect()
}

#[test]
fn damage_is_found_and_the_rest_is_saved() {
    let fixture = Fixture::new();
    let rounds: usize = std::env::var("KVDS_SALVAGE_ROUNDS")
        .ok()
        .map_or(12, |rounds| rounds.parse().expect("KVDS_SALVAGE_ROUNDS is a number"));
    let mut random = fastrand::Rng::with_seed(5);
    let (mut wrong, mut missing) = (Vec::new(), BTreeMap::new());
    for (file, len) in fixture.files() {
        let of = |damage| Case { file: file.clone(), damage };
        let mut cases = vec![of(Damage::Removed)];
        for _ in 0..rounds.min(len as usize) {
            cases.push(of(Damage::Flipped(random.u64(..len), 1 << random.u32(..8))));
            if random.u8(..3) == 0 {
                cases.push(of(Damage::Cut(random.u64(..len))));
            }
        }
        for case in cases {
            match check_case(&fixture, &case) {
                Ok(lost) => {
                    let (most, sum, count) =
                        missing.entry((case.kind(), case.damage.kind())).or_insert((0, 0, 0));
                    *most = lost.max(*most);
                    *sum += lost;
                    *count += 1;
                }
                Err(text) => wrong.push(format!("{case}: {text}")),
            }
        }
    }
    eprintln!("of {} pairs, (most, sum, cases) missing: {missing:#?}", fixture.last().len());
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_whole_store_is_verified_and_copied_as_it_is() {
    let fixture = Fixture::new();
    let (verdict, told) = run_verify(&fixture.store);
    assert!(matches!(verdict, Ok(Verdict::Whole)) && told.is_empty(), "{verdict:?} {told:?}");
    let target = temporary_directory();
    let target = target.path().join("above").join("target");
    let (rescue, told) = run_salvage(&fixture.store, &target);
    let saved = Salvaged { pairs: fixture.last().len() as u64, ..Salvaged::default() };
    assert_eq!(rescue.expect("it works"), Rescue::Complete(saved));
    assert!(told.is_empty(), "{told:?}");
    assert_eq!(content(&target).expect("it can be read"), *fixture.last());
}

#[test]
fn every_part_of_a_table_is_verified() {
    let fixture = Fixture::new();
    let (file, len) = fixture
        .files()
        .into_iter()
        .filter(|(name, _)| name.ends_with(".sst"))
        .max_by_key(|(_, len)| *len)
        .expect("there is a table");
    let directory = temporary_directory();
    let (mut losses, mut unnoticed) = (BTreeMap::new(), Vec::new());
    for at in (0..len).step_by(if len > 50_000 { 101 } else { 11 }) {
        let store = directory.path().join("store");
        copy(&fixture.store, &store);
        Case { file: file.clone(), damage: Damage::Flipped(at, 0x10) }.apply(&store);
        let (verdict, told) = run_verify(&store);
        assert!(told.len() <= 1, "{at}: {told:?}");
        match told.first() {
            Some(told) => {
                assert!(verdict.is_err());
                let part = ["data block", "filter", "index", "properties"]
                    .into_iter()
                    .find(|part| told.problem.contains(part));
                losses.insert((part, told.loss == Loss::Pairs), told.problem.clone());
            }
            None => unnoticed.push(at),
        }
        fs::remove_dir_all(&store).expect("a directory can be removed");
    }
    assert!(losses.contains_key(&(Some("data block"), true)), "{losses:?}");
    assert!(losses.contains_key(&(Some("filter"), false)), "{losses:?}");
    assert!(!losses.contains_key(&(Some("filter"), true)), "{losses:?}");
    // The footer has padding that means nothing.
    assert!(unnoticed.iter().all(|at| *at + 64 > len), "of {len} bytes: {unnoticed:?}");
}

#[test]
fn all_damage_is_reported_and_not_only_the_first() {
    let fixture = Fixture::new();
    let directory = temporary_directory();
    let store = directory.path().join("store");
    copy(&fixture.store, &store);
    let largest = fixture
        .files()
        .into_iter()
        .filter(|(name, _)| name.ends_with(".sst"))
        .max_by_key(|(_, len)| *len)
        .expect("there is a table");
    let log = fixture.files().into_iter().rfind(|(name, _)| name.ends_with(".log"));
    let log = log.expect("there is a log").0;
    for (file, at) in [(&largest.0, 100), (&largest.0, 30_000), (&largest.0, 60_000), (&log, 2000)]
    {
        Case { file: file.clone(), damage: Damage::Flipped(at, 1) }.apply(&store);
    }
    let (verdict, told) = run_verify(&store);
    assert_eq!(verdict.expect_err("it is damaged").kind(), Kind::Corruption);
    let names: Vec<_> = told.iter().map(|told| told.file.clone()).collect();
    let expected = [&largest.0, &largest.0, &largest.0, &log].map(|name| store.join(name));
    assert_eq!(names, expected, "{told:?}");
    assert!(told[..3].iter().all(|told| told.first <= told.last && told.last.is_some()));
}

/// The bytes behind the end of a table take nothing away. The table was once given up as a whole.
#[test]
fn a_table_that_is_too_long_loses_nothing() {
    let fixture = Fixture::new();
    for (name, _) in fixture.files().into_iter().filter(|(name, _)| name.ends_with(".sst")) {
        let directory = temporary_directory();
        let (store, target) = (directory.path().join("store"), directory.path().join("target"));
        copy(&fixture.store, &store);
        let mut file = fs::File::options().append(true).open(store.join(&name)).expect("a file");
        std::io::Write::write_all(&mut file, b"more").expect("a file can be written");
        for told in [run_verify(&store).1, run_salvage(&store, &target).1] {
            let [told] = &told[..] else { panic!("{name}: {told:?}") };
            assert_eq!((told.loss, &told.file), (Loss::Nothing, &store.join(&name)));
        }
        assert_eq!(&content(&target).expect("it opens"), fixture.last(), "{name}");
    }
}

#[test]
fn damage_of_two_files_is_survived() {
    let fixture = Fixture::new();
    let files = fixture.files();
    let mut random = fastrand::Rng::with_seed(9);
    for round in 0..20 {
        let directory = temporary_directory();
        let (store, target) = (directory.path().join("store"), directory.path().join("target"));
        copy(&fixture.store, &store);
        let tables: Vec<_> = files.iter().filter(|(name, _)| name.ends_with(".sst")).collect();
        for _ in 0..4 {
            let (file, len) = tables[random.usize(..tables.len())];
            let case = Case { file: file.clone(), damage: Damage::Flipped(random.u64(..*len), 1) };
            case.apply(&store);
        }
        let has_manifest = round % 4 != 0;
        if !has_manifest {
            fs::remove_file(store.join("CURRENT")).expect("a file can be removed");
            let manifest = files.iter().find(|(name, _)| name.starts_with("MANIFEST"));
            let name = &manifest.expect("there is a manifest").0;
            fs::write(store.join(name), "nothing").expect("a file can be written");
        }
        let (rescue, told) = run_salvage(&store, &target);
        let Ok(Rescue::Complete(saved)) = rescue else { panic!("{rescue:?} after {told:?}") };
        let found = content(&target).expect("the new store is whole");
        if has_manifest {
            check_content(&found, fixture.last(), &told, saved)
                .unwrap_or_else(|text| panic!("{text}: {told:?}"));
        } else {
            let rebuilt = told.iter().find(|told| told.problem.contains("rebuilt"));
            assert!(rebuilt.is_some_and(|told| told.first.is_none()), "{told:?}");
            assert!(saved.pairs > 0, "{told:?}");
        }
    }
}

#[test]
fn the_callback_stops_both() {
    let fixture = Fixture::new();
    let directory = temporary_directory();
    let target = directory.path().join("target");
    for after in [0, 1, 2, 3] {
        let mut calls = 0;
        let mut stop = |_: Option<&kvds::testing::Damage<'_>>, _| {
            calls += 1;
            calls <= after
        };
        let verdict = verify(&fixture.store, &Options::default(), &mut stop);
        assert_eq!(verdict.expect("no error"), Verdict::Stopped);
        calls = 0;
        let mut stop = |_: Option<&kvds::testing::Damage<'_>>, _| {
            calls += 1;
            calls <= after
        };
        let rescue = salvage(&fixture.store, &target, &Options::default(), &mut stop);
        assert_eq!(rescue.expect("no error"), Rescue::Stopped);
        let left = fs::read_dir(directory.path()).expect("a directory can be read").count();
        assert_eq!(left, 0, "nothing is left behind");
    }
}

#[test]
fn what_is_no_store_or_is_in_use_is_left_alone() {
    let directory = temporary_directory();
    let [absent, empty, store, target] =
        ["absent", "empty", "store", "target"].map(|name| directory.path().join(name));
    fs::create_dir(&empty).expect("a directory can be created");
    for path in [&absent, &empty] {
        assert_eq!(run_verify(path).0.expect("no error"), Verdict::Absent);
        assert_eq!(run_salvage(path, &target).0.expect("no error"), Rescue::Absent);
    }
    let open = open(&store);
    applied(open.set(b"key", b"value"));
    assert_eq!(run_verify(&store).0.expect("no error"), Verdict::Whole);
    let error = run_salvage(&store, &target).0.expect_err("it is open");
    assert_eq!(error.kind(), Kind::Locked, "{error}");
    drop(open);
    let error = run_salvage(&store, &empty).0.expect_err("the target exists");
    assert_eq!(error.kind(), Kind::InvalidArgument, "{error}");
    assert!(!target.exists());
}

#[test]
fn a_store_is_verified_while_it_is_written() {
    let directory = temporary_directory();
    let path = directory.path().join("store");
    let store = open(&path);
    let is_done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..40 {
                for number in 0..500 {
                    let key = key(number);
                    applied(store.set(&key, &value(&key, round).repeat(20)));
                }
                store.compact().expect("the store can be compacted");
            }
            is_done.store(true, std::sync::atomic::Ordering::SeqCst);
        });
        // Bounded by the writer.
        while !is_done.load(std::sync::atomic::Ordering::SeqCst) {
            let (verdict, told) = run_verify(&path);
            match verdict {
                Ok(Verdict::Whole) => {}
                Err(error) if error.kind() == Kind::Busy => {}
                other => panic!("{other:?} {told:?}"),
            }
        }
    });
}
