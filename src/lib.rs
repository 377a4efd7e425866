//! kvds: a key-value store library for programs that are not written in Rust.
//!
//! A program asks a [`Distributor`] for a store by name and gets one shared, reference-counted handle, backed by memory or
//! by RocksDB on disk. What hosts use is the C interface of [`ffi`], described by the generated `include/kvds.h`; the Rust
//! items are public for the tests, fuzzers and benchmarks of this repository, and their shape may change in any release.
//!
//! The modules form layers, and imports point one way only: `docs/design.md` has the picture, `tests/layers.rs` holds it.

#![deny(unsafe_code)]
#![warn(missing_docs, clippy::unwrap_used, clippy::undocumented_unsafe_blocks)]

pub mod batch;
pub mod callback;
pub mod checkpoint;
pub mod counted;
pub mod directories;
pub mod distributor;
pub mod engine;
pub mod error;
pub mod ffi;
pub mod files;
pub mod fork;
pub mod gate;
pub mod lanes;
pub mod lifetime;
pub mod locks;
pub mod log;
pub mod name;
pub mod options;
pub mod signals;
pub mod store;
pub mod sync;
pub mod view;

pub use batch::{Expectation, Operation, Outcome, Refusal, WriteBatch};
pub use counted::{Counted, Ref};
pub use distributor::Distributor;
pub use error::{Error, Kind, Result};
pub use lifetime::{Backend, Death};
pub use options::Options;
pub use store::Store;
