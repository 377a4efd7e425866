//! Finds the damage of a store, and saves what can be read of it.
//!
//! [`verify`] reads every file that the store consists of. [`salvage`] does too, and then copies
//! the pairs that are certain. Why it is done like this: docs/decisions/0020-damaged-stores.md.

mod live_tables;
mod logs;
mod readable;
mod report;
mod salvage;
mod survey;
mod table_check;
mod tables;
mod uncertain;
mod verify;

pub use self::salvage::salvage;
pub use self::verify::verify;
