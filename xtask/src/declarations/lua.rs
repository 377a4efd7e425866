//! LuaJIT's `ffi.cdef`.

use super::{MARK, by_section, constants, declared, prototype};
use crate::api::{Api, Item, Kind};

pub fn text(api: &Api) -> String {
    let declarations = by_section(api, declaration);
    let constants: String =
        constants(api).map(|(name, value)| format!("    {name} = {value},\n")).collect();
    format!(
        "-- {MARK}\n\n\
         local ffi = require 'ffi'\n\n\
         -- A type can be declared only once, but this module may be loaded again.\n\
         if not pcall(ffi.typeof, 'kvds_value') then ffi.cdef [[\n{declarations}]] end\n\n\
         -- The constants of kvds.h, without KVDS_.\n\
         return {{\n{constants}}}\n"
    )
}

fn declaration(item: &Item) -> String {
    let name = &item.name;
    match &item.kind {
        Kind::Constant { .. } => String::new(),
        Kind::Opaque => format!("typedef struct {name} {name};\n"),
        Kind::Integer { of } => format!("typedef {of} {name};\n"),
        Kind::Struct { fields } => {
            let fields: String = fields
                .iter()
                .map(|field| format!("    {};\n", declared(&field.of, &field.name)))
                .collect();
            format!("typedef struct {name} {{\n{fields}}} {name};\n")
        }
        Kind::Callback { returns, params } => {
            format!("typedef {}", prototype("", returns, &format!("(*{name})"), params))
        }
        Kind::Function { returns, params } => prototype("", returns, name, params),
    }
}
