//! `keys`: the tree of prefixes.

use clap::Args;

use super::Context;
use crate::args::RangeArguments;
use crate::failure::{Failure, Result};
use crate::input;
use crate::library::Cursor;
use crate::output::Output;
use crate::progress::Progress;
use crate::signals;
use crate::text::{Form, json_member};

/// Writes how many pairs and bytes begin with each prefix, like "du"
///
/// A prefix ends with the separator. Longer prefixes come before the ones that contain them, and
/// the total comes last, so nothing is kept in memory.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    range: RangeArguments,
    /// What separates the parts of a key
    #[arg(short, long, value_name = "TEXT", default_value = ":")]
    separator: std::ffi::OsString,
    /// How many parts of a key are a prefix at most
    #[arg(short, long, value_name = "COUNT", default_value_t = 1)]
    depth: usize,
}

/// A prefix whose keys are being counted.
struct Node {
    /// The length of the prefix.
    len: usize,
    pairs: u64,
    bytes: u64,
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<bool> {
    let range = arguments.range.range(context.form)?;
    let separator = input::bytes(context.form, "--separator", &arguments.separator)?;
    if separator.is_empty() {
        return Err(Failure::usage("--separator: it is empty"));
    }
    let store = context.place()?.open_to_read()?;
    signals::install();
    let mut out = Output::stdout();
    let mut progress = Progress::new(context.quiet, "counting", 0);
    let mut cursor = Cursor::new(&store, &range)?;
    // The open prefixes of the last key, from the shortest, and that key.
    let mut nodes = vec![Node { len: 0, pairs: 0, bytes: 0 }];
    let mut last = Vec::new();
    let mut found = cursor.first()?;
    while found {
        signals::check()?;
        let key = cursor.key()?;
        let bytes = key.len() + cursor.value()?.len();
        let common = last.iter().zip(key).take_while(|(a, b)| a == b).count();
        while let Some(node) = nodes.pop_if(|node| node.len > common) {
            close(&mut out, context.form, &last[..node.len], &node, &mut nodes)?;
        }
        last.clear();
        last.extend_from_slice(key);
        while nodes.len() <= arguments.depth {
            let begin = nodes.last().map_or(0, |node| node.len).max(range.prefix.len());
            let rest = &key[begin..];
            let at = rest.windows(separator.len()).position(|part| part == separator);
            let Some(at) = at else { break };
            nodes.push(Node { len: begin + at + separator.len(), pairs: 0, bytes: 0 });
        }
        if let Some(node) = nodes.last_mut() {
            node.pairs += 1;
            node.bytes += bytes as u64;
        }
        progress.add(bytes);
        found = cursor.next()?;
    }
    progress.finish();
    while let Some(node) = nodes.pop() {
        let prefix = if node.len == 0 { &range.prefix } else { &last[..node.len] };
        close(&mut out, context.form, prefix, &node, &mut nodes)?;
    }
    out.finish()?;
    Ok(true)
}

/// Writes the counters of a prefix, and adds them to the prefix that contains it.
fn close(
    out: &mut Output,
    form: Form,
    prefix: &[u8],
    node: &Node,
    open: &mut [Node],
) -> Result<()> {
    if let Some(parent) = open.last_mut() {
        parent.pairs += node.pairs;
        parent.bytes += node.bytes;
    }
    let (pairs, bytes) = (node.pairs, node.bytes);
    out.with_line(|line| {
        if form == Form::Json {
            line.push(b'{');
            json_member("prefix", prefix, line);
            line.extend_from_slice(format!(",\"pairs\":{pairs},\"bytes\":{bytes}}}").as_bytes());
        } else {
            line.extend_from_slice(format!("{pairs}\t{bytes}\t").as_bytes());
            form.write(prefix, line);
        }
    })
}
