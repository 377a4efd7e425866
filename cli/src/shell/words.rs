//! Splits a line into words, as a shell does, but keeps the escapes of keys and values.
//!
//! Crates that split like a POSIX shell remove backslashes, which `\x00` needs. Here a backslash
//! stays with the character after it, unless it makes a quote or a space part of a word. Between
//! single quotes, each character stands for itself.

/// A word of a line.
#[derive(Debug, PartialEq, Eq)]
pub struct Word {
    /// Where the word begins and ends in the line, with its quotes.
    pub start: usize,
    pub end: usize,
    pub text: Vec<u8>,
    pub is_quoted: bool,
}

/// What a line ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing, a space, or a comment: the next character begins a word.
    Space,
    Word,
    Quote,
    Backslash,
}

/// A line as words.
#[derive(Debug)]
pub struct Line {
    pub words: Vec<Word>,
    pub end: End,
}

impl Line {
    /// Returns whether the command continues in the next line.
    pub fn is_unfinished(&self) -> bool {
        matches!(self.end, End::Quote | End::Backslash)
    }
}

/// Splits `line`, which may contain line breaks between quotes and after backslashes.
pub fn split(line: &[u8]) -> Line {
    if line.trim_ascii_start().starts_with(b"#") {
        return Line { words: Vec::new(), end: End::Space };
    }
    let mut words = Words { words: Vec::new(), is_open: false };
    let mut quote = None;
    let mut at = 0;
    while let Some(&byte) = line.get(at) {
        let mut taken = 1;
        match (quote, byte) {
            (Some(open), _) if byte == open => quote = None,
            (Some(b'\''), _) => words.push(at, &[byte]),
            (_, b'\\') => {
                let Some(&next) = line.get(at + 1) else {
                    return Line { words: words.words, end: End::Backslash };
                };
                taken = 2;
                match next {
                    b'\n' => {}
                    b'"' => words.push(at, b"\""),
                    b'\'' | b' ' if quote.is_none() => words.push(at, &[next]),
                    _ => words.push(at, &[byte, next]),
                }
            }
            (None, b'\'' | b'"') => {
                quote = Some(byte);
                words.push(at, &[]);
                words.mark_quoted();
            }
            (None, b' ' | b'\t' | b'\r' | b'\n') => words.is_open = false,
            _ => words.push(at, &[byte]),
        }
        at += taken;
        words.extend_to(at);
    }
    let end = match (quote, words.is_open) {
        (Some(_), _) => End::Quote,
        (None, true) => End::Word,
        (None, false) => End::Space,
    };
    Line { words: words.words, end }
}

/// The words until now.
struct Words {
    words: Vec<Word>,
    /// Whether the next character continues the last word.
    is_open: bool,
}

impl Words {
    /// Appends to the word that is open, or begins one at `start`.
    fn push(&mut self, start: usize, text: &[u8]) {
        if !self.is_open {
            self.words.push(Word { start, end: start, text: Vec::new(), is_quoted: false });
            self.is_open = true;
        }
        if let Some(word) = self.words.last_mut() {
            word.text.extend_from_slice(text);
        }
    }

    fn mark_quoted(&mut self) {
        if let Some(word) = self.words.last_mut() {
            word.is_quoted = true;
        }
    }

    fn extend_to(&mut self, end: usize) {
        if let (true, Some(word)) = (self.is_open, self.words.last_mut()) {
            word.end = end;
        }
    }
}

/// Returns `text`, whose backslashes are escapes, as a word of a line.
pub fn quote(text: &str) -> String {
    let is_special = |char: char| char.is_ascii_whitespace() || matches!(char, '\'' | '"');
    if !text.is_empty() && !text.contains(is_special) {
        return text.to_owned();
    }
    if !text.contains('\'') {
        return format!("'{text}'");
    }
    format!("\"{}\"", text.replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> (Vec<String>, End) {
        let line = split(line.as_bytes());
        let text = |word: Word| String::from_utf8(word.text).unwrap();
        (line.words.into_iter().map(text).collect(), line.end)
    }

    #[test]
    fn words_of_lines() {
        let cases: [(&str, &[&str], End); 20] = [
            ("", &[], End::Space),
            ("  \t ", &[], End::Space),
            ("get ada", &["get", "ada"], End::Word),
            ("get ada ", &["get", "ada"], End::Space),
            (r"set a\x00b \xff", &["set", r"a\x00b", r"\xff"], End::Word),
            (r"set a\\ b", &["set", r"a\\", "b"], End::Word),
            (r"set a\ b c", &["set", "a b", "c"], End::Word),
            (r#"set 'a b' "c d""#, &["set", "a b", "c d"], End::Word),
            (r#"set 'a\' "b\\""#, &["set", r"a\", r"b\\"], End::Word),
            (r#"set "a\"b" 'a"b' it\'s"#, &["set", "a\"b", "a\"b", "it's"], End::Word),
            (r#"set "it's" \""#, &["set", "it's", "\""], End::Word),
            (r#"set '' """#, &["set", "", ""], End::Word),
            ("set a'b c'd", &["set", "ab cd"], End::Word),
            ("set 'a", &["set", "a"], End::Quote),
            ("set 'a\nb'", &["set", "a\nb"], End::Word),
            ("set \"a\nb\" \\\n c", &["set", "a\nb", "c"], End::Word),
            ("set a\\", &["set", "a"], End::Backslash),
            ("set ab\\\ncd", &["set", "abcd"], End::Word),
            (" # it's a comment", &[], End::Space),
            ("set # x", &["set", "#", "x"], End::Word),
        ];
        for (line, words, end) in cases {
            let words: Vec<String> = words.iter().copied().map(str::to_owned).collect();
            assert_eq!(texts(line), (words, end), "{line}");
        }
    }

    #[test]
    fn words_know_their_places() {
        let line = r"get 'a b'c  \x00";
        let places: Vec<&str> =
            split(line.as_bytes()).words.iter().map(|word| &line[word.start..word.end]).collect();
        assert_eq!(places, ["get", "'a b'c", r"\x00"]);
    }

    #[test]
    fn quoted_text_is_one_word() {
        let texts = ["", "ada", "a b", "it's", "\"", "a'b\"c d", r"\x00", r#"\\"' "#, r"\\", "-x"];
        for text in texts {
            let line = split(format!("get {} x", quote(text)).as_bytes());
            let words: Vec<&[u8]> = line.words.iter().map(|word| word.text.as_slice()).collect();
            assert_eq!(words, [b"get", text.as_bytes(), b"x"], "{}", quote(text));
        }
    }
}
