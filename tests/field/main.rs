//! Faults that users of stores met in the field, each told as the small program that shows it.
//!
//! `make test` runs them at small sizes, `make field` at the sizes at which they were met.

mod deletes;
mod limits;
mod locks;
mod many_stores;
mod old_data;
mod paths;

/// The size of a test: `small` in `make test`, `full` in `make field`.
fn scale(small: usize, full: usize) -> usize {
    if std::env::var_os("KVDS_FIELD").is_some_and(|field| field == "full") { full } else { small }
}
