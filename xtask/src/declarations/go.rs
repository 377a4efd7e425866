//! Go's constants for the statuses. cgo reads everything else, also the numbers, from the header.

use anyhow::Result;

use super::{pascal, sentence, statuses};
use crate::api::Api;

/// Words that Go writes in capitals.
const INITIALISMS: [&str; 2] = ["IO", "OK"];

pub fn text(api: &Api) -> Result<String> {
    let statuses = statuses(api)?;
    // Go's tools recognize generated files by this sentence.
    let mut text = "\
// Code generated from abi/api.json by cargo xtask declarations. DO NOT EDIT.\n\n\
package kvds\n\n\
// #include <kvds.h>\n\
import \"C\"\n\n\
// Status is the result of a call: 0 is success, a positive number an expected negative\n\
// result, a negative number an error.\n\
type Status int32\n\n\
// The statuses.\n\
const (\n"
        .to_owned();
    for (at, (item, name)) in statuses.members.iter().enumerate() {
        let go = if INITIALISMS.contains(name) { (*name).to_owned() } else { pascal(name) };
        let gap = if at == 0 { "" } else { "\n" };
        text.push_str(&format!(
            "{gap}\t// {go}: {}\n\t{go} Status = C.{}\n",
            sentence(item),
            item.name
        ));
    }
    Ok(text + ")\n")
}
