//! Synchronization, and the locks and atomics that models replace.
//!
//! Modules whose concurrency is modeled (`tests/loom.rs`, `tests/shuttle.rs`) use the locks and
//! atomics of this module. They are parking_lot's and the standard library's, except in a build
//! with `--cfg loom` or `--cfg shuttle`. Then they are those of the tool. It decides at each of
//! them which thread continues, and runs one interleaving after the other. Loom also decides which
//! of the values that the memory model allows a load returns.

pub mod close_gate;
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
