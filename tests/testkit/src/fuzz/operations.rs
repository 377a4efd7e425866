//! Runs programs of writes, snapshots, cursors and scans on both engines and on scopes of them.

use arbitrary::{Result, Unstructured};

use kvds::testing::Disk;

use crate::engines::{self, Make, no_lease};
use crate::model::{self, Change, Expect, Move, Step};

/// The maximum number of steps: enough for every state, and few enough to read.
const STEPS: usize = 120;

/// The maximum number of compactions. On disk, one takes as long as a thousand other steps.
const COMPACTIONS: usize = 2;

/// The engines. Opening a disk store is slow, so memory comes first and more often.
fn every_engine() -> [Make; 6] {
    let (third, scope) = if Disk::available().is_ok() {
        (engines::disk as Make, engines::disk_scope as Make)
    } else {
        (engines::memory as Make, engines::memory_scope as Make)
    };
    [engines::memory, engines::memory_scope, engines::memory, engines::memory_scope, third, scope]
}

/// Runs the program that `data` encodes: the first byte chooses the engine, the others the steps.
pub fn operations(data: &[u8]) {
    let mut bytes = Unstructured::new(data);
    let Ok(engine) = bytes.choose(&every_engine()).copied() else { return };
    let mut steps = Vec::new();
    let mut compactions = 0;
    while !bytes.is_empty() && steps.len() < STEPS {
        match step(&mut bytes) {
            Ok(Step::Compact) if compactions == COMPACTIONS => {}
            Ok(Step::Compact) => {
                compactions += 1;
                steps.push(Step::Compact);
            }
            Ok(step) => steps.push(step),
            Err(_) => break,
        }
    }
    model::run(&engine(no_lease()), &steps);
}

fn step(bytes: &mut Unstructured<'_>) -> Result<Step> {
    Ok(match bytes.int_in_range(0..=15_u8)? {
        0..=4 => Step::Write(some(bytes, 2, expect)?, some(bytes, 4, change)?),
        5 => Step::Snapshot,
        6 => Step::DropSnapshot(pick(bytes)?),
        7 => Step::Get(pick(bytes)?, key(bytes)?),
        8 => Step::Scan(pick(bytes)?, key(bytes)?),
        9 => Step::Cursor(pick(bytes)?, key(bytes)?, end(bytes)?),
        10 => Step::DropCursor(pick(bytes)?),
        11 => Step::Compact,
        _ => Step::Move(pick(bytes)?, go(bytes)?),
    })
}

fn expect(bytes: &mut Unstructured<'_>) -> Result<Expect> {
    Ok(match bytes.int_in_range(0..=2_u8)? {
        0 => Expect::Present(key(bytes)?),
        1 => Expect::Absent(key(bytes)?),
        _ => Expect::Equals(key(bytes)?, value(bytes)?),
    })
}

fn change(bytes: &mut Unstructured<'_>) -> Result<Change> {
    Ok(match bytes.int_in_range(0..=4_u8)? {
        0..=2 => Change::Set(key(bytes)?, value(bytes)?),
        3 => Change::Delete(key(bytes)?),
        _ => Change::DeleteRange(key(bytes)?, end(bytes)?),
    })
}

fn go(bytes: &mut Unstructured<'_>) -> Result<Move> {
    Ok(match bytes.int_in_range(0..=7_u8)? {
        0 => Move::First,
        1 => Move::Last,
        2..=3 => Move::Next,
        4..=5 => Move::Prev,
        _ => Move::Seek(key(bytes)?),
    })
}

/// Returns a short key of few letters, so that keys repeat. Some are longer than the part of a key
/// that the memory engine keeps inline.
fn key(bytes: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let shape = bytes.arbitrary::<u8>()?;
    let letters = [0, b'a', b'b', 0xFF];
    let mut key: Vec<u8> =
        (0..shape % 4).map(|at| letters[usize::from(shape >> (2 + 2 * at) & 3)]).collect();
    if shape % 4 == 3 && shape & 0x80 != 0 {
        let tail = bytes.arbitrary::<u8>()?;
        key.resize(12 + usize::from(tail % 8), b'a');
        key.push(tail);
    }
    Ok(key)
}

/// Returns a value. The lengths are on both sides of the limits where engines change how they keep
/// values.
fn value(bytes: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let byte = bytes.arbitrary::<u8>()?;
    let lens = [0, 1, 7, 8, 100, 1024, 1025, 5000];
    Ok(vec![byte; lens[usize::from(byte % 8)]])
}

fn end(bytes: &mut Unstructured<'_>) -> Result<Option<Vec<u8>>> {
    if bytes.arbitrary()? { key(bytes).map(Some) } else { Ok(None) }
}

fn pick(bytes: &mut Unstructured<'_>) -> Result<usize> {
    bytes.arbitrary::<u8>().map(usize::from)
}

fn some<T>(
    bytes: &mut Unstructured<'_>,
    most: usize,
    one: fn(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    (0..bytes.int_in_range(0..=most)?).map(|_| one(bytes)).collect()
}
