//! Ruby's Fiddle, whose importer reads C prototypes.

use super::{MARK, by_section, constants, declared, pascal, prototype, short};
use crate::api::{Api, Item, Kind};

pub fn text(api: &Api) -> String {
    let constants: String =
        constants(api).map(|(name, value)| format!("    {name} = {value}\n")).collect();
    let types: String = api.items().filter_map(alias).collect();
    let structs: String = api.items().filter_map(structure).collect();
    let functions = by_section(api, |item| match &item.kind {
        Kind::Function { returns, params } => prototype("      ", returns, &item.name, params),
        _ => String::new(),
    });
    format!(
        "# frozen_string_literal: true\n\n\
         # {MARK}\n\n\
         module Kvds\n\
         \x20 module Library\n\
         \x20   # The constants of kvds.h, without KVDS_.\n{constants}\n\
         \x20   TYPES = {{\n{types}    }}.freeze\n\n\
         \x20   STRUCTS = {{\n{structs}    }}.freeze\n\n\
         \x20   FUNCTIONS = <<~C.split(/;\\s*/).freeze\n{functions}    C\n\
         \x20 end\n\
         end\n"
    )
}

/// Returns a type alias. Fiddle has aliases, and only untyped pointers to functions.
fn alias(item: &Item) -> Option<String> {
    let of = match &item.kind {
        Kind::Integer { of } => of,
        Kind::Callback { .. } => "void *",
        _ => return None,
    };
    Some(format!("      '{}' => '{of}',\n", item.name))
}

fn structure(item: &Item) -> Option<String> {
    let Kind::Struct { fields } = &item.kind else { return None };
    let field = |(of, name)| format!("        '{}',\n", declared(of, name));
    let fields: String =
        fields.iter().map(|each| (each.of.as_str(), each.name.as_str())).map(field).collect();
    Some(format!("      {}: [\n{fields}      ],\n", pascal(short(&item.name))))
}
