//! Computes what the stores of a killed child must have, from its reports.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::path::Path;

use kvds::testing::{Backend, Distributor, Options, TimeLeft};

use super::child::copies;
use super::{EXPIRES, SHARED, Writer, number_in};

/// The number of a store. Copies of the main store have numbers too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Store(pub u64);

/// The store that all writers use.
pub const MAIN: Store = Store(0);

impl Store {
    pub fn id(self) -> String {
        if self == MAIN { "main".to_owned() } else { format!("other-{}", self.0) }
    }
}

/// A report of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A writer is about to make the write of this number.
    Try(Store, u64, u64),
    /// The write of this number is acknowledged.
    Done(Store, u64, u64),
    Begin(Act, Store),
    End(Act, Store),
}

/// What a child does besides writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Sync,
    Close,
    /// Copies the main store to the copy of this number.
    Copy,
    Destroy,
}

const ACTS: [Act; 4] = [Act::Sync, Act::Close, Act::Copy, Act::Destroy];

/// An encoded event.
pub type Report = [u8; 32];

impl Event {
    pub fn report(self) -> Report {
        let words = match self {
            Event::Try(store, writer, number) => [0, store.0, writer, number],
            Event::Done(store, writer, number) => [1, store.0, writer, number],
            Event::Begin(act, store) => [2, store.0, act as u64, 0],
            Event::End(act, store) => [3, store.0, act as u64, 0],
        };
        let mut report = Report::default();
        for (bytes, word) in report.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        report
    }

    pub fn read(report: &Report) -> Event {
        let mut words = report
            .chunks_exact(8)
            .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("eight bytes")));
        let mut word = || words.next().expect("four words");
        let (kind, store, third, fourth) = (word(), Store(word()), word(), word());
        match kind {
            0 => Event::Try(store, third, fourth),
            1 => Event::Done(store, third, fourth),
            2 => Event::Begin(ACTS[third as usize], store),
            3 => Event::End(ACTS[third as usize], store),
            _ => panic!("this is no report: {report:?}"),
        }
    }
}

/// How many writes of a writer a store may have: at least those that must not be lost, at most
/// those that were tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub least: u64,
    pub most: u64,
}

/// How far an action got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Never,
    Begun,
    Done,
}

/// What the stores must have.
pub struct Expected {
    pub main: Vec<Bounds>,
    /// The other stores, and how far their destruction got.
    pub others: BTreeMap<Store, (Bounds, Stage)>,
    /// The copies of the main store, and how far they got.
    pub copies: BTreeMap<Store, (Vec<Bounds>, Stage)>,
}

impl Expected {
    /// Computes it from all reports, each with its time. `numbers` is where the writers began.
    /// Writes that were acknowledged before the time `kept`, or before a sync or close of their
    /// store, must not be lost.
    pub fn from(events: &[(u64, Event)], numbers: &[u64], kept: u64) -> Expected {
        let mut safe: BTreeMap<Store, u64> = BTreeMap::new();
        let mut begun: BTreeMap<Store, u64> = BTreeMap::new();
        for (at, event) in events {
            match event {
                Event::Begin(Act::Sync | Act::Close, store) => _ = begun.insert(*store, *at),
                Event::End(Act::Sync | Act::Close, store) => {
                    _ = safe.insert(*store, begun[store]);
                }
                _ => {}
            }
        }
        let began = Bounds { least: 0, most: 0 };
        let mut expected = Expected {
            main: numbers.iter().map(|number| Bounds { least: *number, most: *number }).collect(),
            others: BTreeMap::new(),
            copies: BTreeMap::new(),
        };
        // Acknowledged writes, even those that may be lost: a copy has all of them.
        let mut acknowledged = numbers.to_vec();
        for (at, event) in events {
            match *event {
                Event::Try(MAIN, writer, number) => {
                    let writer = writer as usize;
                    expected.main[writer].most = number;
                    // A copy that is being made may have it.
                    for (bounds, _) in
                        expected.copies.values_mut().filter(|(_, stage)| *stage == Stage::Begun)
                    {
                        bounds[writer].most = number;
                    }
                }
                Event::Try(store, _, number) => {
                    expected.others.entry(store).or_insert((began, Stage::Never)).0.most = number;
                }
                Event::Done(store, writer, number) => {
                    let bounds = match store {
                        MAIN => {
                            acknowledged[writer as usize] = number;
                            &mut expected.main[writer as usize]
                        }
                        _ => &mut expected.others.get_mut(&store).expect("it was tried").0,
                    };
                    if *at < kept || safe.get(&store).is_some_and(|safe| at < safe) {
                        bounds.least = number;
                    }
                }
                Event::Begin(Act::Destroy, store) => {
                    expected.others.get_mut(&store).expect("it was made").1 = Stage::Begun;
                }
                Event::End(Act::Destroy, store) => {
                    expected.others.get_mut(&store).expect("it was made").1 = Stage::Done;
                }
                Event::Begin(Act::Copy, copy) => {
                    let tried = expected.main.iter().map(|bounds| bounds.most);
                    let bounds =
                        acknowledged.iter().zip(tried).map(|(&least, most)| Bounds { least, most });
                    expected.copies.insert(copy, (bounds.collect(), Stage::Begun));
                }
                Event::End(Act::Copy, copy) => {
                    expected.copies.get_mut(&copy).expect("it was begun").1 = Stage::Done;
                }
                Event::Begin(Act::Sync | Act::Close, _) | Event::End(Act::Sync | Act::Close, _) => {
                }
            }
        }
        expected
    }

    /// Opens the stores in `base` and checks them. Sets `writers`, which are in their earlier
    /// state, to the state that it finds.
    pub fn check(
        &self,
        base: &Path,
        options: &Options,
        seed: u64,
        writers: &mut [Writer],
    ) -> Result<(), String> {
        // Copies are checked first, from the earlier state of the writers.
        for (copy, (bounds, stage)) in &self.copies {
            let mut copied = writers.to_vec();
            let there = look(&copies(base), *copy, options, bounds, &mut copied)?;
            if !there && *stage == Stage::Done {
                return Err(format!("the copy {} is gone", copy.id()));
            }
        }
        for (store, (bounds, destroyed)) in &self.others {
            let mut alone = vec![Writer::new(seed, store.0)];
            let there = look(base, *store, options, &[*bounds], &mut alone)?;
            if there && *destroyed == Stage::Done {
                return Err(format!("{} was destroyed and is there again", store.id()));
            }
            if !there && *destroyed == Stage::Never && bounds.least > 0 {
                return Err(format!("{} is gone, which has {bounds:?}", store.id()));
            }
        }
        let there = look(base, MAIN, options, &self.main, writers)?;
        if !there && self.main.iter().any(|bounds| bounds.least > 0) {
            return Err(format!("the main store is gone, which has {:?}", self.main));
        }
        Ok(())
    }
}

/// Checks a store. Returns whether it exists. It must not be damaged.
fn look(
    base: &Path,
    store: Store,
    options: &Options,
    bounds: &[Bounds],
    writers: &mut [Writer],
) -> Result<bool, String> {
    let options = Options { create_if_missing: false, ..options.clone() };
    let name = store.id();
    let id = CString::new(name.clone()).expect("a name has no zero");
    let distributor = Distributor::open(Some(base), &options).expect("a distributor can be made");
    let opened =
        distributor.get_or_create(&id, Backend::Disk).map_err(|error| error.to_string())?;
    let Some(opened) = opened else {
        // A partly created or removed store must not prevent a new one.
        let options = Options { create_if_missing: true, ..options };
        let distributor =
            Distributor::open(Some(base), &options).expect("a distributor can be made");
        let made =
            distributor.get_or_create(&id, Backend::Disk).map_err(|error| error.to_string())?;
        let empty = made
            .expect("it is made")
            .iterate(b"", |_, _| false)
            .map_err(|error| error.to_string())?;
        return if empty {
            Ok(false)
        } else {
            Err(format!("{name} was not there, and has something in it"))
        };
    };
    let mut found = BTreeMap::new();
    let complete = opened.iterate(b"", |key, value| {
        found.insert(key.to_vec(), value.to_vec());
        true
    });
    assert!(complete.map_err(|error| error.to_string())?);
    for (key, value) in &found {
        let left = opened.time_left(key).map_err(|error| error.to_string())?;
        if matches!(left, Some(TimeLeft::AtLeast(_))) != value.starts_with(EXPIRES) {
            let key = String::from_utf8_lossy(key);
            return Err(format!("{name}: the key {key} has the time {left:?}"));
        }
    }
    explain(&name, found, bounds, writers)?;
    Ok(true)
}

/// Finds the numbers of writes that explain the content.
fn explain(
    name: &str,
    mut found: BTreeMap<Vec<u8>, Vec<u8>>,
    bounds: &[Bounds],
    writers: &mut [Writer],
) -> Result<(), String> {
    let shared = found.remove(SHARED).map_or(0, |value| number_in(&value));
    // For each writer, the states in which its keys have the content: after writes that add to the
    // shared counter alone, and where later writes have undone others.
    let mut possible = Vec::new();
    for (writer, bounds) in writers.iter().zip(bounds) {
        let prefix = writer.prefix();
        let own: BTreeMap<_, _>;
        (own, found) = found.into_iter().partition(|(key, _)| key.starts_with(&prefix));
        let (mut next, mut states) = (writer.clone(), Vec::new());
        loop {
            if next.number >= bounds.least && next.content == own {
                states.push(next.clone());
            }
            if next.number >= bounds.most {
                break;
            }
            next.done(next.next());
        }
        if states.is_empty() {
            return Err(wrong(name, writer.clone(), &own, *bounds));
        }
        possible.push(states);
    }
    if let Some(key) = found.keys().next() {
        return Err(format!(
            "{name} has a key that no writer wrote: {}",
            String::from_utf8_lossy(key)
        ));
    }
    let mut missing = shared - possible.iter().map(|states| states[0].added).sum::<i64>();
    for (writer, states) in writers.iter_mut().zip(possible) {
        let (mut state, before) = (states[0].clone(), states[0].added);
        for later in states {
            if later.added - before <= missing {
                state = later;
            }
        }
        missing -= state.added - before;
        *writer = state;
    }
    if missing != 0 {
        return Err(format!(
            "{name}: the counter of all is {shared}, {missing} more than the writers' writes make"
        ));
    }
    Ok(())
}

/// Describes the difference between the content and the nearest possible content.
fn wrong(
    name: &str,
    mut writer: Writer,
    own: &BTreeMap<Vec<u8>, Vec<u8>>,
    bounds: Bounds,
) -> String {
    let differences = |content: &BTreeMap<Vec<u8>, Vec<u8>>| -> Vec<Vec<u8>> {
        let keys = content.keys().chain(own.keys().filter(|key| !content.contains_key(*key)));
        keys.filter(|key| content.get(*key) != own.get(*key)).cloned().collect()
    };
    let mut nearest = writer.clone();
    while writer.number < bounds.most {
        writer.done(writer.next());
        if differences(&writer.content).len() < differences(&nearest.content).len() {
            nearest = writer.clone();
        }
    }
    let text = |value: Option<&Vec<u8>>| {
        value.map_or("nothing".to_owned(), |value| {
            format!("\"{}\"", String::from_utf8_lossy(&value[..value.len().min(24)]).escape_debug())
        })
    };
    let mut report = format!(
        "{name}: no number of writes in {bounds:?} explains the keys of writer {}. After {} writes \
         they would differ in:",
        writer.id, nearest.number
    );
    for key in differences(&nearest.content) {
        let (found, wanted) = (text(own.get(&key)), text(nearest.content.get(&key)));
        report += &format!("\n  {} has {found} and not {wanted}", String::from_utf8_lossy(&key));
    }
    report
}
