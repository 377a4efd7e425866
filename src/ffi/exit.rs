//! Prevents that destructors of the library run when the process exits.
//!
//! RocksDB keeps its threads and its environment in static C++ objects. Their destructors would run
//! at exit while other threads still write, or before the program's own exit handlers release their
//! stores. Calls would then hang or crash. So the shared library registers nothing for the exit:
//! `build.rs` makes the linker redirect calls of `__cxa_atexit` here (`--wrap`), where they return
//! success and do nothing. Acknowledged writes are in the operating system already.
//!
//! It is assembly because Rust cannot define a hidden symbol that a C++ object can link to.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
std::arch::global_asm!(
    ".globl __wrap___cxa_atexit",
    ".hidden __wrap___cxa_atexit",
    ".type __wrap___cxa_atexit, @function",
    "__wrap___cxa_atexit:",
    "xor eax, eax",
    "ret",
    ".size __wrap___cxa_atexit, . - __wrap___cxa_atexit",
);

#[cfg(all(target_os = "linux", target_arch = "aarch64"))]
std::arch::global_asm!(
    ".globl __wrap___cxa_atexit",
    ".hidden __wrap___cxa_atexit",
    ".type __wrap___cxa_atexit, %function",
    "__wrap___cxa_atexit:",
    "mov w0, #0",
    "ret",
    ".size __wrap___cxa_atexit, . - __wrap___cxa_atexit",
);
