//! Builds the installed static library from cargo's.
//!
//! Cargo's library contains the objects of RocksDB, LZ4, zstd and Rust with all their symbols. They
//! would conflict with another version of one of these, or with a second library written in Rust.
//! The result is a single object in which only the functions of the header are global. Like the
//! shared library, it registers no destructors for the exit of the process
//! (docs/decisions/0002-nothing-runs-at-exit.md).
//!
//! `$LD`, `$NM`, `$OBJCOPY` and `$AR` choose other binutils than the system's.

use std::collections::BTreeSet;
use std::env;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use xshell::{Shell, cmd};

use crate::api::Api;
use crate::project;

/// A line of nm's output: the letter of the kind, and the name.
struct Symbol<'a> {
    kind: &'a str,
    name: &'a str,
}

/// Builds `result` from `source`.
pub fn make(api: &Api, source: &Path, result: &Path) -> Result<()> {
    let tool = |variable: &str, name: &str| env::var(variable).unwrap_or_else(|_| name.to_owned());
    let (ld, nm) = (tool("LD", "ld"), tool("NM", "nm"));
    let (objcopy, ar) = (tool("OBJCOPY", "objcopy"), tool("AR", "ar"));
    ensure!(source.is_file(), "there is no {}: run `make build`", source.display());
    let shell = Shell::new()?;
    // In the directory of the result, as the objects are large and the last step is a rename.
    let beside = result.parent().filter(|parent| !parent.as_os_str().is_empty());
    let work = tempfile::tempdir_in(beside.unwrap_or(Path::new(".")))?;
    let file = |name: &str| work.path().join(name);

    // Links everything that the functions need into one object. COMDAT groups (templates, inline
    // functions) are dissolved: a linker keeps one group per name, and could drop ours for another
    // library's.
    let functions: BTreeSet<_> = api.functions().collect();
    let linked = file("linked.o");
    let needed = functions.iter().map(|name| format!("--undefined={name}"));
    let flags = ["-r", "--gc-sections", "--force-group-allocation", "--wrap=__cxa_atexit"];
    cmd!(shell, "{ld} {flags...} {needed...} {source} -o {linked}").quiet().run()?;

    // Removes debug information, and LLVM's notes, which the linker joins into invalid ones.
    let lean = file("lean.o");
    let sections = [".llvmbc", ".llvmcmd", ".llvm_addrsig"];
    let removed = sections.map(|section| format!("--remove-section={section}"));
    cmd!(shell, "{objcopy} --strip-debug {removed...} {linked} {lean}").quiet().run()?;

    let listed = cmd!(shell, "{nm} {lean}").quiet().read()?;
    let (unique, hooks) = (file("unique"), file("hooks"));
    // GNU's unique symbols must become weak before they can become local.
    project::write(&unique, &lines(symbols(&listed).filter(|symbol| symbol.kind == "u")))?;
    project::write(&hooks, &renamed_hooks(&listed)?)?;
    let weak = file("weak.o");
    cmd!(shell, "{objcopy} --weaken-symbols={unique} --redefine-syms={hooks} {lean} {weak}")
        .quiet()
        .run()?;
    let (keep, object) = (file("functions"), file("kvds.o"));
    project::write(&keep, &functions.iter().map(|name| format!("{name}\n")).collect::<String>())?;
    cmd!(shell, "{objcopy} --keep-global-symbols={keep} --strip-unneeded {weak} {object}")
        .quiet()
        .run()?;

    let shown = cmd!(shell, "{nm} --extern-only --defined-only {object}").quiet().read()?;
    let shown: BTreeSet<_> = symbols(&shown).map(|symbol| symbol.name).collect();
    let different: Vec<_> = shown.symmetric_difference(&functions).copied().collect();
    ensure!(
        different.is_empty(),
        "{}: these names should not be global, or should be: {}",
        source.display(),
        different.join(", ")
    );
    let needed = cmd!(shell, "{nm} --undefined-only {object}").quiet().read()?;
    check_needed(&needed).with_context(|| source.display().to_string())?;

    let archive = file("libkvds.a");
    cmd!(shell, "{ar} rcsD {archive} {object}").quiet().run()?;
    fs::rename(&archive, result).with_context(|| result.display().to_string())
}

/// Parses nm's output: "address kind name", without the address for undefined symbols.
fn symbols(listed: &str) -> impl Iterator<Item = Symbol<'_>> {
    listed.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            [kind, name] | [_, kind, name] => Some(Symbol { kind, name }),
            _ => None,
        }
    })
}

/// Returns the names of symbols, one per line.
fn lines<'a>(symbols: impl Iterator<Item = Symbol<'a>>) -> String {
    symbols.map(|symbol| format!("{}\n", symbol.name)).collect()
}

/// Returns the weak hooks that RocksDB and zstd call if the program defines them, with new names.
///
/// No program defines the new names, so our copies never call hooks of another RocksDB or zstd.
fn renamed_hooks(listed: &str) -> Result<String> {
    let mut renamed = String::new();
    let weak = symbols(listed).filter(|symbol| symbol.kind == "w");
    for Symbol { name, .. } in weak.filter(|symbol| is_bundled(symbol.name)) {
        writeln!(renamed, "{name} kvds_absent_{name}")?;
    }
    Ok(renamed)
}

/// Returns whether a symbol belongs to one of the linked libraries.
fn is_bundled(name: &str) -> bool {
    let name = name.to_lowercase();
    ["rocksdb", "zstd", "lz4", "snappy"].iter().any(|library| name.contains(library))
}

/// Fails if the finished object has undefined symbols of the linked libraries.
fn check_needed(listed: &str) -> Result<()> {
    let names = || symbols(listed).map(|symbol| symbol.name);
    let missing: Vec<_> = names()
        .filter(|name| !name.contains("kvds_absent_"))
        .filter(|name| is_bundled(name) || name.to_lowercase().contains("rust"))
        .collect();
    ensure!(missing.is_empty(), "the static library does not define: {}", missing.join(", "));
    // src/ffi/exit.rs has the wrapper for these processors.
    let supported = ["x86_64", "aarch64"].contains(&env::consts::ARCH);
    if supported && names().any(|name| name == "__cxa_atexit") {
        bail!("the static library registers a destructor for exit (__cxa_atexit)");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "\
0000000000000010 T kvds_get
0000000000000020 u _ZN7rocksdb6uniqueE
                 w ZSTD_trace_compress_begin
                 w __gmon_start__
                 U malloc
";

    #[test]
    fn weak_hooks_are_renamed() -> Result<()> {
        let expected = "ZSTD_trace_compress_begin kvds_absent_ZSTD_trace_compress_begin\n";
        assert_eq!(renamed_hooks(LISTED)?, expected);
        assert_eq!(
            lines(symbols(LISTED).filter(|symbol| symbol.kind == "u")),
            "_ZN7rocksdb6uniqueE\n"
        );
        Ok(())
    }

    #[test]
    fn an_undefined_symbol_of_a_linked_library_is_an_error() {
        assert!(check_needed("U malloc\nw kvds_absent_ZSTD_trace_compress_begin").is_ok());
        let error = check_needed("U LZ4_compress_default").expect_err("LZ4 is inside").to_string();
        assert!(error.contains("LZ4_compress_default"), "{error}");
        assert!(check_needed("U rust_eh_personality").is_err());
        let registered = check_needed("U __cxa_atexit").is_err();
        assert_eq!(registered, ["x86_64", "aarch64"].contains(&env::consts::ARCH));
    }
}
