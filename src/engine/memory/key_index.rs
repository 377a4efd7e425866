//! The order of the keys.
//!
//! A sorted set of nodes beside the hash tables, for those who go over keys in order. It is brought
//! up to date when somebody wants to do that, and not with each write: a store that is only asked
//! for single keys pays nothing for it, and many new keys at once are sorted faster than they are
//! put in one by one.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Bound;

use super::node::Node;

/// A node in its place. The first bytes of its key lie beside the reference, so that most
/// comparisons don't touch the node.
pub struct Placed {
    begin: Begin,
    /// The node.
    pub node: Node,
}

/// The first bytes of a key as numbers that compare as they do.
type Begin = [u64; 2];

fn begin(key: &[u8]) -> Begin {
    let mut begin = [[0; 8]; 2];
    let len = key.len().min(16);
    begin.as_flattened_mut()[..len].copy_from_slice(&key[..len]);
    begin.map(u64::from_be_bytes)
}

/// Something with a place among the keys: a node, or a key that is looked for.
trait Place {
    fn begin(&self) -> Begin;
    fn key(&self) -> &[u8];
}

impl Placed {
    /// The place of a node.
    pub fn new(node: Node) -> Placed {
        Placed { begin: begin(node.key()), node }
    }

    fn compare(&self, wanted: &SearchKey<'_>) -> Ordering {
        self.begin.cmp(&wanted.begin).then_with(|| self.node.key().cmp(wanted.key))
    }
}

impl Place for Placed {
    fn begin(&self) -> Begin {
        self.begin
    }

    fn key(&self) -> &[u8] {
        self.node.key()
    }
}

#[derive(Clone, Copy)]
struct SearchKey<'a> {
    begin: Begin,
    key: &'a [u8],
}

impl Place for SearchKey<'_> {
    fn begin(&self) -> Begin {
        self.begin
    }

    fn key(&self) -> &[u8] {
        self.key
    }
}

// A set can be searched for anything that its elements can be seen as.
impl<'a> Borrow<dyn Place + 'a> for Placed {
    fn borrow(&self) -> &(dyn Place + 'a) {
        self
    }
}

impl Ord for dyn Place + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        self.begin().cmp(&other.begin()).then_with(|| self.key().cmp(other.key()))
    }
}

impl PartialOrd for dyn Place + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for dyn Place + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for dyn Place + '_ {}

impl Ord for Placed {
    fn cmp(&self, other: &Placed) -> Ordering {
        self.begin.cmp(&other.begin).then_with(|| self.node.key().cmp(other.node.key()))
    }
}

impl PartialOrd for Placed {
    fn partial_cmp(&self, other: &Placed) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Placed {
    fn eq(&self, other: &Placed) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Placed {}

/// Nodes that wait for a change of the order.
#[derive(Default)]
pub struct PendingIndexOps {
    /// To be put in.
    pub new: Vec<Placed>,
    /// To be taken out.
    pub gone: Vec<Placed>,
}

impl PendingIndexOps {
    /// Takes more along.
    pub fn and(&mut self, mut other: PendingIndexOps) {
        self.new.append(&mut other.new);
        self.gone.append(&mut other.gone);
    }
}

/// The nodes in the order of their keys.
#[derive(Default)]
pub struct KeyIndex(BTreeSet<Placed>);

impl KeyIndex {
    /// Takes nodes out that are gone, and puts new ones in.
    pub fn change(&mut self, PendingIndexOps { mut new, mut gone }: PendingIndexOps) {
        // In their order, so that each finds in the caches where the one before it was.
        gone.sort_unstable();
        for placed in &gone {
            self.0.remove(placed);
        }
        // Merging goes over everything that is there, putting in goes down the tree once for each.
        if new.len() > self.0.len() / 16 {
            new.sort_unstable();
            self.0.append(&mut new.into_iter().collect());
        } else {
            self.0.extend(new);
        }
    }

    // A range of a `BTreeSet` with two ends looks for both of them at once. Looking for one, and
    // comparing on the way when the other is reached, costs less: that is mostly told by the first
    // bytes.

    /// The nodes from a key on, and before `end` if there is one.
    pub fn forward<'a>(
        &'a self,
        from: Bound<&[u8]>,
        end: Option<&'a [u8]>,
    ) -> impl Iterator<Item = &'a Node> + Clone {
        let (from, end) = (from.map(wanted), end.map(wanted));
        let found = self.0.range::<dyn Place, _>((as_place(&from), Bound::Unbounded));
        let inside =
            move |placed: &&Placed| end.as_ref().is_none_or(|end| placed.compare(end).is_lt());
        found.take_while(inside).map(|placed| &placed.node)
    }

    /// The nodes from a key on backwards, down to `start`.
    pub fn backward<'a>(
        &'a self,
        from: Bound<&[u8]>,
        start: &'a [u8],
    ) -> impl Iterator<Item = &'a Node> + Clone {
        let (from, start) = (from.map(wanted), wanted(start));
        let found = self.0.range::<dyn Place, _>((Bound::Unbounded, as_place(&from)));
        found
            .rev()
            .take_while(move |placed| placed.compare(&start).is_ge())
            .map(|placed| &placed.node)
    }
}

fn wanted(key: &[u8]) -> SearchKey<'_> {
    SearchKey { begin: begin(key), key }
}

fn as_place<'a>(bound: &'a Bound<SearchKey<'a>>) -> Bound<&'a (dyn Place + 'a)> {
    bound.as_ref().map(|wanted| wanted as &dyn Place)
}
