//! The forms of a dump: JSON lines, the text of `mdb_dump`, and a binary form.
//!
//! The binary form begins with [`MAGIC`]. Each pair is the byte 1, the lengths of key and value
//! (32 bits each) and the bytes of both; for a pair that expires, the byte is 2, and the time in
//! milliseconds since 1970 (64 bits) comes before the lengths. The end is the byte 0, the number
//! of pairs (64 bits) and the CRC-32 of everything before it. Numbers are little-endian.

use std::io::{self, BufRead, Read};

use crate::args::DumpFormat;
use crate::failure::{Failure, Result};
use crate::input;
use crate::output::Output;
use crate::text;

const MAGIC: &[u8] = b"KVDSDUMP1\n";
const MDB_BEGIN: &[u8] = b"VERSION=";
const END: u8 = 0;
const PAIR: u8 = 1;
const EXPIRING: u8 = 2;

const MAX_KEY: u32 = 64 << 10;
const MAX_VALUE: u32 = 1 << 30;
/// A little more than the longest value in base64, so that input without lines is refused before
/// it fills the memory.
const MAX_LINE: u64 = 3 << 29;

/// Writes a dump.
pub struct Writer {
    out: Output,
    format: DumpFormat,
    pairs: u64,
    checksum: crc32fast::Hasher,
}

impl Writer {
    pub fn new(out: Output, format: DumpFormat) -> Result<Writer> {
        let mut writer = Writer { out, format, pairs: 0, checksum: crc32fast::Hasher::new() };
        match format {
            DumpFormat::Json => {}
            DumpFormat::Mdb => {
                writer.out.write(b"VERSION=3\nformat=bytevalue\ntype=btree\nHEADER=END\n")?;
            }
            DumpFormat::Binary => writer.summed(MAGIC)?,
        }
        Ok(writer)
    }

    /// Writes a pair that expires at `expires`, in milliseconds since 1970, if it does.
    pub fn pair(&mut self, key: &[u8], value: &[u8], expires: Option<u64>) -> Result<()> {
        self.pairs += 1;
        match self.format {
            DumpFormat::Json => self.out.with_line(|line| {
                line.push(b'{');
                text::json_member("key", key, line);
                line.push(b',');
                text::json_member("value", value, line);
                if let Some(expires) = expires {
                    line.extend_from_slice(format!(",\"expires_ms\":{expires}").as_bytes());
                }
                line.push(b'}');
            }),
            DumpFormat::Mdb => {
                for bytes in [key, value] {
                    self.out.with_line(|line| {
                        line.push(b' ');
                        text::hex(bytes, line);
                    })?;
                }
                Ok(())
            }
            DumpFormat::Binary => {
                match expires {
                    None => self.summed(&[PAIR])?,
                    Some(expires) => {
                        self.summed(&[EXPIRING])?;
                        self.summed(&expires.to_le_bytes())?;
                    }
                }
                for bytes in [key, value] {
                    // The library limits the length of both.
                    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                    self.summed(&len.to_le_bytes())?;
                }
                self.summed(key)?;
                self.summed(value)
            }
        }
    }

    fn summed(&mut self, bytes: &[u8]) -> Result<()> {
        self.checksum.update(bytes);
        self.out.write(bytes)
    }

    /// Writes the end.
    pub fn finish(mut self) -> Result<()> {
        match self.format {
            DumpFormat::Json => {}
            DumpFormat::Mdb => self.out.write(b"DATA=END\n")?,
            DumpFormat::Binary => {
                let (pairs, checksum) = (self.pairs, self.checksum.clone().finalize());
                self.out.write(&[END])?;
                self.out.write(&pairs.to_le_bytes())?;
                self.out.write(&checksum.to_le_bytes())?;
            }
        }
        self.out.finish()
    }
}

/// A pair of a dump.
#[derive(Default)]
pub struct Pair {
    pub key: Vec<u8>,
    pub value: Vec<u8>,
    /// Milliseconds since 1970; `None` for a pair that does not expire.
    pub expires: Option<u64>,
}

/// Reads a dump of any form.
pub struct Reader {
    input: Box<dyn BufRead>,
    name: String,
    format: DumpFormat,
    /// Whether the dump of `mdb_dump` has text with escapes, not hexadecimal digits.
    is_print: bool,
    line: Vec<u8>,
    /// The number of the last line, or of the last pair of the binary form.
    number: u64,
    checksum: crc32fast::Hasher,
}

impl Reader {
    /// Begins to read `input`, which is called `name`, and finds out its form from its beginning.
    pub fn new(input: Box<dyn BufRead>, name: String) -> Result<Reader> {
        let mut reader = Reader {
            input,
            name,
            format: DumpFormat::Json,
            is_print: false,
            line: Vec::new(),
            number: 0,
            checksum: crc32fast::Hasher::new(),
        };
        // A pipe may return less than the beginning, but more than its first byte is not needed.
        let beginning = reader.input.fill_buf();
        let first = beginning.map_err(|cause| input::read_error(&reader.name, &cause))?.first();
        match first {
            Some(&first) if first == MAGIC[0] => {
                let mut magic = vec![0; MAGIC.len()];
                reader.exact(&mut magic)?;
                if magic != MAGIC {
                    return Err(reader.bad("this is no dump that this version can read"));
                }
                reader.format = DumpFormat::Binary;
            }
            Some(&first) if first == MDB_BEGIN[0] => {
                reader.format = DumpFormat::Mdb;
                reader.mdb_header()?;
            }
            _ => {}
        }
        Ok(reader)
    }

    /// Reads the next pair. Returns `false` at the end.
    pub fn next(&mut self, pair: &mut Pair) -> Result<bool> {
        let found = match self.format {
            DumpFormat::Json => self.next_json(pair),
            DumpFormat::Mdb => self.next_mdb(pair),
            DumpFormat::Binary => self.next_binary(pair),
        }?;
        for (what, bytes, most) in [("key", &pair.key, MAX_KEY), ("value", &pair.value, MAX_VALUE)]
        {
            if found && bytes.len() as u64 > most.into() {
                let len = bytes.len();
                return Err(self.bad(&format!("the {what} has {len} bytes; {most} is the most")));
            }
        }
        Ok(found)
    }

    fn is_at_end(&mut self) -> Result<bool> {
        let rest = self.input.fill_buf();
        Ok(rest.map_err(|cause| input::read_error(&self.name, &cause))?.is_empty())
    }

    /// Reports an error in the line that was read last.
    fn bad(&self, text: &str) -> Failure {
        let unit = if self.format == DumpFormat::Binary { "pair" } else { "line" };
        Failure::failed(format!("{}, {unit} {}: {text}", self.name, self.number.max(1)))
    }

    /// Reads a line without its end. Returns `false` at the end of the input.
    fn next_line(&mut self) -> Result<bool> {
        self.line.clear();
        let read = (&mut self.input).take(MAX_LINE).read_until(b'\n', &mut self.line);
        let len = read.map_err(|cause| input::read_error(&self.name, &cause))?;
        if len == 0 {
            return Ok(false);
        }
        self.number += 1;
        if len as u64 == MAX_LINE {
            return Err(self.bad("the line is too long"));
        }
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        }
        Ok(true)
    }

    fn next_json(&mut self, pair: &mut Pair) -> Result<bool> {
        loop {
            if !self.next_line()? {
                return Ok(false);
            }
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        *pair = json_pair(&self.line).map_err(|text| self.bad(&text))?;
        Ok(true)
    }

    fn mdb_header(&mut self) -> Result<()> {
        while self.next_line()? {
            match self.line.trim_ascii_end() {
                b"HEADER=END" => return Ok(()),
                b"VERSION=3" | b"format=bytevalue" => {}
                b"format=print" => self.is_print = true,
                line if line.starts_with(b"VERSION=") => {
                    return Err(self.bad("only dumps of version 3 can be read"));
                }
                line if line.starts_with(b"format=") => {
                    return Err(self.bad("the format must be bytevalue or print"));
                }
                b"duplicates=1" | b"dupsort=1" => {
                    return Err(self.bad("a key of kvds has one value, and this dump has several"));
                }
                // Sizes and flags of the database do not matter here.
                line if line.contains(&b'=') => {}
                _ => return Err(self.bad("this is no line of a header: NAME=VALUE")),
            }
        }
        Err(self.bad("the header does not end"))
    }

    fn next_mdb(&mut self, pair: &mut Pair) -> Result<bool> {
        if !self.next_line()? {
            return Err(self.bad("the dump ends without DATA=END"));
        }
        if self.line.trim_ascii_end() == b"DATA=END" {
            if self.next_line()? {
                return Err(self.bad("only dumps of one database can be read"));
            }
            return Ok(false);
        }
        pair.key = self.mdb_bytes()?;
        if !self.next_line()? || self.line.trim_ascii_end() == b"DATA=END" {
            return Err(self.bad("the key before has no value"));
        }
        pair.value = self.mdb_bytes()?;
        pair.expires = None;
        Ok(true)
    }

    fn mdb_bytes(&self) -> Result<Vec<u8>> {
        let Some(text) = self.line.strip_prefix(b" ") else {
            return Err(self.bad("a line of data begins with a space"));
        };
        let bytes = if self.is_print { mdb_print(text) } else { text::unhex(text) };
        bytes.map_err(|text| self.bad(&text))
    }

    fn next_binary(&mut self, pair: &mut Pair) -> Result<bool> {
        let before = self.checksum.clone();
        let [tag] = self.array()?;
        match tag {
            END => {
                let pairs = u64::from_le_bytes(self.array()?);
                let checksum = u32::from_le_bytes(self.array()?);
                if pairs != self.number || checksum != before.finalize() {
                    return Err(Failure::failed(format!(
                        "{}: the checksum of the dump is not that of its pairs: it is damaged",
                        self.name
                    )));
                }
                if !self.is_at_end()? {
                    return Err(Failure::failed(format!(
                        "{}: the dump has ended, but more follows; load it by itself",
                        self.name
                    )));
                }
                return Ok(false);
            }
            PAIR => pair.expires = None,
            EXPIRING => pair.expires = Some(u64::from_le_bytes(self.array()?)),
            _ => {
                self.number += 1;
                return Err(self.bad("the dump is damaged"));
            }
        }
        self.number += 1;
        let key_len = u32::from_le_bytes(self.array()?);
        let value_len = u32::from_le_bytes(self.array()?);
        if key_len > MAX_KEY || value_len > MAX_VALUE {
            return Err(self.bad("the dump is damaged: a length is too large"));
        }
        for (bytes, len) in [(&mut pair.key, key_len), (&mut pair.value, value_len)] {
            bytes.clear();
            // A damaged length must not take memory that the input does not fill.
            let read = (&mut self.input).take(len.into()).read_to_end(bytes);
            let read = read.map_err(|cause| input::read_error(&self.name, &cause))?;
            if read as u64 != u64::from(len) {
                return Err(self.bad("the dump ends in the middle"));
            }
            self.checksum.update(bytes);
        }
        Ok(true)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        self.exact(&mut array)?;
        Ok(array)
    }

    fn exact(&mut self, bytes: &mut [u8]) -> Result<()> {
        match self.input.read_exact(bytes) {
            Ok(()) => {
                self.checksum.update(bytes);
                Ok(())
            }
            Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.bad("the dump ends in the middle"))
            }
            Err(cause) => Err(input::read_error(&self.name, &cause)),
        }
    }
}

/// Returns the bytes of text as `mdb_dump -p` writes it: `\NN` is a byte, `\\` a backslash.
fn mdb_print(text: &[u8]) -> std::result::Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
        } else if let Some(after) = rest.strip_prefix(b"\\") {
            out.push(b'\\');
            rest = after;
        } else {
            let digits = rest.get(..2).ok_or("a backslash needs two hexadecimal digits")?;
            out.extend_from_slice(&text::unhex(digits)?);
            rest = &rest[2..];
        }
    }
    Ok(out)
}

/// Parses a line of JSON.
fn json_pair(line: &[u8]) -> std::result::Result<Pair, String> {
    let json: serde_json::Value = serde_json::from_slice(line).map_err(|cause| {
        // The parser sees one line and counts it as the first.
        format!("not JSON: {}", cause.to_string().replace(" at line 1 column ", ", column "))
    })?;
    let serde_json::Value::Object(mut members) = json else {
        return Err("not a JSON object".to_owned());
    };
    let mut bytes = |name: &str| {
        let base64 = format!("{name}_base64");
        match (members.remove(name), members.remove(&base64)) {
            (Some(serde_json::Value::String(text)), None) => Ok(text.into_bytes()),
            (None, Some(serde_json::Value::String(text))) => {
                text::unbase64(&text).map_err(|cause| format!("{base64}: {cause}"))
            }
            (None, None) => Err(format!("there is no \"{name}\" and no \"{base64}\"")),
            (Some(_), Some(_)) => Err(format!("there are both \"{name}\" and \"{base64}\"")),
            _ => Err(format!("\"{name}\" is not a string")),
        }
    };
    let (key, value) = (bytes("key")?, bytes("value")?);
    let expires = match members.remove("expires_ms") {
        None | Some(serde_json::Value::Null) => None,
        Some(time) => Some(time.as_u64().ok_or("\"expires_ms\" is not a number of milliseconds")?),
    };
    match members.keys().next() {
        Some(name) => Err(format!("\"{}\" means nothing here", text::shown(name.as_bytes()))),
        None => Ok(Pair { key, value, expires }),
    }
}
