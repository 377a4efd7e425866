//! Composes `include/kvds.h`, with one run of cbindgen per section.
//!
//! The public modules of `src/ffi/mod.rs`, in their order, are the sections. A section has a banner
//! with the title and text of the module's documentation. Declarations keep the order of the Rust
//! source, so that types and constants are beside the functions that use them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::parse;

/// The widest line of the header.
const COLUMNS: usize = 100;

/// Returns the text of the header.
pub fn compose(root: &Path) -> Result<String> {
    let ffi = root.join("src/ffi");
    let mut header = fs::read_to_string(ffi.join("prologue.h")).context("src/ffi/prologue.h")?;
    header.push_str(parse::EXTERN_C);
    for (number, id) in sections(&fs::read_to_string(ffi.join("mod.rs"))?).into_iter().enumerate() {
        let path = ffi.join(format!("{id}.rs"));
        let source = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let (title, text) =
            module_doc(&source).with_context(|| format!("{} has no title", path.display()))?;
        header.push_str(&banner(&id, FIRST_SECTION + number, &title, &text));
        header.push_str(&declarations(root, &path, &source)?);
        header.push_str("\n/** @} */\n");
    }
    header.push_str(&format!("\n{}\n#endif\n", parse::EXTERN_C_END));
    let header = short_comments(&header);
    let long: Vec<_> = header.lines().filter(|line| line.chars().count() > COLUMNS).collect();
    ensure!(
        long.is_empty(),
        "lines of the header have more than {COLUMNS} columns:\n{}",
        long.join("\n")
    );
    Ok(header)
}

/// The overview is section 1 and the conventions are section 2: both stand in prologue.h.
const FIRST_SECTION: usize = 3;

/// Returns the public modules of `src/ffi/mod.rs`.
fn sections(module: &str) -> Vec<String> {
    let names = module.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

/// Returns the title and the text of a module's documentation.
fn module_doc(source: &str) -> Option<(String, Vec<String>)> {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    let mut lines = lines.map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned());
    let title = lines.next()?.trim_end_matches('.').to_owned();
    let text = lines.skip_while(|line| line.is_empty());
    Some((title, text.collect()))
}

fn banner(id: &str, number: usize, title: &str, text: &[String]) -> String {
    let rule = "=".repeat(COLUMNS - 7);
    let mut banner = format!("\n/* {rule} */\n/** @defgroup {id} {number}. {title}\n");
    if !text.is_empty() {
        banner.push_str(" *\n");
    }
    for line in text {
        banner.push_str(format!(" * {line}").trim_end());
        banner.push('\n');
    }
    banner.push_str(" * @{\n */\n");
    banner
}

/// Returns cbindgen's declarations of one file, in the order of its source.
fn declarations(root: &Path, path: &Path, source: &str) -> Result<String> {
    let mut config =
        cbindgen::Config::from_file(root.join("cbindgen.toml")).map_err(anyhow::Error::msg)?;
    // cbindgen leaves out types that no function of the same file uses.
    config.export.include = public_types(source);
    let mut text = Vec::new();
    let builder = cbindgen::Builder::new().with_config(config).with_src(path);
    builder.generate().with_context(|| path.display().to_string())?.write(&mut text);
    let text = String::from_utf8(text)?;
    let mut found = Vec::new();
    for (comment, code) in parse::documented(&text)? {
        let name = parse::declared_name(&code)?;
        let Some(place) = place_of(source, &name) else {
            bail!("{}: there is no {name}", path.display())
        };
        let Some(comment) = comment else {
            bail!("{}: {name} has no documentation", path.display())
        };
        found.push((place, comment, code));
    }
    found.sort_by_key(|(place, ..)| *place);
    let mut declarations = String::new();
    let mut follows_constant = false;
    for (_, comment, code) in found {
        let is_constant = code.starts_with("#define");
        // No empty line between constants of one line each.
        if !(is_constant && follows_constant && comment.lines().count() <= 3) {
            declarations.push('\n');
        }
        follows_constant = is_constant;
        declarations.push_str(&comment);
        declarations.push('\n');
        declarations.push_str(&in_house_style(&code));
        declarations.push('\n');
    }
    Ok(declarations)
}

/// Returns the text with each doc comment of one line on one line.
fn short_comments(header: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in header.lines() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let opens = format!("{}/**", &indent[..indent.len().saturating_sub(1)]);
        let is_short = match &lines[..] {
            [.., open, text] if line.trim_start() == "*/" => {
                *open == opens && text.len() + 3 <= COLUMNS && text.trim_start().starts_with("* ")
            }
            _ => false,
        };
        match (is_short, lines.pop()) {
            (true, Some(text)) => {
                lines.pop();
                lines.push(format!("{opens} {} */", text.trim_start().trim_start_matches("* ")));
            }
            (_, last) => {
                lines.extend(last);
                lines.push(line.to_owned());
            }
        }
    }
    lines.join("\n") + "\n"
}

/// Returns the position of the definition of `name` in a Rust source file.
fn place_of(source: &str, name: &str) -> Option<usize> {
    let defined = ["const", "type", "struct", "fn"].into_iter().filter_map(|keyword| {
        let wanted = format!("{keyword} {name}");
        source.match_indices(&wanted).map(|(at, _)| at).find(|at| {
            let next = source[at + wanted.len()..].chars().next();
            !next.is_some_and(|next| next.is_alphanumeric() || next == '_')
        })
    });
    defined.min()
}

/// Returns the names of the public types that a Rust source file defines.
fn public_types(source: &str) -> Vec<String> {
    let rest = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub struct ").or(line.strip_prefix("pub type ")));
    let name = |rest: &str| {
        rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
            .next()
            .map(str::to_owned)
    };
    rest.filter_map(name).collect()
}

/// Returns a declaration in the header's form.
///
/// Functions use the types' own names. Negative numbers in macros have parentheses, so that they
/// mean the same in every expression.
fn in_house_style(code: &str) -> String {
    match code.rsplit_once(' ') {
        Some((before, number)) if code.starts_with("#define") && number.starts_with('-') => {
            format!("{before} ({number})")
        }
        _ if code.starts_with("typedef struct ") => code.to_owned(),
        _ => code.replace("struct kvds_", "kvds_"),
    }
}
