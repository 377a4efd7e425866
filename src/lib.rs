//! kvds: a key-value store library for programs that are not written in Rust.
//!
//! Programs use the C interface of `ffi`, described by the generated `include/kvds.h`. The crate
//! has no Rust interface. `testing` is for the tests, fuzz targets and benchmarks of this
//! repository.
//!
//! `docs/design.md` shows the modules; `tests/layers.rs` checks the direction of their imports.

#![deny(unsafe_code)]
#![cfg_attr(
    not(feature = "disk"),
    allow(dead_code, reason = "some items are only for the disk engine")
)]
#![warn(clippy::unwrap_used, clippy::undocumented_unsafe_blocks)]

pub(crate) mod batch;
pub(crate) mod engine;
pub(crate) mod error;
pub(crate) mod ffi;
pub(crate) mod options;
pub(crate) mod store;
pub(crate) mod sync;
pub(crate) mod sys;
#[cfg(feature = "testing")]
pub mod testing;
