//! The library of `ctests/preload`: made, put between a process and its files, and spoken to from
//! inside that process.
//!
//! `ctests/preload/preload.h` says what it does.
#![allow(dead_code)] // Each test uses a part of this.

use std::env;
use std::ffi::{CStr, CString, c_void};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Kinds of calls, to be added up.
pub const READ: u32 = 1;
pub const WRITE: u32 = 2;
pub const SYNC: u32 = 4;
pub const OPEN: u32 = 8;
pub const CREATE: u32 = 16;
pub const RENAME: u32 = 32;
pub const REMOVE: u32 = 64;
pub const RESIZE: u32 = 128;
/// Writes that fail write their first half before.
pub const TORN: u32 = 1 << 16;

/// Has the files of a process below `directory` go through the library.
pub fn put_before(command: &mut Command, directory: &Path) {
    let directory = directory.canonicalize().expect("the directory is there");
    command.env("LD_PRELOAD", library()).env("KVDS_PRELOAD_BELOW", directory);
}

/// Where the library is. It is compiled once per process.
pub fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let to = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let target = format!("{}-unknown-linux-gnu", env::consts::ARCH);
        let mut build = cc::Build::new();
        build
            .cargo_metadata(false)
            .host(&target)
            .target(&target)
            .out_dir(to)
            .opt_level(1)
            .debug(true)
            .pic(true);
        build.std("c11").warnings(true).extra_warnings(true).warnings_into_errors(true);
        build.define("_GNU_SOURCE", None).flag("-Wpedantic").flag("-pthread").flag("-shared");
        let sources =
            fs::read_dir(format!("{ROOT}/ctests/preload")).expect("the source can be listed");
        let sources = sources.map(|entry| entry.expect("the source can be listed").path());
        // Other tests may use it meanwhile, so it comes to its place at once.
        let new = to.join(format!("preload-{}.so", std::process::id()));
        let mut compiler = build.get_compiler().to_command();
        compiler.args(sources.filter(|path| path.extension().is_some_and(|kind| kind == "c")));
        compiler.arg("-o").arg(&new).arg("-ldl");
        assert!(compiler.status().expect("the compiler runs").success(), "{compiler:?}");
        let library = to.join("preload.so");
        fs::rename(&new, &library).expect("the library can be put in its place");
        library
    })
}

/// Whether this process has the library.
pub fn is_there() -> bool {
    !find(c"preload_fail").is_null()
}

/// Has calls of these kinds fail from now on, on files whose path contains `part`: after `skip`
/// more that succeed, `count` of them, or all if that is 0.
pub fn fail(calls: u32, part: &str, error: i32, skip: u64, count: u64) {
    type Fail = unsafe extern "C" fn(u32, *const libc::c_char, i32, libc::c_ulong, libc::c_ulong);
    let part = CString::new(part).expect("the text has no zero");
    // SAFETY: this is the type of the function, and the text lives until it returns.
    unsafe { function::<Fail>(c"preload_fail")(calls, part.as_ptr(), error, skip, count) }
}

/// Nothing fails any more.
pub fn heal() {
    // SAFETY: this is the type of the function.
    unsafe { function::<unsafe extern "C" fn()>(c"preload_heal")() }
}

/// How many calls there were since [`fail`] that it is about.
pub fn seen() -> u64 {
    // SAFETY: this is the type of the function.
    unsafe { function::<unsafe extern "C" fn() -> libc::c_ulong>(c"preload_seen")() }
}

/// How many of them failed.
pub fn failed() -> u64 {
    // SAFETY: this is the type of the function.
    unsafe { function::<unsafe extern "C" fn() -> libc::c_ulong>(c"preload_failed")() }
}

/// Writes something into the journal.
pub fn note(bytes: &[u8]) {
    type Note = unsafe extern "C" fn(*const c_void, usize);
    // SAFETY: this is the type of the function, and the bytes live until it returns.
    unsafe { function::<Note>(c"preload_note")(bytes.as_ptr().cast(), bytes.len()) }
}

fn find(name: &CStr) -> *mut c_void {
    // SAFETY: the name ends with a zero.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }
}

/// # Safety
/// `F` is the type of the function of this name.
unsafe fn function<F: Copy>(name: &CStr) -> F {
    const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
    let address = find(name);
    assert!(!address.is_null(), "the process runs without the library: {name:?} is missing");
    // SAFETY: a function of this type is there, says the caller.
    unsafe { std::mem::transmute_copy(&address) }
}
