//! Exports what the tests, fuzz targets and benchmarks of this repository use.
//!
//! The cargo feature `testing` compiles it. Programs must not rely on it, as any release changes
//! it.

pub use crate::batch::{Conflict, Expectation, Operation, Outcome, WriteBatch};
#[cfg(feature = "cluster")]
pub use crate::engine::cluster::wire;
pub use crate::engine::cluster::{Client, Cluster};
pub use crate::engine::damage::{Damage, Loss, Progress, Rescue, Salvaged, Verdict, Visit};
pub use crate::engine::disk::{Disk, SharedCaches};
pub use crate::engine::expiry::run_once as expire;
pub use crate::engine::memory::{Budget, Memory};
pub use crate::engine::{
    Buffer, Change, ChangeKind, Cursor, Engine, Lease, MAX_KEY_LEN, Maintenance, Range, Reader,
    TimeLeft, Value, Watch,
};
pub use crate::error::{Error, Kind, Result};
pub use crate::options::{Compression, Durability, Options};
pub use crate::store::Store;
pub use crate::store::damage::{salvage, verify};
pub use crate::store::dir_name::{MAX_NAME_LEN, directory, unencoded};
pub use crate::store::identity::{Backend, Identity};
pub use crate::store::registry::Distributor;
pub use crate::store::views::{Scoped, SnapshotView, open as open_view};
pub use crate::sync::close_gate::Gate;
pub use crate::sync::refcount::{Counted, Ref, Target};
pub use crate::sys::clock::skip as skip_time;

/// The C functions and types.
pub mod ffi {
    pub use crate::ffi::{
        batch::*, bytes::*, cursor::*, damage::*, distributor::*, maintenance::*, observer::*,
        options::*, read::*, statistics::*, status::*, store::*, ttl::*, version::*, view::*,
        watch::*, write::*,
    };
}
