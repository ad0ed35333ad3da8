//! Charts: lines over time and bars by day, as SVG without styles of their own. Each says in words what it shows.

use std::fmt::Write as _;

use maud::{Markup, html};

/// Size of the picture; it is stretched to the room that there is.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 120.0;

/// One line of a chart. Where nothing was measured it is broken.
pub(super) struct Line {
    /// What it shows.
    pub(super) name: &'static str,
    /// From the oldest to the newest; as many as the other lines have.
    pub(super) values: Vec<Option<f64>>,
}

impl Line {
    fn newest(&self) -> Option<f64> {
        self.values.last().copied().flatten()
    }

    fn highest(&self) -> f64 {
        self.values.iter().flatten().copied().fold(0.0, f64::max)
    }
}

/// What a chart says besides its picture.
pub(super) struct Frame<'a> {
    /// What it is about.
    pub(super) title: &'a str,
    /// How far back it goes, in words.
    pub(super) since: &'a str,
    /// Where it ends, in words.
    pub(super) until: &'static str,
    /// The height of the scale; `None`: what the values need.
    pub(super) top: Option<f64>,
    /// Writes a value.
    pub(super) unit: fn(f64) -> String,
}

/// Draws lines over time.
pub(super) fn lines(frame: &Frame<'_>, lines: &[Line]) -> Markup {
    let highest = lines.iter().map(Line::highest).fold(0.0, f64::max);
    let top = frame.top.unwrap_or_else(|| scale(highest));
    let written = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), frame.unit);
    let told: Vec<String> = lines
        .iter()
        .map(|line| {
            format!(
                "{}: now {}, at most {}",
                line.name,
                written(line.newest()),
                (frame.unit)(line.highest())
            )
        })
        .collect();
    let label = format!(
        "{}, {} until {}. {}",
        frame.title,
        frame.since,
        frame.until,
        told.join("; ")
    );
    card(
        frame,
        &label,
        top,
        &html! {
            @for (at, line) in lines.iter().enumerate() {
                @let (stroke, area) = paths(&line.values, top);
                @if at == 0 { path class="area" d=(area) {} }
                path class={ "line line-" (at) } d=(stroke) {}
            }
        },
        &html! {
            @for (at, line) in lines.iter().enumerate() {
                span class={ "key key-" (at) } { (line.name) " " b { (written(line.newest())) } }
            }
        },
    )
}

/// Draws a bar for each of some days, the oldest first. A day without a value has none.
pub(super) fn bars(frame: &Frame<'_>, days: &[(String, Option<f64>)]) -> Markup {
    let highest = days
        .iter()
        .filter_map(|(_, value)| *value)
        .fold(0.0, f64::max);
    let top = frame.top.unwrap_or_else(|| scale(highest));
    let sum: f64 = days.iter().filter_map(|(_, value)| *value).sum();
    let label = format!(
        "{}, {} until {}. In all {}, at most {} a day",
        frame.title,
        frame.since,
        frame.until,
        (frame.unit)(sum),
        (frame.unit)(highest)
    );
    let step = WIDTH / days.len().max(1) as f64;
    card(
        frame,
        &label,
        top,
        &html! {
            @for (at, (day, value)) in days.iter().enumerate() {
                @if let Some(value) = value.filter(|value| *value > 0.0) {
                    @let height = (value / top * HEIGHT).max(1.0);
                    rect class="bar" x=(rounded(at as f64 * step + step * 0.15)) y=(rounded(HEIGHT - height))
                        width=(rounded(step * 0.7)) height=(rounded(height)) {
                        title { (day) ": " ((frame.unit)(value)) }
                    }
                }
            }
        },
        &html! { span.key { "in all " b { ((frame.unit)(sum)) } } },
    )
}

fn card(frame: &Frame<'_>, label: &str, top: f64, picture: &Markup, keys: &Markup) -> Markup {
    html! {
        figure.chart {
            figcaption { span.title { (frame.title) } span.keys { (keys) } }
            div.plot {
                span.top aria-hidden="true" { ((frame.unit)(top)) }
                svg viewBox="0 0 600 120" preserveAspectRatio="none" role="img" aria-label=(label) {
                    path class="grid" d="M0 .5H600M0 60H600M0 119.5H600" {}
                    (picture)
                }
            }
            div.axis aria-hidden="true" { span { (frame.since) " ago" } span { (frame.until) } }
        }
    }
}

/// The line, and the area below it.
fn paths(values: &[Option<f64>], top: f64) -> (String, String) {
    let (mut stroke, mut area) = (String::new(), String::new());
    let step = WIDTH / values.len().saturating_sub(1).max(1) as f64;
    let point = |(at, value): (usize, &Option<f64>)| {
        let height = ((*value)? / top).clamp(0.0, 1.0) * (HEIGHT - 2.0);
        Some((rounded(at as f64 * step), rounded(HEIGHT - 1.0 - height)))
    };
    let points: Vec<Option<(f64, f64)>> = values.iter().enumerate().map(point).collect();
    for run in points.split(Option::is_none) {
        let run: Vec<(f64, f64)> = run.iter().flatten().copied().collect();
        let (Some(first), Some(last)) = (run.first(), run.last()) else {
            continue;
        };
        for (at, (x, y)) in run.iter().enumerate() {
            // Writing to a String cannot fail, here and below.
            let _ = write!(stroke, "{}{x} {y}", if at == 0 { "M" } else { "L" });
        }
        // A line of no length is drawn as a dot.
        stroke.push_str(if run.len() == 1 { "h0" } else { "" });
        let _ = write!(area, "M{} {HEIGHT}", first.0);
        for (x, y) in &run {
            let _ = write!(area, "L{x} {y}");
        }
        let _ = write!(area, "L{} {HEIGHT}Z", last.0);
    }
    (stroke, area)
}

fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// The next round number: 1, 2 or 5 times a power of ten.
fn scale(highest: f64) -> f64 {
    if highest <= 0.0 {
        return 1.0;
    }
    let unit = 10_f64.powf(highest.log10().floor());
    let found = [1.0, 2.0, 5.0, 10.0].into_iter().map(|times| times * unit);
    found
        .into_iter()
        .find(|top| *top >= highest)
        .unwrap_or(highest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_ends_at_a_round_number_above_all_values() {
        for (highest, top) in [
            (0.0, 1.0),
            (0.3, 0.5),
            (1.0, 1.0),
            (7.0, 10.0),
            (1_200.0, 2_000.0),
        ] {
            assert!(
                (scale(highest) - top).abs() < top * 1e-9,
                "{highest}: {}",
                scale(highest)
            );
        }
    }

    #[test]
    fn a_line_is_broken_where_nothing_was_measured() {
        let values = [Some(0.0), None, Some(1.0), Some(1.0)];
        let (stroke, area) = paths(&values, 1.0);
        assert_eq!(stroke, "M0 119h0M400 1L600 1");
        assert_eq!(area, "M0 120L0 119L0 120ZM400 120L400 1L600 1L600 120Z");
    }
}
