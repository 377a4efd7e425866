//! Faults that users of stores met in the field, each told as the small program that shows it.
//!
//! `make test` runs them at small sizes, `make field` at the sizes at which they were met.
#![allow(dead_code)] // Each build uses a part of what is shared.

#[path = "field/deletes.rs"]
mod deletes;
#[path = "field/limits.rs"]
mod limits;
#[path = "field/locks.rs"]
mod locks;
#[path = "field/many_stores.rs"]
mod many_stores;
#[path = "field/old_data.rs"]
mod old_data;
#[path = "field/paths.rs"]
mod paths;
#[path = "field/refusals.rs"]
mod refusals;

/// The size of a test: `small` in `make test`, `full` in `make field`.
fn scale(small: usize, full: usize) -> usize {
    if std::env::var_os("KVDS_FIELD").is_some_and(|field| field == "full") { full } else { small }
}
