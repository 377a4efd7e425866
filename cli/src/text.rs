//! Keys and values as text: escapes, hexadecimal digits, base64 and JSON.
//!
//! Escaped text is one line without control characters. So a terminal shows it as it is, a tab
//! separates a key from its value, and every key can be pasted back as an argument.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::ValueEnum;

/// How bytes are written in arguments and in the output.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// As they are where they are printable UTF-8, and escaped elsewhere.
    Text,
    /// Hexadecimal digits.
    Hex,
    /// Base64.
    Base64,
    /// Each result is a JSON object in a line of its own. Arguments are text.
    Json,
}

impl Form {
    /// Appends `bytes` in this form. JSON has forms for whole lines only: see [`json_member`].
    pub fn write(self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Form::Text | Form::Json => escape(bytes, out),
            Form::Hex => hex(bytes, out),
            Form::Base64 => out.extend_from_slice(BASE64.encode(bytes).as_bytes()),
        }
    }

    /// Returns the bytes that `text` means in this form.
    pub fn read(self, text: &[u8]) -> Result<Vec<u8>, String> {
        match self {
            Form::Text | Form::Json => unescape(text),
            Form::Hex => unhex(text),
            Form::Base64 => BASE64.decode(text).map_err(|cause| format!("not base64: {cause}")),
        }
    }
}

/// Returns `bytes` as escaped text, for messages.
pub fn shown(bytes: &[u8]) -> String {
    let mut out = Vec::new();
    escape(bytes, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// Appends `bytes` as escaped text.
pub fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.utf8_chunks() {
        for (at, char) in chunk.valid().char_indices() {
            let char_bytes = &chunk.valid().as_bytes()[at..at + char.len_utf8()];
            match char {
                '\\' => out.extend_from_slice(b"\\\\"),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\t' => out.extend_from_slice(b"\\t"),
                char if is_printable(char) => out.extend_from_slice(char_bytes),
                _ => char_bytes.iter().for_each(|&byte| escape_byte(byte, out)),
            }
        }
        chunk.invalid().iter().for_each(|&byte| escape_byte(byte, out));
    }
}

fn escape_byte(byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\x");
    hex(&[byte], out);
}

/// Returns whether a terminal shows `char` and nothing else happens.
fn is_printable(char: char) -> bool {
    // Characters without a shape, and those that turn the direction of what follows.
    let is_format = matches!(
        char,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
    );
    !char.is_control() && !is_format
}

/// Returns the bytes that escaped text means.
pub fn unescape(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some((&kind, after)) = rest.split_first() else {
            return Err("a single backslash at the end; write \\\\ for a backslash".to_owned());
        };
        rest = after;
        out.push(match kind {
            b'\\' => b'\\',
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'x' => {
                let digits = rest.get(..2).and_then(|digits| unhex(digits).ok());
                let Some(&[byte]) = digits.as_deref() else {
                    return Err("\\x needs two hexadecimal digits".to_owned());
                };
                rest = &rest[2..];
                byte
            }
            other => {
                return Err(format!(
                    "\\{} is no escape; there are \\\\ \\n \\r \\t and \\xNN",
                    shown(&[other])
                ));
            }
        });
    }
    Ok(out)
}

/// Appends `bytes` as hexadecimal digits.
pub fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

/// Returns the bytes that hexadecimal digits mean.
pub fn unhex(text: &[u8]) -> Result<Vec<u8>, String> {
    if text.len() % 2 == 1 {
        return Err("an odd number of hexadecimal digits".to_owned());
    }
    let digit = |byte: u8| {
        let digit = char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        digit.ok_or_else(|| format!("\"{}\" is no hexadecimal digit", shown(&[byte])))
    };
    text.chunks_exact(2).map(|pair| Ok(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// Returns bytes that base64 means.
pub fn unbase64(text: &str) -> Result<Vec<u8>, String> {
    Form::Base64.read(text.as_bytes())
}

/// Appends `"name":"bytes"`, or `"name_base64":"..."` if the bytes are not UTF-8.
pub fn json_member(name: &str, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            out.extend_from_slice(b"\":");
            out.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
        }
        Err(_) => {
            out.extend_from_slice(b"_base64\":\"");
            out.extend_from_slice(BASE64.encode(bytes).as_bytes());
            out.push(b'"');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_text_means_the_same_bytes() {
        let cases: [(&[u8], &str); 9] = [
            (b"ada", "ada"),
            (b"", ""),
            (b"a\\b", "a\\\\b"),
            (b"a\tb\nc\r", "a\\tb\\nc\\r"),
            (b"\0\xff", "\\x00\\xff"),
            ("zażółć 🦀".as_bytes(), "zażółć 🦀"),
            ("\u{202e}x".as_bytes(), "\\xe2\\x80\\xaex"),
            (b"\x1b[2J", "\\x1b[2J"),
            (b"ok\xc3", "ok\\xc3"),
        ];
        for (bytes, text) in cases {
            assert_eq!(shown(bytes), text);
            assert_eq!(unescape(text.as_bytes()).unwrap(), bytes, "{text}");
        }
        let all: Vec<u8> = (0..=255).collect();
        for form in [Form::Text, Form::Hex, Form::Base64] {
            let mut out = Vec::new();
            form.write(&all, &mut out);
            assert_eq!(form.read(&out).unwrap(), all);
        }
    }

    #[test]
    fn text_that_is_no_escape_is_refused() {
        for text in ["\\", "\\q", "\\x", "\\x1", "\\xgg", "\\x+1"] {
            assert!(unescape(text.as_bytes()).is_err(), "{text}");
        }
        assert!(unhex(b"abc").is_err());
        assert!(unhex(b"ag").is_err());
        assert!(unbase64("a").is_err());
    }

    #[test]
    fn json_has_base64_for_what_is_not_utf_8() {
        let mut out = Vec::new();
        json_member("key", b"a\"b", &mut out);
        json_member("value", b"\xff", &mut out);
        assert_eq!(out, br#""key":"a\"b""value_base64":"/w==""#);
    }
}
