//! Python's enum of the statuses. cffi reads everything else, also the numbers, from the header.

use anyhow::Result;

use super::{MARK, sentence, statuses};
use crate::api::Api;

pub fn text(api: &Api) -> Result<String> {
    let statuses = statuses(api)?;
    let mut text = format!(
        "# {MARK}\n\"\"\"Statuses.\"\"\"\n\n\
         from __future__ import annotations\n\n\
         import enum\n\n\
         from kvds._library import lib\n\n\n\
         class Status(enum.IntEnum):\n\
         \x20   \"\"\"The result of a call of the C library: 0 is success, a positive number an \
         expected\n\
         \x20   negative result, a negative number an error.\"\"\"\n"
    );
    for (item, name) in statuses.members {
        text.push_str(&format!(
            "\n    {name} = lib.{}\n    \"\"\"{}\"\"\"\n",
            item.name,
            sentence(item)
        ));
    }
    Ok(text)
}
