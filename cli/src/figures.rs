//! Named figures of a store, as aligned lines or as one JSON object.

use indicatif::HumanBytes;

use crate::engine_properties::Level;
use crate::failure::Result;
use crate::output::Output;
use crate::text::{Form, json_member, shown};

/// The width of the names in lines.
const NAME_WIDTH: usize = 26;

/// A figure. Lines and JSON have the same names.
pub enum Figure {
    Text(Vec<u8>),
    Count(u64),
    /// How many keys there are, and whether they were counted or estimated.
    Keys {
        count: u64,
        counted: bool,
    },
    Bytes(u64),
    Seconds(u64),
    Levels(Vec<Level>),
}

/// Figures in the order in which they are written.
#[derive(Default)]
pub struct Figures(Vec<(&'static str, Figure)>);

impl Figures {
    pub fn add(&mut self, name: &'static str, figure: Figure) {
        self.0.push((name, figure));
    }

    /// Adds a figure that is known.
    pub fn add_known(&mut self, name: &'static str, figure: Option<Figure>) {
        if let Some(figure) = figure {
            self.add(name, figure);
        }
    }

    pub fn write(&self, form: Form, out: &mut Output) -> Result<()> {
        if form == Form::Json {
            return out.with_line(|line| self.json(line));
        }
        self.0.iter().try_for_each(|(name, figure)| {
            figure
                .lines(name)
                .iter()
                .try_for_each(|line| out.with_line(|out| out.extend_from_slice(line.as_bytes())))
        })
    }

    fn json(&self, line: &mut Vec<u8>) {
        line.push(b'{');
        for (at, (name, figure)) in self.0.iter().enumerate() {
            if at > 0 {
                line.push(b',');
            }
            match figure {
                Figure::Text(text) => json_member(name, text, line),
                other => line.extend_from_slice(other.json(name).as_bytes()),
            }
        }
        line.push(b'}');
    }
}

impl Figure {
    pub fn text(text: impl Into<String>) -> Figure {
        Figure::Text(text.into().into_bytes())
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let line = |name: &str, value: String| format!("{name:NAME_WIDTH$} {value}");
        vec![match self {
            Figure::Text(text) => line(name, shown(text)),
            Figure::Count(count) => line(name, count.to_string()),
            Figure::Keys { count, counted: true } => line(name, format!("{count} (counted)")),
            Figure::Keys { count, .. } => line(name, format!("{count} (estimated)")),
            Figure::Bytes(bytes) => line(name, with_unit(*bytes)),
            Figure::Seconds(seconds) => line(name, format!("{seconds} s")),
            Figure::Levels(levels) => {
                let level = |level: &Level| {
                    let files = if level.files == 1 { "file" } else { "files" };
                    let value = format!("{} {files}, {}", level.files, with_unit(level.bytes));
                    line(&format!("level_{}", level.number), value)
                };
                return levels.iter().map(level).collect();
            }
        }]
    }

    fn json(&self, name: &str) -> String {
        match self {
            // Text may need escapes, see above.
            Figure::Text(_) => String::new(),
            Figure::Keys { count, counted } => {
                format!("\"{name}\":{count},\"{name}_counted\":{counted}")
            }
            Figure::Count(number) | Figure::Bytes(number) | Figure::Seconds(number) => {
                format!("\"{name}\":{number}")
            }
            Figure::Levels(levels) => format!("\"{name}\":{}", levels_json(levels)),
        }
    }
}

/// Returns levels as a JSON array.
pub fn levels_json(levels: &[Level]) -> String {
    let level = |level: &Level| {
        let Level { number, files, bytes } = level;
        format!("{{\"level\":{number},\"files\":{files},\"bytes\":{bytes}}}")
    };
    format!("[{}]", levels.iter().map(level).collect::<Vec<_>>().join(","))
}

fn with_unit(bytes: u64) -> String {
    match bytes {
        0..1024 => bytes.to_string(),
        _ => format!("{bytes} ({})", HumanBytes(bytes)),
    }
}
