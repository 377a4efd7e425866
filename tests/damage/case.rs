//! The ways to damage a store.

use std::fmt;
use std::fs;
use std::path::Path;
use std::str::FromStr;

/// A damage of one file.
#[derive(Clone, Debug)]
pub struct Case {
    pub file: String,
    pub damage: Damage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// These bits of the byte at this offset are flipped.
    Flipped(u64, u8),
    /// The file is truncated to this length.
    Cut(u64),
    /// The file is removed.
    Removed,
}

impl Damage {
    pub fn kind(self) -> &'static str {
        match self {
            Damage::Flipped(..) => "flipped",
            Damage::Cut(_) => "cut",
            Damage::Removed => "removed",
        }
    }
}

impl Case {
    /// Returns the kind of the file.
    pub fn kind(&self) -> &'static str {
        match self.file.rsplit_once('.').map_or(self.file.as_str(), |(_, ending)| ending) {
            "log" => "log",
            "sst" => "table",
            "CURRENT" => "CURRENT",
            "IDENTITY" => "IDENTITY",
            "LOCK" => "LOCK",
            name if name.starts_with("MANIFEST") => "MANIFEST",
            name if name.starts_with("OPTIONS") => "OPTIONS",
            _ => "other",
        }
    }

    /// Returns whether the store is also copied and compacted. RocksDB sleeps for a second after a
    /// failed job, so only some are.
    pub fn is_rewritten(&self) -> bool {
        match self.damage {
            Damage::Flipped(at, _) | Damage::Cut(at) => {
                at % if self.kind() == "table" { 64 } else { 8 } == 0
            }
            Damage::Removed => true,
        }
    }

    /// Damages the store in `directory`.
    pub fn apply(&self, directory: &Path) {
        let path = directory.join(&self.file);
        match self.damage {
            Damage::Removed => fs::remove_file(&path).expect("a file can be removed"),
            Damage::Cut(len) => {
                let file =
                    fs::OpenOptions::new().write(true).open(&path).expect("a file can be opened");
                file.set_len(len).expect("a file can be cut");
            }
            Damage::Flipped(at, bits) => {
                let mut bytes = fs::read(&path).expect("a file can be read");
                bytes[at as usize] ^= bits;
                // A new file: the old one may be a hard link to the store that all copies come
                // from.
                fs::remove_file(&path).expect("a file can be removed");
                fs::write(&path, bytes).expect("a file can be written");
            }
        }
    }
}

/// The line in orders and reports.
impl fmt::Display for Case {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.damage {
            Damage::Flipped(at, bits) => write!(out, "{} flipped {at} {bits}", self.file),
            Damage::Cut(len) => write!(out, "{} cut {len}", self.file),
            Damage::Removed => write!(out, "{} removed", self.file),
        }
    }
}

impl FromStr for Case {
    type Err = ();

    fn from_str(line: &str) -> Result<Case, ()> {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |word: &str| word.parse().map_err(drop);
        let (file, damage) = match *words.as_slice() {
            [file, "flipped", at, bits] => {
                (file, Damage::Flipped(number(at)?, bits.parse().map_err(drop)?))
            }
            [file, "cut", len] => (file, Damage::Cut(number(len)?)),
            [file, "removed"] => (file, Damage::Removed),
            _ => return Err(()),
        };
        Ok(Case { file: file.to_owned(), damage })
    }
}
