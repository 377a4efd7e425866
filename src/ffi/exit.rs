//! No destructor of ours runs when the process exits.
//!
//! RocksDB keeps its threads and environment in static C++ objects, whose destructors would run at
//! exit while other threads of the program still write, or before the program's own exit handlers
//! and static objects release their stores: calls would then hang or crash. So in the shared
//! library nothing gets registered for the exit. `build.rs` has the linker send our calls of
//! `__cxa_atexit` here (`--wrap`), where they say that all is well and do nothing. What is left
//! open goes with the process; acknowledged writes are with the operating system already.
//!
//! It is assembly because Rust has no way to define a symbol that a C++ object can link to and that
//! is not exported.

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
