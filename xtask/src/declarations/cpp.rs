//! The enums of `include/kvds.hpp`, between two marker lines of that file.

use anyhow::{Context, Result};

use super::{Choice, choices, sentence, short};
use crate::api::Api;

const BEGIN: &str =
    "/* Generated from abi/api.json by `cargo xtask declarations`, as far as END. */\n";
const END: &str = "/* END */\n";

/// Returns the file with the current enums between its marker lines.
pub fn replaced(api: &Api, file: &str) -> Result<String> {
    let (before, rest) =
        file.split_once(BEGIN).with_context(|| format!("kvds.hpp has no line {BEGIN}"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("kvds.hpp has no line {END}"))?;
    let enums: String = choices(api).iter().map(|choice| enumeration(choice) + "\n").collect();
    Ok(format!("{before}{BEGIN}\n{enums}{END}{after}"))
}

fn enumeration(choice: &Choice<'_>) -> String {
    let name = &choice.of.name;
    let what = sentence(choice.of);
    let what = what.split([':', '.']).next().unwrap_or_default();
    let values = choice
        .members
        .iter()
        .map(|(item, word)| (format!("{} = {},", word.to_lowercase(), item.name), item));
    let values: Vec<_> = values.collect();
    let width = values.iter().map(|(value, _)| value.len()).max().unwrap_or(0);
    let lines: String = values
        .iter()
        .map(|(value, item)| format!("    {value:width$} /**< `{}` */\n", item.name))
        .collect();
    format!("/** {what}; `{name}`. */\nenum class {} : {name} {{\n{lines}}};\n", short(name))
}
