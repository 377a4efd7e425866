//! The memory of long jobs does not grow with the pairs of the store.
//!
//! The library keeps the indexes and filters of its files in memory, some MiB for each GB.
//!
//! The stores need 1 GB of disk and some minutes, so this runs only with `KVDS_TEST_MEMORY=1`.

mod common;

use std::io::Write;
use std::path::Path;
use std::process::Command;

use common::kvds;

const VALUE: usize = 1000;
const MIB: u64 = 1 << 20;

/// Runs `command`, and returns the most memory that it had resident, in bytes.
// `wait4` waits for the child, and returns its memory too.
#[allow(clippy::zombie_processes)]
fn peak(mut command: Command, input: impl FnOnce(&mut dyn Write)) -> u64 {
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::inherit());
    let mut child = command.spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    input(&mut std::io::BufWriter::new(stdin));
    let pid = child.id().cast_signed();
    let mut status = 0;
    // SAFETY: zeros are a valid `rusage`.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid, and the child is not waited for elsewhere.
    let waited = unsafe { libc::wait4(pid, &mut status, 0, &mut usage) };
    assert_eq!(waited, pid);
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "status {status}");
    usage.ru_maxrss.cast_unsigned() * 1024
}

/// Writes lines of a dump with values that do not compress well.
fn write_lines(out: &mut dyn Write, pairs: usize) {
    let mut state = 1_u64;
    let mut value = String::new();
    for number in 0..pairs {
        value.clear();
        while value.len() < VALUE {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            value += &format!("{state:016x}");
        }
        writeln!(out, "{{\"key\":\"{number:09}\",\"value\":\"{value}\"}}").unwrap();
    }
}

/// Returns the peaks of all jobs with a store of `pairs`.
fn peaks(dir: &Path, pairs: usize) -> Vec<(&'static str, u64)> {
    let mut peaks = Vec::new();
    let load = peak(kvds(dir, "s load --create -q"), |out| write_lines(out, pairs));
    peaks.push(("load", load));
    let jobs = [
        "s dump file -f binary -q",
        "s copy t --create -q",
        "s diff t",
        "t load file --resume -q",
        "u load file --create -q",
        "s dump /dev/null -q",
    ];
    for job in jobs {
        peaks.push((job, peak(kvds(dir, job), |_| ())));
    }
    peaks
}

#[test]
fn memory_does_not_grow_with_the_store() {
    if std::env::var_os("KVDS_TEST_MEMORY").is_none() {
        eprintln!("skipped: KVDS_TEST_MEMORY is not set");
        return;
    }
    // Both are larger than the buffers and the cache of a command.
    let [small, large] = [120_000, 240_000].map(|pairs| {
        let dir = tempfile::tempdir().unwrap();
        peaks(dir.path(), pairs)
    });
    for ((job, small), (_, large)) in small.into_iter().zip(large) {
        eprintln!("{job}: {} MiB, {} MiB", small / MIB, large / MIB);
        assert!(large < 150 * MIB, "{job}: {} MiB", large / MIB);
        // The stores differ by 120 MB. The memory of a command also depends on the compactions
        // that run beside it.
        assert!(large < small + 40 * MIB, "{job}: {} and {} MiB", small / MIB, large / MIB);
    }
}
