//! Colors of the line that is being typed.

use nu_ansi_term::{Color, Style};
use reedline::{Highlighter, StyledText};

use super::words::{self, Word};

/// Colors the command, options, and words in quotes.
pub struct Colors {
    /// The names of all commands.
    pub commands: Vec<String>,
}

impl Colors {
    fn style(&self, at: usize, word: &Word) -> Style {
        let is_command = |name: &String| name.as_bytes() == word.text;
        match at {
            0 if self.commands.iter().any(is_command) => Color::Green.bold(),
            0 => Color::Red.normal(),
            _ if word.is_quoted => Color::Yellow.normal(),
            _ if word.text.starts_with(b"-") => Color::Cyan.normal(),
            _ => Style::new(),
        }
    }
}

impl Highlighter for Colors {
    fn highlight(&self, line: &str, _cursor: usize) -> StyledText {
        let mut styled = StyledText::new();
        let mut push = |style, from, to| {
            if let Some(text) = line.get(from..to)
                && !text.is_empty()
            {
                styled.push((style, text.to_owned()));
            }
        };
        let mut done = 0;
        for (at, word) in words::split(line.as_bytes()).words.iter().enumerate() {
            push(Style::new(), done, word.start);
            push(self.style(at, word), word.start, word.end);
            done = word.end;
        }
        push(Style::new(), done, line.len());
        styled
    }
}
