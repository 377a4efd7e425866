//! Replaces the cluster engine in a build without it.

use std::sync::Arc;

use super::{Engine, Lease};
use crate::error::{Error, Kind, Result};
use crate::options::Options;

/// The cluster engine, whose every function returns an error in this build.
pub struct Cluster;

/// The connections to a cluster: none in this build.
pub struct Client;

/// Accepts every option, because none is used in this build.
pub fn check(_: &Options) -> Result<()> {
    Ok(())
}

impl Client {
    /// Returns `Kind::Unsupported`.
    pub fn new(_: &Options) -> Result<Arc<Client>> {
        Err(unsupported())
    }
}

impl Cluster {
    /// Returns `Kind::Unsupported`.
    pub fn available() -> Result<()> {
        Err(unsupported())
    }

    /// Returns `Kind::Unsupported`.
    pub fn open(
        _: &Arc<Client>,
        _: &[u8],
        _: &Options,
        _: Lease,
    ) -> Result<Option<Arc<dyn Engine>>> {
        Err(unsupported())
    }

    /// Returns `Kind::Unsupported`.
    pub fn destroy(_: &Arc<Client>, _: &[u8]) -> Result<bool> {
        Err(unsupported())
    }
}

fn unsupported() -> Error {
    Error::new(
        Kind::Unsupported,
        "this build of kvds has no cluster stores (cargo feature \"cluster\")",
    )
}
