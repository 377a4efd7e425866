//! Properties of the disk engine, which returns them as text.
//!
//! A property that is missing, or that has another form in a later version of RocksDB, is left out
//! of the figures. It is no reason to fail.

use crate::library::{Result, Store};

/// The tables of a level of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    pub number: u32,
    pub files: u64,
    pub bytes: u64,
}

/// The entries of all tables: a key has one for each version that no compaction has removed yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    pub count: u64,
    pub deletions: u64,
    pub key_bytes: u64,
    pub value_bytes: u64,
}

/// The bytes that RocksDB adds to each key: its sequence number and type.
const KEY_TRAILER: u64 = 8;

/// Returns the property `name` as a number.
pub fn number(store: &Store, name: &str) -> Result<Option<u64>> {
    Ok(text(store, name)?.and_then(|text| text.trim().parse().ok()))
}

fn text(store: &Store, name: &str) -> Result<Option<String>> {
    let value = store.property(name.as_bytes())?;
    Ok(value.map(|value| String::from_utf8_lossy(&value).into_owned()))
}

/// Returns the levels that have tables.
pub fn levels(store: &Store) -> Result<Vec<Level>> {
    // "rocksdb.levelstats" has whole megabytes only.
    Ok(text(store, "rocksdb.sstables")?.map_or_else(Vec::new, |text| parse_levels(&text)))
}

/// Returns the sums over all tables.
pub fn entries(store: &Store) -> Result<Entries> {
    let text = text(store, "rocksdb.aggregated-table-properties")?;
    Ok(text.map_or_else(Entries::default, |text| parse_entries(&text)))
}

/// Parses lines such as `--- level 0 --- version# 2 ---`, and ` 13:1385[2 .. 2]...` for a table of
/// 1,385 bytes. Keys in them are hexadecimal.
fn parse_levels(text: &str) -> Vec<Level> {
    let mut levels: Vec<Level> = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("--- level ") {
            let digits = rest.split(' ').next().unwrap_or_default();
            if let Ok(number) = digits.parse() {
                levels.push(Level { number, files: 0, bytes: 0 });
            }
        } else if let (Some(level), Some(size)) = (levels.last_mut(), table_size(line)) {
            level.files += 1;
            level.bytes += size;
        }
    }
    levels.retain(|level| level.files > 0);
    levels
}

fn table_size(line: &str) -> Option<u64> {
    let (number, rest) = line.trim_start().split_once(':')?;
    number.parse::<u64>().ok()?;
    rest.split('[').next()?.parse().ok()
}

/// Parses `# entries=3; # deletions=0; raw key size=27; ...`.
fn parse_entries(text: &str) -> Entries {
    let field = |name: &str| {
        let value = text.split("; ").find_map(|part| part.trim().strip_prefix(name));
        value.and_then(|value| value.parse().ok()).unwrap_or(0)
    };
    let count: u64 = field("# entries=");
    Entries {
        count,
        deletions: field("# deletions="),
        key_bytes: field("raw key size=").saturating_sub(count.saturating_mul(KEY_TRAILER)),
        value_bytes: field("raw value size="),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_counted_by_level() {
        let text = "--- level 0 --- version# 2 ---\n \
                    13:1385[2 .. 2]['62' seq:2, type:1 .. '62' seq:2, type:1](0)\n\
                    --- level 1 --- version# 2 ---\n\
                    --- level 6 --- version# 2 ---\n \
                    18:1385[3 .. 3]['61' seq:3, type:1 .. '61' seq:3, type:1](0)\n \
                    8:1000[1 .. 1]['61' seq:1, type:1 .. '61' seq:1, type:1](0)\n";
        let expected = [
            Level { number: 0, files: 1, bytes: 1385 },
            Level { number: 6, files: 2, bytes: 2385 },
        ];
        assert_eq!(parse_levels(text), expected);
        for text in ["", "13:1385[", "--- level x ---\n 1:2[", "--- level 1 ---\nnothing:2["] {
            assert_eq!(parse_levels(text), [], "{text}");
        }
    }

    #[test]
    fn key_bytes_are_without_the_sequence_numbers() {
        let text = "# data blocks=3; # entries=3; # deletions=1; raw key size=27; \
                    raw average key size=9.000000; raw value size=3; DB identity=;";
        let expected = Entries { count: 3, deletions: 1, key_bytes: 3, value_bytes: 3 };
        assert_eq!(parse_entries(text), expected);
        assert_eq!(parse_entries("nothing"), Entries::default());
    }
}
