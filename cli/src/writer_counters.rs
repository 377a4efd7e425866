//! What the process that writes a disk store has counted: its reads, writes and compactions.
//!
//! The library keeps these in a file in memory, which is found among the open files of the process:
//! see `src/engine/disk/op_counters.rs` and `src/sys/shared_memory.rs`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The name and the version of the layout, with which the memory begins.
const MAGIC: &[u8; 8] = b"kvdsctr1";
/// The bytes of the header, and of the counters of each shard after it.
const SECTION: usize = 128;

/// Counters since the process opened the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub reads: u64,
    /// Reads that found their key.
    pub hits: u64,
    /// Operations that were written.
    pub writes: u64,
    pub running_compactions: u64,
    pub completed_compactions: u64,
}

impl Counters {
    /// Returns the counters of the process `pid` for the store in `directory`. There are none of a
    /// process of another user, or with a version of the library that has another layout.
    pub fn of(pid: u32, directory: &Path) -> Option<Counters> {
        let directory = fs::metadata(directory).ok()?;
        let name = format!("/memfd:kvds-counters-{:x}-{} ", directory.dev(), directory.ino());
        let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
        files.flatten().find_map(|file| {
            let target = fs::read_link(file.path()).ok()?;
            // The system appends " (deleted)".
            if !target.to_str()?.starts_with(&name) {
                return None;
            }
            Counters::parse(&fs::read(file.path()).ok()?)
        })
    }

    /// Returns the counters with their names in results.
    pub fn named(&self) -> [(&'static str, u64); 5] {
        [
            ("writer_reads", self.reads),
            ("writer_hits", self.hits),
            ("writer_writes", self.writes),
            ("writer_running_compactions", self.running_compactions),
            ("writer_compactions", self.completed_compactions),
        ]
    }

    fn parse(bytes: &[u8]) -> Option<Counters> {
        let word = |section: &[u8], index: usize| {
            let bytes = section.get(index * 8..)?.first_chunk()?;
            Some(u64::from_ne_bytes(*bytes))
        };
        let (header, shards) = bytes.split_at_checked(SECTION)?;
        if !header.starts_with(MAGIC) {
            return None;
        }
        let mut counters = Counters {
            running_compactions: word(header, 1)?,
            completed_compactions: word(header, 2)?,
            ..Counters::default()
        };
        for shard in shards.chunks_exact(SECTION) {
            counters.reads += word(shard, 0)?;
            counters.hits += word(shard, 1)?;
            counters.writes += word(shard, 2)?;
        }
        Some(counters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_of_all_shards_are_added() {
        let mut bytes = MAGIC.to_vec();
        let section = |words: &[u64], bytes: &mut Vec<u8>| {
            words.iter().for_each(|word| bytes.extend(word.to_ne_bytes()));
            bytes.resize(bytes.len().next_multiple_of(SECTION), 0);
        };
        section(&[1, 9], &mut bytes);
        section(&[5, 3, 7], &mut bytes);
        section(&[50, 30, 70], &mut bytes);
        let expected = Counters {
            reads: 55,
            hits: 33,
            writes: 77,
            running_compactions: 1,
            completed_compactions: 9,
        };
        assert_eq!(Counters::parse(&bytes), Some(expected));
        assert_eq!(Counters::parse(&bytes[..100]), None);
        bytes[7] = b'2';
        assert_eq!(Counters::parse(&bytes), None);
    }
}
