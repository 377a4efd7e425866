//! `get`: the values of keys.

use clap::Args;

use super::Context;
use crate::args::KeyArguments;
use crate::failure::Result;
use crate::output::{self, Output};
use crate::text::shown;

/// Writes the value of a key, byte for byte
///
/// A terminal gets a line break after the value. With several keys, or with --hex, --base64 or
/// --json, each key that exists has a line. The exit code is 1 if a key does not exist.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    keys: KeyArguments,
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<bool> {
    let keys = arguments.keys.bytes(context.form)?;
    let store = context.place()?.open_to_read()?;
    let mut out = Output::stdout();
    let mut all = true;
    for key in &keys {
        let Some(value) = store.get(key)? else {
            context.note(&format!("no key {}", shown(key)));
            all = false;
            continue;
        };
        match context.explicit_form {
            None if keys.len() == 1 && output::is_terminal() => {
                out.write(&value)?;
                out.write(b"\n")?;
            }
            None if keys.len() == 1 => out.write(&value)?,
            Some(form) if keys.len() == 1 && form != crate::text::Form::Json => {
                out.line(form, &value)?;
            }
            _ => out.pair(context.form, Some(key), Some(&value))?,
        }
    }
    out.finish()?;
    Ok(all)
}
