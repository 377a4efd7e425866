//! Calls the C functions with all arguments that do not break the rules of C: NULLs, lengths that
//! are too long, unaligned pointers, handles of another kind, numbers that are no constant, texts
//! that are no UTF-8, and all objects that earlier calls created.
//!
//! A call must return one of its statuses and never `KVDS_INTERNAL`. An error has a text, the
//! output of a failed call is empty, and nothing is leaked.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

use arbitrary::{Result, Unstructured};
use kvds::testing::ffi::*;
use tempfile::TempDir;

/// The maximum number of calls of an input.
const CALLS: usize = 100;

/// The maximum number of objects of each kind.
const KEPT: usize = 8;

/// Longer than any key, so that every length up to this one is valid.
static BYTES: [u8; 2 * KVDS_MAX_KEY_LEN] = [b'k'; 2 * KVDS_MAX_KEY_LEN];

/// Makes the calls that `data` encodes, on new objects.
pub fn boundary(data: &[u8]) {
    let mut bytes = Unstructured::new(data);
    let disk = bytes.int_in_range(0..=7_u8).unwrap_or_default() == 7;
    let mut world = World::new(disk);
    for _ in 0..CALLS {
        if bytes.is_empty() || world.call(&mut bytes).is_err() {
            break;
        }
    }
    world.end();
}

/// All living objects.
struct World {
    directory: Option<TempDir>,
    distributor: *mut kvds_distributor,
    stores: Vec<*mut kvds_store>,
    cursors: Vec<*mut kvds_cursor>,
    batches: Vec<*mut kvds_batch>,
    values: Vec<kvds_value>,
    options: *mut kvds_options,
    observers: Vec<u64>,
    observed: c_int,
    /// How many times the user data of an observer was freed. Boxed, as observers outlive calls.
    freed: Box<c_int>,
    copies: u32,
}

const NO_VALUE: kvds_value = kvds_value { data: ptr::null(), len: 0, owner: ptr::null_mut() };

/// Returns a pointer that is neither NULL nor aligned.
fn odd<T>() -> *mut T {
    BYTES.as_ptr().map_addr(|at| at | 1).cast_mut().cast()
}

/// Checks the status of a call.
fn judged(status: kvds_status) -> kvds_status {
    assert!((KVDS_INTERNAL..=KVDS_TRUNCATED).contains(&status), "not a status: {status}");
    // SAFETY: both texts belong to the library, and are valid here.
    let (name, text) =
        unsafe { (CStr::from_ptr(kvds_status_name(status)), CStr::from_ptr(kvds_last_error())) };
    assert!(
        ![KVDS_INTERNAL, KVDS_CORRUPTION, KVDS_UNKNOWN_OUTCOME, KVDS_FORKED].contains(&status),
        "{name:?}: {text:?}"
    );
    assert!(status >= 0 || !text.is_empty(), "{name:?} has no text");
    status
}

/// Checks the status of a call, and that it set its output only on success.
fn gave<T>(status: kvds_status, out: *mut T) -> bool {
    let ok = judged(status) == KVDS_OK;
    assert_eq!(ok, !out.is_null(), "the output does not match the status {status}");
    ok
}

impl World {
    fn new(disk: bool) -> World {
        let directory = disk.then(|| TempDir::new().expect("cannot create a directory"));
        let base = directory
            .as_ref()
            .map(|directory| text(directory.path().to_str().expect("UTF-8").as_bytes()));
        let base = base.as_deref().map_or(ptr::null(), CStr::as_ptr);
        let mut distributor = ptr::null_mut();
        // SAFETY: the arguments are those that the header requires.
        assert!(gave(
            unsafe { kvds_distributor_open(base, ptr::null(), &mut distributor) },
            distributor
        ));
        World {
            directory,
            distributor,
            stores: Vec::new(),
            cursors: Vec::new(),
            batches: vec![kvds_batch_new()],
            values: Vec::new(),
            options: kvds_options_new(),
            observers: Vec::new(),
            observed: 0,
            freed: Box::new(0),
            copies: 0,
        }
    }

    /// Releases everything, and checks that nothing is left.
    fn end(mut self) {
        // SAFETY: each object is released once.
        unsafe {
            self.values.iter_mut().for_each(|value| kvds_value_release(value));
            self.cursors.iter().for_each(|cursor| kvds_cursor_free(*cursor));
            self.batches.iter().for_each(|batch| kvds_batch_free(*batch));
            for store in &self.stores {
                kvds_store_release(*store);
            }
            kvds_options_free(self.options);
            assert_eq!(kvds_distributor_store_count(self.distributor), 0, "a store is leaked");
            assert_eq!(kvds_distributor_release(self.distributor), 0);
        }
        assert_eq!(*self.freed, self.observed, "the data of each observer must be freed once");
        drop(self.directory);
    }

    fn call(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        match bytes.int_in_range(0..=7_u8)? {
            0 => self.distribute(bytes),
            1 => self.hold(bytes),
            2 | 3 => self.write(bytes),
            4 => self.read(bytes),
            5 => self.go(bytes),
            6 => self.batch(bytes),
            _ => self.care(bytes),
        }
    }

    fn distribute(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        let distributor = self.some_distributor(bytes)?;
        let id = self.some_text(bytes)?;
        let id_at = id.as_deref().map_or(ptr::null(), CStr::as_ptr);
        let backend = number(bytes, &[KVDS_MEMORY, KVDS_DISK])?;
        let mut store = ptr::null_mut();
        // SAFETY: an invalid handle or text is NULL or a handle of another kind.
        unsafe {
            match bytes.int_in_range(0..=10_u8)? {
                0..=2 => {
                    if gave(
                        kvds_distributor_get_or_create(distributor, id_at, backend, &mut store),
                        store,
                    ) {
                        self.keep_store(store);
                    }
                }
                3 => {
                    if gave(kvds_distributor_get(distributor, id_at, backend, &mut store), store) {
                        self.keep_store(store);
                    }
                }
                4 => drop(judged(kvds_distributor_evict(distributor, id_at, backend))),
                5 => drop(judged(kvds_distributor_destroy_store(distributor, id_at))),
                6 if bytes.ratio(1, 8)? => drop(judged(kvds_distributor_shutdown(distributor))),
                6 => drop(judged(kvds_distributor_get_or_create(
                    distributor,
                    id_at,
                    backend,
                    ptr::null_mut(),
                ))),
                7 => {
                    let callback: kvds_store_visit =
                        if bytes.arbitrary()? { Some(visit_store) } else { None };
                    judged(kvds_distributor_for_each(distributor, callback, ptr::null_mut()));
                }
                8 => {
                    let on_death: kvds_death =
                        if bytes.ratio(7, 8)? { Some(on_death) } else { None };
                    let mut observer = 0;
                    let out = if bytes.ratio(7, 8)? { &raw mut observer } else { ptr::null_mut() };
                    let data = (&raw mut *self.freed).cast();
                    let status = judged(kvds_distributor_observe(
                        distributor,
                        on_death,
                        data,
                        Some(freed),
                        out,
                    ));
                    // The data is freed exactly once, also if registering fails.
                    self.observed += 1;
                    if status == KVDS_OK {
                        self.observers.push(observer);
                    }
                }
                9 => {
                    let observer = self.observers.pop().unwrap_or(bytes.arbitrary()?);
                    judged(kvds_distributor_unobserve(distributor, observer));
                }
                _ => {
                    let (name, value) = (self.option_text(bytes)?, self.option_text(bytes)?);
                    let at =
                        |text: &Option<CString>| text.as_deref().map_or(ptr::null(), CStr::as_ptr);
                    let options = if bytes.ratio(7, 8)? { self.options } else { ptr::null_mut() };
                    judged(kvds_options_set(options, at(&name), at(&value)));
                    judged(kvds_options_set_durability(options, bytes.arbitrary()?));
                    judged(kvds_options_set_max_open_files(options, bytes.arbitrary()?));
                    // A memory store alone, as a fuzzer cannot choose the size of a block cache.
                    let mut other = ptr::null_mut();
                    if gave(kvds_distributor_open(ptr::null(), options, &mut other), other) {
                        assert_eq!(kvds_distributor_release(other), 0);
                    }
                }
            }
        }
        Ok(())
    }

    /// References and views.
    fn hold(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        let store = self.some_store(bytes)?;
        let mut view = ptr::null_mut();
        // SAFETY: as above.
        unsafe {
            match bytes.int_in_range(0..=9_u8)? {
                0 => {
                    let same = kvds_store_retain(store);
                    if !same.is_null() {
                        assert_eq!(same, store);
                        self.keep_store(same);
                    }
                }
                1..=2 => {
                    if !self.stores.is_empty() {
                        let index = bytes.choose_index(self.stores.len())?;
                        assert!(kvds_store_release(self.stores.swap_remove(index)) >= 0);
                    }
                }
                3 if bytes.ratio(1, 4)? => drop(judged(kvds_close(store))),
                3 | 4 => {
                    if gave(kvds_store_view(store, bytes.int_in_range(-1..=4)?, &mut view), view) {
                        self.keep_store(view);
                    }
                }
                5..=6 => {
                    let (data, len) = slice(bytes)?;
                    if gave(kvds_store_scope(store, data, len, &mut view), view) {
                        self.keep_store(view);
                    }
                }
                7 => {
                    if gave(kvds_store_snapshot(store, &mut view), view) {
                        self.keep_store(view);
                    }
                }
                8 => {
                    judged(kvds_store_snapshot(store, ptr::null_mut()));
                    kvds_store_release(ptr::null_mut());
                    kvds_value_release(ptr::null_mut());
                }
                _ => {
                    kvds_store_ref_count(store);
                    kvds_store_tag(store);
                    kvds_store_id(store);
                    kvds_store_backend(store);
                    kvds_is_open(store);
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        let store = self.some_store(bytes)?;
        let ((key, key_len), (value, value_len)) = (slice(bytes)?, slice(bytes)?);
        // SAFETY: as above; an invalid array is NULL, not aligned, or longer than memory.
        unsafe {
            judged(match bytes.int_in_range(0..=8_u8)? {
                0..=1 => kvds_set(store, key, key_len, value, value_len),
                2 => kvds_del(store, key, key_len),
                3 => kvds_set_nx(store, key, key_len, value, value_len),
                4 => {
                    let (expected, expected_len) = slice(bytes)?;
                    kvds_compare_and_swap(
                        store,
                        key,
                        key_len,
                        expected,
                        expected_len,
                        value,
                        value_len,
                    )
                }
                5 => kvds_compare_and_delete(store, key, key_len, value, value_len),
                6 => {
                    let mut sum = 7;
                    let out = if bytes.ratio(7, 8)? { &raw mut sum } else { ptr::null_mut() };
                    let status = kvds_add(store, key, key_len, bytes.arbitrary()?, out);
                    assert!(
                        status == KVDS_OK || out.is_null() || sum == 0,
                        "the output of a failed call must be empty"
                    );
                    status
                }
                7 => {
                    let pair = |_| {
                        let ((key, key_len), (value, value_len)) = (slice(bytes)?, slice(bytes)?);
                        Ok(kvds_pair { key, key_len, value, value_len })
                    };
                    let pairs = (0..3).map(pair).collect::<Result<Vec<kvds_pair>>>()?;
                    let (pairs, count) = array(bytes, &pairs)?;
                    kvds_set_batch(store, pairs, count)
                }
                _ if bytes.arbitrary()? => kvds_delete_prefix(store, key, key_len),
                _ => {
                    let keys = keys(bytes)?;
                    let (keys, count) = array(bytes, &keys)?;
                    kvds_delete_batch(store, keys, count)
                }
            });
        }
        Ok(())
    }

    fn read(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        let store = self.some_store(bytes)?;
        let (key, key_len) = slice(bytes)?;
        // SAFETY: as above.
        unsafe {
            match bytes.int_in_range(0..=5_u8)? {
                0 => {
                    let mut value = NO_VALUE;
                    if gave(kvds_get(store, key, key_len, &mut value), value.data.cast_mut()) {
                        self.keep_value(value);
                    }
                    judged(kvds_get(store, key, key_len, ptr::null_mut()));
                }
                1 => {
                    let mut room = [0_u8; 64];
                    let mut len = 1;
                    let (buffer, capacity) = match bytes.int_in_range(0..=3_u8)? {
                        0 => (ptr::null_mut(), bytes.arbitrary()?),
                        1 => (room.as_mut_ptr().cast(), usize::MAX),
                        _ => (room.as_mut_ptr().cast(), bytes.int_in_range(0..=room.len())?),
                    };
                    let status =
                        judged(kvds_get_into(store, key, key_len, buffer, capacity, &mut len));
                    let told = status == KVDS_OK || status == KVDS_TRUNCATED;
                    assert!(told || len == 0, "the output of a failed call must be empty");
                    judged(kvds_get_into(store, key, key_len, buffer, capacity, ptr::null_mut()));
                }
                2 => drop(judged(kvds_exists(store, key, key_len))),
                3 => {
                    let keys = keys(bytes)?;
                    let mut values = [const { NO_VALUE }; 3];
                    let mut statuses = [KVDS_OK; 3];
                    // The outputs have room for all keys, so a wrong count comes with an invalid
                    // output.
                    let (keys_at, count) = array(bytes, &keys)?;
                    let fits = count <= 3;
                    let values_at =
                        if fits && bytes.ratio(7, 8)? { values.as_mut_ptr() } else { odd() };
                    let statuses_at =
                        if fits && bytes.ratio(7, 8)? { statuses.as_mut_ptr() } else { odd() };
                    let status =
                        judged(kvds_multi_get(store, keys_at, count, values_at, statuses_at));
                    for value in values {
                        assert!(
                            status == KVDS_OK || value.data.is_null(),
                            "the output of a failed call must be empty"
                        );
                        self.keep_value(value);
                    }
                }
                _ => {
                    let callback: kvds_visit = if bytes.ratio(7, 8)? { Some(visit) } else { None };
                    let mut visitor = Visitor { store, left: bytes.int_in_range(0..=5)? };
                    judged(kvds_iterate(store, key, key_len, callback, (&raw mut visitor).cast()));
                }
            }
        }
        Ok(())
    }

    /// Cursors.
    fn go(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        let cursor = match bytes.int_in_range(0..=7_u8)? {
            0 => ptr::null_mut(),
            _ if self.cursors.is_empty() => ptr::null_mut(),
            _ => *bytes.choose(&self.cursors)?,
        };
        // SAFETY: as above.
        unsafe {
            match bytes.int_in_range(0..=9_u8)? {
                0..=1 => {
                    let store = self.some_store(bytes)?;
                    let ((prefix, prefix_len), (start, start_len), (end, end_len)) =
                        (slice(bytes)?, slice(bytes)?, slice(bytes)?);
                    let range = kvds_range { prefix, prefix_len, start, start_len, end, end_len };
                    let range: *const kvds_range =
                        if bytes.arbitrary()? { &raw const range } else { ptr::null() };
                    let mut made = ptr::null_mut();
                    if gave(kvds_cursor_new(store, range, &mut made), made) {
                        self.cursors.push(made);
                    }
                    if self.cursors.len() > KEPT {
                        kvds_cursor_free(self.cursors.remove(0));
                    }
                }
                2 => drop(judged(kvds_cursor_first(cursor))),
                3 => drop(judged(kvds_cursor_last(cursor))),
                4 => {
                    let (key, len) = slice(bytes)?;
                    judged(kvds_cursor_seek(cursor, key, len));
                }
                5 => drop(judged(kvds_cursor_next(cursor))),
                6 => drop(judged(kvds_cursor_prev(cursor))),
                7 => {
                    kvds_cursor_valid(cursor);
                    judged(kvds_cursor_key(cursor, ptr::null_mut()));
                }
                _ => {
                    let mut key = kvds_bytes { data: odd::<c_void>(), len: 1 };
                    let mut value = kvds_bytes { data: odd::<c_void>(), len: 1 };
                    let status = judged(kvds_cursor_key(cursor, &mut key));
                    assert_eq!(status, judged(kvds_cursor_value(cursor, &mut value)));
                    assert!(status == KVDS_OK || key.data.is_null() && value.data.is_null());
                    assert!(
                        cursor.is_null() || (status == KVDS_OK) == (kvds_cursor_valid(cursor) == 1)
                    );
                    if status == KVDS_OK && key.len > 0 {
                        // All bytes of the pair are readable.
                        let shown = std::slice::from_raw_parts(key.data.cast::<u8>(), key.len);
                        std::hint::black_box(shown.iter().fold(0_u8, |sum, byte| sum ^ byte));
                    }
                }
            }
        }
        Ok(())
    }

    fn batch(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        let batch =
            if bytes.ratio(7, 8)? { *bytes.choose(&self.batches)? } else { ptr::null_mut() };
        let ((key, key_len), (value, value_len)) = (slice(bytes)?, slice(bytes)?);
        // SAFETY: as above.
        unsafe {
            match bytes.int_in_range(0..=8_u8)? {
                0 if self.batches.len() < KEPT => self.batches.push(kvds_batch_new()),
                0 | 1 => kvds_batch_clear(batch),
                2 | 3 => drop(judged(kvds_batch_set(batch, key, key_len, value, value_len))),
                4 => drop(judged(kvds_batch_del(batch, key, key_len))),
                5 => drop(judged(kvds_batch_expect(batch, key, key_len, value, value_len))),
                6 => drop(judged(kvds_batch_expect_absent(batch, key, key_len))),
                _ => {
                    let store = self.some_store(bytes)?;
                    let count = kvds_batch_count(batch);
                    judged(kvds_write(store, batch));
                    assert_eq!(
                        kvds_batch_count(batch),
                        count,
                        "writing a batch must not change it"
                    );
                }
            }
        }
        Ok(())
    }

    fn care(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        let store = self.some_store(bytes)?;
        // SAFETY: as above; a copy is written to our own directory or not at all.
        unsafe {
            match bytes.int_in_range(0..=6_u8)? {
                0 => drop(judged(kvds_sync(store))),
                1 => drop(judged(kvds_compact(store))),
                2 => drop(judged(kvds_refresh(store))),
                3 => {
                    let base = self
                        .directory
                        .as_ref()
                        .map(|directory| directory.path().to_str().expect("UTF-8"));
                    let path = match (bytes.int_in_range(0..=4_u8)?, base) {
                        (0, _) => None,
                        (1, _) | (_, None) => Some(text(b"")),
                        (2, _) => Some(text(b"\xFF/\xFE")),
                        (3, Some(base)) => Some(text(base.as_bytes())),
                        (_, Some(base)) => {
                            self.copies += 1;
                            Some(text(format!("{base}/copy {}", self.copies).as_bytes()))
                        }
                    };
                    judged(kvds_checkpoint(
                        store,
                        path.as_deref().map_or(ptr::null(), CStr::as_ptr),
                    ));
                }
                4 => {
                    let mut room = [u64::MAX; 12];
                    let size = bytes.int_in_range(0..=size_of_val(&room))?;
                    let out =
                        if bytes.ratio(7, 8)? { room.as_mut_ptr().cast() } else { ptr::null_mut() };
                    judged(kvds_store_stats(store, out, size));
                    let beyond = &room[size.div_ceil(size_of::<u64>())..];
                    assert!(
                        beyond.iter().all(|word| *word == u64::MAX),
                        "the output must not overflow"
                    );
                }
                5 => {
                    let name = self.some_text(bytes)?;
                    let mut value = NO_VALUE;
                    let name = name.as_deref().map_or(ptr::null(), CStr::as_ptr);
                    if gave(kvds_store_property(store, name, &mut value), value.data.cast_mut()) {
                        self.keep_value(value);
                    }
                }
                _ => {
                    judged(kvds_set_log_callback(
                        bytes.int_in_range(-1..=5)?,
                        None,
                        ptr::null_mut(),
                    ));
                    kvds_status_name(bytes.arbitrary()?);
                }
            }
        }
        Ok(())
    }

    /// Returns a live store, most of the time.
    fn some_store(&self, bytes: &mut Unstructured<'_>) -> Result<*mut kvds_store> {
        Ok(match bytes.int_in_range(0..=15_u8)? {
            0 => ptr::null_mut(),
            1 => self.distributor.cast(),
            2 => odd(),
            _ if self.stores.is_empty() => ptr::null_mut(),
            _ => *bytes.choose(&self.stores)?,
        })
    }

    /// Returns the distributor, most of the time.
    fn some_distributor(&self, bytes: &mut Unstructured<'_>) -> Result<*mut kvds_distributor> {
        Ok(match (bytes.int_in_range(0..=31_u8)?, self.stores.first()) {
            (0, _) => ptr::null_mut(),
            (1, _) => odd(),
            (2, Some(store)) => store.cast(),
            _ => self.distributor,
        })
    }

    fn some_text(&self, bytes: &mut Unstructured<'_>) -> Result<Option<CString>> {
        Ok(match bytes.int_in_range(0..=9_u8)? {
            0 => None,
            1 => Some(text(bytes.arbitrary::<&[u8]>()?)),
            2 => Some(text(&[b'i'; 256])),
            3 => Some(text(b"../..")),
            4 => Some(text(b"kvds.keys")),
            5 => Some(text(b"rocksdb.stats")),
            _ => Some(text(&[b'a' + bytes.int_in_range(0..=2)?])),
        })
    }

    fn option_text(&self, bytes: &mut Unstructured<'_>) -> Result<Option<CString>> {
        let names = [
            "memory_limit_bytes",
            "durability",
            "compression",
            "read_only",
            "keep_stores",
            "max_open_files",
        ];
        let values = [
            "",
            "0",
            "-1",
            "1K",
            "2M",
            "9223372036854775807",
            "99999999999999999999T",
            "on",
            "zstd",
            " 1 ",
        ];
        Ok(match bytes.int_in_range(0..=3_u8)? {
            0 => self.some_text(bytes)?,
            1 => Some(text(bytes.choose(&values)?.as_bytes())),
            _ => Some(text(bytes.choose(&names)?.as_bytes())),
        })
    }

    fn keep_store(&mut self, store: *mut kvds_store) {
        self.stores.push(store);
        if self.stores.len() > KEPT {
            // SAFETY: the reference is released once.
            assert!(unsafe { kvds_store_release(self.stores.remove(0)) } >= 0);
        }
    }

    fn keep_value(&mut self, value: kvds_value) {
        self.values.push(value);
        if self.values.len() > KEPT {
            // SAFETY: the value is the library's. The first call empties it.
            unsafe {
                kvds_value_release(&mut self.values[0]);
                kvds_value_release(&mut self.values[0]);
            }
            self.values.remove(0);
        }
    }
}

fn text(bytes: &[u8]) -> CString {
    CString::new(bytes.iter().copied().filter(|byte| *byte != 0).collect::<Vec<u8>>())
        .expect("there is no NUL in it")
}

/// Returns one of the constants, or any number.
fn number(bytes: &mut Unstructured<'_>, constants: &[i32]) -> Result<i32> {
    if bytes.ratio(7, 8)? { bytes.choose(constants).copied() } else { bytes.arbitrary() }
}

/// Returns a key or a value: a valid one, or one whose length alone is wrong.
fn slice(bytes: &mut Unstructured<'_>) -> Result<(*const c_void, usize)> {
    let at = BYTES.as_ptr().cast();
    Ok(match bytes.int_in_range(0..=15_u8)? {
        0 => (ptr::null(), 0),
        1 => (ptr::null(), bytes.int_in_range(1..=usize::MAX)?),
        2 => (odd::<c_void>(), 0),
        3 => (at, KVDS_MAX_VALUE_LEN + 1),
        4 => (at, usize::MAX),
        5 => (at, bytes.int_in_range(0..=BYTES.len())?),
        6 => (at, KVDS_MAX_KEY_LEN + bytes.int_in_range(0..=1)?),
        _ => (at, bytes.int_in_range(0..=4)?),
    })
}

fn keys(bytes: &mut Unstructured<'_>) -> Result<[kvds_bytes; 3]> {
    let mut key = || slice(bytes).map(|(data, len)| kvds_bytes { data, len });
    Ok([key()?, key()?, key()?])
}

/// Returns an array: a valid one, or one whose pointer or count alone is wrong.
fn array<T>(bytes: &mut Unstructured<'_>, things: &[T]) -> Result<(*const T, usize)> {
    Ok(match bytes.int_in_range(0..=9_u8)? {
        0 => (ptr::null(), 0),
        1 => (ptr::null(), bytes.int_in_range(1..=usize::MAX)?),
        2 => (odd(), bytes.int_in_range(0..=usize::MAX)?),
        3 => (things.as_ptr(), usize::MAX),
        4 => (things.as_ptr(), usize::MAX / size_of::<T>()),
        _ => (things.as_ptr(), bytes.int_in_range(0..=things.len())?),
    })
}

/// The user data of an iteration.
struct Visitor {
    store: *mut kvds_store,
    left: u8,
}

/// Writes to the store of the iteration, and starts another iteration inside.
extern "C" fn visit(
    data: *mut c_void,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
) -> c_int {
    // SAFETY: the data is the `Visitor` of the call, which has it exclusively.
    unsafe {
        let visitor = data.cast::<Visitor>();
        if (*visitor).left == 0 {
            return 0;
        }
        (*visitor).left -= 1;
        let store = (*visitor).store;
        judged(kvds_set(store, value, value_len.min(KVDS_MAX_KEY_LEN), key, key_len));
        judged(kvds_iterate(store, key, key_len, Some(visit), data));
        c_int::from((*visitor).left)
    }
}

extern "C" fn visit_store(
    _: *mut c_void,
    id: *const c_char,
    backend: kvds_backend,
    _: u64,
    references: i64,
) -> c_int {
    // SAFETY: the library passes a text.
    assert!(!unsafe { CStr::from_ptr(id) }.is_empty());
    assert!((KVDS_MEMORY..=KVDS_DISK).contains(&backend) && references >= 0);
    1
}

extern "C" fn on_death(_: *mut c_void, _: u64, id: *const c_char, _: kvds_backend) {
    // SAFETY: the library passes a text.
    assert!(!unsafe { CStr::from_ptr(id) }.is_empty());
}

extern "C" fn freed(data: *mut c_void) {
    // SAFETY: the data is a number that outlives the distributor.
    unsafe { *data.cast::<c_int>() += 1 }
}
