//! Verifies a table file block by block: see table_check.cc.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use librocksdb_sys::rocksdb_options_t;
use rocksdb::AsRawPtr;

use super::live_tables::LiveTable;

/// What the check of a table has found.
#[derive(Debug)]
pub enum Part<'a> {
    /// So many bytes were read since the last one.
    Read(u64),
    /// A block is damaged that only makes reads faster.
    Filter { problem: &'a str },
    /// No key between these two, and neither of them, can be read. `None` stands for the first or
    /// the last key of the file.
    Block { problem: &'a str, first: Option<&'a [u8]>, last: Option<&'a [u8]> },
    /// No key of the file can be read.
    File { problem: &'a str },
}

/// A part as table_check.cc passes it.
#[repr(C)]
struct RawPart {
    problem: *const u8,
    problem_len: usize,
    first: *const u8,
    first_len: usize,
    last: *const u8,
    last_len: usize,
    bytes: u64,
    part: i32,
}

// The kinds of parts, as in table_check.cc.
const READ: i32 = 0;
const FILTER: i32 = 1;
const BLOCK: i32 = 2;

/// Called with each part. Returns whether to continue.
type Visit<'a> = dyn FnMut(Part<'_>) -> bool + 'a;

// See table_check.cc.
#[allow(unsafe_code)]
unsafe extern "C" {
    fn kvds_rocksdb_check_table(
        options: *const rocksdb_options_t,
        path: *const u8,
        path_len: usize,
        size: u64,
        tail_size: u64,
        visit: unsafe extern "C" fn(state: *mut u8, part: *const RawPart) -> bool,
        state: *mut u8,
    );
}

/// Checks the table in the file `path`.
pub fn check(settings: &rocksdb::Options, table: &LiveTable, path: &Path, visit: &mut Visit<'_>) {
    let path = path.as_os_str().as_bytes();
    let mut visit = visit;
    // SAFETY: the options are live, the length is that of the path, and the callback gets the state
    // as it is passed here.
    #[allow(unsafe_code)]
    unsafe {
        kvds_rocksdb_check_table(
            settings.as_raw_ptr(),
            path.as_ptr(),
            path.len(),
            table.size,
            table.tail_size,
            visit_part,
            (&raw mut visit).cast(),
        );
    }
}

/// Passes a part on.
///
/// # Safety
/// Both pointers are valid, and those in `part` for their lengths.
#[allow(unsafe_code)]
unsafe extern "C" fn visit_part(state: *mut u8, part: *const RawPart) -> bool {
    // SAFETY: table_check.cc passes the state of the check and a part.
    let (visit, part) = unsafe { (&mut *state.cast::<&mut Visit<'_>>(), &*part) };
    let bytes = |data: *const u8, len: usize| {
        // SAFETY: the lengths are those of the bytes.
        (!data.is_null()).then(|| unsafe { std::slice::from_raw_parts(data, len) })
    };
    let problem = bytes(part.problem, part.problem_len).unwrap_or_default();
    let problem = &*String::from_utf8_lossy(problem);
    visit(match part.part {
        READ => Part::Read(part.bytes),
        FILTER => Part::Filter { problem },
        BLOCK => Part::Block {
            problem,
            first: bytes(part.first, part.first_len),
            last: bytes(part.last, part.last_len),
        },
        _ => Part::File { problem },
    })
}
