//! Generates the man pages from the definition of the command line: `kvds(1)`, and a page for each
//! command.
//!
//! The examples are a session that the tests run, `tests/sessions/examples.txt`.

use std::fs;
use std::path::Path;

use clap::Command;
use clap_mangen::Man;
use roff::{Inline, Roff, bold, roman};

use crate::failure::{Failure, Result};

const SESSION: &str = include_str!("../tests/sessions/examples.txt");

/// The exit codes, as `failure` has them.
const EXIT_CODES: [(&str, &str); 6] = [
    ("0", "Yes: it was done, the key exists, the stores are equal."),
    ("1", "A plain no: there is no such key, it has another value, the stores differ."),
    ("2", "The command line cannot be run."),
    ("3", "A failure, which standard error describes."),
    ("130", "Ctrl-C, or SIGTERM, ended a long job. Standard error says what was done."),
    ("141", "The reader of the output went away: SIGPIPE ended the program."),
];

const ENVIRONMENT: [(&str, &str); 4] = [
    ("KVDS_BASE", "The directory that stores are under, if there is no --base."),
    ("KVDS_CLUSTER", "The cluster that stores are in, if there is no --cluster."),
    ("KVDS_CLUSTER_PASSWORD", "The password of the cluster's user."),
    ("NO_COLOR", "If it is set and not empty, nothing is colored."),
];

/// What STORE may be.
const STORES: [(&str, &str); 3] = [
    ("a name, with --base or KVDS_BASE", "The disk store of that name under the directory."),
    ("a name, with --cluster or KVDS_CLUSTER", "The store of that name in the cluster."),
    (
        "a text with a \"/\", or a directory with a file CURRENT",
        "The disk store in exactly that directory, if neither option is given.",
    ),
];

/// Writes all pages to `directory`. `date` is in their first lines.
pub fn write(mut command: Command, directory: &Path, date: &str) -> Result<()> {
    fs::create_dir_all(directory).map_err(|cause| Failure::io(directory.display(), &cause))?;
    command = command.disable_help_subcommand(true);
    command.build();
    let visible = || command.get_subcommands().filter(|one| !one.is_hide_set());
    let names: Vec<_> = visible().map(page_name).collect();
    Page::new(&command, date).overview(&names).write(directory)?;
    for one in visible() {
        Page::new(one, date).command().write(directory)?;
    }
    Ok(())
}

/// Returns "kvds-get" for the command `get`.
fn page_name(command: &Command) -> String {
    command.get_display_name().unwrap_or(command.get_name()).to_owned()
}

struct Page<'a> {
    command: &'a Command,
    name: String,
    /// The sections that are equal in form on all pages.
    start: Man,
    /// The sections after the options.
    rest: Roff,
}

impl<'a> Page<'a> {
    fn new(command: &'a Command, date: &str) -> Page<'a> {
        let name = page_name(command);
        let start = Man::new(with_usage(command))
            .title(name.to_uppercase())
            .date(date)
            .source(concat!("kvds ", env!("CARGO_PKG_VERSION")))
            .manual("kvds manual");
        Page { command, name, start, rest: Roff::new() }
    }

    /// Adds the sections of `kvds(1)`.
    fn overview(mut self, pages: &[String]) -> Self {
        self.rest.control("SH", ["COMMANDS"]);
        for one in self.command.get_subcommands().filter(|one| !one.is_hide_set()) {
            let about = one.get_about().map(ToString::to_string).unwrap_or_default();
            self.entry([bold(page_name(one)), roman("(1)")], &about);
        }
        self.rest.control("SH", ["STORES"]);
        for (name, meaning) in STORES {
            self.entry([roman(name)], meaning);
        }
        self.rest
            .text([roman("Only set, add, load and copy create a store, and only with --create.")]);
        self.common();
        self.examples(&["get", "set", "scan", "stat"]);
        let see = pages.iter().map(|page| (page.as_str(), "1")).chain([("kvds", "3")]);
        self.see_also(&see.collect::<Vec<_>>());
        self
    }

    /// Adds the sections of a command's page.
    fn command(mut self) -> Self {
        self.common();
        let name = self.command.get_name();
        self.examples(&[name]);
        self.see_also(&[("kvds", "1")]);
        self
    }

    fn common(&mut self) {
        self.rest.control("SH", ["EXIT STATUS"]);
        for (code, meaning) in EXIT_CODES {
            self.entry([bold(code)], meaning);
        }
        self.rest.control("SH", ["ENVIRONMENT"]);
        for (name, meaning) in ENVIRONMENT {
            self.entry([bold(name)], meaning);
        }
    }

    /// Adds the examples of the commands `names`, if there are any.
    fn examples(&mut self, names: &[&str]) {
        let lines: Vec<_> = names.iter().filter_map(|name| examples(name)).flatten().collect();
        if lines.is_empty() {
            return;
        }
        self.rest.control("SH", ["EXAMPLES"]);
        self.rest.text([roman("The variable KVDS_BASE is \"data\". [N] is an exit code.")]);
        self.rest.control("PP", []).control("EX", []);
        for line in lines {
            self.rest.text([match line.strip_prefix("$ ") {
                Some(command) => bold(format!("$ {command}")),
                None => roman(line),
            }]);
        }
        self.rest.control("EE", []);
    }

    fn see_also(&mut self, pages: &[(&str, &str)]) {
        self.rest.control("SH", ["SEE ALSO"]);
        let mut line = Vec::new();
        for (at, (name, section)) in pages.iter().enumerate() {
            let end = if at + 1 < pages.len() { ", " } else { "" };
            line.extend([bold(*name), roman(format!("({section}){end}"))]);
        }
        self.rest.text(line);
    }

    /// Adds a term and what it means.
    fn entry(&mut self, term: impl Into<Vec<Inline>>, meaning: &str) {
        self.rest.control("TP", []).text(term).text([roman(meaning)]);
    }

    fn write(self, directory: &Path) -> Result<()> {
        let path = directory.join(format!("{}.1", self.name));
        let mut text = Vec::new();
        let rendered = [
            Man::render_title,
            Man::render_name_section,
            Man::render_synopsis_section,
            Man::render_description_section,
            Man::render_options_section,
        ]
        .iter()
        .try_for_each(|render| render(&self.start, &mut text))
        .and_then(|()| self.rest.to_writer(&mut text))
        .and_then(|()| fs::write(&path, &text));
        rendered.map_err(|cause| Failure::io(path.display(), &cause))
    }
}

/// Returns the command with the usage that `--help` shows, which names the values of options.
fn with_usage(command: &Command) -> Command {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage).to_owned();
    command.clone().override_usage(usage)
}

/// Returns the lines of the session below the heading `# name`.
fn examples(name: &str) -> Option<impl Iterator<Item = &'static str>> {
    let after = SESSION.split("\n# ").find_map(|part| part.strip_prefix(&format!("{name}\n")));
    Some(after?.lines().filter(|line| !line.is_empty()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Arguments;

    /// Returns the text of a page.
    fn page(name: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        write(Arguments::command(), directory.path(), "2026-01-31").unwrap();
        fs::read_to_string(directory.path().join(name)).unwrap()
    }

    #[test]
    fn every_command_has_examples() {
        let command = Arguments::command();
        for one in command.get_subcommands().filter(|one| !one.is_hide_set()) {
            let lines: Vec<_> = examples(one.get_name()).into_iter().flatten().collect();
            assert!(lines.iter().any(|line| line.contains(one.get_name())), "{}", one.get_name());
        }
    }

    #[test]
    fn a_page_has_all_sections() {
        let text = page("kvds-get.1");
        for section in [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "\"EXIT STATUS\"",
            "ENVIRONMENT",
            "EXAMPLES",
        ] {
            assert!(text.contains(&format!(".SH {section}\n")), "{section} is missing: {text}");
        }
        assert!(text.contains("KVDS-GET 1 2026-01-31 \"kvds "), "{text}");
        assert!(text.contains("kvds STORE get"), "{text}");
    }

    #[test]
    fn the_overview_names_the_commands_but_not_the_hidden_one() {
        let text = page("kvds.1");
        assert!(text.contains("kvds\\-scan"), "{text}");
        assert!(!text.contains("man\\-pages"), "{text}");
    }
}
