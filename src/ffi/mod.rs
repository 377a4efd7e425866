//! The C interface. `include/kvds.h` is generated from these modules, in this order, and their doc comments are its text.
//!
//! Every function reads the same way: [`arg`] turns what came in into references, the core does the work, [`boundary`]
//! turns the result into a status and the text of the last error, and lets no panic out. This is the only part of the
//! library that knows C types, and beside a few marked places the only one that may be unsafe.

#![allow(unsafe_code)]
#![allow(non_camel_case_types, reason = "these are C's names")]
#![allow(clippy::missing_safety_doc, reason = "the header's prologue says once what every pointer must satisfy")]

mod arg;
mod exit;
#[cfg(feature = "disk")]
mod left_out;

pub mod version;

pub mod status;

pub mod boundary;

pub mod types;

pub mod handle;

pub mod options;

pub mod distributor;

pub mod observer;

pub mod store;

pub mod read;

pub mod write;

pub mod batch;

pub mod cursor;

pub mod view;

pub mod care;
