//! kvds: a key-value store library for programs that are not written in Rust.
//!
//! Programs use the C interface of `ffi`, described by the generated `include/kvds.h`. What the
//! crate shows to Rust is for the tests, fuzzers and benchmarks of this repository, and may change
//! in any release.
//!
//! `docs/design.md` has a picture of the modules; `tests/layers.rs` holds the direction of their
//! imports.

#![deny(unsafe_code)]
#![warn(clippy::unwrap_used, clippy::undocumented_unsafe_blocks)]

pub mod batch;
pub mod engine;
pub mod error;
pub mod ffi;
pub mod options;
pub mod store;
pub mod sync;
pub mod sys;

pub use batch::{Conflict, Expectation, Operation, Outcome, WriteBatch};
pub use error::{Error, Kind, Result};
pub use options::Options;
pub use store::Store;
pub use store::identity::{Backend, Identity};
pub use store::observers::Death;
pub use store::registry::Distributor;
pub use sync::refcount::{Counted, Ref};
