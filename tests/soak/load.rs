//! One thread of the load. It uses every kind of object on both engines and checks each result.
//!
//! The threads share stores, but each has its own keys there, so it knows what it must read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kvds::testing::ffi::*;

use super::c::{Distributor, Store, Value};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// How many keys a thread has in a store.
const KEYS: u64 = 300;

/// How many shared stores there are on each engine.
const SHARED: u64 = 3;

pub struct Worker<'a> {
    number: usize,
    distributor: &'a Distributor,
    base: PathBuf,
    /// The pairs of this thread in each shared disk store.
    kept: Vec<Map>,
    random: u64,
    /// How many rounds it has done.
    pub rounds: u64,
}

impl<'a> Worker<'a> {
    pub fn new(number: usize, distributor: &'a Distributor, base: &Path) -> Worker<'a> {
        let kept = (0..SHARED).map(|_| Map::new()).collect();
        Worker {
            number,
            distributor,
            base: base.to_path_buf(),
            kept,
            random: number as u64 + 1,
            rounds: 0,
        }
    }

    /// Does one random step.
    pub fn round(&mut self) {
        self.rounds += 1;
        match self.below(20) {
            0..=6 => self.shared_on_disk(),
            7..=12 => self.shared_in_memory(),
            13..=15 => self.own_on_disk(),
            16..=17 => self.own_in_memory(),
            18 => self.closed_under_others(),
            _ => self.copied(),
        }
    }

    /// Uses a shared disk store. The first reference opens it, and the last one closes it.
    fn shared_on_disk(&mut self) {
        let which = self.below(SHARED) as usize;
        let store = self.distributor.store(&format!("shared {which}"), KVDS_DISK);
        let mut map = std::mem::take(&mut self.kept[which]);
        self.work(&store, &mut map);
        self.kept[which] = map;
    }

    /// Uses a shared memory store. Its content is lost with the last reference, whichever thread
    /// has it.
    fn shared_in_memory(&mut self) {
        let which = self.below(SHARED);
        let store = self.distributor.store(&format!("shared {which}"), KVDS_MEMORY);
        store.delete_prefix(&self.prefix());
        let mut map = Map::new();
        self.work(&store, &mut map);
    }

    /// Creates, fills, closes, reopens, checks and destroys a disk store.
    fn own_on_disk(&mut self) {
        let id = format!("own {}", self.number);
        let mut map = Map::new();
        let store = self.distributor.store(&id, KVDS_DISK);
        self.work(&store, &mut map);
        if self.below(4) == 0 {
            store.compact();
        }
        drop(store);
        let store = self.distributor.store(&id, KVDS_DISK);
        self.check(&store, &map);
        drop(store);
        self.distributor.destroy(&id);
        let store = self.distributor.store(&id, KVDS_DISK);
        assert!(store.pairs(b"").is_empty(), "a destroyed store is gone");
        drop(store);
        self.distributor.destroy(&id);
    }

    /// Creates and releases a memory store while a value and a snapshot of it are in use, and
    /// checks the death notification.
    fn own_in_memory(&mut self) {
        let id = format!("own {}", self.number);
        let mut left: Option<(Value, Vec<u8>, Store, Map)> = None;
        let mut map = Map::new();
        let deaths = self.distributor.deaths(|| {
            let store = self.distributor.store(&id, KVDS_MEMORY);
            self.work(&store, &mut map);
            let (key, expected) = (self.key(0), vec![7; 5000]);
            store.set(&key, &expected);
            map.insert(key.clone(), expected.clone());
            left = store.get(&key).map(|value| (value, expected, store.snapshot(), map.clone()));
            store.set(&key, b"other");
        });
        let (value, expected, snapshot, map) = left.expect("the key was there");
        assert_eq!(*value, *expected);
        self.check(&snapshot, &map);
        let deaths = deaths + self.distributor.deaths(|| drop((value, snapshot)));
        assert!(deaths >= 1, "the observer is called");
    }

    /// Closes a store while a value of it is in use.
    fn closed_under_others(&mut self) {
        let id = format!("closed {}", self.number);
        for backend in [KVDS_MEMORY, KVDS_DISK] {
            let store = self.distributor.store(&id, backend);
            let key = self.key(1);
            store.set(&key, &[1; 6000]);
            let value = store.get(&key).expect("the key is there");
            store.close();
            drop(store);
            let again = self.distributor.store(&id, backend);
            assert_eq!(*value, [1; 6000], "the value stays readable");
            assert_eq!(again.get(&key).is_some(), backend == KVDS_DISK);
            drop((value, again));
        }
        self.distributor.destroy(&id);
    }

    /// Copies a store, and opens the copy read-only with another distributor.
    fn copied(&mut self) {
        let which = self.below(SHARED) as usize;
        let place = self.base.join(format!("copies of {}", self.number));
        let store = self.distributor.store(&format!("shared {which}"), KVDS_DISK);
        store.checkpoint(&place.join("copy"));
        drop(store);
        let other = Distributor::open(&place, &[("read_only", "1"), ("block_cache_bytes", "1M")]);
        let copy = other.store("copy", KVDS_DISK);
        self.check(&copy, &self.kept[which]);
        drop((copy, other));
        std::fs::remove_dir_all(&place).expect("a copy can be removed");
    }

    /// Writes and reads with every call.
    fn work(&mut self, store: &Store, map: &mut Map) {
        for _ in 0..self.below(80) {
            let key = self.key(self.random % KEYS);
            match self.below(10) {
                0..=4 => {
                    let len = if self.below(20) == 0 { 8000 } else { self.below(600) as usize };
                    let value = vec![self.random as u8; len];
                    store.set(&key, &value);
                    map.insert(key, value);
                }
                5 => assert_eq!(store.delete(&key), map.remove(&key).is_some()),
                6 => {
                    let first = self.below(KEYS);
                    let pairs: Vec<_> =
                        (0..5).map(|next| (self.key(first + next), vec![5; 50])).collect();
                    store.set_batch(&pairs);
                    map.extend(pairs);
                }
                _ => assert_eq!(store.get(&key).as_deref(), map.get(&key).map(Vec::as_slice)),
            }
        }
        match self.below(4) {
            0 => {
                let snapshot = store.snapshot();
                let before = map.clone();
                let key = self.key(self.random % KEYS);
                store.set(&key, b"after");
                map.insert(key, b"after".to_vec());
                self.check(&snapshot, &before);
            }
            1 => {
                let scope = store.scope(&self.prefix());
                let counter = b"counter";
                let (one, two) = (scope.add(counter, 1), scope.add(counter, 1));
                assert_eq!(one + 1, two);
                assert!(scope.delete(counter));
            }
            2 => {
                store.delete_prefix(&self.prefix());
                map.clear();
            }
            _ => {}
        }
        self.check(store, map);
    }

    /// Checks that the pairs of this thread are those that it wrote.
    fn check(&self, store: &Store, map: &Map) {
        let pairs = store.pairs(&self.prefix());
        assert!(
            pairs.iter().map(|(key, value)| (key, value)).eq(map),
            "an iteration shows {} pairs",
            pairs.len()
        );
        assert!(
            store.keys_backward(&self.prefix()).iter().eq(map.keys().rev()),
            "a cursor shows something else"
        );
    }

    fn prefix(&self) -> Vec<u8> {
        format!("thread {}/", self.number).into_bytes()
    }

    fn key(&self, number: u64) -> Vec<u8> {
        [self.prefix(), format!("{number:05}").into_bytes()].concat()
    }

    fn below(&mut self, limit: u64) -> u64 {
        // Xorshift: the same run every time, as far as the threads let it.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % limit
    }
}
