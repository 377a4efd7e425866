//! Node's koffi, which reads C prototypes with a word for the direction of each pointer.

use std::collections::BTreeMap;

use anyhow::Result;

use super::{MARK, by_section, constants, prototype, statuses};
use crate::api::{Api, Field, Item, Kind};

/// Returns TypeScript's type of the names of errors: all statuses but success.
pub fn codes(api: &Api) -> Result<String> {
    let statuses = statuses(api)?;
    let names =
        statuses.members.iter().map(|(item, _)| &item.name).filter(|name| *name != "KVDS_OK");
    let names: String = names.map(|name| format!("\n    | '{name}'")).collect();
    Ok(format!(
        "// {MARK}\n\n/** The name of the status of an error. */\nexport type Code ={names};\n"
    ))
}

pub fn text(api: &Api) -> String {
    let constants: String =
        constants(api).map(|(name, value)| format!("export const {name} = {value};\n")).collect();
    let kinds: BTreeMap<_, _> = api.items().map(|item| (item.name.as_str(), &item.kind)).collect();
    let types: String = api.items().filter_map(|item| ty(item, &kinds)).collect();
    let functions = by_section(api, |item| match &item.kind {
        Kind::Function { returns, params } => {
            prototype("", returns, &item.name, &directed(params, &kinds))
        }
        _ => String::new(),
    });
    format!(
        "// {MARK}\n\n\
         // The constants of kvds.h, without KVDS_.\n{constants}\n\
         /** Declares the types of kvds.h. */\n\
         export function declareTypes(koffi) {{\n{types}}}\n\n\
         /** The functions of kvds.h. User data is a number. */\n\
         export const FUNCTIONS = `\n{functions}`;\n"
    )
}

fn ty(item: &Item, kinds: &BTreeMap<&str, &Kind>) -> Option<String> {
    let name = &item.name;
    let text = match &item.kind {
        Kind::Constant { .. } | Kind::Function { .. } => return None,
        Kind::Opaque => format!("    koffi.opaque('{name}');\n"),
        Kind::Integer { of } => format!("    koffi.alias('{name}', '{of}');\n"),
        Kind::Struct { fields } => {
            let field = |field: &Field| format!("        {}: '{}',\n", field.name, field.of);
            let fields: String = fields.iter().map(field).collect();
            format!("    koffi.struct('{name}', {{\n{fields}    }});\n")
        }
        Kind::Callback { returns, params } => {
            let lines = prototype("        ", returns, name, &directed(params, kinds));
            format!("    koffi.proto(`\n{}`);\n", lines.trim_end().trim_end_matches(';'))
        }
    };
    Some(text)
}

/// Returns the parameters in koffi's notation.
fn directed(params: &[Field], kinds: &BTreeMap<&str, &Kind>) -> Vec<Field> {
    let directed = params.iter().map(|param| {
        let target = param.of.trim_end_matches(['*', ' ']);
        let kind = kinds.get(target);
        let of = match (kind, param.direction.as_deref()) {
            (Some(Kind::Callback { .. }), _) => format!("{} *", param.of),
            _ if param.name == "user_data" => "uintptr_t".to_owned(),
            // koffi writes into a buffer of bytes in place.
            _ if target == "void" || !param.of.ends_with('*') => param.of.clone(),
            (_, Some("out")) => format!("_Out_ {}", param.of),
            (Some(Kind::Struct { .. }), _) if !param.of.starts_with("const ") => {
                format!("_Inout_ {}", param.of)
            }
            _ => param.of.clone(),
        };
        Field { name: param.name.clone(), of, text: Vec::new(), direction: None }
    });
    directed.collect()
}
