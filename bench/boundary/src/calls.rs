//! The calls that are counted, made in three ways: through the C functions of libkvds.so, on a
//! store in Rust, and on the engine below it.

use std::ffi::{CStr, CString, c_char, c_void};
use std::hint::black_box;
use std::path::Path;
use std::ptr;
use std::sync::Arc;

use kvds::testing::{
    Backend, Distributor, Engine, Expectation, Operation, Options, Outcome, Ref, Store, WriteBatch,
};

/// Where the store is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    Memory,
    Disk,
}

/// What is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Get,
    Set,
    Exists,
    Del,
    CompareAndSwap,
}

/// How it is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    C,
    Store,
    Engine,
}

pub const MEDIA: [(&str, Medium); 2] = [("memory", Medium::Memory), ("disk", Medium::Disk)];

pub const CALLS: [(&str, Call); 5] = [
    ("get", Call::Get),
    ("set", Call::Set),
    ("exists", Call::Exists),
    ("del", Call::Del),
    ("compare_and_swap", Call::CompareAndSwap),
];

pub const WAYS: [(&str, Way); 3] = [("c", Way::C), ("store", Way::Store), ("engine", Way::Engine)];

const VALUE: [u8; 100] = [7; 100];
const ID: &CStr = c"boundary";

fn key(number: u64) -> [u8; 20] {
    let mut key = *b"user0000000000000000";
    for (at, byte) in key.iter_mut().rev().take(6).enumerate() {
        *byte = b'0' + (number / 10_u64.pow(at as u32) % 10) as u8;
    }
    key
}

/// A store. Each function panics unless the call has the expected result.
trait Target {
    fn get(&self, key: &[u8]);
    fn set(&self, key: &[u8], value: &[u8]);
    fn exists(&self, key: &[u8]);
    fn del(&self, key: &[u8]);
    fn compare_and_swap(&self, key: &[u8], expected: &[u8], value: &[u8]);
}

/// Makes `count` calls on a store with `keys` keys, all of which were read once before.
pub fn run(
    library: &Path,
    medium: Medium,
    call: Call,
    way: Way,
    keys: u64,
    count: u64,
    directory: &Path,
) {
    if way == Way::C {
        make(&Library::open(library, medium, directory), call, keys, count);
        return;
    }
    let path = (medium == Medium::Disk).then_some(directory);
    let backend = if medium == Medium::Disk { Backend::Disk } else { Backend::Memory };
    let distributor = Distributor::open(path, &Options::default()).expect("it can be opened");
    let store = distributor.get_or_create(ID, backend).expect("it can be opened");
    let store = store.expect("it is created");
    if way == Way::Store {
        make(black_box(&store), call, keys, count);
    } else {
        let engine = store.with_shared(|engine| Ok(engine.clone())).expect("it is open");
        make(black_box(&engine), call, keys, count);
    }
}

fn make(target: &impl Target, call: Call, keys: u64, count: u64) {
    for number in 0..keys {
        target.set(&key(number), &VALUE);
        target.get(&key(number));
    }
    for number in 0..count {
        let key = &key(number % keys);
        match call {
            Call::Get => target.get(key),
            Call::Set => target.set(key, &VALUE),
            Call::Exists => target.exists(key),
            Call::Del => target.del(key),
            Call::CompareAndSwap => target.compare_and_swap(key, &VALUE, &VALUE),
        }
    }
}

impl Target for Ref<Store> {
    fn get(&self, key: &[u8]) {
        let value = Store::get(self, key).expect("it can be read").expect("it was set");
        assert!(black_box(value.len()) == VALUE.len());
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        assert!(Store::set(self, key, value).expect("it can be written") == Outcome::Applied);
    }

    fn exists(&self, key: &[u8]) {
        assert!(Store::exists(self, key).expect("it can be read"));
    }

    fn del(&self, key: &[u8]) {
        assert!(Store::delete(self, key).expect("it can be written") == Outcome::Applied);
    }

    fn compare_and_swap(&self, key: &[u8], expected: &[u8], value: &[u8]) {
        let outcome = Store::compare_and_swap(self, key, expected, value);
        assert!(outcome.expect("it can be written") == Outcome::Applied);
    }
}

fn apply(engine: &dyn Engine, expectations: &[Expectation<'_>], operation: Operation<'_>) {
    let batch = WriteBatch { expectations, operations: &[operation] };
    assert!(engine.apply(&batch).expect("it can be written") == Outcome::Applied);
}

impl Target for Arc<dyn Engine> {
    fn get(&self, key: &[u8]) {
        let value = (**self).get(key).expect("it can be read").expect("it was set");
        assert!(black_box(value.len()) == VALUE.len());
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        apply(&**self, &[], Operation::Set { key, value });
    }

    fn exists(&self, key: &[u8]) {
        assert!((**self).contains(key).expect("it can be read"));
    }

    fn del(&self, key: &[u8]) {
        apply(&**self, &[Expectation::Present { key }], Operation::Delete { key });
    }

    fn compare_and_swap(&self, key: &[u8], expected: &[u8], value: &[u8]) {
        let expectation = Expectation::Equals { key, value: expected };
        apply(&**self, &[expectation], Operation::Set { key, value });
    }
}

#[repr(C)]
struct Value {
    data: *const c_void,
    len: usize,
    owner: *mut c_void,
}

type Bytes = *const c_void;
type Distribute = unsafe extern "C" fn(*const c_char) -> *mut c_void;
type GetOrCreate = unsafe extern "C" fn(*const c_void, *const c_char, i32, *mut *mut c_void) -> i32;
type Get = unsafe extern "C" fn(*const c_void, Bytes, usize, *mut Value) -> i32;
type Release = unsafe extern "C" fn(*mut Value);
type Set = unsafe extern "C" fn(*const c_void, Bytes, usize, Bytes, usize) -> i32;
type OfKey = unsafe extern "C" fn(*const c_void, Bytes, usize) -> i32;
type Swap = unsafe extern "C" fn(*const c_void, Bytes, usize, Bytes, usize, Bytes, usize) -> i32;

/// The C functions, and a store that they opened.
struct Library {
    store: *mut c_void,
    get: Get,
    release: Release,
    set: Set,
    exists: OfKey,
    del: OfKey,
    compare_and_swap: Swap,
    _library: libloading::Library,
}

impl Library {
    fn open(path: &Path, medium: Medium, directory: &Path) -> Library {
        let directory = directory.to_str().expect("the path is UTF-8");
        let directory = CString::new(directory).expect("a path has no NUL");
        // SAFETY: the functions have these types in kvds.h, and the pointers are valid.
        unsafe {
            let library = libloading::Library::new(path).expect("the library can be loaded");
            macro_rules! function {
                ($name:literal: $type:ty) => {
                    *library.get::<$type>($name).expect("the library has the function")
                };
            }
            let distribute = function!(b"kvds_distributor_new": Distribute);
            let get_or_create = function!(b"kvds_distributor_get_or_create": GetOrCreate);
            let mut store = ptr::null_mut();
            let backend = i32::from(medium == Medium::Disk);
            let distributor = distribute(directory.as_ptr());
            assert_eq!(get_or_create(distributor, ID.as_ptr(), backend, &mut store), 0);
            Library {
                store,
                get: function!(b"kvds_get": Get),
                release: function!(b"kvds_value_release": Release),
                set: function!(b"kvds_set": Set),
                exists: function!(b"kvds_exists": OfKey),
                del: function!(b"kvds_del": OfKey),
                compare_and_swap: function!(b"kvds_compare_and_swap": Swap),
                _library: library,
            }
        }
    }
}

// SAFETY, of all calls: the store is open, and the pointers are valid for their lengths.
impl Target for Library {
    fn get(&self, key: &[u8]) {
        let mut value = Value { data: ptr::null(), len: 0, owner: ptr::null_mut() };
        // SAFETY: as above.
        unsafe {
            assert!((self.get)(self.store, key.as_ptr().cast(), key.len(), &mut value) == 0);
            assert!(black_box(value.len) == VALUE.len());
            (self.release)(&mut value);
        }
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        let (key, key_len) = (key.as_ptr().cast(), key.len());
        // SAFETY: as above.
        let status =
            unsafe { (self.set)(self.store, key, key_len, value.as_ptr().cast(), value.len()) };
        assert!(status == 0);
    }

    fn exists(&self, key: &[u8]) {
        // SAFETY: as above.
        let status = unsafe { (self.exists)(self.store, key.as_ptr().cast(), key.len()) };
        assert!(status == 0);
    }

    fn del(&self, key: &[u8]) {
        // SAFETY: as above.
        let status = unsafe { (self.del)(self.store, key.as_ptr().cast(), key.len()) };
        assert!(status == 0);
    }

    fn compare_and_swap(&self, key: &[u8], expected: &[u8], value: &[u8]) {
        let (key, key_len) = (key.as_ptr().cast(), key.len());
        let (expected, expected_len) = (expected.as_ptr().cast(), expected.len());
        let (value, value_len) = (value.as_ptr().cast(), value.len());
        // SAFETY: as above.
        let status = unsafe {
            (self.compare_and_swap)(
                self.store,
                key,
                key_len,
                expected,
                expected_len,
                value,
                value_len,
            )
        };
        assert!(status == 0);
    }
}
