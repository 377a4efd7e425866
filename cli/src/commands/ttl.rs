//! `ttl`: how long a key lives.

use std::ffi::OsString;

use clap::Args;

use super::Context;
use crate::failure::Result;
use crate::input;
use crate::output::Output;
use crate::text::Form;

/// Writes the time that a key has left, or replaces it
///
/// The time is written in milliseconds, or as "never" (with --json, as null). The exit code is 1
/// if the key does not exist.
#[derive(Args)]
pub struct Arguments {
    #[arg(value_name = "KEY")]
    key: OsString,
    /// The new time, such as 90s, 5m or 2h, or "never"
    #[arg(value_name = "TIME", value_parser = time)]
    time: Option<Time>,
}

/// A new time to live.
#[derive(Clone, Copy)]
enum Time {
    Never,
    Ms(u64),
}

fn time(text: &str) -> std::result::Result<Time, String> {
    if text == "never" { Ok(Time::Never) } else { input::duration(text).map(Time::Ms) }
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<bool> {
    let key = context.key(&arguments.key)?;
    let place = context.place()?;
    let Some(time) = arguments.time else {
        let store = place.open_to_read()?;
        let Some(left) = store.ttl(&key)? else {
            context.note("no such key");
            return Ok(false);
        };
        let mut out = Output::stdout();
        let text = match context.form {
            _ if left >= 0 => left.to_string(),
            Form::Json => "null".to_owned(),
            _ => "never".to_owned(),
        };
        out.with_line(|line| line.extend_from_slice(text.as_bytes()))?;
        out.finish()?;
        return Ok(true);
    };
    let store = place.open_to_write(false)?;
    let found = store.expire(&key, if let Time::Ms(ms) = time { ms } else { 0 })?;
    store.sync()?;
    if !found {
        context.note("no such key");
    }
    Ok(found)
}
