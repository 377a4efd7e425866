//! All who take part.

pub mod foreign;
pub mod kvds;
mod lmdb;
mod lsm;
mod maps;
mod raw_log;
mod redb;
mod sqlite;

use crate::peer::{Ability, Durability, Medium, Peer};

/// Everything that a store can be asked for.
const ALL: &[Ability] =
    &[Ability::Iterate, Ability::Scan, Ability::SetNx, Ability::Swap, Ability::Batch];

/// The names that targets and plans speak of.
pub const ORIGINAL: &str = "original";
pub const TRANSACTION_DB: &str = "TransactionDB";
pub const LEVELDB: &str = "LevelDB";
pub const LMDB: &str = "LMDB";
pub const PAPAYA: &str = "papaya";
pub const RAW_LOG: &str = "raw log";

/// Those that store on `medium` so that a write survives `durability`, kvds first.
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

/// The libraries of the system that were not there when this was built, with what is left out for
/// that.
pub fn left_out() -> Vec<&'static str> {
    let libraries = [
        (
            cfg!(rocksdb),
            "librocksdb is missing: left out are the original design on disk and TransactionDB",
        ),
        (cfg!(leveldb), "libleveldb is missing: left out is LevelDB"),
        (cfg!(tkrzw), "libtkrzw is missing: left out is BabyDBM"),
    ];
    libraries.into_iter().filter(|(there, _)| !there).map(|(_, text)| text).collect()
}
