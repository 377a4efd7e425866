//! Plots for the documentation, as SVG: a bar per ratio, and curves over sizes and threads.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use plotters::coord::ranged1d::ValueFormatter;
use plotters::prelude::*;

use crate::contest::Row;
use crate::data::Data;
use crate::peers::ORIGINAL;
use crate::plan::Group;
use crate::report::Report;
use crate::targets::label;

const FONT: &str = "sans-serif";
/// The height of a bar and its label, in pixels.
const BAR: u32 = 22;
const BETTER: RGBColor = RGBColor(45, 125, 90);
const WORSE: RGBColor = RGBColor(190, 80, 60);
const COLORS: [RGBColor; 9] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 39, 40),
    RGBColor(44, 160, 44),
    RGBColor(255, 127, 14),
    RGBColor(148, 103, 189),
    RGBColor(140, 86, 75),
    RGBColor(227, 119, 194),
    RGBColor(127, 127, 127),
    RGBColor(23, 190, 207),
];

/// Draws the plots for which the report has figures. Returns the files.
pub fn draw(report: &Report, directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let file = |name: &str| directory.join(format!("{}-{name}.svg", report.stem()));
    let large = Data::usual(1_000_000);

    let bars: Vec<_> = report
        .rows
        .iter()
        .filter(|row| row.data == large && row.unit != "times" || row.group == Group::Sync)
        .filter_map(|row| Some((label(row), row.score(ORIGINAL)?.times)))
        .filter(|(_, times)| times.is_finite() && *times > 0.0)
        .collect();
    if !bars.is_empty() {
        let path = file("ratios");
        ratios(&path, &bars).map_err(|error| anyhow!("{}: {error}", path.display()))?;
        files.push(path);
    }

    for name in ["get, hit", "update"] {
        let by_size = |row: &&Row| {
            row.name == name && row.threads == 1 && row.data == Data::usual(row.data.keys)
        };
        let rows: Vec<_> = report.rows.iter().filter(by_size).collect();
        let curves = curves(&rows, |row| row.data.keys as f64, |_, median| median);
        let path = file(&format!("{}-by-size", name.split(',').next().unwrap_or(name)));
        files.extend(chart(&path, &format!("{name}: ns per call"), "keys", curves)?);
    }
    for (name, alone) in [("get", "get, hit"), ("50:50", "")] {
        let by_threads = |row: &&Row| {
            row.data == large
                && (row.group == Group::Threads && row.name == name
                    || row.threads == 1 && row.name == alone)
        };
        let mut rows: Vec<_> = report.rows.iter().filter(by_threads).collect();
        rows.sort_by_key(|row| row.threads);
        rows.dedup_by_key(|row| row.threads);
        let curves = curves(&rows, |row| row.threads as f64, |_, median| 1e3 / median);
        let path = file(&format!("{}-by-threads", name.replace(':', "-")));
        files.extend(chart(
            &path,
            &format!("{name}: million calls per second"),
            "threads",
            curves,
        )?);
    }
    Ok(files)
}

type Curve = (&'static str, Vec<(f64, f64)>);

/// Returns a curve for each peer with at least two points.
fn curves(rows: &[&Row], x: impl Fn(&Row) -> f64, y: impl Fn(&Row, f64) -> f64) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    for row in rows {
        for score in &row.scores {
            let point = (x(row), y(row, score.median));
            match curves.iter_mut().find(|(peer, _)| *peer == score.peer) {
                Some((_, points)) => points.push(point),
                None => curves.push((score.peer, vec![point])),
            }
        }
    }
    curves.retain(|(_, points)| points.len() > 1);
    curves
}

/// Draws how many times as long the original takes, on a logarithmic scale, with a line at 1.
fn ratios(path: &Path, bars: &[(String, f64)]) -> Result<(), Box<dyn std::error::Error>> {
    let (width, text, top) = (900_u32, 330_i32, 50_i32);
    let height = top as u32 + BAR * bars.len() as u32 + 20;
    let root = SVGBackend::new(path, (width, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let title =
        "How many times as much as kvds the original needs (kvds is better right of the line)";
    root.draw(&Text::new(title, (12, 16), (FONT, 16)))?;

    let least = bars.iter().map(|(_, times)| *times).fold(0.5, f64::min).ln();
    let most = bars.iter().map(|(_, times)| *times).fold(2.0, f64::max).ln();
    let room = f64::from(width as i32 - text - 90);
    let place = |times: f64| text + ((times.ln() - least) / (most - least) * room) as i32;
    for (index, (name, times)) in bars.iter().enumerate() {
        let y = top + (index as u32 * BAR) as i32;
        let color = if *times >= 1.0 { BETTER } else { WORSE };
        let (one, other) = (place(1.0).min(place(*times)), place(1.0).max(place(*times)));
        root.draw(&Text::new(name.clone(), (12, y + 4), (FONT, 14)))?;
        root.draw(&Rectangle::new([(one, y + 2), (other, y + BAR as i32 - 4)], color.filled()))?;
        root.draw(&Text::new(format!("{times:.2}"), (other + 6, y + 4), (FONT, 14)))?;
    }
    let line = vec![(place(1.0), top - 6), (place(1.0), height as i32 - 12)];
    root.draw(&PathElement::new(line, BLACK))?;
    root.present()?;
    Ok(())
}

/// Draws curves over a logarithmic axis, if there are any. Returns the file.
fn chart(path: &Path, title: &str, axis: &str, curves: Vec<Curve>) -> Result<Option<PathBuf>> {
    if curves.is_empty() {
        return Ok(None);
    }
    let points = || curves.iter().flat_map(|(_, points)| points);
    let range = |of: fn(&(f64, f64)) -> f64| {
        let values = || points().map(of);
        values().fold(f64::MAX, f64::min)..values().fold(f64::MIN, f64::max)
    };
    let (x, y) = (range(|point| point.0), range(|point| point.1));
    let y = (y.start * 0.8).max(1e-3)..y.end * 1.3;
    draw_chart(path, title, axis, &curves, x.log_scale().base(10.0).into(), y.log_scale().into())
        .map_err(|error| anyhow!("{}: {error}", path.display()))?;
    Ok(Some(path.to_owned()))
}

fn draw_chart(
    path: &Path,
    title: &str,
    axis: &str,
    curves: &[Curve],
    x: LogCoord<f64>,
    y: LogCoord<f64>,
) -> Result<(), Box<dyn std::error::Error>>
where
    LogCoord<f64>: ValueFormatter<f64>,
{
    let root = SVGBackend::new(path, (820, 480)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, (FONT, 18))
        .margin(12)
        .margin_right(160)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(x, y)?;
    chart.configure_mesh().x_desc(axis).light_line_style(WHITE.mix(0.0)).draw()?;
    for (below, ((peer, points), color)) in (0..).zip(curves.iter().zip(COLORS.iter().cycle())) {
        let width = if below == 0 { 3 } else { 1 };
        chart.draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(width)))?;
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, color.filled())))?;
        let at = (675, 60 + below * 22);
        root.draw(&Rectangle::new([at, (at.0 + 14, at.1 + 4)], color.filled()))?;
        root.draw(&Text::new((*peer).to_owned(), (at.0 + 22, at.1 - 5), (FONT, 14)))?;
    }
    root.present()?;
    Ok(())
}
