//! What a command does when a disk is full, a file is damaged, or a load ends early.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use common::{LIMIT, is_root, kvds, run, signal};

/// Returns the lines of a dump whose values have some hundred bytes.
///
/// Compression makes half of their size of the values: the digits are random (SplitMix64).
fn lines(numbers: std::ops::Range<u32>) -> String {
    let digits = |seed: u64| {
        let mut mixed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        format!("{:016x}", mixed ^ (mixed >> 31))
    };
    let line = |number| {
        let value: String = (1..=12).map(|part| digits(number * 16 + part)).collect();
        format!("{{\"key\":\"n{number:06}\",\"value\":\"{value}\"}}\n")
    };
    numbers.map(|number| line(u64::from(number))).collect()
}

/// Creates a store whose pairs are in files, not only in the log.
fn store_in_files(dir: &Path, pairs: u32) {
    fs::write(dir.join("in.json"), lines(0..pairs)).unwrap();
    assert_eq!(run(dir, "s load in.json --create").0, 0);
    assert_eq!(run(dir, "s compact").0, 0);
}

fn sst_files(dir: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(dir.join("s")).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "sst")).collect()
}

/// Returns the names in `dir` except the store's.
fn names(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name != "s").collect();
    names.sort();
    names
}

#[test]
fn a_damaged_store_is_reported_with_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    store_in_files(dir, 5000);
    let files = sst_files(dir);
    assert!(!files.is_empty());
    for file in &files {
        let mut bytes = fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        for byte in &mut bytes[middle..middle + 8] {
            *byte ^= 0x55;
        }
        fs::write(file, bytes).unwrap();
    }
    for command in ["count", "dump out.json", "dump out.bin -f binary", "copy t --create"] {
        let (code, _, err) = run(dir, &format!("s {command} --quiet"));
        assert_eq!(code, 3, "{command}: {err}");
        let named =
            files.iter().any(|file| err.contains(file.file_name().unwrap().to_str().unwrap()));
        assert!(named, "{command}: {err}");
    }
    assert_eq!(names(dir), ["in.json", "t"]);
}

#[test]
fn a_truncated_dump_is_never_taken_for_a_whole_one() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    assert_eq!(run(dir, "s set key value --create").0, 0);
    assert_eq!(run(dir, "s set later value --ttl 1h").0, 0);
    assert_eq!(run(dir, "s set other value").0, 0);
    for form in ["mdb", "binary"] {
        assert_eq!(run(dir, &format!("s dump whole -f {form}")).0, 0);
        let whole = fs::read(dir.join("whole")).unwrap();
        // Without its last newline, the text form is whole.
        let end = if form == "mdb" { whole.len() - 1 } else { whole.len() };
        for len in 1..end {
            fs::write(dir.join("part"), &whole[..len]).unwrap();
            let (code, _, err) = run(dir, "t load part --create");
            assert_eq!(code, 3, "{form}, {len} bytes: {err}");
            assert!(err.starts_with("kvds: part"), "{err}");
            assert!(!err.contains("to continue"), "{err}");
        }
        assert_eq!(run(dir, "t load whole").0, 0);
        fs::remove_file(dir.join("whole")).unwrap();
    }
}

#[test]
fn a_bad_line_is_named_in_each_form() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mdb = "VERSION=3\nformat=bytevalue\nHEADER=END\n 61\n 62\n 6x\n 62\nDATA=END\n";
    let binary = b"KVDSDUMP1\n\x01\x01\0\0\0\x01\0\0\0ab\x07";
    let json = "{\"key\":\"a\",\"value\":\"b\"}\n{\"key\":\"a\",\"value\":1}\n";
    let cases: [(&[u8], &str); 3] = [
        (json.as_bytes(), "in, line 2: \"value\" is not a string; loaded 1 pair\n"),
        (mdb.as_bytes(), "in, line 6: \"x\" is no hexadecimal digit; loaded 1 pair\n"),
        (binary, "in, pair 2: the dump is damaged; loaded 1 pair\n"),
    ];
    for (input, expected) in cases {
        fs::write(dir.join("in"), input).unwrap();
        let (code, _, err) = run(dir, "s load in --create");
        assert_eq!((code, err), (3, format!("kvds: {expected}")));
        assert_eq!(run(dir, "s scan").1, "a\tb\n");
    }
}

/// Runs the command that `message` names.
fn run_named(dir: &Path, message: &str, input: Stdio) -> String {
    let (_, line) = message.trim_end().rsplit_once(": ").unwrap();
    assert!(line.ends_with("--resume"), "{line}");
    // The same environment.
    let mut command = kvds(dir, "");
    let environment: Vec<_> = command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect();
    command = Command::new("sh");
    command.args(["-c", line]).current_dir(dir).envs(environment).stdin(input);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

/// Returns the number after `word` in `text`.
fn number_after(text: &str, word: &str) -> u32 {
    let (_, rest) = text.split_once(word).unwrap_or_else(|| panic!("{text}"));
    rest.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn an_interrupted_load_continues() {
    const PAIRS: u32 = 5500;
    for name in ["INT", "KILL"] {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        fs::write(dir.join("in.json"), lines(0..PAIRS)).unwrap();
        // The load waits for the rest of its input when the signal comes.
        let mut load = kvds(dir, "s load --create").spawn().unwrap();
        load.stdin.as_mut().unwrap().write_all(lines(0..3500).as_bytes()).unwrap();
        let start = Instant::now();
        while !run(dir, "s exists n002999 --quiet").0.eq(&0) {
            assert!(start.elapsed() < LIMIT, "the load does not begin");
        }
        signal(&load, name);
        let code = load.wait().unwrap().code();
        let mut message = String::new();
        load.stderr.take().unwrap().read_to_string(&mut message).unwrap();
        let rest = if name == "INT" {
            assert_eq!(code, Some(130));
            assert!(message.contains("; to continue, run this with the same input: "));
            let input = fs::File::open(dir.join("in.json")).unwrap();
            run_named(dir, &message, input.into())
        } else {
            assert_eq!((code, message.as_str()), (None, ""));
            run(dir, "s load in.json --resume").2
        };
        let (loaded, left_out) = (number_after(&rest, "loaded "), number_after(&rest, "left out "));
        assert!((3000..=3500).contains(&left_out), "{rest}");
        assert_eq!(loaded + left_out, PAIRS);
        assert_eq!(run(dir, "s dump").1, lines(0..PAIRS));
    }
}

/// A small file system in memory, which only root can mount.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new(size: &str) -> Option<SmallDisk> {
        let dir = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "kvds-test"]).arg(dir.path());
        match is_root() && mount.status().is_ok_and(|status| status.success()) {
            true => Some(SmallDisk(dir)),
            false => {
                eprintln!("skipped: a file system cannot be mounted");
                None
            }
        }
    }

    fn resize(&self, size: &str) {
        let options = format!("remount,size={size}");
        let status = Command::new("mount").args(["-o", &options]).arg(self.0.path()).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_load_continues_when_a_full_disk_has_space_again() {
    // More than fits, also if the tables are compressed before the log is full.
    const PAIRS: u32 = 150_000;
    let Some(disk) = SmallDisk::new("12M") else { return };
    let elsewhere = tempfile::tempdir().unwrap();
    let input = elsewhere.path().join("in.json");
    fs::write(&input, lines(0..PAIRS)).unwrap();
    let dir = disk.0.path();
    let (code, _, err) = run(dir, &format!("s load {} --create", input.display()));
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("No space left on device"), "{err}");
    assert!(err.contains("; to continue, run: "), "{err}");
    disk.resize("200M");
    let rest = run_named(dir, &err, Stdio::null());
    let (loaded, left_out) = (number_after(&rest, "loaded "), number_after(&rest, "left out "));
    assert!(left_out >= 1000, "{rest}");
    assert_eq!(loaded + left_out, PAIRS);
    assert_eq!(run(dir, "s dump").1, lines(0..PAIRS));
}

#[test]
fn a_dump_to_a_full_disk_leaves_no_file() {
    let Some(disk) = SmallDisk::new("1M") else { return };
    let dir = tempfile::tempdir().unwrap();
    store_in_files(dir.path(), 10_000);
    for form in ["json", "mdb", "binary"] {
        let target = disk.0.path().join("out");
        let (code, _, err) = run(dir.path(), &format!("s dump {} -f {form}", target.display()));
        assert_eq!(code, 3, "{err}");
        let expected =
            format!("kvds: {}: No space left on device (os error 28)\n", target.display());
        assert_eq!(err, expected);
        assert_eq!(fs::read_dir(disk.0.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_store_that_does_not_exist_is_named_and_not_created() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for command in ["get a", "set a b", "del a", "scan", "count", "dump out", "load /dev/null"] {
        let (code, out, err) = run(dir, &format!("none {command}"));
        assert_eq!((code, out.as_str()), (3, ""), "{command}");
        assert!(err.starts_with("kvds: there is no store \"none\" in ."), "{command}: {err}");
    }
    assert!(names(dir).is_empty());
}
