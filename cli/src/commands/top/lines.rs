//! The readings as lines, like those of vmstat, or as JSON objects.

use std::time::Duration;

use super::metric::{Metric, short_bytes};
use super::source::{Content, Frame, Row, Source, StoreContent};
use crate::commands::Context;
use crate::commands::stores::age;
use crate::failure::Result;
use crate::figures::levels_json;
use crate::output::Output;
use crate::signals;
use crate::text::{Form, json_member};
use crate::writer_counters::Counters;

/// Headings are repeated after this many lines.
const PAGE: u64 = 20;

/// Writes `count` readings.
pub fn run(mut source: Source, interval: Duration, count: u64, context: &Context) -> Result<()> {
    let mut out = Output::stdout();
    for number in 0..count {
        if number > 0 {
            signals::sleep(interval)?;
        }
        let frame = source.read()?;
        if context.form == Form::Json {
            json(&frame, &mut out)?;
        } else {
            text(&frame, number, context.form, &mut out)?;
        }
        out.flush()?;
    }
    Ok(())
}

fn text(frame: &Frame, number: u64, form: Form, out: &mut Output) -> Result<()> {
    let time = format!("{:>7.1}", frame.time.as_secs_f64());
    match &frame.content {
        Content::Store(content) => {
            if number.is_multiple_of(PAGE) {
                line(out, "seconds", content.values.iter().map(|(metric, _)| metric.column()))?;
            }
            let values = content.values.iter().map(|(metric, value)| metric.shown(*value));
            line(out, &time, values)
        }
        Content::Base(rows) => {
            if number == 0 {
                let columns = ["disk", "growth/s", "written/s", "wal", "written", "writer"];
                line(out, "seconds", columns.into_iter().chain(["store"]))?;
            }
            rows.iter().try_for_each(|row| {
                let cells = cells(row);
                out.with_line(|line| {
                    line.extend_from_slice(columns(&time, cells.iter()).as_bytes());
                    line.extend_from_slice(b"  ");
                    form.write(&row.id, line);
                })
            })
        }
    }
}

/// Returns the columns of a store, without its name.
pub fn cells(row: &Row) -> [String; 6] {
    let rate = |rate: Option<f64>| rate.map_or_else(|| "-".to_owned(), short_bytes);
    [
        short_bytes(row.disk_bytes as f64),
        rate(row.growth),
        rate(row.written),
        short_bytes(row.wal_bytes as f64),
        age(row.age),
        row.writer.as_ref().map_or_else(|| "-".to_owned(), |writer| writer.pid().to_string()),
    ]
}

fn line<T: AsRef<str>>(
    out: &mut Output,
    first: &str,
    values: impl Iterator<Item = T>,
) -> Result<()> {
    let text = columns(first, values);
    out.with_line(|line| line.extend_from_slice(text.as_bytes()))
}

fn columns<T: AsRef<str>>(first: &str, values: impl Iterator<Item = T>) -> String {
    values.fold(first.to_owned(), |line, value| format!("{line} {:>9}", value.as_ref()))
}

fn json(frame: &Frame, out: &mut Output) -> Result<()> {
    let time = frame.time.as_secs_f64();
    match &frame.content {
        Content::Store(content) => out.with_line(|line| {
            line.extend_from_slice(format!("{{\"seconds\":{time:.3}").as_bytes());
            store_json(content, line);
            line.push(b'}');
        }),
        Content::Base(rows) => rows.iter().try_for_each(|row| {
            out.with_line(|line| {
                line.extend_from_slice(format!("{{\"seconds\":{time:.3},").as_bytes());
                json_member("store", &row.id, line);
                row_json(row, line);
                line.push(b'}');
            })
        }),
    }
}

fn store_json(content: &StoreContent, line: &mut Vec<u8>) {
    let mut add = |text: String| line.extend_from_slice(text.as_bytes());
    if let Some(writer) = &content.writer {
        add(format!(",\"writer\":{}", writer.pid()));
    }
    for (metric, value) in &content.values {
        add(number(metric.name(), *value));
    }
    for (name, count) in content.counters.iter().flat_map(Counters::named) {
        add(format!(",\"{name}\":{count}"));
    }
    // A cluster has no levels.
    if content.values.iter().any(|(metric, _)| *metric == Metric::DiskBytes) {
        add(format!(",\"levels\":{}", levels_json(&content.levels)));
    }
}

fn row_json(row: &Row, line: &mut Vec<u8>) {
    let mut add = |text: String| line.extend_from_slice(text.as_bytes());
    add(number("disk_bytes", Some(row.disk_bytes as f64)));
    add(number("growth_bytes_per_s", row.growth));
    add(number("written_bytes_per_s", row.written));
    add(number("wal_bytes", Some(row.wal_bytes as f64)));
    add(format!(",\"age_s\":{}", row.age.as_secs()));
    if let Some(writer) = &row.writer {
        add(format!(",\"writer\":{}", writer.pid()));
    }
}

/// Returns a member of an object; nothing for a number that is not known.
fn number(name: &str, value: Option<f64>) -> String {
    // Rates need no more digits.
    value.map_or_else(String::new, |value| match (value * 10.0).round() / 10.0 {
        whole if whole.fract() == 0.0 => format!(",\"{name}\":{:.0}", whole + 0.0),
        fraction => format!(",\"{name}\":{fraction:.1}"),
    })
}
