//! Generates man pages from `abi/api.json`: one per section of the header, and a link to it for
//! each name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::api::{Api, Field, Item, Kind, Section};

/// The widest line of a page's source.
const COLUMNS: usize = 78;

/// Writes all pages to `directory`. `date` is that of the interface, such as "2026-01-31".
pub fn write(api: &Api, directory: &Path, date: &str) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let is_ours = path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with("kvds"));
        if is_ours {
            fs::remove_file(&path)?;
        }
    }
    let mut page_of = BTreeMap::new();
    for section in &api.sections {
        page_of.extend(section.items.iter().map(|item| (item.name.as_str(), page(section))));
    }
    // A section that has the name of a type gets that name's page.
    page_of.extend(api.sections.iter().filter_map(|section| {
        let own = page(section);
        api.items().find(|item| item.name == own).map(|item| (item.name.as_str(), own))
    }));
    let manual = Manual { api, directory, date, page_of };
    manual.overview()?;
    api.sections.iter().try_for_each(|section| manual.section(section))
}

/// Returns the name of a section's page.
fn page(section: &Section) -> String {
    format!("kvds_{}", section.id)
}

struct Manual<'a> {
    api: &'a Api,
    directory: &'a Path,
    date: &'a str,
    page_of: BTreeMap<&'a str, String>,
}

impl Manual<'_> {
    fn overview(&self) -> Result<()> {
        let mut description = Vec::new();
        // The first two blocks are the title and a note about the file.
        for block in self.api.overview.iter().skip(2) {
            match block.split_once(". ") {
                Some((number, title)) if number.parse::<u32>().is_ok() => {
                    description.push(format!(".SS {title}"))
                }
                _ if block.starts_with("- ") => description.push(prose(block)),
                _ => description.extend([".PP".to_owned(), prose(block)]),
            }
        }
        let mut pages = Vec::new();
        for section in &self.api.sections {
            let names =
                section.items.iter().filter(|item| matches!(item.kind, Kind::Function { .. }));
            let names: Vec<_> = names.map(|item| format!("\\fB{}\\fR()", item.name)).collect();
            pages.push(format!(".TP\n.BR {} (3)\n{}", page(section), escaped(&section.title)));
            pages.push(format!(".br\n{}", names.join(",\n")));
        }
        let summary = self.api.overview.first().context("the header has no first line")?;
        let summary = summary.split_once(": ").map_or(summary.as_str(), |(_, summary)| summary);
        let sections = [
            ("SYNOPSIS", vec![".B #include <kvds.h>".to_owned()]),
            ("DESCRIPTION", description),
            ("PAGES", pages),
        ];
        let see = self.api.sections.iter().map(page).collect();
        self.page("kvds", &["kvds"], summary.trim_end_matches('.'), &sections, see)
    }

    fn section(&self, section: &Section) -> Result<()> {
        let is =
            |wanted: fn(&Kind) -> bool| section.items.iter().filter(move |item| wanted(&item.kind));
        let functions = || is(|kind| matches!(kind, Kind::Function { .. }));
        let constants = || is(|kind| matches!(kind, Kind::Constant { .. }));
        let types = || is(|kind| !matches!(kind, Kind::Function { .. } | Kind::Constant { .. }));

        let mut synopsis = vec![".B #include <kvds.h>".to_owned()];
        synopsis.extend(types().map(|item| format!(".PP\n.nf\n{}\n.fi", escaped(&item.code))));
        synopsis.extend(functions().map(|item| format!(".PP\n{}", prototype(&item.code))));
        let mut description: Vec<_> =
            section.text.iter().map(|block| format!(".PP\n{}", prose(block))).collect();
        for item in functions() {
            description.push(format!(".SS {}()", item.name));
            description.push(body(item));
        }
        let mut described = Vec::new();
        for item in types() {
            described.push(format!(".SS {}", item.name));
            described.push(body(item));
        }
        let values = constants().map(|item| {
            let Kind::Constant { value } = item.kind else {
                unreachable!("all items are constants")
            };
            format!(".TP\n.BR {} \" ({})\"\n{}", item.name, escaped(&value.to_string()), body(item))
        });
        let values = values.collect();
        let sections = [
            ("SYNOPSIS", synopsis),
            ("DESCRIPTION", description),
            ("TYPES", described),
            ("CONSTANTS", values),
        ];
        let own = page(section);
        let names: Vec<_> = functions().chain(types()).map(|item| item.name.as_str()).collect();
        let others: Vec<_> = names.into_iter().filter(|name| *name != own).collect();
        let mut listed = vec![own.as_str()];
        listed.extend(&others);
        let mut see = self.related(section);
        see.insert("kvds".to_owned());
        self.page(&own, &listed, &section.title.to_lowercase(), &sections, see)?;
        for name in others
            .into_iter()
            .filter(|name| self.page_of.get(name).is_some_and(|page| *page == own))
        {
            self.file(name, &format!(".so man3/{own}.3\n"))?;
        }
        Ok(())
    }

    /// Returns the pages of the names that a section's documentation mentions.
    fn related(&self, section: &Section) -> BTreeSet<String> {
        let text = serde_json::to_string(section).unwrap_or_default();
        let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        words
            .filter_map(|word| self.page_of.get(word))
            .filter(|other| **other != page(section))
            .cloned()
            .collect()
    }

    fn page(
        &self,
        name: &str,
        names: &[&str],
        summary: &str,
        sections: &[(&str, Vec<String>)],
        mut see: BTreeSet<String>,
    ) -> Result<()> {
        see.remove(name);
        let title = name.to_uppercase();
        let mut text =
            format!(".TH {title} 3 {} \"kvds {}\" \"kvds manual\"\n", self.date, self.api.version);
        text += &format!(
            ".ad l\n.SH NAME\n{}\n",
            filled(&format!("{} \\- {}", names.join(", "), escaped(summary)))
        );
        text += ".SH LIBRARY\nThe kvds library (\\fIlibkvds\\fR, \\fB\\-lkvds\\fR)\n";
        for (title, lines) in sections.iter().filter(|(_, lines)| !lines.is_empty()) {
            text += &format!(".SH {title}\n{}\n", lines.join("\n"));
        }
        // A heading needs no paragraph mark after it.
        for heading in [".SH DESCRIPTION\n", ".SS Overview\n", ".SS Conventions\n"] {
            text = text.replace(&format!("{heading}.PP\n"), heading);
        }
        let see: Vec<_> = see.iter().map(|page| format!(".BR {page} (3)")).collect();
        self.file(name, &format!("{text}.SH SEE ALSO\n{}\n", see.join(",\n")))
    }

    fn file(&self, name: &str, text: &str) -> Result<()> {
        let path = self.directory.join(format!("{name}.3"));
        fs::write(&path, text).with_context(|| path.display().to_string())
    }
}

/// Returns the documentation of an item.
fn body(item: &Item) -> String {
    let mut blocks: Vec<_> = item.doc.text.iter().map(|block| prose(block)).collect();
    let fields: &[Field] = match &item.kind {
        Kind::Struct { fields } => fields,
        Kind::Function { params, .. } | Kind::Callback { params, .. } => params,
        _ => &[],
    };
    for field in fields.iter().filter(|field| !field.text.is_empty()) {
        let text: Vec<_> = field.text.iter().map(|block| prose(block)).collect();
        blocks.push(format!("\u{0}.TP\n.I {}\n{}", field.name, text.join("\n.PP\n")));
    }
    if let Some(returns) = &item.doc.returns {
        blocks.push(prose(&format!("Returns {returns}")));
    }
    for (status, condition) in &item.doc.statuses {
        let condition = if condition.is_empty() { String::new() } else { prose(condition) };
        blocks.push(format!(
            "\u{0}.TP\n.B {status}\n{}",
            if condition.is_empty() { "\\&" } else { &condition }
        ));
    }
    blocks.join("\n.PP\n").replace("\n.PP\n\u{0}", "\n").replace('\u{0}', "")
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('^', "\\(ha").replace('~', "\\(ti")
}

/// Returns a paragraph for man, with names in bold. Code keeps its lines.
fn prose(block: &str) -> String {
    if block.starts_with("    ") {
        let code: Vec<_> =
            block.lines().map(|line| line.strip_prefix("    ").unwrap_or(line)).collect();
        return format!(".EX\n.in +4n\n{}\n.in\n.EE", escaped(&code.join("\n")));
    }
    let mut paragraphs = vec![String::new()];
    for line in block.lines() {
        match (line.strip_prefix("- "), paragraphs.last_mut()) {
            (Some(item), _) => paragraphs.push(format!("\u{0}{item}")),
            (None, Some(paragraph)) => {
                paragraph.push(' ');
                paragraph.push_str(line.trim());
            }
            (None, None) => {}
        }
    }
    let filled = paragraphs.iter().filter(|paragraph| !paragraph.is_empty()).map(|paragraph| {
        let (mark, text) = match paragraph.strip_prefix('\u{0}') {
            Some(item) => (".IP \\(bu 2\n", item),
            None => ("", paragraph.as_str()),
        };
        format!("{mark}{}", filled(&emphasized(&escaped(text.trim()))))
    });
    filled.collect::<Vec<_>>().join("\n")
}

/// Removes backquotes, and sets the library's names in bold.
fn emphasized(text: &str) -> String {
    let words = text.replace('`', "").split(' ').map(str::to_owned).collect::<Vec<_>>();
    let words = words.into_iter().map(|word| {
        let start = word.find(|letter: char| letter.is_alphanumeric()).unwrap_or(0);
        let len = word[start..].find(|letter: char| !letter.is_alphanumeric() && letter != '_');
        let end = start + len.unwrap_or(word.len() - start);
        let name = &word[start..end];
        if name.starts_with("kvds_") || name.starts_with("KVDS_") {
            format!("{}\\fB{name}\\fR{}", &word[..start], &word[end..])
        } else {
            word
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Returns text in lines of the usual width. No line begins like a request of man.
fn filled(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + 1 + word.len() <= COLUMNS => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    let safe = lines
        .into_iter()
        .map(|line| if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line });
    safe.collect::<Vec<_>>().join("\n")
}

/// Returns a declaration with its name in bold.
fn prototype(code: &str) -> String {
    let code = escaped(code);
    let Some(paren) = code.find('(') else { return format!(".nf\n{code}\n.fi") };
    let name = code[..paren].rfind([' ', '*']).map_or(0, |at| at + 1);
    format!(".nf\n{}\\fB{}\\fR{}\n.fi", &code[..name], &code[name..paren], &code[paren..])
}
