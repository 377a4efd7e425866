//! Every option of a distributor, once: its name, what it takes, its default, and where it goes.
//!
//! The setters of the C interface end in [`Options::set_number`], and `kvds_options_set` in
//! [`Options::set`].

use std::fmt::{self, Display};

use crate::error::{Error, Result};

/// What a write that was acknowledged survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The death of the process at once; a power cut after at most a second.
    #[default]
    Process,
    /// A power cut at once.
    Sync,
    /// A clean close or a sync.
    None,
}

/// How the blocks of disk stores are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// Fast.
    #[default]
    Lz4,
    /// Small.
    Zstd,
}

/// How a distributor behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// What a write that answered OK survives.
    pub durability: Durability,
    /// How much memory all disk stores together use for blocks that were read.
    pub block_cache_bytes: u64,
    /// How much memory all disk stores together use for writes that are not in a table file yet.
    pub write_buffer_bytes: u64,
    /// How much all memory stores together may hold; 0 for no limit.
    pub memory_limit_bytes: u64,
    /// How disk stores are compressed.
    pub compression: Compression,
    /// Whether disk stores are opened for reading only.
    pub read_only: bool,
    /// Whether a store that is not there is made.
    pub create_if_missing: bool,
    /// Whether the distributor holds one reference to each store it made.
    pub keep_stores: bool,
    /// How many files each disk store keeps open; -1 for all.
    pub max_open_files: i64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            durability: Durability::default(),
            block_cache_bytes: 256 * MIB,
            write_buffer_bytes: 128 * MIB,
            memory_limit_bytes: 0,
            compression: Compression::default(),
            read_only: false,
            create_if_missing: true,
            keep_stores: false,
            max_open_files: 500,
        }
    }
}

const MIB: u64 = 1 << 20;
const TIB: i64 = 1 << 40;

/// What an option takes.
enum Takes {
    Switch(fn(&mut Options) -> &mut bool),
    /// Bytes, from the first number to the second, or 0 where that means something of its own.
    Bytes(fn(&mut Options) -> &mut u64, i64, i64),
    /// A number, from the first to the second, or -1.
    Count(fn(&mut Options) -> &mut i64, i64, i64),
    /// One of these names, which also have the numbers 0, 1, 2 and so on.
    Choice(fn(&mut Options, usize), &'static [&'static str]),
}

const TABLE: &[(&str, Takes)] = &[
    (
        "durability",
        Takes::Choice(
            |options, choice| {
                options.durability =
                    [Durability::Process, Durability::Sync, Durability::None][choice]
            },
            &["process", "sync", "none"],
        ),
    ),
    ("block_cache_bytes", Takes::Bytes(|options| &mut options.block_cache_bytes, MIB as i64, TIB)),
    (
        "write_buffer_bytes",
        Takes::Bytes(|options| &mut options.write_buffer_bytes, MIB as i64, TIB),
    ),
    ("memory_limit_bytes", Takes::Bytes(|options| &mut options.memory_limit_bytes, 0, i64::MAX)),
    (
        "compression",
        Takes::Choice(
            |options, choice| {
                options.compression =
                    [Compression::None, Compression::Lz4, Compression::Zstd][choice]
            },
            &["none", "lz4", "zstd"],
        ),
    ),
    ("read_only", Takes::Switch(|options| &mut options.read_only)),
    ("create_if_missing", Takes::Switch(|options| &mut options.create_if_missing)),
    ("keep_stores", Takes::Switch(|options| &mut options.keep_stores)),
    ("max_open_files", Takes::Count(|options| &mut options.max_open_files, 16, 1 << 20)),
];

impl Options {
    /// The names of all options.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|(name, _)| *name)
    }

    /// Sets the option `name` from text.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        self.apply(name, value, |takes| takes.parse(value.trim()))
    }

    /// Sets the option `name` from a number.
    pub fn set_number(&mut self, name: &str, number: impl Into<i128>) -> Result<()> {
        let number = number.into();
        self.apply(name, number, |_| Some(number))
    }

    fn apply(
        &mut self,
        name: &str,
        value: impl Display,
        number: impl Fn(&Takes) -> Option<i128>,
    ) -> Result<()> {
        let Some((_, takes)) = TABLE.iter().find(|(listed, _)| *listed == name) else {
            let names: Vec<_> = Options::names().collect();
            return Err(Error::invalid(format!(
                "there is no option \"{name}\"; there are: {}",
                names.join(", ")
            )));
        };
        let done = number(takes).and_then(|number| takes.apply(self, i64::try_from(number).ok()?));
        done.ok_or_else(|| {
            Error::invalid(format!("option \"{name}\" takes {takes}, not \"{value}\""))
        })
    }
}

impl Takes {
    /// The number that `text` stands for.
    fn parse(&self, text: &str) -> Option<i128> {
        match (self, text) {
            (Takes::Switch(_), "1" | "true" | "on" | "yes") => Some(1),
            (Takes::Switch(_), "0" | "false" | "off" | "no") => Some(0),
            (Takes::Switch(_), _) => None,
            (Takes::Bytes(..), _) => bytes(text).map(i128::from),
            (Takes::Count(..), _) => text.parse().ok(),
            (Takes::Choice(_, names), _) => match names.iter().position(|name| *name == text) {
                Some(choice) => i128::try_from(choice).ok(),
                None => text.parse().ok(),
            },
        }
    }

    fn apply(&self, options: &mut Options, number: i64) -> Option<()> {
        match self {
            Takes::Switch(place) => {
                *place(options) = [false, true].get(usize::try_from(number).ok()?).copied()?
            }
            Takes::Bytes(place, least, most) => {
                *place(options) = Some(number)
                    .filter(|bytes| (*least..=*most).contains(bytes))?
                    .try_into()
                    .ok()?;
            }
            Takes::Count(place, least, most) => {
                *place(options) = Some(number)
                    .filter(|number| *number == -1 || (*least..=*most).contains(number))?;
            }
            Takes::Choice(choose, names) => {
                choose(
                    options,
                    usize::try_from(number).ok().filter(|choice| *choice < names.len())?,
                );
            }
        }
        Some(())
    }
}

impl fmt::Display for Takes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Takes::Switch(_) => out.write_str("0 or 1 (also: false or true, off or on, no or yes)"),
            Takes::Bytes(_, least, most) => {
                write!(out, "bytes from {least} to {most} (also with K, M, G or T behind)")
            }
            Takes::Count(_, least, most) => write!(out, "-1 or a number from {least} to {most}"),
            Takes::Choice(_, names) => {
                let names: Vec<_> = names
                    .iter()
                    .enumerate()
                    .map(|(number, name)| format!("{name} ({number})"))
                    .collect();
                out.write_str(&names.join(", "))
            }
        }
    }
}

/// A number of bytes, maybe in units of 1024, 1024² and so on.
fn bytes(text: &str) -> Option<i64> {
    let units = ["K", "M", "G", "T"];
    let unit = units.iter().position(|unit| text.ends_with(unit));
    let (digits, shift) = unit.map_or((text, 0), |unit| (&text[..text.len() - 1], 10 * (unit + 1)));
    digits.parse::<i64>().ok()?.checked_mul(1 << shift)
}
