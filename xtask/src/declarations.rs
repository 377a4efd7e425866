//! Generates the declarations of the bindings and of the command-line program from `abi/api.json`:
//! one file per language, and the enums of `include/kvds.hpp`.
//!
//! The FFI libraries of LuaJIT, Ruby and Node, and the program, need all declarations. Python
//! (cffi) and Go (cgo) read the header itself, and get only the names of the statuses.

mod cpp;
mod go;
mod lua;
mod node;
mod python;
mod ruby;
mod rust;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::api::{Api, Field, Item, Kind};

/// The widest line of a generated file.
const COLUMNS: usize = 100;

/// The first comment of a generated file, without the language's comment mark.
const MARK: &str = "Generated from abi/api.json by `cargo xtask declarations`. Do not edit.";

/// Writes the declarations, or with `check` compares them with the committed ones.
pub fn run(root: &Path, check: bool) -> Result<()> {
    let api = Api::load(root)?;
    let facade = root.join("include/kvds.hpp");
    let facade = fs::read_to_string(&facade).with_context(|| facade.display().to_string())?;
    let files = [
        ("bindings/luajit/kvds/declarations.lua", lua::text(&api)),
        ("bindings/ruby/kvds/declarations.rb", ruby::text(&api)),
        ("bindings/node/src/declarations.js", node::text(&api)),
        ("bindings/node/src/codes.d.ts", node::codes(&api)?),
        ("bindings/python/src/kvds/_status.py", python::text(&api)?),
        ("bindings/go/status.go", go::text(&api)?),
        ("cli/src/library/ffi.rs", rust::text(&api, root)?),
        ("include/kvds.hpp", cpp::replaced(&api, &facade)?),
    ];
    for (name, text) in files {
        let long: Vec<_> = text.lines().filter(|line| line.chars().count() > COLUMNS).collect();
        // Most lines of kvds.hpp are not generated.
        ensure!(
            long.is_empty() || name.ends_with(".hpp"),
            "{name} has lines that are too long: {}",
            long.join("\n")
        );
        let path = root.join(name);
        let same = fs::read_to_string(&path).is_ok_and(|committed| committed == text);
        ensure!(
            same || !check,
            "{name} differs from abi/api.json: run `cargo xtask declarations` and commit the result"
        );
        if !same {
            fs::write(&path, text).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

/// Returns the name without `kvds_` or `KVDS_`.
fn short(name: &str) -> &str {
    name.strip_prefix("kvds_").or_else(|| name.strip_prefix("KVDS_")).unwrap_or(name)
}

/// Returns `NoSpace` for `NO_SPACE` or `no_space`.
fn pascal(name: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..].to_lowercase();
    name.split('_').filter(|word| !word.is_empty()).map(capital).collect()
}

fn constants(api: &Api) -> impl Iterator<Item = (&str, i64)> {
    api.items().filter_map(|item| match item.kind {
        Kind::Constant { value } => Some((short(&item.name), value)),
        _ => None,
    })
}

/// An integer type and its values: the constants that follow it in the header.
struct Choice<'a> {
    of: &'a Item,
    /// Each constant, and its name without the words that all names begin with.
    members: Vec<(&'a Item, &'a str)>,
}

fn choices(api: &Api) -> Vec<Choice<'_>> {
    let mut choices = Vec::<Choice<'_>>::new();
    let mut follows = false;
    for item in api.items() {
        match &item.kind {
            Kind::Integer { .. } => {
                choices.push(Choice { of: item, members: Vec::new() });
                follows = true;
            }
            Kind::Constant { .. } if follows => {
                choices
                    .iter_mut()
                    .last()
                    .into_iter()
                    .for_each(|choice| choice.members.push((item, short(&item.name))));
            }
            _ => follows = false,
        }
    }
    for choice in &mut choices {
        let common = common_words(choice.members.iter().map(|(_, name)| *name));
        choice.members.iter_mut().for_each(|(_, name)| *name = &name[common..]);
    }
    choices
}

/// Returns the length of the words, with underscores, that all names begin with.
fn common_words<'a>(names: impl Iterator<Item = &'a str> + Clone) -> usize {
    let Some(first) = names.clone().next() else { return 0 };
    let ends = first.match_indices('_').map(|(at, _)| at + 1);
    ends.take_while(|end| names.clone().all(|name| name.starts_with(&first[..*end])))
        .last()
        .unwrap_or(0)
}

/// Returns the statuses, in the header's order.
fn statuses(api: &Api) -> Result<Choice<'_>> {
    let mut choices = choices(api).into_iter();
    choices
        .find(|choice| choice.of.name == "kvds_status")
        .context("abi/api.json has no kvds_status")
}

/// Returns the first sentence of an item's documentation, on one line.
fn sentence(item: &Item) -> String {
    let text = item.doc.text.first().map(|text| text.replace('\n', " ")).unwrap_or_default();
    match text.find(". ") {
        Some(end) => text[..=end].to_owned(),
        None => text,
    }
}

/// Returns a C declaration of `name` with the type `of`.
fn declared(of: &str, name: &str) -> String {
    if of.ends_with('*') { format!("{of}{name}") } else { format!("{of} {name}") }
}

/// Returns a prototype of a C function, or of a pointer to one (`(*name)`), in lines of at most
/// `COLUMNS` that begin with `indent`.
fn prototype(indent: &str, returns: &str, name: &str, params: &[Field]) -> String {
    let mut params: Vec<_> = params.iter().map(|param| declared(&param.of, &param.name)).collect();
    if params.is_empty() {
        params.push("void".to_owned());
    }
    let count = params.len();
    for (at, param) in params.iter_mut().enumerate() {
        param.push_str(if at + 1 == count { ");" } else { "," });
    }
    let mut lines = vec![format!("{indent}{}(", declared(returns, name))];
    for param in params {
        let line = lines.last_mut().expect("there is a first line");
        let space = if line.ends_with('(') { "" } else { " " };
        if line.len() + space.len() + param.len() <= COLUMNS {
            line.push_str(space);
            line.push_str(&param);
        } else {
            lines.push(format!("{indent}    {param}"));
        }
    }
    lines.join("\n") + "\n"
}

/// Returns the texts that `write` returns for each item, with an empty line between sections.
fn by_section(api: &Api, mut write: impl FnMut(&Item) -> String) -> String {
    let sections =
        api.sections.iter().map(|section| section.items.iter().map(&mut write).collect::<String>());
    sections.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn constant(name: &str) -> Item {
        let doc =
            crate::api::Doc { text: vec!["One.\nTwo. Three.".to_owned()], ..Default::default() };
        Item { name: name.to_owned(), kind: Kind::Constant { value: 0 }, code: String::new(), doc }
    }

    fn api(items: Vec<Item>) -> Api {
        let section = crate::api::Section {
            id: "s".to_owned(),
            title: String::new(),
            text: Vec::new(),
            items,
        };
        Api { version: String::new(), overview: Vec::new(), sections: vec![section] }
    }

    #[test]
    fn a_choice_has_the_constants_that_follow_it_without_their_common_words() {
        let of = |name| Item { kind: Kind::Integer { of: "int32_t".to_owned() }, ..constant(name) };
        let items = vec![
            constant("KVDS_MAX"),
            of("kvds_log_level"),
            constant("KVDS_LOG_NO_WARNING"),
            constant("KVDS_LOG_NO_ERROR"),
            Item { kind: Kind::Opaque, ..constant("kvds_store") },
            constant("KVDS_VIEW_READ"),
        ];
        let api = api(items);
        let choices = choices(&api);
        assert_eq!(choices.len(), 1);
        let names: Vec<_> = choices[0].members.iter().map(|(_, name)| *name).collect();
        assert_eq!(names, ["WARNING", "ERROR"]);
    }

    #[test]
    fn a_long_prototype_is_broken_between_parameters() {
        let param = |at| Field {
            name: format!("parameter_{at}"),
            of: "const void *".to_owned(),
            text: Vec::new(),
            direction: None,
        };
        let text = prototype("    ", "int", "kvds_long", &(0..12).map(param).collect::<Vec<_>>());
        assert!(
            text.lines().count() > 1 && text.lines().all(|line| line.len() <= COLUMNS),
            "{text}"
        );
        assert!(text.starts_with("    int kvds_long(const void *parameter_0, const"), "{text}");
        assert!(text.ends_with(", const void *parameter_11);\n"), "{text}");
        assert_eq!(prototype("", "void *", "f", &[]), "void *f(void);\n");
    }

    #[test]
    fn a_summary_is_the_first_sentence() {
        assert_eq!(sentence(&constant("KVDS_A")), "One.");
        assert_eq!(pascal("NO_SPACE"), "NoSpace");
    }
}
