//! Every option of a distributor, once: its name, what it takes, its default, and where it goes.

use crate::error::{Error, Result};

/// How a distributor behaves.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether the distributor holds one reference to each store it made.
    pub keep_stores: bool,
}

/// One option as other languages and configuration files reach it.
struct Entry {
    name: &'static str,
    /// What the value may be, for the message about one that is not.
    takes: &'static str,
    set: fn(&mut Options, &str) -> Option<()>,
}

const TABLE: &[Entry] = &[Entry {
    name: "keep_stores",
    takes: "0 or 1 (also: false or true, off or on, no or yes)",
    set: |options, value| {
        options.keep_stores = truth(value)?;
        Some(())
    },
}];

impl Options {
    /// Sets the option called `name` from text.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let Some(entry) = TABLE.iter().find(|entry| entry.name == name) else {
            let names: Vec<_> = TABLE.iter().map(|entry| entry.name).collect();
            return Err(Error::invalid(format!("there is no option \"{name}\"; there are: {}", names.join(", "))));
        };
        (entry.set)(self, value)
            .ok_or_else(|| Error::invalid(format!("option \"{name}\" takes {}, not \"{value}\"", entry.takes)))
    }
}

fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "true" | "on" | "yes" => Some(true),
        "0" | "false" | "off" | "no" => Some(false),
        _ => None,
    }
}
