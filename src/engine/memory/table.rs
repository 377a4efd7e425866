//! A hash table of nodes whose buckets are one cache line each.
//!
//! What a look for a key costs in a large store is how often it has to wait for memory. Here it
//! waits twice: for the bucket, which has both the tags and the pointers of its nodes, and for the
//! node. A table that keeps its tags apart from its entries makes it wait a third time. A bucket
//! that is full lets further nodes pass on to the next one and counts them, so that a look knows
//! where to end and removing leaves no mark. This is the idea of F14 (Facebook's folly), with what
//! fits into 64 bytes.

use super::node::Node;

/// How many nodes a bucket has.
const SLOTS: usize = 7;

/// The table.
#[derive(Default)]
pub struct Table {
    /// None at first, else a power of two.
    buckets: Box<[Bucket]>,
    len: usize,
}

#[derive(Default)]
#[repr(C, align(64))]
struct Bucket {
    /// For each slot a part of the hash, or 0 if it is free.
    tags: [u8; SLOTS],
    /// How many nodes whose way leads through this bucket are in later ones, because this one was
    /// full. At the most that can be counted it stays, and a look goes on in vain.
    passed: u8,
    nodes: [Option<Node>; SLOTS],
}

/// A number with this in each byte.
const fn in_each_byte(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

impl Bucket {
    /// The slots that have a tag, found for all of them at once. Some may be named that have not.
    #[inline]
    fn having(&self, tag: u8) -> impl Iterator<Item = usize> + use<> {
        let [a, b, c, d, e, f, g] = self.tags;
        // A byte becomes 0 where the tag is. The last is no slot's.
        let differing = u64::from_le_bytes([a, b, c, d, e, f, g, !tag]) ^ in_each_byte(tag);
        let mut equal = differing.wrapping_sub(in_each_byte(1)) & !differing & in_each_byte(0x80);
        std::iter::from_fn(move || {
            let slot = equal.trailing_zeros() as usize / 8;
            equal &= equal.wrapping_sub(1);
            (slot < SLOTS).then_some(slot)
        })
    }
}

/// The part of a hash that is kept beside a node. The place of the bucket comes from the other end.
fn tag(hash: u64) -> u8 {
    ((hash >> 56) as u8).max(1)
}

impl Table {
    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The buckets where a node may be, in the order of the search.
    #[inline]
    fn way(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let (first, last) = (hash as usize, self.buckets.len().wrapping_sub(1));
        (0..self.buckets.len()).map(move |step| first.wrapping_add(step) & last)
    }

    /// Where a node is: which bucket, and which slot.
    #[inline]
    fn place(&self, hash: u64, key: &[u8]) -> Option<(usize, usize)> {
        for at in self.way(hash) {
            let bucket = &self.buckets[at];
            for slot in bucket.having(tag(hash)) {
                if bucket.nodes[slot].as_ref().is_some_and(|node| node.has(key)) {
                    return Some((at, slot));
                }
            }
            if bucket.passed == 0 {
                break;
            }
        }
        None
    }

    /// The node of a key.
    #[inline]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<&Node> {
        let (at, slot) = self.place(hash, key)?;
        self.buckets[at].nodes[slot].as_ref()
    }

    /// Adds a node, whose key is not there yet.
    pub fn insert(&mut self, hash: u64, node: Node, rehash: impl Fn(&[u8]) -> u64) {
        // So that few buckets are full: five and a half of seven slots on average.
        if self.len * 2 >= self.buckets.len() * (2 * SLOTS - 3) {
            self.grow(rehash);
        }
        self.put(hash, node);
        self.len += 1;
    }

    fn put(&mut self, hash: u64, node: Node) {
        for at in self.way(hash) {
            let bucket = &mut self.buckets[at];
            if let Some(slot) = bucket.nodes.iter().position(Option::is_none) {
                bucket.tags[slot] = tag(hash);
                bucket.nodes[slot] = Some(node);
                return;
            }
            bucket.passed = bucket.passed.saturating_add(1);
        }
        unreachable!("the table has room");
    }

    fn grow(&mut self, rehash: impl Fn(&[u8]) -> u64) {
        let mut buckets = Vec::new();
        buckets.resize_with((self.buckets.len() * 2).max(1), Bucket::default);
        let mut old = std::mem::replace(&mut self.buckets, buckets.into()).into_iter().peekable();
        while let Some(bucket) = old.next() {
            // The keys have to be looked at; while those of this bucket are, those of the next one
            // can come.
            old.peek().into_iter().flat_map(|next| &next.nodes).flatten().for_each(Node::prefetch);
            for node in bucket.nodes.into_iter().flatten() {
                self.put(rehash(node.key()), node);
            }
        }
    }

    /// Takes out the node of a key.
    pub fn remove(&mut self, hash: u64, key: &[u8]) {
        let Some((found, slot)) = self.place(hash, key) else { return };
        self.buckets[found].tags[slot] = 0;
        self.buckets[found].nodes[slot] = None;
        self.len -= 1;
        for at in self.way(hash).take_while(|at| *at != found) {
            let passed = &mut self.buckets[at].passed;
            *passed -= u8::from(*passed < u8::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nodes that come and go, also where all want the same bucket and counting those that pass
    /// comes to its end.
    #[test]
    fn a_table_has_what_was_put_in_and_not_taken_out() {
        for spread in [u64::MAX, 0xFF00_0000_0000_0003, 1, 0] {
            let hash = |key: &[u8]| {
                let number = key.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
                number.wrapping_mul(0x9E37_79B9_7F4A_7C15) & spread
            };
            let key = |number: u16| number.to_be_bytes();
            let mut table = Table::default();
            let mut there = std::collections::BTreeSet::new();
            let mut random: u32 = 1;
            for step in 0..4000 {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let number = (random >> 16) as u16 % 512;
                let at = hash(&key(number));
                // First mostly more, then mostly less.
                if (random >> 8) % 8 < if step < 2000 { 6 } else { 1 } {
                    if there.insert(number) {
                        table.insert(at, Node::new(0, &key(number), 0), hash);
                    }
                } else if there.remove(&number) {
                    table.remove(at, &key(number));
                }
                assert_eq!(table.find(at, &key(number)).is_some(), there.contains(&number));
                assert_eq!(table.len(), there.len());
            }
            for number in 0..512 {
                let found = table.find(hash(&key(number)), &key(number));
                assert_eq!(
                    found.map(Node::key),
                    there.contains(&number).then_some(&key(number)[..])
                );
            }
        }
    }
}
