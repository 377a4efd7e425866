//! Runs a stage: all peers, round by round, so that a disturbance of the machine hits all of them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::data::{Data, Versions, Zipfian};
use crate::peer::{Ability, Durability, Field, Medium, Peer, Store};
use crate::plan::{Group, Line, Stage};
use crate::progress::Progress;
use crate::scratch::Scratch;
use crate::work::{Ground, Work};

/// The result of a line, for one metric. In every metric, less is better.
#[derive(Clone, Serialize)]
pub struct Row {
    pub medium: Medium,
    pub durability: Durability,
    pub group: Group,
    pub name: String,
    pub threads: usize,
    pub data: Data,
    pub metric: &'static str,
    pub unit: &'static str,
    /// The subject's score comes first.
    pub scores: Vec<Score>,
}

/// The result of one peer.
#[derive(Clone, Serialize)]
pub struct Score {
    pub peer: &'static str,
    pub median: f64,
    /// How many times as much as the subject needs: the median of the ratios of the rounds.
    pub times: f64,
    pub rounds: Vec<f64>,
}

impl Row {
    pub fn subject(&self) -> &Score {
        &self.scores[0]
    }

    pub fn score(&self, peer: &str) -> Option<&Score> {
        self.scores.iter().find(|score| score.peer == peer)
    }
}

pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

/// Returns the scores of the rounds of each peer. The subject comes first.
pub fn scores(rounds: Vec<(&'static str, Vec<f64>)>) -> Vec<Score> {
    let subject = rounds.first().map(|(_, rounds)| rounds.clone()).unwrap_or_default();
    let score = |(peer, rounds): (&'static str, Vec<f64>)| {
        let times: Vec<_> =
            rounds.iter().zip(&subject).map(|(one, subject)| one / subject).collect();
        Score { peer, median: median(&rounds), times: median(&times), rounds }
    };
    rounds.into_iter().map(score).collect()
}

/// A peer's name, and its metrics in each round.
type Rounds = (&'static str, Vec<Vec<f64>>);

/// A peer and its store (None if each run creates one).
struct Contender<'a> {
    peer: &'a Peer,
    store: Option<Box<dyn Store>>,
    versions: Versions,
}

/// The lines to run, and how often.
pub struct Settings<'a> {
    pub rounds: usize,
    pub filter: Option<&'a str>,
}

impl Settings<'_> {
    pub fn wants(&self, name: &str) -> bool {
        self.filter.is_none_or(|filter| name.contains(filter))
    }
}

pub fn run(
    stage: &Stage,
    field: &Field,
    settings: &Settings<'_>,
    scratch: &Scratch,
    progress: &Progress,
) -> Result<Vec<Row>> {
    let data = stage.data;
    let lines: Vec<_> = stage.lines.iter().filter(|line| settings.wants(line.name)).collect();
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    let zipfian = Zipfian::new(data.keys);
    let mut contenders = Vec::new();
    for peer in field.peers() {
        let versions = Versions::new(data.keys);
        let filled = || {
            progress.say(&format!("filling {} with {} keys", peer.name, data.keys));
            fill(peer, data, &zipfian, &versions, scratch)
        };
        let store = stage.filled.then(filled).transpose()?;
        contenders.push(Contender { peer, store, versions });
    }
    let mut rows = Vec::new();
    for line in lines {
        let label = format!(
            "{} {}, {} keys, {} thread(s)",
            line.group.name(),
            line.name,
            data.keys,
            line.threads
        );
        progress.say(&label);
        let named = |peer: &Peer| {
            line.among
                .is_none_or(|among| peer.name == field.subject().name || among.contains(&peer.name))
        };
        let able = |contender: &&Contender<'_>| {
            contender.peer.can(&line.work.needs()) && named(contender.peer)
        };
        let able: Vec<_> = contenders.iter().filter(able).collect();
        let rounds = of_line(line, &able, stage, &zipfian, settings.rounds, scratch)?;
        rows.extend(in_rows(line, stage, rounds));
        progress.step();
    }
    Ok(rows)
}

fn in_rows(line: &Line, stage: &Stage, rounds: Vec<Rounds>) -> Vec<Row> {
    let row = |(index, metric): (usize, &&'static str)| Row {
        medium: stage.medium,
        durability: stage.durability,
        group: line.group,
        name: line.name.to_owned(),
        threads: line.threads,
        data: stage.data,
        metric,
        unit: "ns",
        scores: scores(
            rounds
                .iter()
                .map(|(peer, rounds)| {
                    (*peer, rounds.iter().map(|metrics| metrics[index]).collect())
                })
                .collect(),
        ),
    };
    line.work.metrics().iter().enumerate().map(row).collect()
}

/// Runs all rounds of a line.
fn of_line(
    line: &Line,
    able: &[&Contender<'_>],
    stage: &Stage,
    zipfian: &Zipfian,
    rounds: usize,
    scratch: &Scratch,
) -> Result<Vec<Rounds>> {
    let mut results: Vec<_> =
        able.iter().map(|contender| (contender.peer.name, Vec::new())).collect();
    let own: Vec<_> = if stage.filled || matches!(line.work, Work::Load { .. }) {
        able.iter().map(|_| None).collect()
    } else {
        // Nothing is read, so an empty store is enough.
        let open = |contender: &&Contender<'_>| {
            Ok(Some((contender.peer.open)(&scratch.directory(contender.peer.name)?)?))
        };
        able.iter().map(open).collect::<Result<_>>()?
    };
    let grounds: Vec<_> = able
        .iter()
        .zip(&own)
        .map(|(contender, own)| {
            own.as_ref()
                .or(contender.store.as_ref())
                .map(|store| Ground::new(&**store, stage.data, zipfian, &contender.versions))
        })
        .collect();
    let calibrate = |ground: &Option<Ground<'_>>| {
        ground
            .as_ref()
            .map_or(1, |ground| ground.calibrate(line.work, line.threads, budget(line, stage)))
    };
    let calls: Vec<_> = grounds.iter().map(calibrate).collect();
    for round in 0..rounds {
        for (index, contender) in able.iter().enumerate() {
            let metrics = match &grounds[index] {
                Some(ground) => ground.run(line.work, line.threads, calls[index], round as u64),
                None => {
                    let path = scratch.directory(contender.peer.name)?;
                    let store = (contender.peer.open)(&path)?;
                    let metrics = Ground::new(&*store, stage.data, zipfian, &contender.versions)
                        .run(line.work, 1, 1, round as u64);
                    drop(store);
                    scratch.remove(&path)?;
                    metrics
                }
            };
            results[index].1.push(metrics);
        }
    }
    Ok(results)
}

/// High quantiles need more calls.
fn budget(line: &Line, stage: &Stage) -> Duration {
    if line.group == Group::While { stage.budget * 3 } else { stage.budget }
}

/// Creates a store with all of the data. A disk store is closed and opened again, so that reads use
/// its files.
fn fill(
    peer: &Peer,
    data: Data,
    zipfian: &Zipfian,
    versions: &Versions,
    scratch: &Scratch,
) -> Result<Box<dyn Store>> {
    let path = scratch.directory(peer.name)?;
    let open =
        |path: &Path| (peer.open)(path).with_context(|| format!("cannot open {}", peer.name));
    let store = open(&path)?;
    Ground::new(&*store, data, zipfian, versions).fill(peer.can(&[Ability::Batch]));
    if peer.medium == Medium::Memory {
        return Ok(store);
    }
    drop(store);
    open(&path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_the_ratios_of_the_rounds() {
        // In the second round the machine is slow for both.
        let scores = scores(vec![("one", vec![1.0, 10.0, 2.0]), ("other", vec![3.0, 40.0, 4.0])]);
        assert_eq!((scores[0].median, scores[0].times), (2.0, 1.0));
        assert_eq!((scores[1].median, scores[1].times), (4.0, 3.0));
    }
}
