//! A hash table of nodes whose buckets are one cache line each.
//!
//! In a large store, a lookup mostly waits for memory. Here it waits twice: for the bucket, which
//! has the tags and the pointers of its nodes, and for the node. A table that keeps its tags apart
//! from its entries waits a third time. A full bucket lets further nodes overflow to the next one
//! and counts them. So a lookup knows where to end, and a removal leaves no mark. This is the idea
//! of F14 (Facebook's folly), with what fits into 64 bytes.

use super::node::Node;

const SLOTS: usize = 7;

#[derive(Default)]
pub struct Table {
    /// A power of two; empty at first.
    buckets: Box<[Bucket]>,
    len: usize,
}

#[derive(Default)]
#[repr(C, align(64))]
struct Bucket {
    /// For each slot a part of the hash, or 0 if the slot is free. The last byte is the overflow
    /// count: how many nodes are in later buckets because this one was full. At its maximum the
    /// count sticks, and lookups may continue in vain.
    tags: [u8; SLOTS + 1],
    nodes: [Option<Node>; SLOTS],
}

/// The place of a node in the table, valid until a node is inserted or removed.
#[derive(Clone, Copy)]
pub struct Slot {
    bucket: usize,
    index: usize,
}

/// Returns a number that has `byte` in each of its bytes.
const fn repeat(byte: u8) -> u64 {
    byte as u64 * 0x0101_0101_0101_0101
}

impl Bucket {
    /// Returns the slots that have a tag, and maybe some that have another one. All slots are
    /// compared at once.
    #[inline]
    fn matches(&self, tag: u8) -> impl Iterator<Item = usize> + use<> {
        // A byte becomes 0 where the tag is. The overflow count is masked out.
        let differing = u64::from_le_bytes(self.tags) ^ repeat(tag);
        let mut equal = differing.wrapping_sub(repeat(1)) & !differing & (repeat(0x80) >> 8);
        std::iter::from_fn(move || {
            let slot = equal.trailing_zeros() as usize / 8;
            equal &= equal.wrapping_sub(1);
            (slot < SLOTS).then_some(slot)
        })
    }

    #[inline]
    fn overflow(&self) -> u8 {
        self.tags[SLOTS]
    }
}

/// Returns the part of a hash that is kept next to a node. The bucket comes from the other end.
fn tag(hash: u64) -> u8 {
    ((hash >> 56) as u8).max(1)
}

impl Table {
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns the buckets where a node may be, in the order of the search.
    #[inline]
    fn probe(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let (first, mask) = (hash as usize, self.buckets.len().wrapping_sub(1));
        (0..self.buckets.len()).map(move |step| first.wrapping_add(step) & mask)
    }

    /// Returns the slot of a key.
    #[inline]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<Slot> {
        for at in self.probe(hash) {
            let bucket = &self.buckets[at];
            for index in bucket.matches(tag(hash)) {
                if bucket.nodes[index].as_ref().is_some_and(|node| node.has_key(key)) {
                    return Some(Slot { bucket: at, index });
                }
            }
            if bucket.overflow() == 0 {
                break;
            }
        }
        None
    }

    #[inline]
    pub fn node(&self, slot: Slot) -> &Node {
        let Some(node) = &self.buckets[slot.bucket].nodes[slot.index] else {
            unreachable!("the slot is valid")
        };
        node
    }

    /// Inserts a node whose key has none yet.
    pub fn insert(&mut self, hash: u64, node: Node, rehash: impl Fn(&[u8]) -> u64) -> Slot {
        // Few buckets are full if five and a half of seven slots are used on average.
        if self.len * 2 >= self.buckets.len() * (2 * SLOTS - 3) {
            self.grow(rehash);
        }
        self.len += 1;
        self.put(hash, node)
    }

    fn put(&mut self, hash: u64, node: Node) -> Slot {
        for at in self.probe(hash) {
            let bucket = &mut self.buckets[at];
            if let Some(index) = bucket.nodes.iter().position(Option::is_none) {
                bucket.tags[index] = tag(hash);
                bucket.nodes[index] = Some(node);
                return Slot { bucket: at, index };
            }
            bucket.tags[SLOTS] = bucket.overflow().saturating_add(1);
        }
        unreachable!("the table has room");
    }

    fn grow(&mut self, rehash: impl Fn(&[u8]) -> u64) {
        let mut buckets = Vec::new();
        buckets.resize_with((self.buckets.len() * 2).max(1), Bucket::default);
        let mut old = std::mem::replace(&mut self.buckets, buckets.into()).into_iter().peekable();
        while let Some(bucket) = old.next() {
            // The keys are read for their hashes. The nodes of the next bucket arrive meanwhile.
            old.peek().into_iter().flat_map(|next| &next.nodes).flatten().for_each(Node::prefetch);
            for node in bucket.nodes.into_iter().flatten() {
                self.put(rehash(node.key()), node);
            }
        }
    }

    /// Removes the node of a key, if there is one.
    pub fn remove(&mut self, hash: u64, key: &[u8]) {
        let Some(Slot { bucket: found, index }) = self.find(hash, key) else { return };
        self.buckets[found].tags[index] = 0;
        self.buckets[found].nodes[index] = None;
        self.len -= 1;
        for at in self.probe(hash).take_while(|at| *at != found) {
            let overflow = &mut self.buckets[at].tags[SLOTS];
            *overflow -= u8::from(*overflow < u8::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Also where all nodes belong to one bucket, and where the overflow count sticks.
    #[test]
    fn a_table_finds_the_nodes_that_were_inserted_and_not_removed() {
        for spread in [u64::MAX, 0xFF00_0000_0000_0003, 1, 0] {
            let hash = |key: &[u8]| {
                let number = key.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
                number.wrapping_mul(0x9E37_79B9_7F4A_7C15) & spread
            };
            let key = |number: u16| number.to_be_bytes();
            let mut table = Table::default();
            let mut inserted = std::collections::BTreeSet::new();
            let mut random: u32 = 1;
            for step in 0..4000 {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let number = (random >> 16) as u16 % 512;
                let at = hash(&key(number));
                // First mostly inserts, then mostly removals.
                if (random >> 8) % 8 < if step < 2000 { 6 } else { 1 } {
                    if inserted.insert(number) {
                        table.insert(at, Node::new(0, &key(number), 0), hash);
                    }
                } else if inserted.remove(&number) {
                    table.remove(at, &key(number));
                }
                assert_eq!(table.find(at, &key(number)).is_some(), inserted.contains(&number));
                assert_eq!(table.len(), inserted.len());
            }
            for number in 0..512 {
                let found = table.find(hash(&key(number)), &key(number));
                assert_eq!(
                    found.map(|slot| table.node(slot).key()),
                    inserted.contains(&number).then_some(&key(number)[..])
                );
            }
        }
    }
}
