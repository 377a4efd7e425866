//! The same reads, through the C functions of libkvds.so, of a store as Rust has it, and of the
//! engine below. `kvds-bench` runs it under callgrind: what is counted more in the first than in
//! the second is what the boundary adds, and what the second has more than the third is for the
//! store, which may be closed at any time.
//!
//! usage: kvds-boundary LIBRARY c|store|engine READS

use std::ffi::{CStr, c_char, c_void};
use std::hint::black_box;
use std::ptr;

use kvds::engine::{self, Reader};
use kvds::{Backend, Distributor, Options, Outcome, Store};

const KEYS: u64 = 1000;
const VALUE: [u8; 100] = [7; 100];

fn key(number: u64) -> [u8; 20] {
    let mut key = *b"user0000000000000000";
    for (at, byte) in key.iter_mut().rev().take(4).enumerate() {
        *byte = b'0' + (number / 10_u64.pow(at as u32) % 10) as u8;
    }
    key
}

#[repr(C)]
struct Value {
    data: *const c_void,
    len: usize,
    owner: *mut c_void,
}

type Distribute = unsafe extern "C" fn(*const c_char) -> *mut c_void;
type GetOrCreate = unsafe extern "C" fn(*const c_void, *const c_char, i32, *mut *mut c_void) -> i32;
type Set = unsafe extern "C" fn(*const c_void, *const c_void, usize, *const c_void, usize) -> i32;
type Get = unsafe extern "C" fn(*const c_void, *const c_void, usize, *mut Value) -> i32;
type Release = unsafe extern "C" fn(*mut Value);

fn through_c(library: &str, reads: u64) {
    // SAFETY: the functions have these types in kvds.h, and every pointer that is passed is what it
    // says.
    unsafe {
        let library = libloading::Library::new(library).expect("the library can be loaded");
        let distribute = *library.get::<Distribute>(b"kvds_distributor_new").expect("it is there");
        let get_or_create =
            *library.get::<GetOrCreate>(b"kvds_distributor_get_or_create").expect("it is there");
        let set = *library.get::<Set>(b"kvds_set").expect("it is there");
        let get = *library.get::<Get>(b"kvds_get").expect("it is there");
        let release = *library.get::<Release>(b"kvds_value_release").expect("it is there");

        let mut store = ptr::null_mut();
        assert_eq!(get_or_create(distribute(ptr::null()), c"boundary".as_ptr(), 0, &mut store), 0);
        for number in 0..KEYS {
            assert_eq!(
                set(store, key(number).as_ptr().cast(), 20, VALUE.as_ptr().cast(), VALUE.len()),
                0
            );
        }
        for read in 0..reads {
            let key = key(read % KEYS);
            let mut value = Value { data: ptr::null(), len: 0, owner: ptr::null_mut() };
            assert!(
                get(store, key.as_ptr().cast(), 20, &mut value) == 0 && black_box(value.len) == 100
            );
            release(&mut value);
        }
    }
}

fn in_rust(reads: u64, of_the_engine: bool) {
    let distributor = Distributor::open(None, &Options::default()).expect("memory needs nothing");
    let name: &CStr = c"boundary";
    let store = distributor
        .get_or_create(name, Backend::Memory)
        .expect("memory needs nothing")
        .expect("it was made");
    for number in 0..KEYS {
        assert_eq!(store.set(&key(number), &VALUE).expect("memory is there"), Outcome::Applied);
    }
    if of_the_engine {
        let engine = store.with_shared(|engine| Ok(engine.clone())).expect("it is open");
        let engine: &dyn Reader = black_box(&*engine);
        read(reads, |key| engine.get(key));
    } else {
        let store: &Store = black_box(&store);
        read(reads, |key| store.get(key));
    }
}

fn read(reads: u64, get: impl Fn(&[u8]) -> kvds::Result<Option<engine::Value>>) {
    for number in 0..reads {
        let value = get(&key(number % KEYS)).expect("memory can be read").expect("it was set");
        assert!(black_box(value.len()) == 100);
    }
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [library, "c", reads] => through_c(library, reads.parse().expect("a number")),
        [_, way @ ("store" | "engine"), reads] => {
            in_rust(reads.parse().expect("a number"), way == "engine")
        }
        _ => panic!("usage: kvds-boundary LIBRARY c|store|engine READS"),
    }
}
