//! Pairs come back as they were: through dumps of each form, pipes, copies, clusters and LMDB.
//!
//! The stores are random, with fixed seeds, and the expected pairs are kept in the test.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use common::{Etcd, kvds, run};

/// The value of a key, and when it expires in milliseconds since 1970.
type Pairs = BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)>;

const FORMS: [&str; 3] = ["json", "mdb", "binary"];
const SEEDS: std::ops::Range<u64> = 1..4;
const MINUTE_MS: u64 = 60_000;

/// How exactly a store keeps times to live.
#[derive(Clone, Copy, PartialEq)]
enum Times {
    Kept,
    /// A cluster keeps a key up to a tenth longer.
    Longer,
    /// The form of the dump has none.
    Lost,
}

impl Times {
    fn of(form: &str) -> Times {
        if form == "mdb" { Times::Lost } else { Times::Kept }
    }
}

/// Numbers that are the same for the same seed (xorshift64*).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }

    /// Returns any bytes, or bytes of which most mean something in one of the forms.
    fn bytes(&mut self, len: u64) -> Vec<u8> {
        const SPECIAL: &[u8] = b"\n\r\t \\\"\0\x7f\xff\xc3\xa9{}:=0aD";
        let any = self.below(2) == 0;
        (0..len)
            .map(|_| match any {
                true => self.below(256) as u8,
                false => SPECIAL[self.below(SPECIAL.len() as u64) as usize],
            })
            .collect()
    }

    fn pairs(&mut self) -> Pairs {
        let now = now_ms();
        let mut pairs = Pairs::new();
        for _ in 0..300 {
            let len = self.below(40);
            let key = self.bytes(len);
            let len = self.below(200);
            let value = self.bytes(len);
            // Far from each other, and in a long time, as the machine may be slow.
            let expires = (self.below(4) == 0).then(|| now + (60 + self.below(900)) * MINUTE_MS);
            pairs.insert(key, (value, expires));
        }
        pairs.insert(Vec::new(), (b"of the empty key".to_vec(), None));
        pairs.insert(b"empty value".to_vec(), (Vec::new(), None));
        pairs.insert(b"two\nlines\n".to_vec(), (b"DATA=END\n".to_vec(), None));
        pairs.insert(self.bytes(500), (b"of a long key".to_vec(), None));
        pairs.insert(b"large".to_vec(), (self.bytes(1 << 20), Some(now + 60 * MINUTE_MS)));
        pairs
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// Runs a command with `input`. Returns its exit code and its output.
fn run_with(mut command: Command, input: &[u8]) -> (i32, Vec<u8>) {
    let mut child = command.stderr(Stdio::inherit()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    (output.status.code().unwrap_or(-1), output.stdout)
}

/// Returns the pairs as lines of JSON, with all bytes in base64.
fn lines(pairs: &Pairs) -> Vec<u8> {
    let mut lines = String::new();
    for (key, (value, expires)) in pairs {
        let (key, value) = (BASE64.encode(key), BASE64.encode(value));
        let line = json!({"key_base64": key, "value_base64": value, "expires_ms": expires});
        lines += &format!("{line}\n");
    }
    lines.into_bytes()
}

/// Loads `pairs` into a new store.
fn create(dir: &Path, store: &str, pairs: &Pairs) {
    let load = kvds(dir, &format!("{store} load --create --quiet"));
    assert_eq!(run_with(load, &lines(pairs)).0, 0);
}

/// Returns the pairs of a store.
fn pairs_of(dir: &Path, store: &str) -> Pairs {
    let (code, out) = run_with(kvds(dir, &format!("{store} dump --quiet")), b"");
    assert_eq!(code, 0);
    let bytes = |line: &Value, name: &str| match &line[name] {
        Value::String(text) => text.clone().into_bytes(),
        _ => BASE64.decode(line[format!("{name}_base64")].as_str().unwrap()).unwrap(),
    };
    let lines = out.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let line: Value = serde_json::from_slice(line).unwrap();
            let expires = line.get("expires_ms").map(|time| time.as_u64().unwrap());
            (bytes(&line, "key"), (bytes(&line, "value"), expires))
        })
        .collect()
}

/// Fails unless the store has exactly these pairs. A time may be wrong by some minutes, as a time
/// to live begins when it is set.
fn assert_pairs(dir: &Path, store: &str, expected: &Pairs, times: Times) {
    const SLACK: u64 = 5 * MINUTE_MS;
    let now = now_ms();
    let actual = pairs_of(dir, store);
    assert!(actual.keys().eq(expected.keys()), "{store} has other keys");
    for (key, (value, expires)) in expected {
        let name = key.escape_ascii();
        let (actual_value, actual_expires) = &actual[key];
        assert!(actual_value == value, "{store}: another value of {name}");
        match (actual_expires, expires.filter(|_| times != Times::Lost)) {
            (Some(actual), Some(expected)) => {
                let longer = if times == Times::Longer { (expected - now) / 8 } else { 0 };
                let allowed = expected - SLACK..=expected + longer + SLACK;
                assert!(allowed.contains(actual), "{store}: the time of {name}");
            }
            (actual, expected) => assert_eq!(*actual, expected, "{store}: the time of {name}"),
        }
    }
}

#[test]
fn through_files_of_each_form() {
    for seed in SEEDS {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let pairs = Random::new(seed).pairs();
        create(dir, "a", &pairs);
        assert_pairs(dir, "a", &pairs, Times::Kept);
        for form in FORMS {
            assert_eq!(run(dir, &format!("a dump {form}.dump --format {form}")).0, 0);
            assert_eq!(run(dir, &format!("{form} load {form}.dump --create")).0, 0);
            assert_pairs(dir, form, &pairs, Times::of(form));
            assert_eq!(run(dir, &format!("a diff {form}")), (0, String::new(), String::new()));
        }
    }
}

#[test]
fn through_pipes() {
    for form in FORMS {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let pairs = Random::new(10).pairs();
        create(dir, "a", &pairs);
        let mut dump = kvds(dir, &format!("a dump --quiet --format {form}")).spawn().unwrap();
        let mut load = kvds(dir, "b load --create --quiet");
        load.stdin(dump.stdout.take().unwrap());
        let load = load.output().unwrap();
        assert!(load.status.success(), "{}", String::from_utf8_lossy(&load.stderr));
        assert!(dump.wait().unwrap().success());
        assert_pairs(dir, "b", &pairs, Times::of(form));
        assert_eq!(run(dir, "b diff a --brief").0, 0);
    }
}

#[test]
fn through_copies() {
    for seed in SEEDS {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let pairs = Random::new(seed + 100).pairs();
        create(dir, "a", &pairs);
        assert_eq!(run(dir, "a copy b --create").0, 0);
        assert_pairs(dir, "b", &pairs, Times::Kept);
        assert_eq!(run(dir, "a copy ./c --other-base elsewhere --create --no-ttl").0, 0);
        assert_eq!(run(dir, "a diff ./c --other-base elsewhere").0, 0);
    }
}

#[test]
fn through_a_cluster() {
    let Some(server) = Etcd::start() else { return };
    let url = server.url();
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let pairs = Random::new(200).pairs();
    create(dir, "a", &pairs);
    assert_eq!(run(dir, &format!("a copy c --other-cluster {url} --create")).0, 0);
    assert_eq!(run(dir, &format!("a diff c --other-cluster {url}")).0, 0);
    let back = run(dir, &format!("--cluster {url} c copy b --other-base . --create"));
    assert_eq!(back.0, 0, "{}", back.2);
    assert_pairs(dir, "b", &pairs, Times::Longer);
    let load = kvds(dir, &format!("--cluster {url} c load --resume --quiet"));
    assert_eq!(run_with(load, &lines(&pairs)).0, 0);
    assert_eq!(run(dir, &format!("a diff c --other-cluster {url}")).0, 0);
}

/// Without the programs of LMDB this shows nothing.
#[test]
fn through_lmdb() {
    if Command::new("mdb_dump").arg("-V").output().is_err() {
        eprintln!("skipped: there is no mdb_dump");
        return;
    }
    for seed in SEEDS {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let mut pairs = Random::new(seed + 300).pairs();
        // LMDB has no empty key, and `mdb_dump -p` of some versions does not escape a backslash.
        let backslash = |bytes: &[u8]| bytes.contains(&b'\\');
        pairs.retain(|key, (value, _)| !key.is_empty() && !backslash(key) && !backslash(value));
        assert!(pairs.len() > 50);
        create(dir, "a", &pairs);
        let (code, dump) = run_with(kvds(dir, "a dump --quiet --format mdb"), b"");
        assert_eq!(code, 0);
        // The default size of a database is too small for these.
        let text = String::from_utf8(dump).unwrap();
        let text = text.replacen("HEADER=END", "mapsize=16777216\nHEADER=END", 1);
        let lmdb = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.args(arguments).current_dir(dir);
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            command
        };
        assert_eq!(run_with(lmdb("mdb_load", &["-n", "lmdb"]), text.as_bytes()).0, 0);
        for (store, arguments) in [("b", &["-n", "lmdb"][..]), ("c", &["-p", "-n", "lmdb"])] {
            let (code, dump) = run_with(lmdb("mdb_dump", arguments), b"");
            assert_eq!(code, 0);
            let load = kvds(dir, &format!("{store} load --create --quiet"));
            assert_eq!(run_with(load, &dump).0, 0);
            assert_pairs(dir, store, &pairs, Times::Lost);
        }
    }
}

#[test]
fn one_changed_byte_is_a_difference() {
    for seed in SEEDS {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let mut random = Random::new(seed + 400);
        let pairs = random.pairs();
        create(dir, "a", &pairs);
        assert_eq!(run(dir, "a copy b --create --quiet").0, 0);
        assert_eq!(run(dir, "a diff b").0, 0);
        let mut changed = pairs["large".as_bytes()].0.clone();
        let at = random.below(changed.len() as u64) as usize;
        changed[at] ^= 1 << random.below(8);
        fs::write(dir.join("changed"), &changed).unwrap();
        assert_eq!(run(dir, "b set large @changed").0, 0);
        assert_eq!(run(dir, "a diff b --brief").0, 1);
        let (code, out, _) = run(dir, "a diff b --hex");
        assert_eq!(code, 1);
        let signs: Vec<_> = out.lines().map(|line| line.split('\t').next().unwrap()).collect();
        assert_eq!(signs, ["- 6c61726765", "+ 6c61726765"]);
    }
}
