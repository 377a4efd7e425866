//! All peers.

#[cfg(feature = "etcd-client")]
pub mod etcd_client;
pub mod foreign;
pub mod kvds;
mod lmdb;
mod lsm;
mod maps;
mod raw_log;
mod redb;
mod sqlite;

use crate::peer::{Ability, Durability, Medium, Peer};

/// All abilities.
const ALL: &[Ability] =
    &[Ability::Iterate, Ability::Scan, Ability::SetNx, Ability::Swap, Ability::Batch];

/// Names that targets and plans use.
pub const ORIGINAL: &str = "original";
pub const ROCKSDB: &str = "RocksDB";
pub const TRANSACTION_DB: &str = "TransactionDB";
pub const LEVELDB: &str = "LevelDB";
pub const LMDB: &str = "LMDB";
pub const PAPAYA: &str = "papaya";
pub const RAW_LOG: &str = "raw log";

/// The memory that a store on disk may use for what it read, as kvds does by default. Peers in C++
/// have it in peer.hpp.
pub const CACHE_BYTES: usize = 256 << 20;

/// Returns the peers of a medium and durability, kvds first.
pub fn on(medium: Medium, durability: Durability) -> Vec<Peer> {
    let all = [
        kvds::peers(),
        foreign::peers(),
        maps::peers(),
        lmdb::peers(),
        redb::peers(),
        lsm::peers(),
    ];
    let all = all.into_iter().flatten().chain(sqlite::peers()).chain(raw_log::peers());
    all.filter(|peer| peer.medium == medium && peer.durability == durability).collect()
}

/// Returns a message for each library that was missing when the benchmark was built.
pub fn left_out() -> Vec<&'static str> {
    let libraries = [
        (
            cfg!(rocksdb),
            "librocksdb is missing: the original on disk and TransactionDB are left out",
        ),
        (cfg!(leveldb), "libleveldb is missing: LevelDB is left out"),
        (cfg!(tkrzw), "libtkrzw is missing: BabyDBM is left out"),
    ];
    libraries.into_iter().filter(|(there, _)| !there).map(|(_, text)| text).collect()
}
