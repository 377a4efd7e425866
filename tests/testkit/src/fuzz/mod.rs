//! What the fuzz targets do with an input. `tests/fuzz_seeds.rs` does the same with all seeds.

mod boundary;
mod identifiers;
mod operations;

pub use boundary::boundary;
pub use identifiers::identifiers;
pub use operations::operations;
