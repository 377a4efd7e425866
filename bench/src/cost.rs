//! Measures costs other than time, each peer in a process of its own.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::child::{Task, answer, ask};
use crate::contest::{Row, Settings, scores};
use crate::data::{Data, Dice, Versions, Zipfian};
use crate::machine::{disk_bytes, resident, written};
use crate::peer::{Ability, Field, Medium, Peer};
use crate::plan::Group;
use crate::progress::Progress;
use crate::scratch::Scratch;
use crate::work::Ground;

/// A measurement: the name of the line, the name in the child's output, and the unit.
type Question = (&'static str, &'static str, &'static str);

const IN_MEMORY: &[Question] = &[("resident memory, per key", "resident", "bytes")];

/// The order matters: a store is written and closed, and then opened.
const ON_DISK: &[Question] = &[
    ("disk space, per key", "disk", "bytes"),
    ("write amplification", "written", "times"),
    ("close", "close", "ms"),
    ("open and read a key", "open", "ms"),
];

/// Opens the store and reads a key.
pub fn open(peer: &Peer, data: Data, directory: &Path) -> Result<()> {
    let start = Instant::now();
    let store = (peer.open)(directory)?;
    ensure!(store.get(&data.key(data.keys / 2)).is_some(), "the key is there");
    println!("open {}", start.elapsed().as_secs_f64() * 1e3);
    drop(store);
    Ok(())
}

/// Loads all data in random order: key by key in memory, in batches on disk. On disk, it then
/// updates a tenth of the keys.
pub fn fill(peer: &Peer, data: Data, directory: &Path) -> Result<()> {
    let (zipfian, versions) = (Zipfian::new(data.keys), Versions::new(data.keys));
    let (memory, disk) = (resident(), written());
    let store = (peer.open)(directory)?;
    Ground::new(&*store, data, &zipfian, &versions)
        .fill(peer.medium == Medium::Disk && peer.can(&[Ability::Batch]));
    println!("resident {}", resident().saturating_sub(memory) as f64 / data.keys as f64);
    if peer.medium == Medium::Memory {
        return Ok(());
    }
    let (mut dice, mut value, updates) = (Dice::new(1), Vec::new(), data.keys / 10);
    for number in (0..updates).map(|_| dice.below(data.keys)) {
        data.value(number, versions.next(number), &mut value);
        store.set(&data.key(number), &value);
    }
    let start = Instant::now();
    drop(store);
    println!("close {}", start.elapsed().as_secs_f64() * 1e3);
    println!(
        "written {}",
        (written() - disk) as f64 / (data.bytes() + data.bytes() / data.keys * updates) as f64
    );
    println!("disk {}", disk_bytes(directory) as f64 / data.keys as f64);
    Ok(())
}

/// The number of lines of [`rows`].
pub fn lines(medium: Medium) -> u64 {
    if medium == Medium::Memory { IN_MEMORY.len() as u64 } else { ON_DISK.len() as u64 }
}

/// Measures all peers, `rounds` times.
pub fn rows(
    field: &Field,
    keys: u64,
    rounds: usize,
    settings: &Settings<'_>,
    library: &Path,
    scratch: &Scratch,
    progress: &Progress,
) -> Result<Vec<Row>> {
    let subject = field.subject();
    let questions = if subject.medium == Medium::Memory { IN_MEMORY } else { ON_DISK };
    let questions: Vec<_> = questions.iter().filter(|(name, ..)| settings.wants(name)).collect();
    if questions.is_empty() {
        return Ok(Vec::new());
    }
    let mut texts: Vec<(&Peer, Vec<String>)> =
        field.peers().iter().map(|peer| (peer, Vec::new())).collect();
    for _ in 0..rounds {
        for (peer, texts) in &mut texts {
            progress.say(&format!("cost {}, {keys} keys", peer.name));
            let path = scratch.directory(peer.name)?;
            let mut text = ask(Task::Fill, peer, keys, &path, library)?;
            if peer.medium == Medium::Disk {
                text += &ask(Task::Open, peer, keys, &path, library)?;
            }
            texts.push(text);
            scratch.remove(&path)?;
        }
    }
    let row = |(name, figure, unit): &Question| {
        let of = |(peer, texts): &(&Peer, Vec<String>)| {
            Ok((
                peer.name,
                texts.iter().map(|text| answer(text, figure)).collect::<Result<Vec<_>>>()?,
            ))
        };
        progress.step();
        Ok(Row {
            medium: subject.medium,
            durability: subject.durability,
            group: Group::Cost,
            name: (*name).to_owned(),
            threads: 1,
            data: Data::usual(keys),
            metric: "",
            unit,
            scores: scores(texts.iter().map(of).collect::<Result<_>>()?),
        })
    };
    questions.into_iter().map(row).collect()
}

/// Returns the growth of each line from the fewest keys to the most.
pub fn growth(rows: &[Row]) -> Vec<Row> {
    let usual =
        |row: &&Row| row.data == Data::usual(row.data.keys) && row.threads == 1 && row.unit == "ns";
    let usual: Vec<_> = rows
        .iter()
        .filter(usual)
        .filter(|row| matches!(row.group, Group::Point | Group::Range))
        .collect();
    let least = usual.iter().map(|row| row.data.keys).min().unwrap_or(0);
    let of = |small: &&Row| {
        let large = usual.iter().filter(|row| row.name == small.name && row.data.keys > least);
        let large = large.max_by_key(|row| row.data.keys)?;
        let peer = |score: &crate::contest::Score| {
            let large = large.score(score.peer)?;
            Some((score.peer, vec![large.median / score.median]))
        };
        Some(Row {
            group: Group::Cost,
            name: format!("growth of {} from {} keys", small.name, least),
            unit: "times",
            metric: "",
            scores: scores(small.scores.iter().filter_map(peer).collect()),
            ..(*large).clone()
        })
    };
    usual.iter().filter(|row| row.data.keys == least).filter_map(of).collect()
}
