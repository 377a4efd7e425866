//! What parts of RocksDB that no call can reach are replaced by, so that the shared library comes without them.
//!
//! `build.rs` has the list, and has the linker send the calls that begin such a part here (`--wrap`). What the part consists
//! of is then needed by nothing, and is not linked. It is assembly for the same reason as in `exit.rs`.

// Ends the process at once: nothing sensible can be answered, as the callers expect objects.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
std::arch::global_asm!(
    ".globl kvds_left_out",
    ".hidden kvds_left_out",
    ".type kvds_left_out, @function",
    "kvds_left_out:",
    "ud2",
    ".size kvds_left_out, . - kvds_left_out",
    // Where it is called to register something by name, that just isn't registered.
    ".globl kvds_not_registered",
    ".hidden kvds_not_registered",
    ".type kvds_not_registered, @function",
    "kvds_not_registered:",
    "xor eax, eax",
    "ret",
    ".size kvds_not_registered, . - kvds_not_registered",
);

#[cfg(all(target_os = "linux", target_arch = "aarch64"))]
std::arch::global_asm!(
    ".globl kvds_left_out",
    ".hidden kvds_left_out",
    ".type kvds_left_out, %function",
    "kvds_left_out:",
    "brk #1",
    ".size kvds_left_out, . - kvds_left_out",
    ".globl kvds_not_registered",
    ".hidden kvds_not_registered",
    ".type kvds_not_registered, %function",
    "kvds_not_registered:",
    "mov w0, #0",
    "ret",
    ".size kvds_not_registered, . - kvds_not_registered",
);
