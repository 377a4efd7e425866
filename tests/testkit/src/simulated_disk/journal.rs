//! The journal that the library of `ctests/preload` writes. Its `journal.h` describes the format.

use std::fs::File;
use std::io::Read;
use std::path::Path;

pub struct Journal(Vec<u8>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Note,
    Pause,
    Wake,
    Create,
    Mkdir,
    Link,
    Rename,
    Remove,
    Write,
    Resize,
    Sync,
    Synced,
}

/// In the order of their numbers, which begin with 1.
const KINDS: [Kind; 12] = [
    Kind::Note,
    Kind::Pause,
    Kind::Wake,
    Kind::Create,
    Kind::Mkdir,
    Kind::Link,
    Kind::Rename,
    Kind::Remove,
    Kind::Write,
    Kind::Resize,
    Kind::Sync,
    Kind::Synced,
];

#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The offset, which also serves as the time: later records have greater offsets.
    pub at: u64,
    pub kind: Kind,
    pub thread: u32,
    /// Nanoseconds of the monotonic clock.
    pub clock: u64,
    pub a: u64,
    pub b: u64,
    pub bytes: &'a [u8],
}

const START: usize = 8;
const HEAD: usize = 40;

impl Journal {
    /// Reads the part that is written.
    pub fn read(path: &Path) -> Journal {
        let mut file = File::open(path).expect("the journal is there");
        let mut written = [0; START];
        file.read_exact(&mut written).expect("the journal has a beginning");
        let len = u64::from_le_bytes(written).saturating_sub(START as u64);
        let mut bytes = written.to_vec();
        file.take(len).read_to_end(&mut bytes).expect("the journal can be read");
        Journal(bytes)
    }

    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        let mut at = START;
        std::iter::from_fn(move || {
            let head = self.0.get(at..)?.get(..HEAD)?;
            let word = |from: usize| {
                u64::from_le_bytes(head[from..from + 8].try_into().expect("eight bytes"))
            };
            let half = |from: usize| {
                u32::from_le_bytes(head[from..from + 4].try_into().expect("four bytes"))
            };
            let len = word(32) as usize;
            let record = Record {
                at: at as u64,
                kind: KINDS[half(0) as usize - 1],
                thread: half(4),
                clock: word(8),
                a: word(16),
                b: word(24),
                bytes: &self.0[at + HEAD..][..len],
            };
            at += HEAD + len.next_multiple_of(8);
            Some(record)
        })
    }
}
