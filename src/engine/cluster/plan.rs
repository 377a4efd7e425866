//! Turns a batch into the operations of a transaction.
//!
//! The operations of a batch apply in order, those of a transaction at once. So a batch is folded:
//! for each key the last operation counts, with the last time to live. A put and a deletion never
//! meet on a key: etcd 3.5 lost data at a compaction after such a transaction. So ranges are cut
//! around the keys that are set.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::wire::{
    Compare, CompareWith, DeleteRangeRequest, GREATER, PutRequest, Request, RequestOp, TxnRequest,
    VERSION,
};
use crate::batch::Operation;

/// What a server allows, counted along the depth of nested transactions (`--max-txn-ops`).
pub const MAX_OPERATIONS: usize = 128;

/// The operations of a batch, after folding.
#[derive(Debug, Default)]
pub struct Plan<'a> {
    /// The last operation on each key.
    keys: BTreeMap<&'a [u8], Last<'a>>,
    /// The ranges to delete. They may overlap.
    ranges: Vec<(&'a [u8], Option<&'a [u8]>)>,
}

/// The last operation on a key.
#[derive(Clone, Copy, Debug)]
enum Last<'a> {
    Put { value: &'a [u8], ttl: Option<Duration> },
    Delete,
    Expire { ttl: Option<Duration> },
}

/// The leases for the times to live of a batch.
pub type Leases = HashMap<Duration, i64>;

impl<'a> Plan<'a> {
    /// Folds operations.
    pub fn of(operations: &[Operation<'a>]) -> Plan<'a> {
        let mut plan = Plan::default();
        for operation in operations {
            match *operation {
                Operation::Set { key, value } => {
                    plan.keys.insert(key, Last::Put { value, ttl: None });
                }
                Operation::SetTtl { key, value, ttl } => {
                    plan.keys.insert(key, Last::Put { value, ttl: Some(ttl) });
                }
                Operation::Delete { key } => {
                    plan.keys.insert(key, Last::Delete);
                }
                Operation::Expire { key, ttl } => plan.expire(key, ttl),
                Operation::DeleteRange { start, end } => {
                    if end.is_none_or(|end| start < end) {
                        plan.keys
                            .retain(|key, _| *key < start || end.is_some_and(|end| *key >= end));
                        plan.ranges.push((start, end));
                    }
                }
            }
        }
        plan
    }

    fn expire(&mut self, key: &'a [u8], new: Option<Duration>) {
        match self.keys.get_mut(key) {
            Some(Last::Put { ttl, .. } | Last::Expire { ttl }) => *ttl = new,
            Some(Last::Delete) => {}
            None => {
                let is_deleted = |(start, end): &(&[u8], Option<&[u8]>)| {
                    *start <= key && end.is_none_or(|end| key < end)
                };
                if !self.ranges.iter().any(is_deleted) {
                    self.keys.insert(key, Last::Expire { ttl: new });
                }
            }
        }
    }

    /// Returns whether nothing is set.
    pub fn only_deletes(&self) -> bool {
        self.keys.values().all(|last| matches!(last, Last::Delete))
    }

    /// Returns whether an operation of the transaction is a transaction itself.
    pub fn has_inner(&self) -> bool {
        self.keys.values().any(|last| matches!(last, Last::Expire { .. }))
    }

    /// Returns the times to live.
    pub fn ttls(&self) -> impl Iterator<Item = Duration> {
        self.keys.values().filter_map(|last| match last {
            Last::Put { ttl, .. } | Last::Expire { ttl } => *ttl,
            Last::Delete => None,
        })
    }

    /// Returns the operations of a transaction. `prefix` is before all keys, and `end` behind them.
    /// `leases` has those for all times to live.
    pub fn requests(&self, prefix: &[u8], end: &Bytes, leases: &Leases) -> Vec<RequestOp> {
        let pieces = self.pieces();
        let lease = |ttl: &Option<Duration>| {
            ttl.and_then(|ttl| leases.get(&ttl)).copied().unwrap_or_default()
        };
        let sets = self.keys.iter().map(|(key, last)| match last {
            Last::Put { value, .. } => key.len() + value.len(),
            _ => key.len(),
        });
        let mut memory = Memory::new(sets.sum::<usize>() + self.keys.len() * prefix.len());
        let mut requests: Vec<RequestOp> = Vec::with_capacity(self.keys.len() + pieces.len());
        for (key, last) in &self.keys {
            let key = memory.hold(&[prefix, key]);
            let request = match last {
                Last::Put { value, ttl } => Request::Put(PutRequest {
                    key,
                    value: memory.hold(&[value]),
                    lease: lease(ttl),
                    ignore_value: false,
                }),
                Last::Delete => {
                    Request::DeleteRange(DeleteRangeRequest { key, range_end: Bytes::new() })
                }
                Last::Expire { ttl } => Request::Txn(expire(key, lease(ttl))),
            };
            requests.push(request.into());
        }
        for (start, stop) in pieces {
            let key = memory.hold(&[prefix, &start]);
            let range_end = stop.map_or_else(|| end.clone(), |stop| memory.hold(&[prefix, &stop]));
            requests.push(Request::DeleteRange(DeleteRangeRequest { key, range_end }).into());
        }
        requests
    }

    /// Returns the ranges without overlaps, and without the keys that are set.
    fn pieces(&self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let mut ranges = self.ranges.clone();
        ranges.sort();
        let mut merged: Vec<(&[u8], Option<&[u8]>)> = Vec::new();
        for (start, end) in ranges {
            match merged.last_mut() {
                Some((_, None)) => break,
                Some((_, Some(last))) if start <= *last => match end {
                    None => merged.last_mut().into_iter().for_each(|range| range.1 = None),
                    Some(end) => *last = (*last).max(end),
                },
                _ => merged.push((start, end)),
            }
        }
        let mut pieces = Vec::new();
        for (start, end) in merged {
            let mut from = start.to_vec();
            let sets =
                self.keys.range(start..).filter(|(_, last)| matches!(last, Last::Put { .. }));
            for (key, _) in sets.take_while(|(key, _)| end.is_none_or(|end| **key < end)) {
                if *from < **key {
                    pieces.push((from, Some(key.to_vec())));
                }
                from = [key, &b"\0"[..]].concat();
            }
            if end.is_none_or(|end| *from < *end) {
                pieces.push((from, end.map(<[u8]>::to_vec)));
            }
        }
        pieces
    }
}

/// Returns the transaction that hangs a key on a lease, or on none for 0, if the key exists.
fn expire(key: Bytes, lease: i64) -> TxnRequest {
    let exists = Compare {
        result: GREATER,
        target: VERSION,
        key: key.clone(),
        with: Some(CompareWith::Version(0)),
    };
    let put = PutRequest { key, value: Bytes::new(), lease, ignore_value: true };
    TxnRequest {
        compare: vec![exists],
        success: vec![Request::Put(put).into()],
        failure: Vec::new(),
    }
}

/// One allocation for the keys and values of a batch. With one for each, encoding them would
/// allocate again, as it clones each.
struct Memory(BytesMut);

impl Memory {
    fn new(len: usize) -> Memory {
        Memory(BytesMut::with_capacity(len))
    }

    fn hold(&mut self, parts: &[&[u8]]) -> Bytes {
        parts.iter().for_each(|part| self.0.extend_from_slice(part));
        self.0.split().freeze()
    }
}

/// Nests operations, so that no level has more than a server allows. `beside` is the number of
/// comparisons or operations that the outer level has at least, and one more is for the fence. With
/// `has_inner`, an operation may have one level with one operation of its own.
///
/// Returns them as they are where no nesting suffices. The server then refuses them.
pub fn nested(operations: Vec<RequestOp>, beside: usize, has_inner: bool) -> Vec<RequestOp> {
    let count = operations.len();
    let most = MAX_OPERATIONS - usize::from(has_inner);
    if count < most || beside >= most {
        return operations;
    }
    let two = beside.max(most / 2);
    let inner = most - two;
    if count <= (two - 1) * inner {
        return grouped(operations, inner);
    }
    let three = beside.max(most / 3 + 1);
    let left = most - three;
    let middle = left.div_ceil(2);
    let inner = left - middle;
    if inner == 0 || count > (three - 1) * middle * inner {
        return operations;
    }
    grouped(grouped(operations, inner), middle)
}

/// Packs each `size` operations into a transaction.
fn grouped(operations: Vec<RequestOp>, size: usize) -> Vec<RequestOp> {
    let mut operations = operations.into_iter().peekable();
    let mut groups = Vec::new();
    while operations.peek().is_some() {
        let success = operations.by_ref().take(size).collect();
        groups.push(Request::Txn(TxnRequest { success, ..TxnRequest::default() }).into());
    }
    groups
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Applies a transaction to a map, and checks that no two operations meet on a key.
    fn apply(requests: &[RequestOp], map: &mut BTreeMap<Vec<u8>, Vec<u8>>) {
        let mut touched: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for request in requests {
            let (start, end) = match &request.request {
                Some(Request::Txn(TxnRequest { compare, success, .. })) => {
                    // Hangs a key on a lease. The tests write the lease into the value.
                    let key = compare[0].key.to_vec();
                    if let Some(value) = map.get_mut(&key)
                        && let Some(Request::Put(put)) = &success[0].request
                    {
                        value.truncate(1);
                        value.push(put.lease as u8);
                    }
                    (key.clone(), [&key[..], b"\0"].concat())
                }
                Some(Request::Put(put)) => {
                    let value = [&put.value[..], &[put.lease as u8]].concat();
                    map.insert(put.key.to_vec(), value);
                    (put.key.to_vec(), [&put.key[..], b"\0"].concat())
                }
                Some(Request::DeleteRange(range)) => {
                    let start = range.key.to_vec();
                    let end = match &*range.range_end {
                        [] => [&start[..], b"\0"].concat(),
                        end => end.to_vec(),
                    };
                    assert!(start < end);
                    map.retain(|key, _| *key < start || *key >= end);
                    // Two deletions may meet.
                    continue;
                }
                _ => panic!("nothing else is planned"),
            };
            touched.push((start, end));
        }
        for request in requests {
            let Some(Request::DeleteRange(range)) = &request.request else { continue };
            let end = match &*range.range_end {
                [] => [&range.key[..], b"\0"].concat(),
                end => end.to_vec(),
            };
            for (from, to) in &touched {
                assert!(end <= *from || *to <= range.key.to_vec(), "a put meets a deletion");
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Op {
        Set(Vec<u8>, u8),
        Delete(Vec<u8>),
        SetTtl(Vec<u8>, u8, u8),
        Expire(Vec<u8>, Option<u8>),
        Range(Vec<u8>, Option<Vec<u8>>),
    }

    fn key() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(vec![0u8, b'a', b'b', 255]), 0..3)
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            3 => (key(), any::<u8>()).prop_map(|(key, value)| Op::Set(key, value)),
            2 => key().prop_map(Op::Delete),
            2 => (key(), any::<u8>(), 1..4u8).prop_map(|(key, value, ttl)| {
                Op::SetTtl(key, value, ttl)
            }),
            2 => (key(), prop::option::of(1..4u8)).prop_map(|(key, ttl)| Op::Expire(key, ttl)),
            2 => (key(), prop::option::of(key())).prop_map(|(start, end)| Op::Range(start, end)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn a_plan_does_what_the_batch_says(
            before in prop::collection::btree_map(key(), Just(vec![9u8, 0]), 0..8),
            ops in prop::collection::vec(op(), 0..10),
        ) {
            let values: Vec<[u8; 1]> = ops.iter().map(|op| match op {
                Op::Set(_, value) | Op::SetTtl(_, value, _) => [*value],
                _ => [0],
            }).collect();
            let pairs = ops.iter().zip(&values);
            let operations: Vec<Operation<'_>> = pairs.map(|(op, value)| match op {
                Op::Set(key, _) => Operation::Set { key, value },
                Op::Delete(key) => Operation::Delete { key },
                Op::SetTtl(key, _, ttl) => Operation::SetTtl { key, value, ttl: seconds(*ttl) },
                Op::Expire(key, ttl) => Operation::Expire { key, ttl: ttl.map(seconds) },
                Op::Range(start, end) => Operation::DeleteRange { start, end: end.as_deref() },
            }).collect();
            let mut expected = before.clone();
            for operation in &operations {
                match *operation {
                    Operation::Set { key, value } => {
                        expected.insert(key.to_vec(), vec![value[0], 0]);
                    }
                    Operation::SetTtl { key, value, ttl } => {
                        expected.insert(key.to_vec(), vec![value[0], ttl.as_secs() as u8]);
                    }
                    Operation::Expire { key, ttl } => {
                        if let Some(value) = expected.get_mut(key) {
                            value[1] = ttl.map_or(0, |ttl| ttl.as_secs() as u8);
                        }
                    }
                    Operation::Delete { key } => {
                        expected.remove(key);
                    }
                    Operation::DeleteRange { start, end } => {
                        expected.retain(|key, _| {
                            **key < *start || end.is_some_and(|end| **key >= *end)
                        });
                    }
                }
            }
            let leases: Leases = (1..4).map(|ttl| (seconds(ttl), i64::from(ttl))).collect();
            let prefixed = |key: &[u8]| Bytes::from([b"p/d", key].concat());
            let end = Bytes::from_static(b"p/e");
            let requests = Plan::of(&operations).requests(b"p/d", &end, &leases);
            let mut map: BTreeMap<Vec<u8>, Vec<u8>> =
                before.iter().map(|(key, value)| (prefixed(key).to_vec(), value.clone())).collect();
            apply(&requests, &mut map);
            let found: BTreeMap<Vec<u8>, Vec<u8>> =
                map.into_iter().map(|(key, value)| (key[3..].to_vec(), value)).collect();
            prop_assert_eq!(found, expected);
        }
    }

    fn seconds(ttl: u8) -> Duration {
        Duration::from_secs(ttl.into())
    }

    fn depth_cost(operations: &[RequestOp]) -> usize {
        let inner = operations.iter().map(|operation| match &operation.request {
            Some(Request::Txn(txn)) => depth_cost(&txn.success),
            _ => 0,
        });
        operations.len() + inner.max().unwrap_or(0)
    }

    #[test]
    fn no_level_has_more_than_a_server_allows() {
        for beside in [2, 3, 40, 64, 100] {
            for count in [1, 126, 127, 128, 1000, 2000, 4032, 4033, 30_000, 75_852, 75_853] {
                let put = || Request::Put(PutRequest::default()).into();
                let operations = nested((0..count).map(|_| put()).collect(), beside, false);
                let outer = operations.len() + 1;
                let cost = depth_cost(&operations) + 1 + beside.saturating_sub(outer);
                assert!(
                    cost <= MAX_OPERATIONS || operations.len() == count,
                    "{count} operations beside {beside} cost {cost}"
                );
                if beside == 2 && count <= 75_852 {
                    assert!(cost <= MAX_OPERATIONS, "{count} operations cost {cost}");
                }
            }
        }
    }
}
