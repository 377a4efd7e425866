//! Imports point one way: a module imports only modules of lower layers.

use std::collections::BTreeMap;
use std::path::Path;

/// The layers, the lowest first. Modules of one layer do not import each other.
const LAYERS: &[&[&str]] = &[
    &["error"],
    &["sync", "sys"],
    &["batch", "options"],
    &["engine"],
    &["engine::memory", "engine::disk", "engine::no_disk", "engine::cluster", "engine::no_cluster"],
    &["store::dir_name", "store::identity"],
    &["store::observers"],
    &["store"],
    &["store::views"],
    &["store::registry"],
    &["ffi"],
    &["testing"],
];

fn sources(directory: &Path, module: &str, found: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(directory).expect("the source can be listed") {
        let path = entry.expect("the source can be listed").path();
        let name = path.file_stem().expect("a name").to_str().expect("UTF-8");
        let inner = if module.is_empty() { name.to_owned() } else { format!("{module}::{name}") };
        if path.is_dir() {
            sources(&path, &inner, found);
        } else if inner != "lib" {
            found.insert(inner, std::fs::read_to_string(&path).expect("the source can be read"));
        }
    }
}

/// Returns the module paths behind every `crate::` and `super::` of a source, in imports and code.
fn imports(module: &str, text: &str) -> Vec<String> {
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    let mut found = Vec::new();
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    for (root, base) in [("crate::", ""), ("super::", parent)] {
        for (index, _) in code.match_indices(root) {
            let rest = &code[index + root.len()..];
            let names: Vec<&str> = match rest.strip_prefix('{') {
                Some(list) => {
                    list.split('}').next().unwrap_or("").split(',').map(str::trim).collect()
                }
                None => vec![rest],
            };
            for name in names {
                let path: Vec<&str> = name
                    .split("::")
                    .map(|part| {
                        part.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("")
                    })
                    .take_while(|part| part.starts_with(|c: char| c.is_lowercase()))
                    .collect();
                let path = path.join("::");
                found.push(match (base, path.as_str()) {
                    (base, "") => base.to_owned(),
                    ("", path) => path.to_owned(),
                    (base, path) => format!("{base}::{path}"),
                });
            }
        }
    }
    found
}

/// Returns the layer of the longest module name that `path` begins with.
fn layer(path: &str) -> Option<(usize, &'static str)> {
    let layers = LAYERS
        .iter()
        .enumerate()
        .flat_map(|(level, names)| names.iter().map(move |name| (level, *name)));
    layers
        .filter(|(_, name)| path == *name || path.starts_with(&format!("{name}::")))
        .max_by_key(|(_, name)| name.len())
}

#[test]
fn imports_point_one_way() {
    let mut modules = BTreeMap::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut modules);
    assert!(modules.len() > 15, "the source was found");
    let mut arrows = 0;
    for (module, text) in &modules {
        let (level, own) = layer(module)
            .unwrap_or_else(|| panic!("src of {module} has no layer: name it in LAYERS"));
        for import in imports(module, text).iter().filter(|import| !import.is_empty()) {
            let Some((other, name)) = layer(import) else { continue };
            arrows += 1;
            assert!(
                own == name || other < level,
                "{module} (layer {level}) imports {import} (layer {other})"
            );
        }
    }
    assert!(arrows > 40, "the imports were found");
}

#[test]
fn only_the_boundary_knows_c() {
    let mut modules = BTreeMap::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut modules);
    for (module, text) in &modules {
        if module.starts_with("ffi") {
            continue;
        }
        for word in ["c_void", "c_char", "c_int", "no_mangle"] {
            assert!(!text.contains(word), "{module} uses {word}, which belongs to ffi");
        }
    }
}

#[test]
fn a_test_of_the_test() {
    let text = "use crate::store::{Store};\nuse super::{Range, memory::Memory};\n\
                // use crate::ffi;\nlet x = crate::sys::fork::generation();";
    assert_eq!(
        imports("engine::disk", text),
        ["store", "sys::fork::generation", "engine", "engine::memory"]
    );
    assert_eq!(layer("engine::memory::Memory").map(|(_, name)| name), Some("engine::memory"));
    assert_eq!(layer("engine::Range").map(|(_, name)| name), Some("engine"));
}
