//! The C interface. `include/kvds.h` is generated from these modules: each public one is a section
//! of the header, in this order, and its documentation is that section's text. The header begins
//! with `prologue.h`.
//!
//! Every function has the same steps. [`arg`] and [`handle`] turn pointers into references, and the
//! core does the work. [`boundary`] turns the result into a status and the text of the last error,
//! and catches panics. No other part of the library knows C types.
//!
//! # Safety
//!
//! One contract holds for every exported function, and the header states it for callers: a pointer
//! that is not NULL is valid for its type and for the length that comes with it, for the duration
//! of the call; a handle is one that the library returned and that the caller still owns; a
//! callback has its declared type; and an options object, a batch or a cursor is used by one thread
//! at a time. Everything that can be checked beyond that is checked. The bodies of exported
//! functions rely on this contract alone, so they have no safety comments of their own. All other
//! unsafe code here has.

#![allow(unsafe_code)]
#![allow(unsafe_op_in_unsafe_fn, reason = "the contract above holds for the whole body")]
#![allow(non_camel_case_types, reason = "these are C's names")]
#![allow(clippy::missing_safety_doc, reason = "the contract above holds for all of them")]
#![cfg_attr(not(feature = "testing"), allow(dead_code, reason = "some constants are only C's"))]

mod arg;
mod boundary;
mod exit;
mod handle;

pub mod version;

pub mod status;

pub mod bytes;

pub mod options;

pub mod distributor;

pub mod store;

pub mod read;

pub mod write;

pub mod batch;

pub mod ttl;

pub mod cursor;

pub mod watch;

pub mod view;

pub mod maintenance;

pub mod damage;

pub mod statistics;

pub mod observer;
