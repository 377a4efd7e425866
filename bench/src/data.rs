//! Keys and values, and random choices of them. They are computed when needed: reading a table of
//! keys from memory would be measured too.

use std::ops::Deref;
use std::sync::atomic::{AtomicU8, Ordering};

use serde::{Deserialize, Serialize};

/// A bijection that looks random (the last steps of splitmix64).
pub fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

/// The contents of a store: the number and length of keys, and the length of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data {
    pub keys: u64,
    pub key_len: usize,
    pub value_len: usize,
}

/// The length of "user" and 16 hex digits.
pub const LONG_KEY: usize = 20;
/// The length of a 64-bit number.
pub const SHORT_KEY: usize = 8;

/// Keys from this number on are never written. Misses read them.
const NEVER: u64 = 1 << 48;

/// A key, in place.
#[derive(Clone, Copy)]
pub struct Key {
    bytes: [u8; LONG_KEY],
    len: usize,
}

impl Deref for Key {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

const HEX: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    table
};

impl Data {
    /// Keys of 20 bytes, values of 100.
    pub fn usual(keys: u64) -> Data {
        Data { keys, key_len: LONG_KEY, value_len: 100 }
    }

    /// Returns the key of a number. Neighboring numbers are far apart in key order.
    pub fn key(&self, number: u64) -> Key {
        self.mixed_key(mix(number))
    }

    /// Returns an absent key.
    pub fn missing(&self, number: u64) -> Key {
        self.key(NEVER + number)
    }

    /// Returns the key of a mixed number.
    pub fn mixed_key(&self, mixed: u64) -> Key {
        let mut bytes = *b"user0000000000000000";
        if self.key_len == SHORT_KEY {
            bytes[..SHORT_KEY].copy_from_slice(&mixed.to_be_bytes());
        } else {
            for (pair, byte) in bytes[4..].chunks_exact_mut(2).zip(mixed.to_be_bytes()) {
                pair.copy_from_slice(&HEX[usize::from(byte)]);
            }
        }
        Key { bytes, len: self.key_len }
    }

    /// Returns the mixed numbers in key order.
    pub fn sorted(&self) -> Vec<u64> {
        let mut mixed: Vec<_> = (0..self.keys).map(mix).collect();
        mixed.sort_unstable();
        mixed
    }

    /// Fills `value` with a version of a number's value. One half compresses, the other does not.
    pub fn value(&self, number: u64, version: u8, value: &mut Vec<u8>) {
        let number = number ^ (u64::from(version) << 40);
        value.resize(self.value_len, b'v');
        for (index, word) in value[..self.value_len / 2].chunks_mut(8).enumerate() {
            let bytes = mix(number.wrapping_add((index as u64) << 56)).to_le_bytes();
            word.copy_from_slice(&bytes[..word.len()]);
        }
    }

    /// Returns a prefix of a key that about 250 keys share, and their average number.
    pub fn prefix_len(&self) -> usize {
        let apart =
            |digits: &u32| (self.keys as f64 / 16_f64.powi(*digits as i32) / 250.0).ln().abs();
        let digits = (0..=8).min_by(|one, other| apart(one).total_cmp(&apart(other))).unwrap_or(0);
        4 + digits as usize
    }

    /// Returns the bytes of all keys and values.
    pub fn bytes(&self) -> u64 {
        self.keys * (self.key_len + self.value_len) as u64
    }
}

/// The version of each key's value, one byte per key.
///
/// So every write changes the value, as a store may leave out one that does not, and a
/// compare-and-swap knows the expected value.
pub struct Versions(Vec<AtomicU8>);

impl Versions {
    pub fn new(keys: u64) -> Versions {
        Versions::from(keys, 0)
    }

    /// All keys begin with `version`.
    pub fn from(keys: u64, version: u8) -> Versions {
        Versions((0..keys).map(|_| AtomicU8::new(version)).collect())
    }

    /// Returns the current version. Keys beyond the data have only one.
    pub fn now(&self, number: u64) -> u8 {
        self.0.get(number as usize).map_or(0, |version| version.load(Ordering::Relaxed))
    }

    /// Returns the version to write.
    pub fn next(&self, number: u64) -> u8 {
        let next =
            self.0.get(number as usize).map(|version| version.fetch_add(1, Ordering::Relaxed));
        next.map_or(0, |before| before.wrapping_add(1))
    }
}

/// A random number generator that costs a multiplication or two.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(mix(seed.wrapping_add(1)))
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.roll()) * u128::from(bound)) >> 64) as u64
    }
}

/// Zipfian ranks with the exponent 0.99, drawn as YCSB draws them: by the method of Gray et al.,
/// "Quickly generating billion-record synthetic databases", 1994. Every draw is fresh.
pub struct Zipfian {
    keys: f64,
    zeta: f64,
    alpha: f64,
    eta: f64,
}

impl Zipfian {
    const THETA: f64 = 0.99;

    pub fn new(keys: u64) -> Zipfian {
        let zeta = |count: u64| (1..=count).map(|rank| (rank as f64).powf(-Self::THETA)).sum();
        let (all, two): (f64, f64) = (zeta(keys), zeta(2));
        let eta = (1.0 - (2.0 / keys as f64).powf(1.0 - Self::THETA)) / (1.0 - two / all);
        Zipfian { keys: keys as f64, zeta: all, alpha: 1.0 / (1.0 - Self::THETA), eta }
    }

    /// Draws a rank. 0 is the most frequent.
    pub fn draw(&self, dice: &mut Dice) -> u64 {
        let uniform = dice.roll() as f64 / u64::MAX as f64;
        let scaled = uniform * self.zeta;
        if scaled < 1.0 {
            0
        } else if scaled < 1.0 + 0.5_f64.powf(Self::THETA) {
            1
        } else {
            let rank = self.keys * (self.eta * uniform - self.eta + 1.0).powf(self.alpha);
            (rank as u64).min(self.keys as u64 - 1)
        }
    }
}

/// Reads all bytes, as a program that uses them does.
pub fn digest(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(8);
    let sum = (&mut words)
        .fold(0, |sum, word| sum ^ u64::from_le_bytes(word.try_into().expect("8 bytes")));
    words.remainder().iter().fold(sum, |sum, byte| sum.rotate_left(8) ^ u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_documented_form_and_order() {
        let data = Data::usual(1000);
        let mut keys: Vec<_> = (0..1000).map(|number| data.key(number).to_vec()).collect();
        keys.sort();
        let sorted: Vec<_> =
            data.sorted().into_iter().map(|mixed| data.mixed_key(mixed).to_vec()).collect();
        assert_eq!(keys, sorted);
        assert!(keys.iter().all(|key| key.len() == 20 && key.starts_with(b"user")));
        assert!(!keys.contains(&data.missing(7).to_vec()));
    }

    #[test]
    fn prefixes_have_about_250_keys() {
        assert_eq!(Data::usual(1_000_000).prefix_len(), 4 + 3);
        assert_eq!(Data::usual(10_000).prefix_len(), 4 + 1);
    }

    #[test]
    fn zipfian_prefers_few() {
        let (zipfian, mut dice) = (Zipfian::new(1_000_000), Dice::new(1));
        let ranks: Vec<_> = (0..1 << 16).map(|_| zipfian.draw(&mut dice)).collect();
        // 1 / zeta of all draws are of the first rank: 6.5 percent.
        let first = ranks.iter().filter(|rank| **rank == 0).count();
        assert!((3_800..4_800).contains(&first), "{first} of 65536");
        // Half of them are among the first 1,500 ranks or so, and the others reach far.
        let frequent = ranks.iter().filter(|rank| **rank < 1_500).count();
        assert!((28_000..38_000).contains(&frequent), "{frequent} of 65536");
        assert!(ranks.iter().any(|rank| *rank > 900_000));
    }
}
