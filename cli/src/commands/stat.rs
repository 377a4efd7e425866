//! `stat`: the statistics and properties of a store.

use clap::Args;

use super::Context;
use crate::failure::Result;
use crate::output::Output;
use crate::text::Form;

/// Writes how many keys and bytes there are, or a property of the engine
///
/// On disk, the keys and bytes are estimates: "count" counts.
#[derive(Args)]
pub struct Arguments {
    /// Only this property, such as rocksdb.stats or etcd.version; the exit code is 1 if there is
    /// no such property
    #[arg(long, value_name = "NAME")]
    property: Option<String>,
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<bool> {
    let place = context.place()?;
    let store = place.open_to_read()?;
    let mut out = Output::stdout();
    if let Some(name) = &arguments.property {
        let Some(value) = store.property(name.as_bytes())? else {
            context.note(&format!("no property {name}"));
            return Ok(false);
        };
        out.write(value.trim_ascii_end())?;
        out.write(b"\n")?;
        out.finish()?;
        return Ok(true);
    }
    let stats = store.stats()?;
    let mut numbers = vec![("keys", stats.keys), ("bytes", stats.bytes)];
    if !place.is_cluster() {
        numbers.push(("disk_bytes", stats.disk_bytes));
    }
    if let Some(holder) = place.holder() {
        numbers.push(("writer", holder.pid().into()));
    }
    if context.form == Form::Json {
        let members: Vec<_> =
            numbers.iter().map(|(name, number)| format!("\"{name}\":{number}")).collect();
        out.write(format!("{{{}}}\n", members.join(",")).as_bytes())?;
    } else {
        for (name, number) in numbers {
            out.write(format!("{name:10} {number}\n").as_bytes())?;
        }
    }
    out.finish()?;
    Ok(true)
}
