//! What the operating system needs care for: fork, signals, descriptors, locks, and calls that call
//! back in.

pub mod descriptors;
pub mod fork;
pub mod locks;
pub mod log;
pub mod reentrancy;
pub mod signals;
