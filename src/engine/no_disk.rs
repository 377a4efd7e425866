//! What stands in for the disk engine in a build without it.

use std::path::Path;
use std::sync::Arc;

use super::{Engine, Lease};
use crate::error::{Error, Kind, Result};

/// The disk engine that is not there.
pub struct Disk;

impl Disk {
    /// Says that it is not there.
    pub fn available() -> Result<()> {
        Err(Error::new(Kind::Unsupported, "this build of kvds has no disk stores (cargo feature \"disk\")"))
    }

    /// Fails.
    pub fn open(_: &Path, _: Lease) -> Result<Arc<dyn Engine>> {
        Self::available().and(Err(Error::new(Kind::Internal, "opened an engine that is not there")))
    }

    /// Fails.
    pub fn destroy(_: &Path) -> Result<bool> {
        Self::available().and(Ok(false))
    }
}
