//! The key index: the nodes in the order of their keys.
//!
//! It is a sorted set beside the hash tables. It is brought up to date when an iteration needs it,
//! and not with each write. So a store without iterations pays nothing for it, and many new keys
//! are sorted at once, which is faster than inserting them one by one.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Bound;

use super::node::Node;

/// A node of the index. The first bytes of its key are next to the reference, so most comparisons
/// don't read the node.
pub struct IndexEntry {
    prefix: KeyPrefix,
    pub node: Node,
}

/// The first bytes of a key, as numbers that compare as the bytes do.
type KeyPrefix = [u64; 2];

fn prefix(key: &[u8]) -> KeyPrefix {
    let mut prefix = [[0; 8]; 2];
    let len = key.len().min(16);
    prefix.as_flattened_mut()[..len].copy_from_slice(&key[..len]);
    prefix.map(u64::from_be_bytes)
}

/// An element of the order: an entry, or a key to search for.
trait OrderedKey {
    fn prefix(&self) -> KeyPrefix;
    fn key(&self) -> &[u8];
}

impl IndexEntry {
    pub fn new(node: Node) -> IndexEntry {
        IndexEntry { prefix: prefix(node.key()), node }
    }

    fn compare(&self, wanted: &SearchKey<'_>) -> Ordering {
        self.prefix.cmp(&wanted.prefix).then_with(|| self.node.key().cmp(wanted.key))
    }
}

impl OrderedKey for IndexEntry {
    fn prefix(&self) -> KeyPrefix {
        self.prefix
    }

    fn key(&self) -> &[u8] {
        self.node.key()
    }
}

#[derive(Clone, Copy)]
struct SearchKey<'a> {
    prefix: KeyPrefix,
    key: &'a [u8],
}

impl SearchKey<'_> {
    fn new(key: &[u8]) -> SearchKey<'_> {
        SearchKey { prefix: prefix(key), key }
    }
}

impl OrderedKey for SearchKey<'_> {
    fn prefix(&self) -> KeyPrefix {
        self.prefix
    }

    fn key(&self) -> &[u8] {
        self.key
    }
}

// A set can be searched for anything that its elements can be borrowed as.
impl<'a> Borrow<dyn OrderedKey + 'a> for IndexEntry {
    fn borrow(&self) -> &(dyn OrderedKey + 'a) {
        self
    }
}

impl Ord for dyn OrderedKey + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        self.prefix().cmp(&other.prefix()).then_with(|| self.key().cmp(other.key()))
    }
}

impl PartialOrd for dyn OrderedKey + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for dyn OrderedKey + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for dyn OrderedKey + '_ {}

impl Ord for IndexEntry {
    fn cmp(&self, other: &IndexEntry) -> Ordering {
        self.prefix.cmp(&other.prefix).then_with(|| self.node.key().cmp(other.node.key()))
    }
}

impl PartialOrd for IndexEntry {
    fn partial_cmp(&self, other: &IndexEntry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for IndexEntry {
    fn eq(&self, other: &IndexEntry) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for IndexEntry {}

/// Changes of the index that are due.
#[derive(Default)]
pub struct PendingIndexOps {
    pub insert: Vec<IndexEntry>,
    pub remove: Vec<IndexEntry>,
}

impl PendingIndexOps {
    pub fn append(&mut self, mut other: PendingIndexOps) {
        self.insert.append(&mut other.insert);
        self.remove.append(&mut other.remove);
    }
}

#[derive(Default)]
pub struct KeyIndex(BTreeSet<IndexEntry>);

impl KeyIndex {
    pub fn apply(&mut self, PendingIndexOps { mut insert, mut remove }: PendingIndexOps) {
        // Sorted, so each finds in the caches what the one before it has read.
        remove.sort_unstable();
        for entry in &remove {
            self.0.remove(entry);
        }
        // Merging reads the whole set; inserting descends the tree once for each new entry.
        if insert.len() > self.0.len() / 16 {
            insert.sort_unstable();
            self.0.append(&mut insert.into_iter().collect());
        } else {
            self.0.extend(insert);
        }
    }

    // A range of a `BTreeSet` with two bounds searches for both. Searching for one, and comparing
    // with the other on the way, costs less: mostly the first bytes decide.

    /// Returns the nodes from a key on, up to `end` if there is one.
    pub fn forward<'a>(
        &'a self,
        from: Bound<&[u8]>,
        end: Option<&'a [u8]>,
    ) -> impl Iterator<Item = &'a Node> + Clone {
        let (from, end) = (from.map(SearchKey::new), end.map(SearchKey::new));
        let found = self.0.range::<dyn OrderedKey, _>((as_dyn(&from), Bound::Unbounded));
        let is_inside =
            move |entry: &&IndexEntry| end.as_ref().is_none_or(|end| entry.compare(end).is_lt());
        found.take_while(is_inside).map(|entry| &entry.node)
    }

    /// Returns the nodes from a key on backwards, down to `start`.
    pub fn backward<'a>(
        &'a self,
        from: Bound<&[u8]>,
        start: &'a [u8],
    ) -> impl Iterator<Item = &'a Node> + Clone {
        let (from, start) = (from.map(SearchKey::new), SearchKey::new(start));
        let found = self.0.range::<dyn OrderedKey, _>((Bound::Unbounded, as_dyn(&from)));
        found.rev().take_while(move |entry| entry.compare(&start).is_ge()).map(|entry| &entry.node)
    }
}

fn as_dyn<'a>(bound: &'a Bound<SearchKey<'a>>) -> Bound<&'a (dyn OrderedKey + 'a)> {
    bound.as_ref().map(|key| key as &dyn OrderedKey)
}
