//! kvds, as programs call it: the functions of libkvds.so. It is loaded at run time, so that its
//! RocksDB and those of the peers stay apart.

use std::ffi::{CStr, CString, c_int, c_void};
use std::path::Path;
use std::ptr;
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};

use super::ALL;
use crate::data::digest;
use crate::peer::{Durability, Medium, Pair, Peer, Store, Visit};

#[allow(non_camel_case_types, non_upper_case_globals, non_snake_case, dead_code)]
#[allow(clippy::all)]
mod c {
    include!(concat!(env!("OUT_DIR"), "/kvds.rs"));
}

const OK: c_int = c::KVDS_OK as c_int;
const EMPTY: c::kvds_value = c::kvds_value { data: ptr::null(), len: 0, owner: ptr::null_mut() };

static LIBRARY: OnceLock<c::Functions> = OnceLock::new();

/// Loads the library to measure.
pub fn load(library: &Path) -> Result<()> {
    // SAFETY: loading libkvds.so runs only its initialization.
    let functions = unsafe { c::Functions::new(library) };
    let functions =
        functions.with_context(|| format!("{}: build it with `make build`", library.display()))?;
    LIBRARY.set(functions).ok().context("the library is loaded once")
}

fn functions() -> &'static c::Functions {
    LIBRARY.get().expect("main loads the library first")
}

fn version() -> String {
    // SAFETY: the text is constant.
    unsafe { CStr::from_ptr(functions().kvds_version()) }.to_string_lossy().into_owned()
}

pub fn peers() -> Vec<Peer> {
    let peer = |settings, medium, durability, open| Peer {
        name: "kvds",
        version: version(),
        settings,
        medium,
        durability,
        can: ALL,
        open,
    };
    vec![
        peer("default options", Medium::Memory, Durability::None, |_| {
            Ok(Box::new(Kvds::memory()?))
        }),
        peer(
            "default options: written to the log immediately, synced every half second",
            Medium::Disk,
            Durability::ProcessCrash,
            |path| Ok(Box::new(Kvds::disk(path, false)?)),
        ),
        peer("KVDS_DURABILITY_SYNC", Medium::Disk, Durability::PowerCut, |path| {
            Ok(Box::new(Kvds::disk(path, true)?))
        }),
    ]
}

/// The id of a store that has a distributor to itself.
const STORE: &CStr = c"store";

/// Where a store is.
#[derive(Clone, Copy)]
enum Place<'a> {
    Memory,
    Disk { path: &'a Path, sync: bool },
    Cluster { url: &'a str },
}

impl Place<'_> {
    fn backend(self) -> u32 {
        match self {
            Place::Memory => c::KVDS_MEMORY,
            Place::Disk { .. } => c::KVDS_DISK,
            Place::Cluster { .. } => c::KVDS_CLUSTER,
        }
    }
}

/// A store and its distributor.
pub struct Kvds {
    functions: &'static c::Functions,
    distributor: *mut c::kvds_distributor,
    store: *mut c::kvds_store,
}

// SAFETY: any thread may call these functions.
unsafe impl Send for Kvds {}
// SAFETY: as for Send.
unsafe impl Sync for Kvds {}

/// Panics if a call failed.
#[inline]
fn must(status: c_int) {
    if status != OK {
        failed(status);
    }
}

#[cold]
fn failed(status: c_int) -> ! {
    // SAFETY: the text is valid until the next failing call on this thread.
    let text = unsafe { CStr::from_ptr(functions().kvds_last_error()) };
    panic!("kvds returned {status}: {}", text.to_string_lossy());
}

fn at(bytes: &[u8]) -> *const c_void {
    bytes.as_ptr().cast()
}

impl Kvds {
    pub fn memory() -> Result<Kvds> {
        Kvds::open(Place::Memory)
    }

    pub fn disk(path: &Path, sync: bool) -> Result<Kvds> {
        Kvds::open(Place::Disk { path, sync })
    }

    /// Opens a store in the cluster of a URL.
    pub fn cluster(url: &str) -> Result<Kvds> {
        Kvds::open(Place::Cluster { url })
    }

    fn open(place: Place<'_>) -> Result<Kvds> {
        let functions = functions();
        let path = match place {
            Place::Disk { path, .. } => Some(CString::new(path.as_os_str().as_encoded_bytes())?),
            _ => None,
        };
        let url = match place {
            Place::Cluster { url } => Some(CString::new(url)?),
            _ => None,
        };
        let mut distributor = ptr::null_mut();
        // SAFETY: the texts end with a NUL, the outputs are writable, and the options are freed
        // once.
        unsafe {
            let options = functions.kvds_options_new();
            if let Place::Disk { sync: true, .. } = place {
                must(functions.kvds_options_set_durability(options, c::KVDS_DURABILITY_SYNC as _));
            }
            if let Some(url) = &url {
                must(functions.kvds_options_set_cluster(options, url.as_ptr()));
            }
            let path = path.as_ref().map_or(ptr::null(), |path| path.as_ptr());
            let status = functions.kvds_distributor_open(path, options, &mut distributor);
            functions.kvds_options_free(options);
            must(status);
        }
        Kvds::in_distributor(distributor, place.backend(), STORE)
    }

    /// Opens a store, and takes over a reference to its distributor.
    fn in_distributor(
        distributor: *mut c::kvds_distributor,
        backend: u32,
        id: &CStr,
    ) -> Result<Kvds> {
        let functions = functions();
        let mut store = ptr::null_mut();
        // SAFETY: the distributor is open, the id ends with a NUL, and the output is writable.
        unsafe {
            must(functions.kvds_distributor_get_or_create(
                distributor,
                id.as_ptr(),
                backend as _,
                &mut store,
            ));
        }
        ensure!(!store.is_null(), "kvds returned no store");
        Ok(Kvds { functions, distributor, store })
    }

    /// Opens another cluster store of the same distributor.
    pub fn another_in_cluster(&self, id: &str) -> Result<Kvds> {
        // SAFETY: this object has a reference to the distributor.
        let distributor = unsafe { self.functions.kvds_distributor_retain(self.distributor) };
        Kvds::in_distributor(distributor, c::KVDS_CLUSTER, &CString::new(id)?)
    }

    /// Deletes the cluster stores `ids`, and the one that [`Kvds::cluster`] opens. None of the
    /// others may be open.
    pub fn destroy_in_cluster(mut self, ids: &[String]) -> Result<()> {
        // SAFETY: this object has one reference to the store, and the distributor is open.
        unsafe { self.functions.kvds_store_release(self.store) };
        self.store = ptr::null_mut();
        let ids = ids.iter().map(|id| CString::new(id.as_str()));
        for id in ids.chain([Ok(STORE.to_owned())]) {
            let (functions, backend) = (self.functions, c::KVDS_CLUSTER as _);
            // SAFETY: the distributor is open, and the id ends with a NUL.
            must(unsafe {
                functions.kvds_distributor_destroy(self.distributor, id?.as_ptr(), backend)
            });
        }
        Ok(())
    }

    /// Reads many values and returns the sum of their lengths.
    pub fn multi_get(&self, keys: &[Vec<u8>]) -> usize {
        let keys = bytes(keys);
        let mut values = vec![EMPTY; keys.len()];
        let mut statuses = vec![OK; keys.len()];
        // SAFETY: the arrays have the given lengths, and each value is released once.
        unsafe {
            let (count, values_at) = (keys.len(), values.as_mut_ptr());
            must(self.functions.kvds_multi_get(
                self.store,
                keys.as_ptr(),
                count,
                values_at,
                statuses.as_mut_ptr(),
            ));
            let release = |value: &mut c::kvds_value| {
                let len = value.len;
                self.functions.kvds_value_release(value);
                len
            };
            values.iter_mut().map(release).sum()
        }
    }

    pub fn delete_batch(&self, keys: &[Vec<u8>]) {
        let keys = bytes(keys);
        // SAFETY: the keys point to slices that outlive the call.
        must(unsafe { self.functions.kvds_delete_batch(self.store, keys.as_ptr(), keys.len()) });
    }

    pub fn delete_prefix(&self, prefix: &[u8]) {
        // SAFETY: the slice is valid.
        must(unsafe { self.functions.kvds_delete_prefix(self.store, at(prefix), prefix.len()) });
    }

    /// Returns whether a status is OK and not `no`. Panics on any other status.
    #[inline]
    fn answer(status: c_int, no: u32) -> bool {
        if status == no as c_int {
            return false;
        }
        must(status);
        true
    }
}

fn bytes(keys: &[Vec<u8>]) -> Vec<c::kvds_bytes> {
    keys.iter().map(|key| c::kvds_bytes { data: at(key), len: key.len() }).collect()
}

/// # Safety
///
/// `data` is null only if `len` is 0, and is readable for the lifetime of the result.
unsafe fn slice<'a>(data: *const c_void, len: usize) -> &'a [u8] {
    // SAFETY: as above; an empty slice must not begin at null.
    if len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(data.cast(), len) } }
}

impl Store for Kvds {
    fn get(&self, key: &[u8]) -> Option<u64> {
        let mut value = EMPTY;
        // SAFETY: the slice is valid, and the value is read before it is released, once.
        unsafe {
            let status = self.functions.kvds_get(self.store, at(key), key.len(), &mut value);
            if !Self::answer(status, c::KVDS_NOT_FOUND) {
                return None;
            }
            let sum = digest(slice(value.data, value.len));
            self.functions.kvds_value_release(&mut value);
            Some(sum)
        }
    }

    fn exists(&self, key: &[u8]) -> bool {
        // SAFETY: the slice is valid.
        Self::answer(
            unsafe { self.functions.kvds_exists(self.store, at(key), key.len()) },
            c::KVDS_NOT_FOUND,
        )
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        // SAFETY: the slices are valid.
        must(unsafe {
            self.functions.kvds_set(self.store, at(key), key.len(), at(value), value.len())
        });
    }

    fn del(&self, key: &[u8]) {
        // SAFETY: the slice is valid.
        Self::answer(
            unsafe { self.functions.kvds_del(self.store, at(key), key.len()) },
            c::KVDS_NOT_FOUND,
        );
    }

    fn iterate(&self, prefix: &[u8], mut visit: Visit<'_>) {
        unsafe extern "C" fn show(
            visit: *mut c_void,
            key: *const c_void,
            key_len: usize,
            value: *const c_void,
            value_len: usize,
        ) -> c_int {
            // SAFETY: the first argument is passed below, and kvds's bytes are valid during the
            // call.
            unsafe { (*visit.cast::<Visit<'_>>())(slice(key, key_len), slice(value, value_len)) };
            1
        }
        // SAFETY: the slice is valid, and `visit` outlives the call.
        must(unsafe {
            let visit = (&raw mut visit).cast();
            self.functions.kvds_iterate(self.store, at(prefix), prefix.len(), Some(show), visit)
        });
    }

    fn scan(&self, start: &[u8], count: usize, backward: bool, visit: Visit<'_>) {
        let mut cursor = ptr::null_mut();
        // SAFETY: the outputs are writable, their bytes are read before the next move, and the
        // cursor is freed once.
        unsafe {
            let functions = self.functions;
            must(functions.kvds_cursor_new(self.store, ptr::null(), &mut cursor));
            let mut status = functions.kvds_cursor_seek(cursor, at(start), start.len());
            let [mut key, mut value] = [c::kvds_bytes { data: ptr::null(), len: 0 }; 2];
            for _ in 0..count {
                if !Self::answer(status, c::KVDS_NOT_FOUND) {
                    break;
                }
                must(functions.kvds_cursor_key(cursor, &mut key));
                must(functions.kvds_cursor_value(cursor, &mut value));
                visit(slice(key.data, key.len), slice(value.data, value.len));
                status = if backward {
                    functions.kvds_cursor_prev(cursor)
                } else {
                    functions.kvds_cursor_next(cursor)
                };
            }
            functions.kvds_cursor_free(cursor);
        }
    }

    fn set_nx(&self, key: &[u8], value: &[u8]) -> bool {
        // SAFETY: the slices are valid.
        let status = unsafe {
            self.functions.kvds_set_nx(self.store, at(key), key.len(), at(value), value.len())
        };
        Self::answer(status, c::KVDS_EXISTS)
    }

    fn compare_and_swap(&self, key: &[u8], expected: &[u8], value: &[u8]) -> bool {
        let (key_at, expected_at, value_at) = (at(key), at(expected), at(value));
        let (key, expected, value) = (key.len(), expected.len(), value.len());
        // SAFETY: the slices are valid.
        let status = unsafe {
            self.functions.kvds_compare_and_swap(
                self.store,
                key_at,
                key,
                expected_at,
                expected,
                value_at,
                value,
            )
        };
        status != c::KVDS_NOT_FOUND as c_int && Self::answer(status, c::KVDS_MISMATCH)
    }

    fn set_batch(&self, pairs: &[Pair<'_>]) {
        let pair = |Pair { key, value }: &Pair<'_>| c::kvds_pair {
            key: at(key),
            key_len: key.len(),
            value: at(value),
            value_len: value.len(),
        };
        let pairs: Vec<_> = pairs.iter().map(pair).collect();
        // SAFETY: the pairs point to slices that outlive the call.
        must(unsafe { self.functions.kvds_set_batch(self.store, pairs.as_ptr(), pairs.len()) });
    }
}

impl Drop for Kvds {
    fn drop(&mut self) {
        // SAFETY: this object owns both references.
        unsafe {
            self.functions.kvds_store_release(self.store);
            self.functions.kvds_distributor_release(self.distributor);
        }
    }
}
