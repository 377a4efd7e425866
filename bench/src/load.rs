//! Measures the memory of a load into a disk store, and compares it with the documentation of the
//! options.

use std::io::{IsTerminal, Write};
use std::time::Instant;

use anyhow::Result;

use crate::machine::resident;
use crate::peer::Store;
use crate::peers::kvds::Kvds;

const VALUE: usize = 1 << 10;
const MIB: u64 = 1 << 20;

/// The limit in the documentation of `block_cache_bytes`, for the default options.
const BOUND: u64 = 64 * MIB + 128 * MIB * 3 / 2 + 64 * MIB;

/// Writes `bytes` of pairs in random order, of which half does not compress, reads some, and prints
/// the peak of resident memory.
pub fn run(bytes: u64) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let before = resident();
    let store = Kvds::disk(directory.path(), false)?;
    let pairs = bytes / VALUE as u64;
    let mut value = vec![b'v'; VALUE];
    let mut most = 0;
    let start = Instant::now();
    for number in 0..pairs {
        let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        for (index, chunk) in value[..VALUE / 2].chunks_mut(8).enumerate() {
            chunk.copy_from_slice(
                &(mixed ^ (index as u64)).wrapping_mul(0xD6E8_FEB8_6659_FD93).to_le_bytes(),
            );
        }
        store.set(format!("user{mixed:016x}").as_bytes(), &value);
        if number % 1000 == 0 {
            most = most.max(resident());
            if number % (pairs / 50 + 1) == 0 && std::io::stderr().is_terminal() {
                eprint!("\rload {:3}%", number * 100 / pairs);
                let _ = std::io::stderr().flush();
            }
        }
    }
    for number in (0..pairs).step_by(16) {
        store.get(format!("user{:016x}", number.wrapping_mul(0x9E37_79B9_7F4A_7C15)).as_bytes());
    }
    most = most.max(resident());
    let seconds = start.elapsed().as_secs_f64();
    let grown = most.saturating_sub(before);
    eprint!("\r");
    println!(
        "load of {} MiB into a disk store with default options: resident memory grew by up to \
         {} MiB, {} MiB are documented. {seconds:.0} s",
        bytes / MIB,
        grown / MIB,
        BOUND / MIB,
    );
    println!("{}", if grown <= BOUND { "within the bound" } else { "OVER THE BOUND" });
    Ok(())
}
