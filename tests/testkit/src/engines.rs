//! The engines that suites run on.

use std::sync::Arc;

use kvds::testing::{
    Backend, Budget, Client, Cluster, Disk, Engine, Identity, Lease, MAX_KEY_LEN, Maintenance,
    Memory, Operation, Options, Outcome, Reader, Result, Scoped, SharedCaches, Store, Value,
    WriteBatch, open_view,
};
use tempfile::TempDir;

use crate::etcd;

/// An engine under test, and its directory.
#[derive(Clone)]
pub struct TestEngine {
    pub engine: Arc<dyn Engine>,
    /// The length of the longest key.
    pub longest: usize,
    /// The length of the longest value that a test may set.
    pub longest_value: usize,
    /// Whether each call takes a round trip over a network.
    pub is_remote: bool,
    _neighbors: Option<Arc<Neighbors>>,
    _directory: Arc<TempDir>,
}

impl TestEngine {
    /// Returns the maintenance of the engine, or of the engine below a scope.
    pub fn maintenance(&self) -> &dyn Maintenance {
        let base = self._neighbors.as_ref().map_or(&self.engine, |neighbors| &neighbors.0);
        base.maintenance().expect("every engine here has maintenance")
    }
}

pub type Make = fn(Lease) -> TestEngine;

/// What tests set at most: more than a block, a buffer or a page of an engine.
const VALUE: usize = 3 << 20;
/// A server of a cluster takes requests of 1.5 MiB by default.
const CLUSTER_VALUE: usize = 1 << 20;

fn bench(engine: Arc<dyn Engine>, directory: Arc<TempDir>) -> TestEngine {
    TestEngine {
        engine,
        longest: MAX_KEY_LEN,
        longest_value: VALUE,
        is_remote: false,
        _neighbors: None,
        _directory: directory,
    }
}

fn directory() -> Arc<TempDir> {
    Arc::new(TempDir::new().expect("a temporary directory can be made"))
}

pub fn memory(lease: Lease) -> TestEngine {
    bench(Arc::new(Memory::new(Arc::new(Budget::new(0)), 1 << 20, lease)), directory())
}

pub fn disk(lease: Lease) -> TestEngine {
    let directory = directory();
    let options = Options::default();
    let engine = Disk::open_any(
        &directory.path().join("store"),
        &options,
        &SharedCaches::new(&options),
        lease,
    );
    bench(engine.expect("a store can be opened").expect("it is made"), directory)
}

/// Returns a cluster store, or `None` where there is no etcd.
pub fn cluster(lease: Lease) -> Option<TestEngine> {
    let url = etcd::shared_url(&etcd::fresh_namespace())?;
    // A slow machine is no failure of these tests.
    let options = Options { cluster: url.into(), cluster_timeout_ms: 60_000, ..Options::default() };
    let client = Client::new(&options).expect("the options are right");
    let engine = Cluster::open(&client, b"store", &options, lease);
    let engine = engine.expect("a store can be opened").expect("it is made");
    Some(TestEngine { longest_value: CLUSTER_VALUE, is_remote: true, ..bench(engine, directory()) })
}

/// Returns a scope of a scope of a cluster store, or `None` where there is no etcd.
pub fn cluster_scope(lease: Lease) -> Option<TestEngine> {
    cluster(lease).map(scope)
}

/// Returns a scope of a scope of a memory store.
pub fn memory_scope(lease: Lease) -> TestEngine {
    scope(memory(lease))
}

/// Returns a scope of a scope of a disk store.
pub fn disk_scope(lease: Lease) -> TestEngine {
    scope(disk(lease))
}

/// Keys outside of a scope, which must stay unchanged.
struct Neighbors(Arc<dyn Engine>);

/// The keys are before, at both edges of and after the prefix, whose last byte has no successor.
const PREFIX: [&[u8]; 2] = [b"scope", b"\xFF"];
const NEIGHBORS: [&[u8]; 5] = [b"", b"scope", b"scope\xFE\xFF", b"scopf", b"\xFF\xFF"];

impl Drop for Neighbors {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            for key in NEIGHBORS {
                assert_eq!(
                    get(&*self.0, key).as_deref(),
                    Some(&b"neighbor"[..]),
                    "a scope keeps to itself"
                );
            }
        }
    }
}

fn scope(of: TestEngine) -> TestEngine {
    for key in NEIGHBORS {
        write(&*of.engine, &[set(key, "neighbor")]);
    }
    let identity = Identity { tag: 0, id: c"whole".to_owned(), backend: Backend::Memory };
    let mut store = Store::on(of.engine.clone(), identity, Arc::default());
    for prefix in PREFIX {
        store = open_view(&store, |engine| Ok(Arc::new(Scoped::new(engine, prefix))))
            .expect("a view can be made");
    }
    let engine = store.with_shared(|engine| Ok(engine.clone())).expect("the view is open");
    TestEngine {
        engine,
        longest: MAX_KEY_LEN - PREFIX.concat().len(),
        longest_value: of.longest_value,
        is_remote: of.is_remote,
        _neighbors: Some(Arc::new(Neighbors(of.engine))),
        _directory: of._directory,
    }
}

/// Runs functions that take a [`Make`] as tests, in one module per engine and per scope of one.
#[macro_export]
macro_rules! for_every_engine {
    ($($test:ident)*) => {
        mod memory {
            $(#[test] fn $test() -> $crate::Result { super::$test($crate::engines::memory) })*
        }
        mod memory_scope {
            $(#[test] fn $test() -> $crate::Result { super::$test($crate::engines::memory_scope) })*
        }
        #[cfg(feature = "disk")]
        mod disk {
            $(#[test] fn $test() -> $crate::Result { super::$test($crate::engines::disk) })*
        }
        #[cfg(feature = "disk")]
        mod disk_scope {
            $(#[test] fn $test() -> $crate::Result { super::$test($crate::engines::disk_scope) })*
        }
        $crate::for_the_cluster! { $($test)* }
    };
}

/// Runs functions that take a [`Make`] as tests on the cluster engine and on a scope of one. They
/// do nothing where there is no etcd.
#[macro_export]
macro_rules! for_the_cluster {
    ($($test:ident)*) => {
        #[cfg(feature = "cluster")]
        mod cluster {
            $(#[test] fn $test() -> $crate::Result {
                $crate::engines::on_cluster(|make| super::$test(make))
            })*
        }
        #[cfg(feature = "cluster")]
        mod cluster_scope {
            $(#[test] fn $test() -> $crate::Result {
                $crate::engines::on_cluster_scope(|make| super::$test(make))
            })*
        }
    };
}

/// Calls `test` with what makes cluster stores, if there is an etcd.
pub fn on_cluster(test: impl FnOnce(Make) -> crate::Result) -> crate::Result {
    let Some(_) = etcd::shared_url("") else { return Ok(()) };
    test(|lease| cluster(lease).expect("there is an etcd"))
}

/// Like [`on_cluster`], with scopes.
pub fn on_cluster_scope(test: impl FnOnce(Make) -> crate::Result) -> crate::Result {
    let Some(_) = etcd::shared_url("") else { return Ok(()) };
    test(|lease| cluster_scope(lease).expect("there is an etcd"))
}

pub fn no_lease() -> Lease {
    Box::new(())
}

pub fn set<'a>(
    key: &'a (impl AsRef<[u8]> + ?Sized),
    value: &'a (impl AsRef<[u8]> + ?Sized),
) -> Operation<'a> {
    Operation::Set { key: key.as_ref(), value: value.as_ref() }
}

pub fn delete<'a>(key: &'a (impl AsRef<[u8]> + ?Sized)) -> Operation<'a> {
    Operation::Delete { key: key.as_ref() }
}

/// Applies operations without expectations.
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
