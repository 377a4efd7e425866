//! What stands in for the disk engine in a build without it.

use std::path::Path;
use std::sync::Arc;

use super::{Engine, Lease};
use crate::error::{Error, Kind, Result};
use crate::options::Options;

/// The disk engine that is not there.
pub struct Disk;

/// What its stores would share.
pub struct Shared;

impl Shared {
    /// Nothing.
    pub fn new(_: &Options) -> Shared {
        Shared
    }
}

impl Disk {
    /// Says that it is not there.
    pub fn available() -> Result<()> {
        Err(missing())
    }

    /// Fails.
    pub fn open_any(
        _: &Path,
        _: &Options,
        _: &Shared,
        _: Lease,
    ) -> Result<Option<Arc<dyn Engine>>> {
        Err(missing())
    }

    /// Fails.
    pub fn has_traces(_: &Path) -> Result<bool> {
        Err(missing())
    }

    /// Fails.
    pub fn destroy(_: &Path) -> Result<bool> {
        Err(missing())
    }
}

fn missing() -> Error {
    Error::new(Kind::Unsupported, "this build of kvds has no disk stores (cargo feature \"disk\")")
}

/// What stands in for copies, which are disk stores.
pub mod checkpoint {
    use std::path::Path;

    use crate::engine::Engine;
    use crate::error::Result;

    /// Fails.
    pub fn make(_: &dyn Engine, _: &Path) -> Result<()> {
        Err(super::missing())
    }
}
