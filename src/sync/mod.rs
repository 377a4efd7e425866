//! What threads do with each other, by names that a model can take over.
//!
//! Locks and atomics come from here in the modules whose concurrency is modelled: `tests/loom.rs`
//! and `tests/shuttle.rs`. They are parking_lot's and the standard library's, except in a build
//! with `--cfg loom` or `--cfg shuttle`. Then they are those of the tool, which decides at each of
//! them which thread goes on (and, if it is loom, which of the values that the memory model allows
//! a load finds), and tries out one course of events after the other.

pub mod gate;
#[cfg(any(loom, shuttle))]
mod model;
pub mod refcount;
pub mod sharded;

#[cfg(any(loom, shuttle))]
pub use self::model::{
    Condvar, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic, thread_number,
};
#[cfg(not(any(loom, shuttle)))]
pub use {
    parking_lot::{Condvar, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard},
    std::sync::atomic,
};
