//! Checks the rules of `docs/STYLE.md` that a program can check: line lengths, and words that this
//! project does not use.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::project::{self, Project};

/// The page whose table lists the words.
const STYLE: &str = "docs/STYLE.md";

/// The heading above that table.
const HEADING: &str = "\n## Words that we do not use\n";

const COLUMNS: usize = 100;

/// Files that are not checked, and why. A name that ends in `/` is a directory.
const EXEMPT: [(&str, &str); 9] = [
    ("Cargo.lock", "written by cargo"),
    ("fuzz/Cargo.lock", "written by cargo"),
    ("bindings/node/package-lock.json", "written by npm"),
    ("LICENSE-APACHE", "the text of a license"),
    ("LICENSE-MIT", "the text of a license"),
    ("THIRD-PARTY", "the texts of licenses"),
    ("abi/", "generated; the words come from include/kvds.h"),
    ("bindings/conformance.json", "data: one case per line"),
    ("fuzz/seeds/", "inputs that a fuzzer found"),
];

/// Fails if a tracked text file has a long line or a word of the table.
pub fn check(project: &Project) -> Result<()> {
    let words = words(&project::read(&project.root.join(STYLE))?)?;
    let mut faults = Vec::new();
    for name in tracked(&project.root)? {
        let exempt = |(path, _): &(&str, &str)| {
            if path.ends_with('/') { name.starts_with(path) } else { name == *path }
        };
        let path = project.root.join(&name);
        // A deleted file is tracked until the deletion is committed. A link has its target's text.
        if EXEMPT.iter().any(exempt) || path.is_symlink() || !path.is_file() {
            continue;
        }
        let bytes = std::fs::read(&path).with_context(|| name.clone())?;
        let Ok(text) = String::from_utf8(bytes) else { continue };
        let markdown = name.ends_with(".md");
        faults.extend(long_lines(&text, markdown).map(|(line, length)| {
            format!("{name}:{line}: {length} columns; break the line at {COLUMNS}")
        }));
        if name != STYLE {
            faults.extend(found(&text, &words).into_iter().map(|(line, word)| {
                format!("{name}:{line}: {:?}; write {}", word.phrase, word.instead)
            }));
        }
    }
    if !faults.is_empty() {
        println!("{}", faults.join("\n"));
        bail!("{} lines are not as {STYLE} says", faults.len());
    }
    Ok(())
}

/// A phrase that we do not use, in lower case, and what to write instead.
struct Word {
    phrase: String,
    instead: String,
}

/// Reads the table of words.
fn words(page: &str) -> Result<Vec<Word>> {
    let (_, section) = page
        .split_once(HEADING)
        .with_context(|| format!("{STYLE} has no heading {:?}", HEADING.trim()))?;
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut words = Vec::new();
    // Two rows are the head of the table.
    for row in section.lines().filter(|line| line.starts_with('|')).skip(2) {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [phrases, instead] = cells[..] else { bail!("{STYLE}: not two cells: {row}") };
        for phrase in phrases.split(", ") {
            words.push(Word { phrase: phrase.to_lowercase(), instead: instead.to_owned() });
        }
    }
    ensure!(!words.is_empty(), "{STYLE} has no words under {:?}", HEADING.trim());
    Ok(words)
}

/// Returns the names of all files that git tracks.
fn tracked(root: &Path) -> Result<Vec<String>> {
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output();
    let output = output.context("cannot run git, which lists the files to check")?;
    ensure!(output.status.success(), "git: {}", String::from_utf8_lossy(&output.stderr).trim());
    let names = String::from_utf8(output.stdout)?;
    Ok(names.split_terminator('\0').map(str::to_owned).collect())
}

/// Returns the lines that are too long, as number and length.
///
/// URLs do not count, as they cannot be broken. Neither can rows of Markdown tables.
fn long_lines(text: &str, markdown: bool) -> impl Iterator<Item = (usize, usize)> {
    text.lines().enumerate().filter_map(move |(at, line)| {
        let length = line.chars().count();
        let row = markdown && line.starts_with('|');
        let urls = line.split_whitespace().filter(|word| word.contains("://"));
        let urls: usize = urls.map(|url| url.chars().count()).sum();
        (length - urls > COLUMNS && !row).then_some((at + 1, length))
    })
}

/// Returns the words that a text has, each with its line.
///
/// A phrase is found across the end of a line, also in comments.
fn found<'a>(text: &str, words: &'a [Word]) -> Vec<(usize, &'a Word)> {
    let mut flat = String::new();
    // Where each line begins in the flat text.
    let mut starts = Vec::new();
    for line in text.lines() {
        starts.push(flat.len());
        let line = line.trim_start().trim_start_matches(['/', '!', '*', '#', '-']).trim();
        flat.push_str(&line.to_lowercase());
        flat.push(' ');
    }
    let in_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut found = Vec::new();
    for word in words {
        for (at, _) in flat.match_indices(&word.phrase) {
            let before = flat[..at].chars().next_back();
            let after = flat[at + word.phrase.len()..].chars().next();
            if !before.is_some_and(in_word) && !after.is_some_and(in_word) {
                found.push((starts.partition_point(|start| *start <= at), word));
            }
        }
    }
    found.sort_by_key(|(line, _)| *line);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\n## Words that we do not use\n\n| phrase | write |\n|---|---|\n\
        | blue sky, blue skies | green grass |\n| cloud | sun |\n\n## Names\n| x | y |\n";

    #[test]
    fn a_phrase_is_found_across_lines_and_in_any_case() -> Result<()> {
        let words = words(PAGE)?;
        let text = "a\n    /// A blue\n    /// sky. Cloud\nmy_cloud clouds\n";
        let lines: Vec<_> =
            found(text, &words).into_iter().map(|(line, word)| (line, &word.phrase[..])).collect();
        assert_eq!(lines, [(2, "blue sky"), (3, "cloud")]);
        assert_eq!(words.len(), 3);
        Ok(())
    }

    #[test]
    fn a_long_line_is_found_unless_it_cannot_be_broken() {
        let long = "é".repeat(COLUMNS + 1);
        let text = format!("{}\n{long}\n| {long}\nhttps://{long}\n", "é".repeat(COLUMNS));
        assert_eq!(long_lines(&text, true).collect::<Vec<_>>(), [(2, 101)]);
        assert_eq!(long_lines(&text, false).collect::<Vec<_>>(), [(2, 101), (3, 103)]);
    }
}
