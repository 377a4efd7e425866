//! Writes whose lost responses are settled.
//!
//! Each write also puts a *fence*, a key of its own, on the condition that the fence is as this
//! client left it. If the response is lost, the client puts the fence itself, on the same
//! condition. Either that succeeds, and the write never happened and never can; or the fence shows
//! that the write happened. FoundationDB settles lost commits in the same way. Reading the data
//! back would not do: a write may lie in a frozen server and be applied seconds later.
//!
//! Fences hang on a lease, so the cluster removes those of clients that died.

use bytes::Bytes;
use parking_lot::Mutex;

use super::Keyspace;
use super::plan::{self, MAX_OPERATIONS, Plan};
use super::pool::{Consistency, Turns};
use super::verdict::Verdict;
use super::wire::{
    CREATE, Compare, CompareWith, EQUAL, GREATER, KeyValue, MOD, PutRequest, RangeRequest, Request,
    RequestOp, Response, TxnRequest, TxnResponse, VALUE, VERSION,
};
use crate::batch::{Conflict, Expectation, Outcome, WriteBatch};
use crate::error::{Error, Kind, Result};

/// The comparisons of a write beside its expectations: of the fence and of the marker.
const OWN_COMPARISONS: usize = 2;

/// The fences of one store of one client. Each write has one for itself.
pub struct Fences {
    /// Random bytes, which no other client has.
    client: [u8; 16],
    free: Mutex<Free>,
}

#[derive(Default)]
struct Free {
    slots: Vec<Slot>,
    /// Never used again, so that no stray write meets a fence that is as it expects.
    next: u64,
}

/// A fence.
struct Slot {
    number: u64,
    lease: i64,
    /// The revision in which this client last wrote it, or 0.
    revision: i64,
    /// The number of the last write.
    sequence: u64,
}

/// What a lost write did.
enum Settled {
    Applied,
    NeverHappens,
}

/// What the response to a write says.
enum Reply {
    Outcome(Outcome),
    /// The fence is not as this client left it. Nothing was changed.
    FenceGone,
}

impl Fences {
    pub fn new() -> Result<Fences> {
        let mut client = [0; 16];
        let provider = rustls::crypto::ring::default_provider();
        provider
            .secure_random
            .fill(&mut client)
            .map_err(|_| Error::new(Kind::Internal, "the system gives no random numbers"))?;
        Ok(Fences { client, free: Mutex::default() })
    }

    fn take(&self, lease: i64) -> Slot {
        let mut free = self.free.lock();
        // Those of an earlier lease are gone.
        free.slots.retain(|slot| slot.lease == lease);
        free.slots.pop().unwrap_or_else(|| {
            free.next += 1;
            Slot { number: free.next, lease, revision: 0, sequence: 0 }
        })
    }

    fn give_back(&self, slot: Slot) {
        self.free.lock().slots.push(slot);
    }

    fn key(&self, store: &Keyspace, slot: &Slot) -> Bytes {
        let number = slot.number.to_be_bytes();
        store.key(b'f', &[&self.client[..], &number].concat())
    }
}

/// Applies `batch` to the store.
pub fn apply(store: &Keyspace, batch: &WriteBatch<'_>) -> Result<Outcome> {
    let expectations = batch.expectations.len();
    let most = MAX_OPERATIONS - OWN_COMPARISONS;
    if expectations > most {
        return Err(Error::new(
            Kind::Unsupported,
            format!("a batch with {expectations} expectations; a cluster store takes {most}"),
        ));
    }
    let plan = Plan::of(batch.operations);
    let only_deletes = plan.only_deletes();
    let mut turns = store.client.turns()?;
    let planned = |turns: &mut Turns<'_>| -> Result<Write<'_>> {
        let leases = store.client.ttl_leases(plan.ttls(), turns)?;
        let operations = plan.requests(&store.key(b'd', b""), &store.data_end(), &leases);
        let operations = plan::nested(operations, expectations + 2, plan.has_inner());
        Ok(Write::new(store, batch, operations))
    };
    let mut write = planned(&mut turns)?;
    if write.txn.success.is_empty() {
        return write.check(&mut turns);
    }
    // Ends with the time of `turns`.
    loop {
        let lease = match store.client.lease(&mut turns) {
            Ok(lease) => lease,
            Err(error) if error.kind() == Kind::NoSpace && only_deletes => {
                return write.without_fence(&mut turns, None);
            }
            Err(error) => return Err(error),
        };
        let mut slot = store.fences.take(lease);
        slot.sequence += 1;
        let request = write.request(Some((&slot, true)));
        match turns.attempt(request, Consistency::Linearizable) {
            Ok(response) => {
                let response = response?;
                if response.succeeded {
                    slot.revision = revision(&response);
                    store.fences.give_back(slot);
                    return Ok(Outcome::Applied);
                }
                match write.response(&response, Some(&slot))? {
                    Reply::Outcome(outcome) => {
                        store.fences.give_back(slot);
                        return Ok(outcome);
                    }
                    Reply::FenceGone => store.client.forget_lease(lease),
                }
            }
            Err(failure) => match failure.verdict(store.client.has_login()) {
                Verdict::Unknown | Verdict::Broken(_) => {
                    let broken =
                        matches!(failure.verdict(store.client.has_login()), Verdict::Broken(_));
                    turns.again(failure.clone(), Kind::UnknownOutcome)?;
                    match settle(store, &mut turns, &mut slot)? {
                        Settled::Applied => {
                            store.fences.give_back(slot);
                            return Ok(Outcome::Applied);
                        }
                        Settled::NeverHappens => store.fences.give_back(slot),
                    }
                    if broken {
                        turns.settled(failure)?;
                    }
                }
                Verdict::LeaseGone => {
                    // That of the fence, or one of those for times to live.
                    store.client.forget_lease(lease);
                    turns.settled(failure)?;
                    if plan.ttls().next().is_some() {
                        store.client.forget_ttl_leases();
                        write = planned(&mut turns)?;
                    }
                }
                Verdict::NoSpace => {
                    if fence_shows(store, &mut turns, &mut slot)? {
                        store.fences.give_back(slot);
                        return Ok(Outcome::Applied);
                    }
                    if only_deletes {
                        let outcome = write.without_fence(&mut turns, Some(&slot));
                        store.fences.give_back(slot);
                        return outcome;
                    }
                    store.fences.give_back(slot);
                    turns.settled(failure)?;
                }
                _ => {
                    store.fences.give_back(slot);
                    turns.settled(failure)?;
                }
            },
        }
    }
}

/// Makes sure that the write of `slot` either happened or never will.
fn settle(store: &Keyspace, turns: &mut Turns<'_>, slot: &mut Slot) -> Result<Settled> {
    let key = store.fences.key(store, slot);
    let cancel = TxnRequest {
        compare: vec![compare(&key, MOD, EQUAL, CompareWith::ModRevision(slot.revision))],
        success: vec![
            Request::Put(PutRequest {
                key: key.clone(),
                value: fence_value(b'c', slot.sequence),
                lease: slot.lease,
                ignore_value: false,
            })
            .into(),
        ],
        failure: vec![read(key, false)],
    };
    // Ends with the time of `turns`.
    loop {
        match turns.attempt(&cancel, Consistency::Linearizable) {
            Ok(response) => {
                // Whatever it is, the write may have happened.
                let response = response.map_err(|_| turns.failed(Kind::UnknownOutcome))?;
                if response.succeeded {
                    slot.revision = revision(&response);
                    return Ok(Settled::NeverHappens);
                }
                let fence = found(&response, 0);
                let shows =
                    |what| fence.filter(|fence| fence.value == fence_value(what, slot.sequence));
                if let Some(fence) = shows(b'w') {
                    slot.revision = fence.mod_revision;
                    return Ok(Settled::Applied);
                }
                // An earlier attempt to settle, whose response was lost too.
                if let Some(fence) = shows(b'c') {
                    slot.revision = fence.mod_revision;
                    return Ok(Settled::NeverHappens);
                }
                return Err(turns.failed(Kind::UnknownOutcome));
            }
            Err(failure) => match failure.verdict(store.client.has_login()) {
                // With the lease went the fence, which alone could tell.
                Verdict::LeaseGone | Verdict::Refused(_) => {
                    return Err(turns.failed(Kind::UnknownOutcome));
                }
                _ => turns.again_after_login(failure, Kind::UnknownOutcome)?,
            },
        }
    }
}

/// Reads the fence: whether the write of `slot` was applied. Only for a write that has ended.
fn fence_shows(store: &Keyspace, turns: &mut Turns<'_>, slot: &mut Slot) -> Result<bool> {
    let request = RangeRequest { key: store.fences.key(store, slot), ..RangeRequest::default() };
    loop {
        match turns.attempt(&request, Consistency::Linearizable) {
            Ok(response) => {
                // Whatever it is, the write may have happened.
                let response = response.map_err(|_| turns.failed(Kind::UnknownOutcome))?;
                let Some(fence) = response.kvs.first() else { return Ok(false) };
                slot.revision = fence.mod_revision;
                return Ok(fence.value == fence_value(b'w', slot.sequence));
            }
            Err(failure) => turns.again_after_login(failure, Kind::UnknownOutcome)?,
        }
    }
}

struct Write<'a> {
    store: &'a Keyspace,
    batch: &'a WriteBatch<'a>,
    /// Compares and reads the marker, the fence, if it has one, and what the batch expects.
    txn: TxnRequest,
    fence: Fence,
}

/// What a transaction does with a fence.
#[derive(Clone, Copy, PartialEq)]
enum Fence {
    Ignored,
    Compared,
    Put,
}

impl<'a> Write<'a> {
    fn new(
        store: &'a Keyspace,
        batch: &'a WriteBatch<'a>,
        operations: Vec<RequestOp>,
    ) -> Write<'a> {
        let keys_only = batch.expectations.len() == 1;
        let created = CompareWith::CreateRevision(store.created);
        let mut txn = TxnRequest {
            compare: vec![compare(&store.marker(), CREATE, EQUAL, created)],
            success: operations,
            failure: vec![read(store.marker(), true)],
        };
        for expectation in batch.expectations {
            let key = store.key(b'd', expectation.key());
            txn.compare.push(match expectation {
                Expectation::Present { .. } => {
                    compare(&key, VERSION, GREATER, CompareWith::Version(0))
                }
                Expectation::Absent { .. } => {
                    compare(&key, VERSION, EQUAL, CompareWith::Version(0))
                }
                Expectation::Equals { value, .. } => {
                    let value = CompareWith::Value(Bytes::copy_from_slice(value));
                    compare(&key, VALUE, EQUAL, value)
                }
            });
            txn.failure.push(read(key, keys_only));
        }
        Write { store, batch, txn, fence: Fence::Ignored }
    }

    /// Returns the transaction, with a slot whose fence is compared and maybe put.
    ///
    /// Each attempt changes the same transaction, as a copy of its operations costs more than all
    /// the rest.
    fn request(&mut self, fence: Option<(&Slot, bool)>) -> &TxnRequest {
        let txn = &mut self.txn;
        if self.fence == Fence::Put {
            txn.success.pop();
        }
        if self.fence != Fence::Ignored {
            txn.compare.remove(1);
            txn.failure.remove(1);
        }
        self.fence = match fence {
            None => Fence::Ignored,
            Some((slot, puts)) => {
                let key = self.store.fences.key(self.store, slot);
                let unchanged = CompareWith::ModRevision(slot.revision);
                txn.compare.insert(1, compare(&key, MOD, EQUAL, unchanged));
                txn.failure.insert(1, read(key.clone(), false));
                if puts {
                    let value = fence_value(b'w', slot.sequence);
                    let put = PutRequest { key, value, lease: slot.lease, ignore_value: false };
                    txn.success.push(Request::Put(put).into());
                }
                if puts { Fence::Put } else { Fence::Compared }
            }
        };
        txn
    }

    /// Returns what the response to a refused transaction says.
    fn response(&self, response: &TxnResponse, slot: Option<&Slot>) -> Result<Reply> {
        let marker = found(response, 0).map(|marker| marker.create_revision);
        if marker != Some(self.store.created) {
            return Err(Error::new(Kind::Closed, "the store was destroyed"));
        }
        let mut own = 1;
        if let Some(slot) = slot {
            own = 2;
            let fence = found(response, 1).map_or(0, |fence| fence.mod_revision);
            if fence != slot.revision {
                return Ok(Reply::FenceGone);
            }
        }
        let expectations = self.batch.expectations;
        // With one expectation, it is the one that failed, and its value was not sent.
        if let [expectation] = expectations {
            let exists = found(response, own).is_some();
            return Ok(Reply::Outcome(Outcome::Refused(match (expectation, exists) {
                (Expectation::Absent { .. }, _) => Conflict::Exists,
                (_, false) => Conflict::NotFound,
                (_, true) => Conflict::Mismatch,
            })));
        }
        let conflict = expectations.iter().enumerate().find_map(|(at, expectation)| {
            let value = found(response, own + at).map(|pair| &*pair.value);
            expectation.conflict(value)
        });
        match conflict {
            Some(conflict) => Ok(Reply::Outcome(Outcome::Refused(conflict))),
            None => Err(Error::new(
                Kind::Internal,
                "the cluster refused a write, but all its conditions hold",
            )),
        }
    }

    /// Checks the expectations of a batch without operations, which changes nothing.
    fn check(&self, turns: &mut Turns<'_>) -> Result<Outcome> {
        loop {
            match turns.attempt(&self.txn, Consistency::Linearizable) {
                Ok(response) => return self.outcome(&response?, None),
                Err(failure) => match failure.verdict(self.store.client.has_login()) {
                    Verdict::Unknown => turns.again(failure, Kind::Busy)?,
                    _ => turns.settled(failure)?,
                },
            }
        }
    }

    /// Deletes in a database that is full and takes no fence. A lost response stays unknown.
    fn without_fence(&mut self, turns: &mut Turns<'_>, slot: Option<&Slot>) -> Result<Outcome> {
        self.request(slot.map(|slot| (slot, false)));
        loop {
            match turns.attempt(&self.txn, Consistency::Linearizable) {
                Ok(response) => return self.outcome(&response?, slot),
                Err(failure) => match failure.verdict(self.store.client.has_login()) {
                    Verdict::Unknown => return Err(turns.failed(Kind::UnknownOutcome)),
                    _ => turns.settled(failure)?,
                },
            }
        }
    }

    fn outcome(&self, response: &TxnResponse, slot: Option<&Slot>) -> Result<Outcome> {
        if response.succeeded {
            return Ok(Outcome::Applied);
        }
        match self.response(response, slot)? {
            Reply::Outcome(outcome) => Ok(outcome),
            Reply::FenceGone => Err(Error::new(
                Kind::Busy,
                "the lease of this program ended, and the database is full; nothing was changed",
            )),
        }
    }
}

fn fence_value(what: u8, sequence: u64) -> Bytes {
    let mut value = vec![what];
    value.extend(sequence.to_be_bytes());
    value.into()
}

fn compare(key: &Bytes, target: i32, result: i32, with: CompareWith) -> Compare {
    Compare { result, target, key: key.clone(), with: Some(with) }
}

fn read(key: Bytes, keys_only: bool) -> RequestOp {
    Request::Range(RangeRequest { key, keys_only, ..RangeRequest::default() }).into()
}

/// Returns the pair that the read at a position of a transaction found.
fn found(response: &TxnResponse, at: usize) -> Option<&KeyValue> {
    match response.responses.get(at)?.response.as_ref()? {
        Response::Range(range) => range.kvs.first(),
        _ => None,
    }
}

fn revision(response: &TxnResponse) -> i64 {
    response.header.as_ref().map_or(0, |header| header.revision)
}
