//! `diff`: what is different between two stores.

use clap::Args;

use super::Context;
use super::merge::{Difference, differences};
use crate::args::{OtherStore, PrefixArgument};
use crate::failure::Result;
use crate::output::Output;
use crate::signals;
use crate::text::{Form, json_member};

/// Compares the store with another one
///
/// "-" is a pair that only the store has, and "+" one that only the other store has; a key with
/// two values has both lines. The exit code is 0 if the stores are equal, and 1 otherwise.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    other: OtherStore,
    #[command(flatten)]
    prefix: PrefixArgument,
    /// Writes nothing, and ends at the first difference
    #[arg(long)]
    brief: bool,
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<bool> {
    let range = arguments.prefix.range(context.form)?;
    let first = context.place()?.open_to_read()?;
    let second = context.other_place(&arguments.other)?.open_to_read()?;
    signals::install();
    let mut out = Output::stdout();
    let mut equal = true;
    differences(&first, &second, &range, |difference| {
        equal = false;
        if arguments.brief {
            return Ok(false);
        }
        match difference {
            Difference::First { key, value } => line(&mut out, context.form, '-', key, value)?,
            Difference::Second { key, value } => line(&mut out, context.form, '+', key, value)?,
            Difference::Value { key, first, second } => {
                line(&mut out, context.form, '-', key, first)?;
                line(&mut out, context.form, '+', key, second)?;
            }
        }
        Ok(true)
    })?;
    out.finish()?;
    Ok(equal)
}

fn line(out: &mut Output, form: Form, sign: char, key: &[u8], value: &[u8]) -> Result<()> {
    out.with_line(|line| {
        if form == Form::Json {
            let side = if sign == '-' { "first" } else { "second" };
            line.extend_from_slice(format!("{{\"in\":\"{side}\",").as_bytes());
            json_member("key", key, line);
            line.push(b',');
            json_member("value", value, line);
            line.push(b'}');
        } else {
            line.extend_from_slice(&[sign as u8, b' ']);
            form.write(key, line);
            line.push(b'\t');
            form.write(value, line);
        }
    })
}
