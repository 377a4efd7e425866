//! Names the shared library for the dynamic linker. Nothing is compiled here.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target_os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if target_os == "linux" {
        // The SONAME carries the ABI's number: a program linked today goes on with every 0.x.y that keeps the ABI.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libkvds.so.0");
        // RocksDB's threads and thread-local destructors outlive a dlclose; unmapping their code would be a crash.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
        // Nothing of ours is to run at exit: see src/ffi/exit.rs, which has the other half for these processors.
        let processor = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
        if ["x86_64", "aarch64"].contains(&processor.as_str()) {
            println!("cargo:rustc-cdylib-link-arg=-Wl,--wrap=__cxa_atexit");
        }
    }
}
