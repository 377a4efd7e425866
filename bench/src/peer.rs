//! What a peer is: a store that can be opened and called, and what has to be known of it to be
//! fair.

use std::fmt;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

/// A key and its value.
pub struct Pair<'a> {
    pub key: &'a [u8],
    pub value: &'a [u8],
}

/// An open store. What fails ends the measurement: a store that fails has no speed.
pub trait Store: Send + Sync {
    /// Reads the value, all of it: its digest, or None.
    fn get(&self, key: &[u8]) -> Option<u64>;
    fn exists(&self, key: &[u8]) -> bool;
    fn set(&self, key: &[u8], value: &[u8]);
    fn del(&self, key: &[u8]);

    /// Shows every pair whose key begins with `prefix`, in order. Asked only of those with
    /// [`Ability::Iterate`].
    fn iterate(&self, _prefix: &[u8], _visit: Visit<'_>) {
        unreachable!("asked for what it can't do")
    }

    /// Shows `count` pairs from the first whose key is not less than `start`, or backward from
    /// about there.
    fn scan(&self, _start: &[u8], _count: usize, _backward: bool, _visit: Visit<'_>) {
        unreachable!("asked for what it can't do")
    }

    fn set_nx(&self, _key: &[u8], _value: &[u8]) -> bool {
        unreachable!("asked for what it can't do")
    }

    fn compare_and_swap(&self, _key: &[u8], _expected: &[u8], _value: &[u8]) -> bool {
        unreachable!("asked for what it can't do")
    }

    /// Sets all of them in one atomic step.
    fn set_batch(&self, _pairs: &[Pair<'_>]) {
        unreachable!("asked for what it can't do")
    }
}

/// Is shown pairs.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]);

/// What not every store can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ability {
    Iterate,
    Scan,
    SetNx,
    Swap,
    Batch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Medium {
    Memory,
    Disk,
}

/// What a write that was acknowledged survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// Nothing: the store is in memory.
    None,
    /// The death of the process, at once.
    ProcessCrash,
    /// A power cut, at once.
    PowerCut,
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Durability::None => "nothing (memory)",
            Durability::ProcessCrash => "the death of the process",
            Durability::PowerCut => "a power cut",
        })
    }
}

/// Who takes part.
#[derive(Clone, Serialize)]
pub struct Peer {
    pub name: &'static str,
    pub version: String,
    /// How it is set, and where that is recommended.
    pub settings: &'static str,
    pub medium: Medium,
    pub durability: Durability,
    #[serde(skip)]
    pub can: &'static [Ability],
    /// Opens the store in a directory that is there, making it if it is new. Memory stores have no
    /// use for it.
    #[serde(skip)]
    pub open: fn(&Path) -> Result<Box<dyn Store>>,
}

impl Peer {
    pub fn can(&self, needs: &[Ability]) -> bool {
        needs.iter().all(|need| self.can.contains(need))
    }
}

/// Peers that may be compared: on one medium, at one level of durability. There is no other way to
/// make one.
pub struct Field(Vec<Peer>);

impl Field {
    /// The first is the one that the others are compared with.
    pub fn new(peers: Vec<Peer>) -> Result<Field> {
        let Some(first) = peers.first() else { anyhow::bail!("nobody takes part") };
        for peer in &peers {
            anyhow::ensure!(
                peer.medium == first.medium && peer.durability == first.durability,
                "{} and {} can't be compared: a write to the one survives {}, a write to the other {}",
                first.name,
                peer.name,
                first.durability,
                peer.durability,
            );
        }
        Ok(Field(peers))
    }

    pub fn peers(&self) -> &[Peer] {
        &self.0
    }

    /// The one that the others are compared with.
    pub fn subject(&self) -> &Peer {
        &self.0[0]
    }

    /// The same with those peers alone that are named; the first stays.
    pub fn only(&self, names: &[&str]) -> Field {
        let stays = |(index, peer): &(usize, &Peer)| *index == 0 || names.contains(&peer.name);
        Field(self.0.iter().enumerate().filter(stays).map(|(_, peer)| peer.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_of_different_durability_are_not_compared() {
        let peer = |name, durability| Peer {
            name,
            version: String::new(),
            settings: "",
            medium: Medium::Disk,
            durability,
            can: &[],
            open: |_| anyhow::bail!("not to be opened"),
        };
        let (weak, strong) =
            (peer("weak", Durability::ProcessCrash), peer("strong", Durability::PowerCut));
        assert!(Field::new(vec![weak.clone(), weak.clone()]).is_ok());
        let conflict = Field::new(vec![weak, strong]).err().expect("refused").to_string();
        assert!(conflict.contains("weak and strong can't be compared"), "{conflict}");
    }
}
