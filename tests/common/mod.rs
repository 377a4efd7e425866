//! What the suites over every engine share.

use std::sync::Arc;

use kvds::engine::memory::{Budget, Memory};
use kvds::engine::{Engine, Lease, Reader, Value};
use kvds::{Operation, Outcome, Result, WriteBatch};
#[cfg(feature = "disk")]
use kvds::{
    Options,
    engine::disk::{Disk, Shared},
};
use tempfile::TempDir;

/// An engine under test, and the directory it may use.
#[derive(Clone)]
pub struct Bench {
    pub engine: Arc<dyn Engine>,
    _directory: Arc<TempDir>,
}

pub type Make = fn(Lease) -> Bench;

/// Every engine, by name.
pub const ENGINES: &[(&str, Make)] = &[
    ("memory", memory),
    #[cfg(feature = "disk")]
    ("disk", disk),
];

fn directory() -> Arc<TempDir> {
    Arc::new(TempDir::new().expect("a temporary directory can be made"))
}

pub fn memory(lease: Lease) -> Bench {
    Bench { engine: Arc::new(Memory::new(Arc::new(Budget::new(0)), lease)), _directory: directory() }
}

#[cfg(feature = "disk")]
pub fn disk(lease: Lease) -> Bench {
    let directory = directory();
    let options = Options::default();
    let engine = Disk::open_any(&directory.path().join("store"), &options, &Shared::new(&options), lease);
    Bench { engine: engine.expect("a store can be opened").expect("it is made"), _directory: directory }
}

/// Makes a module per engine of a list of functions that take a [`Make`].
#[macro_export]
macro_rules! for_every_engine {
    ($($test:ident)*) => {
        mod memory {
            $(#[test] fn $test() { super::$test(super::common::memory) })*
        }
        #[cfg(feature = "disk")]
        mod disk {
            $(#[test] fn $test() { super::$test(super::common::disk) })*
        }
    };
}

pub fn no_lease() -> Lease {
    Box::new(())
}

pub fn set<'a>(key: &'a (impl AsRef<[u8]> + ?Sized), value: &'a (impl AsRef<[u8]> + ?Sized)) -> Operation<'a> {
    Operation::Set { key: key.as_ref(), value: value.as_ref() }
}

pub fn delete<'a>(key: &'a (impl AsRef<[u8]> + ?Sized)) -> Operation<'a> {
    Operation::Delete { key: key.as_ref() }
}

/// Applies operations without a condition.
pub fn write(engine: &dyn Engine, operations: &[Operation<'_>]) {
    let outcome = engine.apply(&WriteBatch { expectations: &[], operations });
    assert_eq!(outcome.expect("the write works"), Outcome::Applied);
}

pub fn get(reader: &dyn Reader, key: &[u8]) -> Option<Vec<u8>> {
    let value: Result<Option<Value>> = reader.get(key);
    let value = value.expect("the read works").map(|value| value.to_vec());
    assert_eq!(reader.contains(key).expect("the read works"), value.is_some());
    value
}
