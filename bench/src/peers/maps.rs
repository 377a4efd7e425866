//! Maps in Rust, each by its own best interface. Values are read in place.

use std::collections::BTreeMap;
use std::ops::Bound;

use artmap::ArtMap;
use crossbeam_skiplist::SkipMap;
use papaya::{Compute, HashMap, Operation};
use parking_lot::RwLock;
use scc::TreeIndex;

use super::ALL;
use crate::data::digest;
use crate::peer::{Ability, Durability, Medium, Pair, Peer, Store, Visit};

type Bytes = Box<[u8]>;

pub fn peers() -> Vec<Peer> {
    use Ability::*;
    let peer = |name, version: &str, settings, can, open| Peer {
        name,
        version: version.to_owned(),
        settings,
        medium: Medium::Memory,
        durability: Durability::None,
        can,
        open,
    };
    let lock = concat!("parking_lot ", env!("VERSION_PARKING_LOT"));
    let skip = env!("VERSION_CROSSBEAM_SKIPLIST");
    vec![
        peer("BTreeMap", lock, "under an RwLock", ALL, |_| {
            Ok(Box::new(RwLock::<BTreeMap<Bytes, Bytes>>::default()))
        }),
        peer("SkipMap", skip, "crossbeam-skiplist; nothing to set", &[Iterate, Scan], |_| {
            Ok(Box::new(SkipMap::<Bytes, Bytes>::new()))
        }),
        peer(
            "TreeIndex",
            env!("VERSION_SCC"),
            "scc; points alone, as range() of 3.8.8 does not return on a million keys",
            &[SetNx],
            |_| Ok(Box::new(TreeIndex::<Bytes, Bytes>::new())),
        ),
        peer("ArtMap", env!("VERSION_ARTMAP"), "artmap; nothing to set", &[Iterate, Scan], |_| {
            Ok(Box::new(ArtMap::<Vec<u8>, Bytes>::new()))
        }),
        peer(
            super::PAPAYA,
            env!("VERSION_PAPAYA"),
            "not ordered: what point reads could cost",
            &[SetNx, Swap],
            |_| Ok(Box::new(HashMap::<Bytes, Bytes>::new())),
        ),
    ]
}

impl Store for RwLock<BTreeMap<Bytes, Bytes>> {
    fn get(&self, key: &[u8]) -> Option<u64> {
        self.read().get(key).map(|value| digest(value))
    }

    fn exists(&self, key: &[u8]) -> bool {
        self.read().contains_key(key)
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        let (key, value) = (key.into(), value.into());
        self.write().insert(key, value);
    }

    fn del(&self, key: &[u8]) {
        self.write().remove(key);
    }

    fn iterate(&self, prefix: &[u8], visit: Visit<'_>) {
        let map = self.read();
        let from = map.range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded));
        from.take_while(|(key, _)| key.starts_with(prefix))
            .for_each(|(key, value)| visit(key, value));
    }

    fn scan(&self, start: &[u8], count: usize, backward: bool, visit: Visit<'_>) {
        let map = self.read();
        if backward {
            let down = map.range::<[u8], _>((Bound::Unbounded, Bound::Included(start))).rev();
            down.take(count).for_each(|(key, value)| visit(key, value));
        } else {
            let up = map.range::<[u8], _>((Bound::Included(start), Bound::Unbounded));
            up.take(count).for_each(|(key, value)| visit(key, value));
        }
    }

    fn set_nx(&self, key: &[u8], value: &[u8]) -> bool {
        let mut map = self.write();
        let free = !map.contains_key(key);
        if free {
            map.insert(key.into(), value.into());
        }
        free
    }

    fn compare_and_swap(&self, key: &[u8], expected: &[u8], value: &[u8]) -> bool {
        let mut map = self.write();
        let Some(held) = map.get_mut(key).filter(|held| ***held == *expected) else { return false };
        *held = value.into();
        true
    }

    fn set_batch(&self, pairs: &[Pair<'_>]) {
        let mut map = self.write();
        map.extend(pairs.iter().map(|pair| (pair.key.into(), pair.value.into())));
    }
}

impl Store for SkipMap<Bytes, Bytes> {
    fn get(&self, key: &[u8]) -> Option<u64> {
        self.get(key).map(|entry| digest(entry.value()))
    }

    fn exists(&self, key: &[u8]) -> bool {
        self.contains_key(key)
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        self.insert(key.into(), value.into());
    }

    fn del(&self, key: &[u8]) {
        self.remove(key);
    }

    fn iterate(&self, prefix: &[u8], visit: Visit<'_>) {
        let from = self.range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded));
        from.take_while(|entry| entry.key().starts_with(prefix))
            .for_each(|entry| visit(entry.key(), entry.value()));
    }

    fn scan(&self, start: &[u8], count: usize, backward: bool, visit: Visit<'_>) {
        if backward {
            let down = self.range::<[u8], _>((Bound::Unbounded, Bound::Included(start))).rev();
            down.take(count).for_each(|entry| visit(entry.key(), entry.value()));
        } else {
            let up = self.range::<[u8], _>((Bound::Included(start), Bound::Unbounded));
            up.take(count).for_each(|entry| visit(entry.key(), entry.value()));
        }
    }
}

impl Store for TreeIndex<Bytes, Bytes> {
    fn get(&self, key: &[u8]) -> Option<u64> {
        self.peek_with(key, |_, value| digest(value))
    }

    fn exists(&self, key: &[u8]) -> bool {
        self.contains(key)
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        self.upsert_sync(key.into(), value.into());
    }

    fn del(&self, key: &[u8]) {
        self.remove_sync(key);
    }

    fn set_nx(&self, key: &[u8], value: &[u8]) -> bool {
        self.insert_sync(key.into(), value.into()).is_ok()
    }
}

impl Store for ArtMap<Vec<u8>, Bytes> {
    fn get(&self, key: &[u8]) -> Option<u64> {
        self.get_by_slice(key).map(|entry| digest(entry.value()))
    }

    fn exists(&self, key: &[u8]) -> bool {
        self.contains_key_slice(key)
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        self.insert(key.into(), value.into());
    }

    fn del(&self, key: &[u8]) {
        self.remove_by_slice(key);
    }

    fn iterate(&self, prefix: &[u8], visit: Visit<'_>) {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        ArtMap::scan::<_, [u8], _>(self, from, |key, value| {
            let inside = key.starts_with(prefix);
            if inside {
                visit(key, value);
            }
            inside
        });
    }

    fn scan(&self, start: &[u8], count: usize, backward: bool, visit: Visit<'_>) {
        let guard = self.pin();
        if backward {
            let down = self
                .range_with_guard::<_, [u8]>((Bound::Unbounded, Bound::Included(start)), &guard)
                .rev();
            down.take(count).for_each(|entry| visit(entry.key(), entry.value()));
        } else {
            let up = self
                .range_with_guard::<_, [u8]>((Bound::Included(start), Bound::Unbounded), &guard);
            up.take(count).for_each(|entry| visit(entry.key(), entry.value()));
        }
    }
}

impl Store for HashMap<Bytes, Bytes> {
    fn get(&self, key: &[u8]) -> Option<u64> {
        HashMap::get(self, key, &self.guard()).map(|value| digest(value))
    }

    fn exists(&self, key: &[u8]) -> bool {
        self.contains_key(key, &self.guard())
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        self.insert(key.into(), value.into(), &self.guard());
    }

    fn del(&self, key: &[u8]) {
        self.remove(key, &self.guard());
    }

    fn set_nx(&self, key: &[u8], value: &[u8]) -> bool {
        self.try_insert_with(key.into(), || value.into(), &self.guard()).is_ok()
    }

    fn compare_and_swap(&self, key: &[u8], expected: &[u8], value: &[u8]) -> bool {
        let swap = |held: Option<(&Bytes, &Bytes)>| match held {
            Some((_, held)) if **held == *expected => Operation::Insert(value.into()),
            _ => Operation::Abort(()),
        };
        matches!(self.compute(key.into(), swap, &self.guard()), Compute::Updated { .. })
    }
}
