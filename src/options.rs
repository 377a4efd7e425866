//! The options of a distributor.
//!
//! An option is one entry of the table `options!` below: its name, type, default and domain. The C
//! interface has a setter for each in `ffi/options.rs`, which calls [`Options::set_number`];
//! `kvds_options_set` calls [`Options::set`].

use std::fmt::{self, Display};

use crate::error::{Error, Result};

const MIB: u64 = 1 << 20;
const TIB: i64 = 1 << 40;

/// Defines an option whose value is one of several names. A name's position is its number in C.
macro_rules! choice {
    ($(#[$doc:meta])* $type:ident {
        $($(#[$variant_doc:meta])* $variant:ident = $name:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $type {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $type {
            const ALL: &[$type] = &[$($type::$variant),*];
            const NAMES: &[&str] = &[$($name),*];
        }
    };
}

choice! {
    /// What an acknowledged write survives.
    Durability {
        /// The death of the process at once; a power failure after at most a second.
        Process = "process",
        /// A power failure at once.
        Sync = "sync",
        /// A clean close or a sync.
        None = "none",
    }
}

choice! {
    /// How the blocks of disk stores are compressed.
    Compression {
        None = "none",
        Lz4 = "lz4",
        Zstd = "zstd",
    }
}

/// Defines [`Options`], its defaults and [`TABLE`].
macro_rules! options {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $default:expr, $domain:expr;)*) => {
        /// The options of a distributor.
        #[derive(Clone, Debug)]
        pub struct Options {
            $($(#[$doc])* pub $name: $type,)*
        }

        impl Default for Options {
            fn default() -> Options {
                Options { $($name: $default,)* }
            }
        }

        /// The name and the domain of every option.
        const TABLE: &[(&str, Domain)] = &[$((stringify!($name), $domain),)*];
    };
}

options! {
    /// What an acknowledged write to a disk store survives.
    durability: Durability = Durability::Process,
        Domain::Choice(|it, at| it.durability = Durability::ALL[at], Durability::NAMES);
    /// The memory that all disk stores together use for blocks and rows that were read.
    block_cache_bytes: u64 = 256 * MIB,
        Domain::Bytes(|it| &mut it.block_cache_bytes, MIB as i64, TIB);
    /// The memory that all disk stores together use for writes that are in no table file yet.
    write_buffer_bytes: u64 = 128 * MIB,
        Domain::Bytes(|it| &mut it.write_buffer_bytes, MIB as i64, TIB);
    /// The limit of what all memory stores together hold; 0 for no limit.
    memory_limit_bytes: u64 = 0,
        Domain::Bytes(|it| &mut it.memory_limit_bytes, 0, i64::MAX);
    compression: Compression = Compression::Lz4,
        Domain::Choice(|it, at| it.compression = Compression::ALL[at], Compression::NAMES);
    /// Whether disk stores are opened for reading only.
    read_only: bool = false,
        Domain::Switch(|it| &mut it.read_only);
    /// Whether a store that does not exist is created.
    create_if_missing: bool = true,
        Domain::Switch(|it| &mut it.create_if_missing);
    /// Whether the distributor holds one reference to each store that it creates.
    keep_stores: bool = false,
        Domain::Switch(|it| &mut it.keep_stores);
    /// The number of files that each disk store keeps open; -1 for all.
    max_open_files: i64 = 500,
        Domain::Count(|it| &mut it.max_open_files, 16, 1 << 20);
    /// The memory that each memory or disk store with watches uses for the changes that a watch has
    /// not returned yet.
    watch_buffer_bytes: u64 = 8 * MIB,
        Domain::Bytes(|it| &mut it.watch_buffer_bytes, 4096, TIB);
    /// The servers and the namespace of cluster stores, as a URL. It may have a login in it, until
    /// it is parsed and refused.
    cluster: Secret = Secret::default(),
        Domain::Secret(|it, text| it.cluster = text);
    /// The file with the certificate of the authority that signed those of the servers.
    cluster_ca: String = String::new(),
        Domain::Text(|it, text| it.cluster_ca = text);
    /// The file with this program's certificate.
    cluster_cert: String = String::new(),
        Domain::Text(|it, text| it.cluster_cert = text);
    /// The file with the key of this program's certificate.
    cluster_key: String = String::new(),
        Domain::Text(|it, text| it.cluster_key = text);
    /// The user of cluster stores, or nothing for none.
    cluster_user: String = String::new(),
        Domain::Text(|it, text| it.cluster_user = text);
    cluster_password: Secret = Secret::default(),
        Domain::Secret(|it, text| it.cluster_password = text);
    /// The time that a call on a cluster store may take.
    cluster_timeout_ms: u64 = 10_000,
        Domain::Milliseconds(|it| &mut it.cluster_timeout_ms, 100, 600_000);
}

/// A text that no log, no error and no `Debug` shows.
#[derive(Clone, Default)]
pub struct Secret(String);

impl Secret {
    /// Returns whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.is_empty() { "none" } else { "secret" })
    }
}

/// The values that an option accepts, and its field.
enum Domain {
    Switch(fn(&mut Options) -> &mut bool),
    /// Bytes, from the first number to the second.
    Bytes(fn(&mut Options) -> &mut u64, i64, i64),
    /// A number, from the first to the second, or -1.
    Count(fn(&mut Options) -> &mut i64, i64, i64),
    /// One of these names, or its position.
    Choice(fn(&mut Options, usize), &'static [&'static str]),
    /// Milliseconds, from the first number to the second.
    Milliseconds(fn(&mut Options) -> &mut u64, i64, i64),
    Text(fn(&mut Options, String)),
    /// Text that errors do not show.
    Secret(fn(&mut Options, Secret)),
}

impl Options {
    /// Returns the names of all options.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|(name, _)| *name)
    }

    /// Sets the option `name` from text.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        match domain(name)? {
            Domain::Text(store) => store(self, value.to_owned()),
            Domain::Secret(store) => store(self, Secret(value.to_owned())),
            domain => self.apply(name, domain, value, domain.parse(value.trim()))?,
        }
        Ok(())
    }

    /// Sets the option `name` from a number.
    pub fn set_number(&mut self, name: &str, number: impl Into<i128>) -> Result<()> {
        let number = number.into();
        self.apply(name, domain(name)?, number, Some(number))
    }

    fn apply(
        &mut self,
        name: &str,
        domain: &Domain,
        value: impl Display,
        number: Option<i128>,
    ) -> Result<()> {
        let number = number.and_then(|number| i64::try_from(number).ok());
        number.and_then(|number| domain.store(self, number)).ok_or_else(|| {
            Error::invalid(format!("option \"{name}\" takes {domain}, not \"{value}\""))
        })
    }
}

/// Returns the domain of the option `name`.
fn domain(name: &str) -> Result<&'static Domain> {
    match TABLE.iter().find(|(listed, _)| *listed == name) {
        Some((_, domain)) => Ok(domain),
        None => {
            let names: Vec<_> = Options::names().collect();
            let names = names.join(", ");
            Err(Error::invalid(format!("there is no option \"{name}\"; there are: {names}")))
        }
    }
}

impl Domain {
    /// Returns the number that `text` stands for.
    fn parse(&self, text: &str) -> Option<i128> {
        match (self, text) {
            (Domain::Switch(_), "1" | "true" | "on" | "yes") => Some(1),
            (Domain::Switch(_), "0" | "false" | "off" | "no") => Some(0),
            (Domain::Switch(_), _) => None,
            (Domain::Bytes(..), _) => bytes(text).map(i128::from),
            (Domain::Count(..) | Domain::Milliseconds(..), _) => text.parse().ok(),
            (Domain::Text(_) | Domain::Secret(_), _) => None,
            (Domain::Choice(_, names), _) => match names.iter().position(|name| *name == text) {
                Some(choice) => i128::try_from(choice).ok(),
                None => text.parse().ok(),
            },
        }
    }

    /// Stores a number in its field, if the option accepts it.
    fn store(&self, options: &mut Options, number: i64) -> Option<()> {
        match self {
            Domain::Switch(field) => {
                *field(options) = [false, true].get(usize::try_from(number).ok()?).copied()?;
            }
            Domain::Bytes(field, least, most) | Domain::Milliseconds(field, least, most) => {
                let number = Some(number).filter(|number| (*least..=*most).contains(number))?;
                *field(options) = number.try_into().ok()?;
            }
            Domain::Count(field, least, most) => {
                let is_valid = |number: &i64| *number == -1 || (*least..=*most).contains(number);
                *field(options) = Some(number).filter(is_valid)?;
            }
            Domain::Choice(choose, names) => {
                let choice = usize::try_from(number).ok()?;
                choose(options, Some(choice).filter(|choice| *choice < names.len())?);
            }
            Domain::Text(_) | Domain::Secret(_) => return None,
        }
        Some(())
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Domain::Switch(_) => {
                out.write_str("0 or 1 (also: false or true, off or on, no or yes)")
            }
            Domain::Bytes(_, least, most) => {
                write!(out, "bytes from {least} to {most} (also with K, M, G or T behind)")
            }
            Domain::Count(_, least, most) => write!(out, "-1 or a number from {least} to {most}"),
            Domain::Milliseconds(_, least, most) => {
                write!(out, "milliseconds from {least} to {most}")
            }
            Domain::Text(_) | Domain::Secret(_) => out.write_str("text"),
            Domain::Choice(_, names) => {
                let names = names.iter().enumerate();
                let names: Vec<_> = names.map(|(at, name)| format!("{name} ({at})")).collect();
                out.write_str(&names.join(", "))
            }
        }
    }
}

/// Parses a number of bytes, maybe with a unit of KiB, MiB, GiB or TiB.
fn bytes(text: &str) -> Option<i64> {
    let units = ["K", "M", "G", "T"];
    let unit = units.iter().position(|unit| text.ends_with(unit));
    let (digits, shift) = unit.map_or((text, 0), |unit| (&text[..text.len() - 1], 10 * (unit + 1)));
    digits.parse::<i64>().ok()?.checked_mul(1 << shift)
}
