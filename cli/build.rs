//! Links the program with `libkvds.so`.
//!
//! The program finds the library beside itself or in `../lib`, so that both can be installed, or
//! unpacked, anywhere.

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=KVDS_LIB_DIR");
    let dir = env::var_os("KVDS_LIB_DIR").map_or_else(release_dir, PathBuf::from);
    println!("cargo:rustc-link-search=native={}", dir.display());
    println!("cargo:rustc-link-lib=dylib=kvds");
    // `make install` replaces it where the library is elsewhere, so it has room for longer paths.
    let runpath = format!("{:/<240}", "$ORIGIN:$ORIGIN/../lib");
    println!("cargo:rustc-link-arg-bins=-Wl,--enable-new-dtags,-rpath,{runpath}");
    // The tests run the program with the library that it was linked with. So does a debug build.
    if env::var("PROFILE").is_ok_and(|profile| profile == "debug") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", dir.display());
    }
    println!("cargo:rustc-env=KVDS_LIB_DIR={}", dir.display());
}

/// Returns the directory where `cargo build --release` leaves the library.
fn release_dir() -> PathBuf {
    // OUT_DIR is target/PROFILE/build/PACKAGE/out.
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    out.ancestors().nth(4).map(|target| target.join("release")).unwrap_or_default()
}
