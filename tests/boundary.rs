//! Tests the C boundary with an engine that fails and panics. It also shows that a third engine
//! fits the trait.

use std::ffi::CStr;
use std::ptr;
use std::sync::Arc;

use kvds::testing::ffi::*;
use kvds::testing::{
    Backend, Buffer, Cursor, Engine, Error, Identity, Kind, Operation, Outcome, Range, Reader,
    Result, Store, Value, WriteBatch,
};

/// Returns the error, or panics, that the key names.
struct FailingEngine;

impl FailingEngine {
    fn act(&self, key: &[u8]) -> Result<()> {
        let kind = match key {
            b"panic" => panic!("the engine lost its temper"),
            b"panic without text" => std::panic::panic_any(7),
            b"io" => Kind::Io,
            b"no space" => Kind::NoSpace,
            b"corruption" => Kind::Corruption,
            b"no memory" => Kind::NoMemory,
            b"denied" => Kind::Denied,
            b"busy" => Kind::Busy,
            b"lost answer" => Kind::UnknownOutcome,
            b"expired" => Kind::Expired,
            _ => return Ok(()),
        };
        Err(Error::new(kind, "as the key says"))
    }
}

impl Reader for FailingEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.act(key)?;
        Ok(Some(Value::Owned(Buffer::of(key)?)))
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        self.act(key).map(|()| true)
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Value>>> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    fn cursor(&self, range: Range) -> Result<Box<dyn Cursor>> {
        self.act(&range.start)?;
        Err(Error::new(Kind::Unsupported, "no cursors"))
    }
}

impl Engine for FailingEngine {
    fn apply(&self, batch: &WriteBatch<'_>) -> Result<Outcome> {
        batch.operations.iter().filter_map(Operation::key).try_for_each(|key| self.act(key))?;
        Ok(Outcome::Applied)
    }

    fn snapshot(&self) -> Result<Arc<dyn Reader>> {
        Ok(Arc::new(FailingEngine))
    }
}

fn store() -> *mut kvds_store {
    let identity = Identity { tag: 7, id: c"moody".to_owned(), backend: Backend::Memory };
    kvds_store::from_rust(Store::on(Arc::new(FailingEngine), identity, Arc::default()))
}

fn last_error() -> String {
    // SAFETY: the text is valid until the next failing call on this thread.
    unsafe { CStr::from_ptr(kvds_last_error()) }.to_string_lossy().into_owned()
}

extern "C" fn visit(
    _: *mut std::ffi::c_void,
    _: *const std::ffi::c_void,
    _: usize,
    _: *const std::ffi::c_void,
    _: usize,
) -> i32 {
    1
}

/// A bug in the library must return a status to the program and leave the store usable.
#[test]
fn a_panic_becomes_kvds_internal_and_the_store_stays_usable() {
    let store = store();
    // SAFETY: the store is live, and the keys are what their lengths say.
    unsafe {
        let mut value = kvds_value { data: ptr::null(), len: 0, owner: ptr::null_mut() };
        for _ in 0..3 {
            assert_eq!(kvds_get(store, c"panic".as_ptr().cast(), 5, &mut value), KVDS_INTERNAL);
            assert!(value.data.is_null() && value.owner.is_null());
            assert!(last_error().starts_with("kvds_get: "), "{}", last_error());
            assert!(last_error().contains("the engine lost its temper"), "{}", last_error());
            assert_eq!(kvds_set(store, c"panic".as_ptr().cast(), 5, ptr::null(), 0), KVDS_INTERNAL);
            assert_eq!(kvds_del(store, c"panic without text".as_ptr().cast(), 18), KVDS_INTERNAL);
            assert_eq!(
                kvds_iterate(store, c"panic".as_ptr().cast(), 5, Some(visit), ptr::null_mut()),
                KVDS_INTERNAL
            );

            assert_eq!(kvds_set(store, c"fine".as_ptr().cast(), 4, ptr::null(), 0), KVDS_OK);
            assert_eq!(kvds_get(store, c"fine".as_ptr().cast(), 4, &mut value), KVDS_OK);
            assert_eq!(value.len, 4);
            kvds_value_release(&mut value);
        }
        assert_eq!(kvds_is_open(store), 1);
        // A call that left its lock behind would keep this waiting for ever.
        assert_eq!(kvds_close(store), KVDS_OK);
        assert_eq!(kvds_store_release(store), 0);
    }
}

#[test]
fn every_error_kind_has_its_status_and_names_the_store() {
    let store = store();
    let cases = [
        ("io", KVDS_IO),
        ("no space", KVDS_NO_SPACE),
        ("corruption", KVDS_CORRUPTION),
        ("no memory", KVDS_NO_MEMORY),
        ("denied", KVDS_DENIED),
        ("busy", KVDS_BUSY),
        ("lost answer", KVDS_UNKNOWN_OUTCOME),
        ("expired", KVDS_EXPIRED),
    ];
    for (key, status) in cases {
        // SAFETY: the store is live, and the keys are what their lengths say.
        unsafe {
            assert_eq!(kvds_exists(store, key.as_ptr().cast(), key.len()), status, "{key}");
            assert_eq!(last_error(), "kvds_exists: memory store \"moody\": as the key says");
            assert_eq!(
                kvds_set(store, key.as_ptr().cast(), key.len(), ptr::null(), 0),
                status,
                "{key}"
            );
        }
    }
    // SAFETY: the reference is the last one.
    unsafe { kvds_store_release(store) };
}
