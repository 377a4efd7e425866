//! Tests for faults that users of key-value stores reported. Each test is a small program that
//! shows one.
//!
//! `make test` runs them at small sizes, `make field` at the sizes that users reported.

mod deletes;
mod limits;
mod locks;
mod many_stores;
mod old_data;
mod paths;

/// Returns the size of a test: `small` in `make test`, `full` in `make field`.
fn scale(small: usize, full: usize) -> usize {
    if std::env::var_os("KVDS_FIELD").is_some_and(|field| field == "full") { full } else { small }
}
