//! The C++ peers (bench/peers).

use std::ffi::{CString, c_char, c_void};
use std::path::Path;

use anyhow::{Result, ensure};

use crate::data::digest;
use crate::peer::{Ability, Durability, Medium, Pair, Peer, Store, Visit};

#[repr(C)]
#[derive(Clone, Copy)]
struct Bytes {
    data: *const c_char,
    len: usize,
}

#[repr(C)]
struct ForeignPair {
    key: Bytes,
    value: Bytes,
}

type Show = extern "C" fn(*mut c_void, Bytes, Bytes) -> bool;
type Open = unsafe extern "C" fn(*const c_char) -> *mut c_void;

unsafe extern "C" {
    fn peer_free(on: *mut c_void);
    fn peer_get(on: *mut c_void, key: Bytes, value: *mut Bytes) -> bool;
    fn peer_exists(on: *mut c_void, key: Bytes) -> bool;
    fn peer_set(on: *mut c_void, key: Bytes, value: Bytes);
    fn peer_del(on: *mut c_void, key: Bytes) -> bool;
    fn peer_set_nx(on: *mut c_void, key: Bytes, value: Bytes) -> bool;
    fn peer_compare_and_swap(on: *mut c_void, key: Bytes, expected: Bytes, value: Bytes) -> bool;
    fn peer_set_batch(on: *mut c_void, pairs: *const ForeignPair, count: usize);
    fn peer_iterate(on: *mut c_void, prefix: Bytes, show: Show, user_data: *mut c_void);
    fn peer_scan(
        on: *mut c_void,
        start: Bytes,
        count: usize,
        backward: bool,
        show: Show,
        user_data: *mut c_void,
    );

    fn open_original_memory(path: *const c_char) -> *mut c_void;
}

#[cfg(rocksdb)]
unsafe extern "C" {
    fn open_original_disk(path: *const c_char) -> *mut c_void;
    fn open_original_disk_sync(path: *const c_char) -> *mut c_void;
    fn open_rocksdb(path: *const c_char) -> *mut c_void;
    fn open_transaction_db(path: *const c_char) -> *mut c_void;
    fn rocksdb_version() -> *const c_char;
}

#[cfg(leveldb)]
unsafe extern "C" {
    fn open_leveldb(path: *const c_char) -> *mut c_void;
    fn open_leveldb_sync(path: *const c_char) -> *mut c_void;
    fn leveldb_version() -> *const c_char;
}

#[cfg(tkrzw)]
unsafe extern "C" {
    fn open_baby(path: *const c_char) -> *mut c_void;
    fn tkrzw_version() -> *const c_char;
}

#[cfg(leveldb)]
const LEVEL: &str = "256 MiB block cache, 2 write buffers of 64 MiB, bloom filters of 10 bits";
#[cfg(leveldb)]
const LEVEL_SYNC: &str = "the same options and sync = true";

/// Returns the version text of a library.
#[cfg(any(rocksdb, leveldb, tkrzw))]
fn text(version: unsafe extern "C" fn() -> *const c_char) -> String {
    // SAFETY: the text is constant and ends with a NUL.
    unsafe { std::ffi::CStr::from_ptr(version()) }.to_string_lossy().into_owned()
}

pub fn peers() -> Vec<Peer> {
    use Ability::*;
    #[allow(unused_mut, reason = "the peers depend on the installed libraries")]
    let mut peers = vec![Peer {
        name: super::ORIGINAL,
        version: "std::map + std::mutex".to_owned(),
        settings: "the design of the original package: values copied, iteration under the lock",
        medium: Medium::Memory,
        durability: Durability::None,
        can: &[Iterate, SetNx, Swap, Batch],
        open: |path| Foreign::open(open_original_memory, path),
    }];
    #[cfg(rocksdb)]
    {
        let peer = |name, settings, durability, open| Peer {
            name,
            version: format!("RocksDB {}", text(rocksdb_version)),
            settings,
            medium: Medium::Disk,
            durability,
            can: super::ALL,
            open,
        };
        peers.push(peer(
            super::ORIGINAL,
            "default options; get, then put for atomic operations",
            Durability::ProcessCrash,
            |path| Foreign::open(open_original_disk, path),
        ));
        peers.push(peer(
            super::ORIGINAL,
            "default options and sync = true; get, then put for atomic operations",
            Durability::PowerCut,
            |path| Foreign::open(open_original_disk_sync, path),
        ));
        peers.push(peer(
            super::ROCKSDB,
            "256 MiB block cache, 128 MiB of write buffers, bloom filters of 10 bits, LZ4",
            Durability::ProcessCrash,
            |path| Foreign::open(open_rocksdb, path),
        ));
        peers.push(peer(
            super::TRANSACTION_DB,
            "as RocksDB; GetForUpdate for atomic operations",
            Durability::ProcessCrash,
            |path| Foreign::open(open_transaction_db, path),
        ));
    }
    #[cfg(leveldb)]
    {
        let peer = |settings, durability, open| Peer {
            name: super::LEVELDB,
            version: text(leveldb_version),
            settings,
            medium: Medium::Disk,
            durability,
            can: &[Iterate, Scan, Batch],
            open,
        };
        peers.push(peer(LEVEL, Durability::ProcessCrash, |path| Foreign::open(open_leveldb, path)));
        peers.push(peer(LEVEL_SYNC, Durability::PowerCut, |path| {
            Foreign::open(open_leveldb_sync, path)
        }));
    }
    #[cfg(tkrzw)]
    peers.push(Peer {
        name: "BabyDBM",
        version: format!("TKRZW {}", text(tkrzw_version)),
        settings: "default settings",
        medium: Medium::Memory,
        durability: Durability::None,
        can: &[Iterate, Scan, SetNx, Swap],
        open: |path| Foreign::open(open_baby, path),
    });
    peers
}

/// An open C++ peer.
struct Foreign(*mut c_void);

// SAFETY: every peer may be called from any thread.
unsafe impl Send for Foreign {}
// SAFETY: as for Send.
unsafe impl Sync for Foreign {}

impl Foreign {
    fn open(open: Open, path: &Path) -> Result<Box<dyn Store>> {
        let path = CString::new(path.as_os_str().as_encoded_bytes())?;
        // SAFETY: the path ends with a NUL.
        let peer = unsafe { open(path.as_ptr()) };
        ensure!(!peer.is_null(), "the peer returned NULL");
        Ok(Box::new(Foreign(peer)))
    }
}

fn lend(bytes: &[u8]) -> Bytes {
    Bytes { data: bytes.as_ptr().cast(), len: bytes.len() }
}

/// # Safety
///
/// The bytes are readable for the lifetime of the result.
unsafe fn slice<'a>(bytes: Bytes) -> &'a [u8] {
    // SAFETY: as above; an empty slice must not begin at null.
    if bytes.len == 0 {
        &[]
    } else {
        unsafe { std::slice::from_raw_parts(bytes.data.cast(), bytes.len) }
    }
}

extern "C" fn show(visit: *mut c_void, key: Bytes, value: Bytes) -> bool {
    // SAFETY: the first argument was passed to `peer_iterate` or `peer_scan`, and the peer's bytes
    // are valid during the call.
    unsafe { (*visit.cast::<Visit<'_>>())(slice(key), slice(value)) };
    true
}

// SAFETY, for every call: the peer is alive, and the bytes are valid during the call.
#[allow(clippy::undocumented_unsafe_blocks, reason = "the comment above is for all calls")]
impl Store for Foreign {
    fn get(&self, key: &[u8]) -> Option<u64> {
        let mut value = lend(&[]);
        unsafe { peer_get(self.0, lend(key), &mut value).then(|| digest(slice(value))) }
    }

    fn exists(&self, key: &[u8]) -> bool {
        unsafe { peer_exists(self.0, lend(key)) }
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        unsafe { peer_set(self.0, lend(key), lend(value)) }
    }

    fn del(&self, key: &[u8]) {
        unsafe { peer_del(self.0, lend(key)) };
    }

    fn iterate(&self, prefix: &[u8], mut visit: Visit<'_>) {
        unsafe { peer_iterate(self.0, lend(prefix), show, (&raw mut visit).cast()) }
    }

    fn scan(&self, start: &[u8], count: usize, backward: bool, mut visit: Visit<'_>) {
        unsafe { peer_scan(self.0, lend(start), count, backward, show, (&raw mut visit).cast()) }
    }

    fn set_nx(&self, key: &[u8], value: &[u8]) -> bool {
        unsafe { peer_set_nx(self.0, lend(key), lend(value)) }
    }

    fn compare_and_swap(&self, key: &[u8], expected: &[u8], value: &[u8]) -> bool {
        unsafe { peer_compare_and_swap(self.0, lend(key), lend(expected), lend(value)) }
    }

    fn set_batch(&self, pairs: &[Pair<'_>]) {
        let pair = |pair: &Pair<'_>| ForeignPair { key: lend(pair.key), value: lend(pair.value) };
        let pairs: Vec<_> = pairs.iter().map(pair).collect();
        unsafe { peer_set_batch(self.0, pairs.as_ptr(), pairs.len()) }
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        // SAFETY: this object owns the peer, and frees it once.
        unsafe { peer_free(self.0) }
    }
}
