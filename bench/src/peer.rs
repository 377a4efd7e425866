//! A peer: a store to compare with, and the facts that a fair comparison needs.

use std::fmt;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

/// A key and its value.
pub struct Pair<'a> {
    pub key: &'a [u8],
    pub value: &'a [u8],
}

/// An open store. Errors end the program, as a store that fails has no speed.
pub trait Store: Send + Sync {
    /// Reads the whole value. Returns its digest, or None.
    fn get(&self, key: &[u8]) -> Option<u64>;
    fn exists(&self, key: &[u8]) -> bool;
    fn set(&self, key: &[u8], value: &[u8]);
    fn del(&self, key: &[u8]);

    /// Shows every pair whose key begins with `prefix`, in order. Needs [`Ability::Iterate`].
    fn iterate(&self, _prefix: &[u8], _visit: Visit<'_>) {
        unreachable!("the peer does not have this ability")
    }

    /// Shows `count` pairs from the first key that is not less than `start`, or backward from about
    /// there.
    fn scan(&self, _start: &[u8], _count: usize, _backward: bool, _visit: Visit<'_>) {
        unreachable!("the peer does not have this ability")
    }

    fn set_nx(&self, _key: &[u8], _value: &[u8]) -> bool {
        unreachable!("the peer does not have this ability")
    }

    fn compare_and_swap(&self, _key: &[u8], _expected: &[u8], _value: &[u8]) -> bool {
        unreachable!("the peer does not have this ability")
    }

    /// Sets all pairs in one atomic step.
    fn set_batch(&self, _pairs: &[Pair<'_>]) {
        unreachable!("the peer does not have this ability")
    }
}

/// Called for each pair.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]);

/// Operations that not every peer has.
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

/// What an acknowledged write survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// Nothing: the store is in memory.
    None,
    /// A killed process, immediately.
    ProcessCrash,
    /// A power failure, immediately.
    PowerCut,
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Durability::None => "nothing (memory)",
            Durability::ProcessCrash => "a killed process",
            Durability::PowerCut => "a power failure",
        })
    }
}

/// A store to measure.
#[derive(Clone, Serialize)]
pub struct Peer {
    pub name: &'static str,
    pub version: String,
    /// The settings, and where they are recommended.
    pub settings: &'static str,
    pub medium: Medium,
    pub durability: Durability,
    #[serde(skip)]
    pub can: &'static [Ability],
    /// Opens or creates the store in an existing directory. Memory stores ignore it.
    #[serde(skip)]
    pub open: fn(&Path) -> Result<Box<dyn Store>>,
}

impl Peer {
    pub fn can(&self, needs: &[Ability]) -> bool {
        needs.iter().all(|need| self.can.contains(need))
    }
}

/// Peers that can be compared: on one medium, at one level of durability. The constructor checks
/// this.
pub struct Field(Vec<Peer>);

impl Field {
    /// Creates a field. The other peers are compared with the first one.
    pub fn new(peers: Vec<Peer>) -> Result<Field> {
        let Some(first) = peers.first() else { anyhow::bail!("there are no peers") };
        for peer in &peers {
            anyhow::ensure!(
                peer.medium == first.medium && peer.durability == first.durability,
                "cannot compare {} and {}: a write to the first survives {}, one to the other {}",
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

    /// Returns the peer that the others are compared with.
    pub fn subject(&self) -> &Peer {
        &self.0[0]
    }

    /// Returns a field with the first peer and the named ones.
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
            open: |_| anyhow::bail!("this peer cannot be opened"),
        };
        let (weak, strong) =
            (peer("weak", Durability::ProcessCrash), peer("strong", Durability::PowerCut));
        assert!(Field::new(vec![weak.clone(), weak.clone()]).is_ok());
        let conflict = Field::new(vec![weak, strong]).err().expect("refused").to_string();
        assert!(conflict.contains("cannot compare weak and strong"), "{conflict}");
    }
}
