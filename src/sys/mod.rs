//! Process-wide concerns: fork, clock, signals, descriptors, locks, memory that others can read,
//! log messages, and callbacks.

pub mod clock;
pub mod descriptors;
pub mod fork;
pub mod locks;
pub mod log;
pub mod poll;
pub mod reentrancy;
#[cfg(feature = "disk")]
pub mod shared_memory;
pub mod signals;
