//! The readings of the last minute.

use std::collections::VecDeque;
use std::time::Duration;

use super::metric::Metric;
use super::source::StoreContent;

/// How far back graphs go.
pub const SPAN: Duration = Duration::from_secs(60);

/// The columns of a graph; each has the mean of the readings in its part of the minute.
pub const COLUMNS: usize = 60;

/// Readings, each with its time.
#[derive(Default)]
pub struct History(VecDeque<(Duration, Values)>);

type Values = Vec<(Metric, Option<f64>)>;

impl History {
    pub fn add(&mut self, time: Duration, content: &StoreContent) {
        self.0.push_back((time, content.values.clone()));
        while self.0.front().is_some_and(|(first, _)| time.saturating_sub(*first) >= SPAN) {
            self.0.pop_front();
        }
    }

    /// Returns the columns of the graph of `metric`, the newest last.
    ///
    /// A column without a reading repeats the one before, as readings can be rarer than columns.
    pub fn graph(&self, metric: Metric) -> Vec<Option<f64>> {
        let Some(&(end, _)) = self.0.back() else { return Vec::new() };
        let mut sums = [(0.0, 0_u32); COLUMNS];
        for (time, values) in &self.0 {
            let value = values.iter().find(|(other, _)| *other == metric);
            let Some(value) = value.and_then(|(_, value)| *value) else { continue };
            let (sum, count) = &mut sums[column(end.saturating_sub(*time))];
            *sum += value;
            *count += 1;
        }
        let mut last = None;
        let mean = |(sum, count): (f64, u32)| {
            if count > 0 {
                last = Some(sum / f64::from(count));
            }
            last
        };
        sums.into_iter().map(mean).collect()
    }
}

/// Returns the column of a reading of that age.
fn column(age: Duration) -> usize {
    let columns = COLUMNS as u128;
    let back = age.as_millis() * columns / SPAN.as_millis();
    usize::try_from(columns - 1 - back.min(columns - 1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(readings: &[(u64, Option<f64>)]) -> History {
        let mut history = History::default();
        for &(ms, value) in readings {
            let values = vec![(Metric::Keys, value)];
            history.add(
                Duration::from_millis(ms),
                &StoreContent { values, ..StoreContent::default() },
            );
        }
        history
    }

    #[test]
    fn a_graph_ends_with_the_newest_reading() {
        let graph = history(&[(0, Some(1.0)), (1000, Some(2.0)), (2000, None), (3000, Some(4.0))])
            .graph(Metric::Keys);
        assert_eq!(graph.len(), COLUMNS);
        assert_eq!(graph[COLUMNS - 4..], [Some(1.0), Some(2.0), Some(2.0), Some(4.0)]);
        assert_eq!(graph[COLUMNS - 5], None);
    }

    #[test]
    fn several_readings_of_a_column_have_a_mean() {
        let graph = history(&[(59_000, Some(1.0)), (59_800, Some(2.0)), (60_000, Some(4.0))])
            .graph(Metric::Keys);
        assert_eq!(graph[COLUMNS - 2..], [Some(1.0), Some(3.0)]);
    }

    #[test]
    fn readings_are_kept_for_a_minute() {
        let readings: Vec<_> = (0..1000).map(|second| (second * 1000, Some(1.0))).collect();
        assert_eq!(history(&readings).0.len(), 60);
        assert!(history(&[]).graph(Metric::Keys).is_empty());
        assert!(history(&readings).graph(Metric::Cpu).iter().all(Option::is_none));
    }
}
