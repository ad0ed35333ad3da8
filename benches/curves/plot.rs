//! A curve as a picture, with its slope.

use std::path::Path;

use plotters::prelude::*;

use crate::support::figure;

/// One line of a picture: points of (size, value), with what they are.
pub(crate) struct Curve {
    pub(crate) name: &'static str,
    pub(crate) points: Vec<(f64, f64)>,
}

impl Curve {
    /// The exponent of the power of the size that fits best: 1 grows as the size does, 0 not at all.
    pub(crate) fn slope(&self) -> f64 {
        let logs = || self.points.iter().map(|(x, y)| (x.ln(), y.ln()));
        let count = self.points.len() as f64;
        let (mean_x, mean_y) = (
            logs().map(|(x, _)| x).sum::<f64>() / count,
            logs().map(|(_, y)| y).sum::<f64>() / count,
        );
        let rise: f64 = logs().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
        let run: f64 = logs().map(|(x, _)| (x - mean_x).powi(2)).sum();
        rise / run
    }
}

/// Draws `curves` into `docs/img/curve-FILE.svg`, both axes by powers of ten, and prints their points.
pub(crate) fn draw(file: &str, title: &str, x: &str, y: &str, curves: &[Curve]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join(format!("docs/img/curve-{file}.svg"));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let all = || curves.iter().flat_map(|curve| curve.points.iter().copied());
    let range = |of: fn((f64, f64)) -> f64| {
        let (low, high) = all()
            .map(of)
            .fold((f64::MAX, f64::MIN), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        (low / 1.3..high * 1.3).log_scale()
    };
    let canvas = SVGBackend::new(&path, (760, 420)).into_drawing_area();
    canvas.fill(&WHITE).unwrap();
    let mut chart = ChartBuilder::on(&canvas)
        .margin(12)
        .caption(title, ("sans-serif", 18))
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(range(|point| point.0), range(|point| point.1))
        .unwrap();
    let tick = |value: &f64| short(*value);
    chart
        .configure_mesh()
        .x_desc(x)
        .y_desc(y)
        .x_label_formatter(&tick)
        .y_label_formatter(&tick)
        .light_line_style(WHITE)
        .draw()
        .unwrap();
    println!("{title}");
    for (at, curve) in curves.iter().enumerate() {
        let color = Palette99::pick(at).to_rgba();
        let slope = curve.slope();
        figure(
            &format!("curve.{file}.{}.slope", curve.name.replace(' ', "_")),
            &[slope],
        );
        chart
            .draw_series(LineSeries::new(
                curve.points.iter().copied(),
                color.stroke_width(2),
            ))
            .unwrap()
            .label(format!("{}: slope {slope:.2}", curve.name))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
        let marks = curve
            .points
            .iter()
            .map(|point| Circle::new(*point, 3, color.filled()));
        chart.draw_series(marks).unwrap();
        let points: Vec<String> = curve
            .points
            .iter()
            .map(|(x, y)| format!("{}: {}", short(*x), short(*y)))
            .collect();
        println!(
            "  {:<24} slope {slope:.2}   {}",
            curve.name,
            points.join("  ")
        );
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .position(SeriesLabelPosition::UpperLeft)
        .draw()
        .unwrap();
    canvas.present().unwrap();
}

/// A number with three digits, thousands as k and millions as M.
fn short(value: f64) -> String {
    let (value, unit) = match value {
        value if value >= 1e6 => (value / 1e6, "M"),
        value if value >= 1e3 => (value / 1e3, "k"),
        value => (value, ""),
    };
    let digits = match value {
        value if value >= 99.5 => 0,
        value if value >= 9.95 => 1,
        _ => 2,
    };
    let shown = format!("{value:.digits$}");
    let shown = match shown.contains('.') {
        true => shown.trim_end_matches('0').trim_end_matches('.'),
        false => &shown,
    };
    format!("{shown}{unit}")
}
