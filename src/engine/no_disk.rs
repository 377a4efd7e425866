//! Replaces the disk engine in a build without it.

use std::path::Path;
use std::sync::Arc;

use super::{Engine, Lease};
use crate::error::{Error, Kind, Result};
use crate::options::Options;

/// The disk engine, whose every function returns an error in this build.
pub struct Disk;

/// The caches that disk stores share: none in this build.
pub struct SharedCaches;

impl SharedCaches {
    /// Ignores the options.
    pub fn new(_: &Options) -> SharedCaches {
        SharedCaches
    }
}

impl Disk {
    /// Returns `Kind::Unsupported`.
    pub fn available() -> Result<()> {
        Err(unsupported())
    }

    /// Returns `Kind::Unsupported`.
    pub fn open_any(
        _: &Path,
        _: &Options,
        _: &SharedCaches,
        _: Lease,
    ) -> Result<Option<Arc<dyn Engine>>> {
        Err(unsupported())
    }

    /// Returns `Kind::Unsupported`.
    pub fn has_traces(_: &Path) -> Result<bool> {
        Err(unsupported())
    }

    /// Returns `Kind::Unsupported`.
    pub fn destroy(_: &Path) -> Result<bool> {
        Err(unsupported())
    }
}

fn unsupported() -> Error {
    Error::new(Kind::Unsupported, "this build of kvds has no disk stores (cargo feature \"disk\")")
}

/// Replaces the copies of stores, which are disk stores.
pub mod checkpoint {
    use std::path::Path;

    use crate::engine::{Maintenance, Reader};
    use crate::error::Result;

    /// Returns `Kind::Unsupported`.
    pub fn create(_: &dyn Reader, _: Option<&dyn Maintenance>, _: &Path) -> Result<()> {
        Err(super::unsupported())
    }
}

/// Replaces the verification and the rescue of disk stores.
pub mod damage {
    use std::path::Path;

    use crate::engine::damage::{Rescue, Verdict, Visit};
    use crate::error::Result;
    use crate::options::Options;

    /// Returns `Kind::Unsupported`.
    pub fn verify(_: &Path, _: &Options, _: &mut Visit<'_>) -> Result<Verdict> {
        Err(super::unsupported())
    }

    /// Returns `Kind::Unsupported`.
    pub fn salvage(_: &Path, _: &Path, _: &Options, _: &mut Visit<'_>) -> Result<Rescue> {
        Err(super::unsupported())
    }
}
