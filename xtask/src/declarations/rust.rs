//! The declarations of the command-line program, which rustfmt formats.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::{MARK, by_section, choices, constants, pascal, short};
use crate::api::{Api, Field, Item, Kind};

/// Returns the declarations, formatted as the other files under `root`.
pub fn text(api: &Api, root: &Path) -> Result<String> {
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("rustfmt")?;
    // rustfmt reads all of its input before it writes.
    rustfmt.stdin.take().context("rustfmt has no input")?.write_all(plain(api).as_bytes())?;
    let output = rustfmt.wait_with_output()?;
    ensure!(output.status.success(), "rustfmt failed: {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

fn plain(api: &Api) -> String {
    let constants: String = constants(api)
        .map(|(name, value)| {
            let of = constant_type(api, name, value);
            format!("pub const {name}: {of} = {value};\n")
        })
        .collect();
    let types: String = api.items().filter_map(ty).collect();
    let functions = by_section(api, |item| match &item.kind {
        Kind::Function { returns, params } => function(&item.name, returns, params),
        _ => String::new(),
    });
    format!(
        "// {MARK}\n\n\
         //! The declarations of `kvds.h`.\n\
         //!\n\
         //! Types have no `kvds_` and are in Rust's case, and constants have no `KVDS_`.\n\n\
         #![allow(dead_code, reason = \"the program needs a part of the library\")]\n\n\
         use std::ffi::{{c_char, c_int, c_void}};\n\n\
         {types}{constants}\n\
         unsafe extern \"C\" {{\n{functions}}}\n"
    )
}

/// Returns the type of a constant: that of its values, or else the one that C gives the macro.
fn constant_type(api: &Api, name: &str, value: i64) -> String {
    let is_member = |item: &Item| short(&item.name) == name;
    match choices(api).iter().find(|choice| choice.members.iter().any(|each| is_member(each.0))) {
        Some(choice) => pascal(short(&choice.of.name)),
        None if i32::try_from(value).is_ok() => "c_int".to_owned(),
        None => "i64".to_owned(),
    }
}

fn ty(item: &Item) -> Option<String> {
    let name = pascal(short(&item.name));
    Some(match &item.kind {
        Kind::Constant { .. } | Kind::Function { .. } => return None,
        Kind::Opaque => {
            format!("#[repr(C)]\npub struct {name} {{\n    _private: [u8; 0],\n}}\n\n")
        }
        Kind::Integer { of } => format!("pub type {name} = {};\n\n", rust(of)),
        Kind::Struct { fields } => {
            // A pointer has no default.
            let is_plain = fields.iter().all(|field| !field.of.ends_with('*'));
            let derive = if is_plain { "#[derive(Clone, Copy, Default)]\n" } else { "" };
            let fields: String = fields
                .iter()
                .map(|field| format!("    pub {}: {},\n", field.name, rust(&field.of)))
                .collect();
            format!("#[repr(C)]\n{derive}pub struct {name} {{\n{fields}}}\n\n")
        }
        // C passes NULL for no callback.
        Kind::Callback { returns, params } => {
            let params: Vec<_> = params.iter().map(|param| rust(&param.of)).collect();
            let (params, returns) = (params.join(", "), result(returns));
            format!("pub type {name} = Option<unsafe extern \"C\" fn({params}){returns}>;\n\n")
        }
    })
}

/// Returns a declaration inside of `extern "C" {}`.
fn function(name: &str, returns: &str, params: &[Field]) -> String {
    let params: Vec<_> =
        params.iter().map(|param| format!("{}: {}", param.name, rust(&param.of))).collect();
    format!("pub fn {name}({}){};\n", params.join(", "), result(returns))
}

/// Returns what follows the parameters of a function.
fn result(returns: &str) -> String {
    if returns == "void" { String::new() } else { format!(" -> {}", rust(returns)) }
}

/// Returns the type of Rust that has the same representation as the C type `of`.
fn rust(of: &str) -> String {
    if let Some(target) = of.strip_suffix('*') {
        return match target.strip_prefix("const ") {
            Some(target) => format!("*const {}", rust(target.trim_end())),
            None => format!("*mut {}", rust(target.trim_end())),
        };
    }
    match of {
        "void" => "c_void".to_owned(),
        "char" => "c_char".to_owned(),
        "int" => "c_int".to_owned(),
        "size_t" => "usize".to_owned(),
        "int32_t" => "i32".to_owned(),
        "int64_t" => "i64".to_owned(),
        "uint64_t" => "u64".to_owned(),
        other => pascal(short(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_the_representation_of_c() {
        let types = [
            ("int", "c_int"),
            ("size_t *", "*mut usize"),
            ("const char *", "*const c_char"),
            ("kvds_store **", "*mut *mut Store"),
            ("const kvds_user_data *", "*const UserData"),
        ];
        for (c, expected) in types {
            assert_eq!(rust(c), expected, "{c}");
        }
    }
}
