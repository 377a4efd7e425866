//! Cursors: pages of pairs, all of one revision.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::Keyspace;
use super::pool::Consistency;
use super::wire::{ASCENDING, DESCENDING, KeyValue, RangeRequest, RangeResponse};
use crate::engine::{Cursor, Range, TimeLeft};
use crate::error::Result;

/// The pairs of the first page, and of the largest. A page costs the server as much as counting
/// all keys behind it, so a long scan wants large ones.
const FIRST_PAGE: i64 = 32;
const LARGEST_PAGE: i64 = 4096;

/// How much longer a page is than the one before. A program that reads beyond the first page
/// mostly reads far beyond it, and pairs that it does not read cost less than another call.
const GROWTH: i64 = 32;

/// The bytes that a page has at most, by the mean size of the pairs of the page before.
const PAGE_BYTES: usize = 1 << 20;

/// The keys that the server may sort for a page that is read backward.
const FEW: i64 = 1000;

/// The steps to find a range of few keys. It halves the distance of two keys in each; keys that
/// share long prefixes need more, and then the server sorts what is left.
const HALVINGS: u32 = 64;

/// Moves over the pairs of a store.
pub struct ClusterCursor {
    store: Arc<Keyspace>,
    /// With the prefix of the store.
    start: Bytes,
    end: Bytes,
    revision: i64,
    page: Page,
    /// The position on the page, or none.
    at: Option<usize>,
    /// The first keys of the pages before this one, as far as they were passed.
    passed: Vec<Bytes>,
    limit: i64,
    /// How long the leases live that were asked for, and when. Many keys share one.
    leases: HashMap<i64, (Instant, TimeLeft)>,
}

/// Pairs that follow each other.
#[derive(Default)]
struct Page {
    /// Where it begins: no key of the range is between this and its first pair.
    from: Bytes,
    pairs: Vec<KeyValue>,
    /// Whether the range has keys behind it.
    more: bool,
}

impl ClusterCursor {
    /// Creates a cursor over `range` at `revision`, or at the current one.
    pub fn new(
        store: &Arc<Keyspace>,
        range: &Range,
        revision: Option<i64>,
    ) -> Result<ClusterCursor> {
        let start = store.key(b'd', &range.start);
        let end = range.end.as_ref().map_or_else(|| store.data_end(), |end| store.key(b'd', end));
        let mut cursor = ClusterCursor {
            store: store.clone(),
            start: start.clone(),
            end,
            revision: revision.unwrap_or(0),
            page: Page::default(),
            at: None,
            passed: Vec::new(),
            limit: FIRST_PAGE,
            leases: HashMap::new(),
        };
        // Also of an empty range: it tells the revision.
        cursor.load(start)?;
        Ok(cursor)
    }

    fn ask(&self, request: RangeRequest) -> Result<RangeResponse> {
        let consistency =
            if self.revision == 0 { Consistency::Linearizable } else { Consistency::Serializable };
        let request =
            RangeRequest { revision: self.revision, serializable: self.revision != 0, ..request };
        self.store.client.ask(&request, consistency)
    }

    /// Reads the page that begins at `from`.
    fn load(&mut self, from: Bytes) -> Result<()> {
        // An empty range in etcd's words would be another one.
        let is_empty = from >= self.end;
        let request = RangeRequest {
            key: from.clone(),
            range_end: if is_empty { Bytes::new() } else { self.end.clone() },
            limit: self.limit,
            sort_order: ASCENDING,
            count_only: is_empty,
            ..RangeRequest::default()
        };
        if is_empty && self.revision != 0 {
            self.page = Page { from, ..Page::default() };
            return Ok(());
        }
        let response = self.ask(request)?;
        if self.revision == 0 {
            self.revision = response.header.as_ref().map_or(0, |header| header.revision);
        }
        let pairs = if is_empty { Vec::new() } else { response.kvs };
        self.page = Page { from, more: response.more && !pairs.is_empty(), pairs };
        self.grow();
        Ok(())
    }

    /// Chooses the length of the next page.
    fn grow(&mut self) {
        let pairs = &self.page.pairs;
        if pairs.is_empty() {
            return;
        }
        let bytes: usize = pairs.iter().map(|pair| pair.key.len() + pair.value.len()).sum();
        let fitting = PAGE_BYTES / (bytes / pairs.len()).max(1);
        let fitting = i64::try_from(fitting).unwrap_or(LARGEST_PAGE);
        self.limit = (self.limit * GROWTH).min(fitting).clamp(1, LARGEST_PAGE);
    }

    /// Moves to the page that begins at `from`, and to its first pair.
    fn begin(&mut self, from: Bytes) -> Result<()> {
        self.at = None;
        self.passed.clear();
        // A page that was read backward may have no pairs, and say nothing of those behind it.
        let is_unknown = self.page.pairs.is_empty() && self.page.more;
        if self.page.from != from || is_unknown {
            self.limit = FIRST_PAGE;
            self.load(from)?;
        }
        self.at = (!self.page.pairs.is_empty()).then_some(0);
        Ok(())
    }

    /// Moves to the last pair before `before`.
    fn end_at(&mut self, before: Bytes) -> Result<()> {
        self.at = None;
        self.passed.clear();
        let from = self.near(&before)?;
        if from >= before {
            self.page = Page { from, more: true, ..Page::default() };
            return Ok(());
        }
        let response = self.ask(RangeRequest {
            key: from.clone(),
            range_end: before,
            limit: self.limit.min(FEW),
            sort_order: DESCENDING,
            ..RangeRequest::default()
        })?;
        let mut pairs = response.kvs;
        pairs.reverse();
        let from = pairs.first().map_or(from, |pair| pair.key.clone());
        self.at = pairs.len().checked_sub(1);
        // There may be keys behind it, so that `next` looks.
        self.page = Page { from, pairs, more: true };
        self.grow();
        Ok(())
    }

    /// Returns a key from which few keys, but at least one, are before `before`; or the start of
    /// the range.
    fn near(&self, before: &Bytes) -> Result<Bytes> {
        let (mut low, mut high) = (self.start.clone(), before.clone());
        // Few keys are left from `high` on, and more than few from `low` on.
        for step in 0..HALVINGS {
            let from = if step == 0 { low.clone() } else { middle(&low, &high) };
            if from >= high || step > 0 && from <= low {
                break;
            }
            let response = self.ask(RangeRequest {
                key: from.clone(),
                range_end: before.clone(),
                count_only: true,
                ..RangeRequest::default()
            })?;
            match response.count {
                0 if step == 0 => return Ok(low),
                0 => high = from,
                count if count <= FEW => return Ok(from),
                _ => low = from,
            }
        }
        Ok(low)
    }

    fn position(&self, key: &[u8]) -> Option<usize> {
        let Page { from, pairs, .. } = &self.page;
        let last = pairs.last()?;
        (**from <= *key && *key <= *last.key)
            .then(|| pairs.partition_point(|pair| *pair.key < *key))
    }
}

/// Returns the key halfway between two, as fractions in base 256.
fn middle(low: &[u8], high: &[u8]) -> Bytes {
    let len = low.len().max(high.len()) + 1;
    let digit = |key: &[u8], at: usize| u32::from(key.get(at).copied().unwrap_or(0));
    let mut sum = vec![0u32; len];
    let mut carry = 0;
    for at in (0..len).rev() {
        let both = digit(low, at) + digit(high, at) + carry;
        sum[at] = both & 0xFF;
        carry = both >> 8;
    }
    let mut middle = Vec::with_capacity(len);
    for digit in sum {
        let value = carry << 8 | digit;
        middle.push(u8::try_from(value >> 1).unwrap_or(u8::MAX));
        carry = value & 1;
    }
    // A shorter key is enough, as long as it is still between the two.
    let differs = low.iter().zip(high).take_while(|(low, high)| low == high).count();
    let mut short = (differs + 1).min(len);
    while short < len && *low >= middle[..short] {
        short += 1;
    }
    middle.truncate(short);
    middle.into()
}

impl Cursor for ClusterCursor {
    fn first(&mut self) -> Result<()> {
        self.begin(self.start.clone())
    }

    fn last(&mut self) -> Result<()> {
        // The first page may be all there is.
        if self.page.from == self.start && !self.page.more && self.passed.is_empty() {
            self.at = self.page.pairs.len().checked_sub(1);
            return Ok(());
        }
        self.limit = FIRST_PAGE;
        self.end_at(self.end.clone())
    }

    fn seek(&mut self, key: &[u8]) -> Result<()> {
        let key = self.store.key(b'd', key).max(self.start.clone());
        if let Some(position) = self.position(&key) {
            self.at = Some(position);
            return Ok(());
        }
        self.begin(key)
    }

    fn next(&mut self) -> Result<()> {
        let Some(at) = self.at else { return Ok(()) };
        if at + 1 < self.page.pairs.len() {
            self.at = Some(at + 1);
            return Ok(());
        }
        self.at = None;
        if !self.page.more {
            return Ok(());
        }
        let from = Bytes::from([&self.page.pairs[at].key[..], b"\0"].concat());
        let before = self.page.from.clone();
        self.load(from)?;
        self.passed.push(before);
        self.at = (!self.page.pairs.is_empty()).then_some(0);
        Ok(())
    }

    fn prev(&mut self) -> Result<()> {
        let Some(at) = self.at else { return Ok(()) };
        if at > 0 {
            self.at = Some(at - 1);
            return Ok(());
        }
        self.at = None;
        let before = self.page.pairs[0].key.clone();
        if let Some(from) = self.passed.pop() {
            // The page before ended exactly here, and is read again with its own length.
            self.limit = LARGEST_PAGE;
            let response = self.ask(RangeRequest {
                key: from.clone(),
                range_end: before.clone(),
                ..RangeRequest::default()
            })?;
            self.at = response.kvs.len().checked_sub(1);
            self.page = Page { from, pairs: response.kvs, more: true };
            return Ok(());
        }
        if before <= self.start {
            return Ok(());
        }
        self.end_at(before)
    }

    fn entry(&self) -> Option<(&[u8], &[u8])> {
        let pair = self.page.pairs.get(self.at?)?;
        Some((&pair.key[self.store.data_prefix_len()..], &pair.value))
    }

    fn time_left(&mut self) -> Result<TimeLeft> {
        let pair = self.at.and_then(|at| self.page.pairs.get(at));
        let Some(lease) = pair.map(|pair| pair.lease).filter(|lease| *lease != 0) else {
            return Ok(TimeLeft::Forever);
        };
        let now = Instant::now();
        if let Some((asked, TimeLeft::AtLeast(left))) = self.leases.get(&lease) {
            return Ok(TimeLeft::AtLeast(left.saturating_sub(now - *asked)));
        }
        let left = self.store.client.time_left(lease)?;
        self.leases.insert(lease, (now, left));
        Ok(left)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::middle;

    proptest! {
        #[test]
        fn the_middle_is_between(
            low in prop::collection::vec(any::<u8>(), 0..5),
            high in prop::collection::vec(any::<u8>(), 0..5),
        ) {
            prop_assume!(low < high);
            let middle = middle(&low, &high);
            prop_assert!(*middle <= *high);
            prop_assert!(middle.len() <= low.len().max(high.len()) + 1);
        }
    }
}
