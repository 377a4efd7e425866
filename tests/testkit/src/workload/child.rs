//! The child process.
//!
//! Writers write to one store until the process is killed, and report every write before and after
//! it. Another thread syncs, compacts, copies and reopens the store, and creates and destroys other
//! stores.

use std::ffi::{CString, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::{env, thread};

use fastrand::Rng;
use kvds::testing::{Backend, Distributor, Durability, Options, Ref, Store};

use super::Writer;
use super::expected::Act::{Close, Copy, Destroy, Sync};
use super::expected::{Event, MAIN, Store as StoreName};

/// The orders of a child.
#[derive(Clone, Debug)]
pub struct Orders {
    /// The base path.
    pub base: PathBuf,
    pub durability: Durability,
    pub seed: u64,
    /// How many writes each writer has done before.
    pub numbers: Vec<u64>,
    /// The number of the first other store or copy.
    pub first: u64,
    /// After how many writes the child stops and closes its stores.
    pub limit: u64,
}

const ORDERS: &str = "KVDS_TEST_ORDERS";

impl Orders {
    /// Returns the options of the child's distributor. The buffers are as small as possible, to
    /// cause many flushes and compactions.
    pub fn options(&self) -> Options {
        Options { durability: self.durability, write_buffer_bytes: 1 << 20, ..Options::default() }
    }

    /// Returns a command that runs this test program with these orders, for the test `name` alone.
    pub fn command(&self, name: &str) -> Command {
        let numbers: Vec<_> = self.numbers.iter().map(u64::to_string).collect();
        let durability = self.durability as u8;
        let rest = [durability.into(), self.seed, self.first, self.limit]
            .map(|number: u64| number.to_string());
        let mut text = OsString::from(format!("{} {} ", rest.join(" "), numbers.join(",")));
        text.push(&self.base);
        let mut child = Command::new(env::current_exe().expect("a program has a path"));
        child.args(["--ignored", "--exact", "--nocapture", name]).env(ORDERS, text);
        child.stdout(std::process::Stdio::null());
        child
    }

    /// Returns the orders of this process, if it is a child.
    pub fn received() -> Option<Orders> {
        let text = env::var(ORDERS).ok()?;
        let parts: Vec<_> = text.splitn(6, ' ').collect();
        let number = |part: &str| part.parse().expect("a number");
        Some(Orders {
            durability: [Durability::Process, Durability::Sync, Durability::None]
                [number(parts[0]) as usize],
            seed: number(parts[1]),
            first: number(parts[2]),
            limit: number(parts[3]),
            numbers: parts[4].split(',').map(number).collect(),
            base: PathBuf::from(parts[5]),
        })
    }

    /// Follows the orders. The thread of each event calls `report`.
    pub fn follow(&self, report: &(dyn Fn(Event) + std::marker::Sync)) {
        let distributor = Distributor::open(Some(&self.base), &self.options())
            .expect("a distributor can be made");
        let child = Child { orders: self, distributor, report, written: AtomicU64::new(0) };
        child.live();
    }
}

struct Child<'a> {
    orders: &'a Orders,
    distributor: Ref<Distributor>,
    report: &'a (dyn Fn(Event) + std::marker::Sync),
    written: AtomicU64,
}

impl Child<'_> {
    fn open(&self, store: StoreName) -> Ref<Store> {
        let id = CString::new(store.id()).expect("a name has no zero");
        self.distributor
            .get_or_create(&id, Backend::Disk)
            .expect("the store opens")
            .expect("it is made")
    }

    fn live(&self) {
        let store = RwLock::new(Some(self.open(MAIN)));
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            for (id, number) in self.orders.numbers.iter().enumerate() {
                let (store, done) = (&store, &done);
                scope.spawn(move || self.write_main(store, id as u64, *number, done));
            }
            self.maintain(&store, &done);
        });
        (self.report)(Event::Begin(Close, MAIN));
        drop(store);
        (self.report)(Event::End(Close, MAIN));
    }

    fn write_main(
        &self,
        store: &RwLock<Option<Ref<Store>>>,
        id: u64,
        number: u64,
        done: &AtomicBool,
    ) {
        let mut writer = Writer::new(self.orders.seed, id);
        writer.number = number;
        let prefix = writer.prefix();
        let mut found = Vec::new();
        let held = |store: &RwLock<Option<Ref<Store>>>, act: &mut dyn FnMut(&Ref<Store>)| {
            act(store.read().expect("no thread panicked").as_ref().expect("it is open"));
        };
        held(store, &mut |store| {
            let complete = store.iterate(&prefix, |key, value| {
                found.push((key.to_vec(), value.to_vec()));
                true
            });
            assert!(complete.expect("the iteration works"));
        });
        writer.content = found.into_iter().collect();
        while !done.load(Ordering::Relaxed) {
            held(store, &mut |store| self.write(store, MAIN, &mut writer));
            if self.written.fetch_add(1, Ordering::Relaxed) >= self.orders.limit {
                done.store(true, Ordering::Relaxed);
            }
        }
    }

    fn write(&self, store: &Store, name: StoreName, writer: &mut Writer) {
        let write = writer.next();
        (self.report)(Event::Try(name, writer.id, writer.number + 1));
        write.perform(store).expect("the write works");
        writer.done(write);
        (self.report)(Event::Done(name, writer.id, writer.number));
    }

    /// Does everything except writing.
    fn maintain(&self, store: &RwLock<Option<Ref<Store>>>, done: &AtomicBool) {
        let mut random = Rng::with_seed(self.orders.seed ^ self.orders.first);
        let mut next = self.orders.first;
        let mut others: Vec<StoreName> = Vec::new();
        let act = |act, name, work: &mut dyn FnMut()| {
            (self.report)(Event::Begin(act, name));
            work();
            (self.report)(Event::End(act, name));
        };
        let main = |work: &dyn Fn(&Ref<Store>)| {
            work(store.read().expect("no thread panicked").as_ref().expect("it is open"));
        };
        while !done.load(Ordering::Relaxed) {
            thread::yield_now();
            let now = self.written.load(Ordering::Relaxed);
            match random.u8(..10) {
                0 => main(&|store| act(Sync, MAIN, &mut || store.sync().expect("the sync works"))),
                1 => main(&|store| store.compact().expect("the compaction works")),
                2 if next - self.orders.first < 6 => {
                    let copy = StoreName(next);
                    let path = self.orders.base.join("copies").join(copy.id());
                    main(&|store| {
                        act(Copy, copy, &mut || store.checkpoint(&path).expect("the copy is made"))
                    });
                    next += 1;
                }
                3 => {
                    let mut place = store.write().expect("no thread panicked");
                    act(Close, MAIN, &mut || drop(place.take()));
                    *place = Some(self.open(MAIN));
                }
                4 | 5 => {
                    let name = StoreName(next);
                    next += 1;
                    let other = self.open(name);
                    let mut writer = Writer::new(self.orders.seed, name.0);
                    for _ in 0..random.u8(1..20) {
                        self.write(&other, name, &mut writer);
                    }
                    act(Close, name, &mut || drop(other.close()));
                    drop(other);
                    others.push(name);
                }
                6 if !others.is_empty() => {
                    let name = others.swap_remove(random.usize(..others.len()));
                    let id = CString::new(name.id()).expect("a name has no zero");
                    act(Destroy, name, &mut || {
                        assert!(
                            self.distributor
                                .destroy(&id, Backend::Disk)
                                .expect("the store can be destroyed")
                        );
                    });
                }
                _ => {}
            }
            // Waits for some writes.
            while !done.load(Ordering::Relaxed) && self.written.load(Ordering::Relaxed) < now + 20 {
                thread::yield_now();
            }
        }
    }
}

/// Returns the directory of the copies of the stores in `base`.
pub fn copies(base: &Path) -> PathBuf {
    base.join("copies")
}
