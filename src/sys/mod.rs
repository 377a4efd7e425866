//! Process-wide concerns: fork, clock, signals, descriptors, locks, log messages, and callbacks.

pub mod clock;
pub mod descriptors;
pub mod fork;
pub mod locks;
pub mod log;
pub mod poll;
pub mod reentrancy;
pub mod signals;
