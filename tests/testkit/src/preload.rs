//! Compiles the library of `ctests/preload`, puts it between a process and its files, and writes
//! notes into its journal. `ctests/preload/preload.h` says what it does.

use std::env;
use std::ffi::{CStr, c_void};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::{ROOT, target_tmp};

/// Preloads the library into a process, for the files below `directory`.
pub fn put_before(command: &mut Command, directory: &Path) {
    let directory = directory.canonicalize().expect("the directory is there");
    command.env("LD_PRELOAD", library()).env("KVDS_PRELOAD_BELOW", directory);
}

/// Returns the path of the library, which each process compiles once.
pub fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let to = target_tmp().expect("a directory can be made");
        let target = format!("{}-unknown-linux-gnu", env::consts::ARCH);
        let mut build = cc::Build::new();
        build
            .cargo_metadata(false)
            .host(&target)
            .target(&target)
            .out_dir(&to)
            .opt_level(1)
            .debug(true)
            .pic(true);
        build.std("c11").warnings(true).extra_warnings(true).warnings_into_errors(true);
        build.define("_GNU_SOURCE", None).flag("-Wpedantic").flag("-pthread").flag("-shared");
        let sources =
            fs::read_dir(format!("{ROOT}/ctests/preload")).expect("the source can be listed");
        let sources = sources.map(|entry| entry.expect("the source can be listed").path());
        // Other tests may use the library meanwhile, so it is replaced in one step.
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

/// Writes bytes into the journal of this process.
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
