//! Compares the binary interface of `include/kvds.h` with the committed `abi/kvds.abi`.
//!
//! A program sees the types of the header, not those of Rust. So libabigail reads a library of
//! empty functions that a C compiler compiles from the header. Other tests check that the real
//! library exports these functions, and that Rust and C agree on layouts and numbers. A library has
//! no trace of macros, so each constant gets a variable whose type contains its value.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Result, bail};
use xshell::{Shell, cmd};

use crate::api::{Api, Kind};

/// Structs whose size callers pass. They may grow at their end.
///
/// abidiff cannot tell growth from a member that changes its type. So it ignores these structs
/// (abi/sized.ini), and each member gets a variable with its offset and type.
const SIZED: [&str; 1] = ["kvds_stats"];

/// Compares the interface with `abi/kvds.abi`, or regenerates that file.
pub fn run(root: &Path, update: bool) -> Result<()> {
    let shell = Shell::new()?;
    shell.change_dir(root);
    let work = shell.create_temp_dir()?;
    let (source, library, abi) =
        (work.path().join("kvds.c"), work.path().join("libkvds.so"), work.path().join("kvds.abi"));
    fs::write(&source, program(&Api::load(root)?)?)?;
    // CC may begin with a compiler cache.
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let compiler: Vec<_> = compiler.split_whitespace().collect();
    let Some((program, words)) = compiler.split_first() else { bail!("CC is empty") };
    let warnings = ["-std=c11", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror"];
    let options = ["-g", "-shared", "-fPIC", "-nostdlib", "-Iinclude"];
    cmd!(shell, "{program} {words...} {warnings...} {options...} {source} -o {library}")
        .quiet()
        .run()?;
    let lean = [
        "--exported-interfaces-only",
        "--no-architecture",
        "--no-corpus-path",
        "--no-comp-dir-path",
        "--no-show-locs",
        "--no-parameter-names",
        "--no-elf-needed",
    ];
    cmd!(shell, "abidw {lean...} --out-file {abi} {library}").quiet().run()?;
    if update {
        fs::copy(&abi, root.join("abi/kvds.abi"))?;
        println!("abi/kvds.abi is regenerated: commit it to promise this interface");
        return Ok(());
    }
    let suppressions = "--suppressions";
    let compare = |more: &[&str]| {
        cmd!(shell, "abidiff {suppressions} abi/sized.ini {more...} abi/kvds.abi {abi}")
            .quiet()
            .ignore_status()
            .output()
    };
    let breaking = compare(&["--no-added-syms"])?;
    if !breaking.status.success() {
        eprint!(
            "{}{}",
            String::from_utf8_lossy(&breaking.stdout),
            String::from_utf8_lossy(&breaking.stderr)
        );
        bail!("compiled programs would break: the interface differs from abi/kvds.abi");
    }
    if !compare(&[])?.status.success() {
        println!("the interface has additions: run `make abi-update` to promise them");
    }
    Ok(())
}

/// Returns a C program that uses everything that the header promises.
fn program(api: &Api) -> Result<String> {
    let mut program = "#include <kvds.h>\n".to_owned();
    for item in api.items() {
        let name = &item.name;
        match &item.kind {
            // The version changes with every release.
            Kind::Constant { .. } if name.starts_with("KVDS_VERSION_") => {}
            Kind::Constant { .. } => {
                writeln!(program, "enum of_{name} {{ is_{name} = {name} }} the_{name};")?
            }
            Kind::Struct { fields } if SIZED.contains(&name.as_str()) => {
                for field in fields {
                    let member = &field.name;
                    writeln!(
                        program,
                        "struct {name}_{member} {{ char before[1 + offsetof({name}, {member})]; \
                         __typeof__((({name} *)0)->{member}) itself; }} the_{name}_{member};"
                    )?;
                }
            }
            Kind::Function { .. } => {
                writeln!(program, "{} {{ __builtin_trap(); }}", item.code.trim_end_matches(';'))?;
            }
            Kind::Struct { .. } | Kind::Opaque | Kind::Integer { .. } | Kind::Callback { .. } => {}
        }
    }
    Ok(program)
}
