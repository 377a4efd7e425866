//! What `top` draws on a terminal.

use std::env;
use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Sparkline, Wrap};

use super::history::{COLUMNS, History};
use super::lines;
use super::metric::{Metric, short_bytes};
use super::source::{self, Content, Row, StoreContent};
use crate::text::shown;

const LABEL_WIDTH: u16 = 31;
const VALUE_WIDTH: u16 = 10;

const HELP: &str = "\
q, Esc, Ctrl-C  end
p, space        pause, and continue
+ -             a longer or shorter interval
?               this page

This program sees the store from outside. It reads the sizes of its files, opens it for reading \
again when they changed, and asks the system about the process that writes it, and reads what that \
process counts.

The number of keys is an estimate: it counts each version of a key that no compaction has removed \
yet, so overwriting keys changes it too. The bytes written per second are those by which files \
grew; the log is left out where the store has none (durability none).

Reads, writes and compactions are those of the process that writes the store. They are missing if \
it is the process of another user.";

/// The state of the screen.
pub struct Screen {
    title: String,
    pub interval: Duration,
    pub paused: bool,
    pub help: bool,
    color: bool,
    last: Option<source::Frame>,
    history: History,
}

impl Screen {
    pub fn new(title: String, interval: Duration) -> Screen {
        let color = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let history = History::default();
        Screen { title, interval, paused: false, help: false, color, last: None, history }
    }

    pub fn add(&mut self, frame: source::Frame) {
        if let Content::Store(content) = &frame.content {
            self.history.add(frame.time, content);
        }
        self.last = Some(frame);
    }

    pub fn draw(&self, frame: &mut Frame) {
        let [top, main, bottom] =
            Layout::vertical([Constraint::Length(2), Constraint::Min(0), Constraint::Length(1)])
                .areas(frame.area());
        frame.render_widget(self.heading(), top);
        if self.help {
            frame.render_widget(Paragraph::new(HELP).wrap(Wrap { trim: false }), main);
        } else {
            match self.last.as_ref().map(|last| &last.content) {
                Some(Content::Store(content)) => self.draw_store(content, frame, main),
                Some(Content::Base(rows)) => self.draw_base(rows, frame, main),
                None => frame.render_widget("reading ...", main),
            }
        }
        frame.render_widget(self.dim("q quit  p pause  + - interval  ? help"), bottom);
    }

    fn heading(&self) -> Line<'_> {
        let every = format!("  every {:?}", self.interval);
        let mut line = vec![
            Span::styled("kvds top  ", self.style(Color::Cyan)),
            Span::styled(self.title.as_str(), Style::new().add_modifier(Modifier::BOLD)),
            self.dim(every),
        ];
        if self.paused {
            line.push(Span::styled("  paused", self.style(Color::Yellow)));
        }
        Line::from(line)
    }

    /// Returns a style with a color, or without one where the user wants none.
    fn style(&self, color: Color) -> Style {
        if self.color { Style::new().fg(color) } else { Style::new() }
    }

    fn dim<'a>(&self, text: impl Into<std::borrow::Cow<'a, str>>) -> Span<'a> {
        Span::styled(text, Style::new().add_modifier(Modifier::DIM))
    }

    fn draw_store(&self, content: &StoreContent, frame: &mut Frame, area: Rect) {
        let writer = match &content.writer {
            Some(writer) => format!("written by {writer}"),
            None => "no process has it open for writing".to_owned(),
        };
        let rows = u16::try_from(content.values.len()).unwrap_or(u16::MAX);
        let is_disk = content.values.iter().any(|(metric, _)| *metric == Metric::DiskBytes);
        let [first, metrics, _, levels] = Layout::vertical([
            Constraint::Length(if is_disk { 2 } else { 0 }),
            Constraint::Length(rows),
            Constraint::Length(1),
            Constraint::Min(0),
        ])
        .areas(area);
        frame.render_widget(writer, first);
        let areas = Layout::vertical(content.values.iter().map(|_| Constraint::Length(1)));
        for ((metric, value), area) in content.values.iter().zip(areas.split(metrics).iter()) {
            self.draw_metric(*metric, *value, frame, *area);
        }
        frame.render_widget(Paragraph::new(self.levels(content)), levels);
    }

    fn draw_metric(&self, metric: Metric, value: Option<f64>, frame: &mut Frame, area: Rect) {
        let [label, number, _, graph, scale] = Layout::horizontal([
            Constraint::Length(LABEL_WIDTH),
            Constraint::Length(VALUE_WIDTH),
            Constraint::Length(2),
            Constraint::Max(u16::try_from(COLUMNS).unwrap_or(u16::MAX)),
            Constraint::Min(0),
        ])
        .areas(area);
        frame.render_widget(metric.label(), label);
        let number_text = Line::from(metric.shown(value)).right_aligned();
        frame.render_widget(number_text.style(Style::new().add_modifier(Modifier::BOLD)), number);
        let points = self.history.graph(metric);
        let known = || points.iter().copied().flatten();
        let Some(largest) = known().reduce(f64::max) else { return };
        let smallest = if metric.is_gauge() { known().fold(largest, f64::min) } else { 0.0 };
        let skipped = points.len().saturating_sub(usize::from(graph.width));
        let bars: Vec<Option<u64>> = points[skipped..]
            .iter()
            .map(|point| point.map(|point| height(point - smallest, largest - smallest)))
            .collect();
        let sparkline = Sparkline::default().data(bars).max(HEIGHT).style(self.style(Color::Green));
        frame.render_widget(sparkline, graph);
        frame.render_widget(self.dim(format!("  max {}", metric.shown(Some(largest)))), scale);
    }

    fn levels(&self, content: &StoreContent) -> Vec<Line<'_>> {
        let largest = content.levels.iter().map(|level| level.bytes).max().unwrap_or(1).max(1);
        let line = |level: &crate::engine_properties::Level| {
            let bar = usize::try_from(level.bytes * 40 / largest).unwrap_or(0);
            let text = format!(
                "level {:<2} {:>6} files {:>9}  ",
                level.number,
                level.files,
                short_bytes(level.bytes as f64)
            );
            let bar = Span::styled("█".repeat(bar.max(1)), self.style(Color::Blue));
            Line::from(vec![Span::raw(text), bar])
        };
        content.levels.iter().map(line).collect()
    }

    fn draw_base(&self, rows: &[Row], frame: &mut Frame, area: Rect) {
        let columns = |cells: [&str; 6]| {
            cells.iter().fold(String::new(), |line, cell| format!("{line}{cell:>10}"))
        };
        let heading = columns(["disk", "growth/s", "written/s", "wal", "written", "writer"]);
        let heading = Line::styled(
            format!("{heading}  {} stores", rows.len()),
            Style::new().add_modifier(Modifier::BOLD),
        );
        let row = |row: &Row| {
            let cells = lines::cells(row);
            let line =
                format!("{}  {}", columns(cells.each_ref().map(String::as_str)), shown(&row.id));
            let busy = row.written.is_some_and(|written| written > 0.0);
            Line::styled(line, if busy { self.style(Color::Green) } else { Style::new() })
        };
        let visible = usize::from(area.height).saturating_sub(1);
        let lines = std::iter::once(heading).chain(rows.iter().take(visible).map(row));
        frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
    }
}

/// The height of a full bar, in the unit of [`height`].
const HEIGHT: u64 = 1000;

/// Returns the height of a bar; negative changes have none.
fn height(value: f64, largest: f64) -> u64 {
    // Between 0 and HEIGHT, so the cast is exact enough.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    if largest > 0.0 { (value.max(0.0) / largest * HEIGHT as f64) as u64 } else { 0 }
}
