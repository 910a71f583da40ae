//! Curves over how much of something there is, with a marker at each point, as SVG.

use std::path::Path;
use std::str::FromStr;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::*;

/// Curves' colours: dark, and told apart by the colour-blind (after Okabe and Ito).
const COLORS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];
/// A legend's line as a share of the axis.
const LINE_SHARE: f64 = 0.055;

/// Named points.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    name: String,
    points: Vec<(f64, f64)>,
}

impl FromStr for Series {
    type Err = String;

    /// `NAME:X=Y,X=Y`
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text} is not NAME:X=Y,X=Y,…");
        let (name, points) = text.rsplit_once(':').ok_or_else(wrong)?;
        let point = |point: &str| {
            let (x, y) = point.split_once('=')?;
            Some((x.parse().ok()?, y.parse().ok()?))
        };
        let points: Option<Vec<_>> = points.split(',').map(point).collect();
        Ok(Self {
            name: name.into(),
            points: points.ok_or_else(wrong)?,
        })
    }
}

/// A chart's texts, and which axes are logarithmic.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Chart {
    /// What it shows.
    #[arg(long)]
    pub title: String,
    /// What goes to the right, with its unit.
    #[arg(long)]
    pub right: String,
    /// What goes upwards, with its unit.
    #[arg(long)]
    pub up: String,
    /// The right axis is logarithmic.
    #[arg(long)]
    pub log_right: bool,
    /// The axis upwards is logarithmic.
    #[arg(long)]
    pub log_up: bool,
    /// Curves: NAME:X=Y,X=Y
    #[arg(required = true)]
    pub series: Vec<Series>,
}

/// One axis: what a value is on it, its ends, its ticks.
#[derive(Clone)]
struct Axis {
    is_log: bool,
    ends: [f64; 2],
    ticks: Vec<f64>,
}

impl Axis {
    /// From what is on it. Points may be ticks, if there are few.
    fn right(values: &[f64], is_log: bool) -> Self {
        let mut ticks = values.to_vec();
        ticks.sort_by(f64::total_cmp);
        ticks.dedup();
        let place = |value: f64| place(value, is_log);
        let [low, high] = [ticks[0], ticks[ticks.len() - 1]].map(place);
        let margin = ((high - low) * 0.04).max(0.01);
        let ticks = ticks.into_iter().map(place).collect();
        Self {
            is_log,
            ends: [low - margin, high + margin],
            ticks,
        }
    }

    fn up(values: &[f64], is_log: bool) -> Self {
        let most = values.iter().copied().fold(1e-9, f64::max);
        let ticks = if is_log {
            let positive = values.iter().copied().filter(|value| *value > 0.0);
            decades(positive.fold(most, f64::min), most)
        } else {
            steps(most)
        };
        let ticks: Vec<f64> = ticks.into_iter().map(|tick| place(tick, is_log)).collect();
        let ends = [ticks[0], ticks[ticks.len() - 1]];
        Self {
            is_log,
            ends,
            ticks,
        }
    }

    /// Leaves room above for so many lines of a legend.
    fn with_room(mut self, lines: usize) -> Self {
        let [low, high] = self.ends;
        self.ends[1] = high + (high - low) * LINE_SHARE * lines as f64;
        self
    }

    fn place(&self, value: f64) -> f64 {
        place(value, self.is_log).max(self.ends[0])
    }

    fn label(&self, place: f64) -> String {
        short(if self.is_log {
            10f64.powf(place)
        } else {
            place
        })
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let [low, high] = self.ends;
        from + (f64::from(to - from) * (value - low) / (high - low)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.ends[0]..self.ends[1]
    }
}

fn place(value: f64, is_log: bool) -> f64 {
    if is_log {
        value.max(1e-9).log10()
    } else {
        value
    }
}

/// Ticks of a logarithmic axis that holds both: decades, and 2 and 5 between them if they are few.
fn decades(low: f64, high: f64) -> Vec<f64> {
    let (first, last) = (low.log10().floor() as i32, high.log10().floor() as i32);
    let between: &[f64] = if last - first < 3 {
        &[1.0, 2.0, 5.0]
    } else {
        &[1.0]
    };
    let all = (first..=last + 1).flat_map(|decade| {
        let one = 10f64.powi(decade);
        between.iter().map(move |part| part * one)
    });
    let all: Vec<f64> = all.collect();
    let from = all.iter().rposition(|tick| *tick <= low).unwrap_or(0);
    let to = all.iter().position(|tick| *tick >= high);
    let to = to.unwrap_or(all.len() - 1).max(from + 1);
    all[from..=to].to_vec()
}

/// Ticks of a linear axis from 0 on: steps of 1, 2 or 5, four to ten of them.
fn steps(most: f64) -> Vec<f64> {
    let raw = most / 6.0;
    let one = 10f64.powf(raw.log10().floor());
    let parts = [1.0, 2.0, 5.0, 10.0].into_iter().map(|part| part * one);
    let step = parts.into_iter().find(|step| *step >= raw).unwrap_or(raw);
    let count = (most / step).ceil() as usize;
    (0..=count).map(|tick| tick as f64 * step).collect()
}

/// A number as a tick has it: 1500 is `1.5 k`.
fn short(value: f64) -> String {
    let (value, unit) = match value.abs() {
        size if size >= 0.9995e6 => (value / 1e6, " M"),
        size if size >= 999.5 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let rounded = (value * 1000.0).round() / 1000.0;
    format!("{rounded}{unit}")
}

/// Draws it.
///
/// # Errors
/// If the file can't be written.
pub fn draw(file: &Path, chart: &Chart) -> std::io::Result<()> {
    try_draw(file, chart).map_err(|error| std::io::Error::other(error.to_string()))
}

fn try_draw(file: &Path, texts: &Chart) -> Result<(), Box<dyn std::error::Error>> {
    let points = || texts.series.iter().flat_map(|series| &series.points);
    let [xs, ys] = [
        points().map(|(x, _)| *x).collect::<Vec<_>>(),
        points().map(|(_, y)| *y).collect(),
    ];
    let right = Axis::right(&xs, texts.log_right);
    let has_legend = texts.series.len() > 1;
    let lines = if has_legend { texts.series.len() } else { 0 };
    let up = Axis::up(&ys, texts.log_up).with_room(lines);
    let root = SVGBackend::new(file, (900, 480)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(&texts.title, ("sans-serif", 20))
        .margin(16)
        .x_label_area_size(48)
        .y_label_area_size(76)
        .build_cartesian_2d(right.clone(), up.clone())?;
    chart
        .configure_mesh()
        .x_desc(&texts.right)
        .y_desc(&texts.up)
        .label_style(("sans-serif", 14))
        .x_label_formatter(&|place| right.label(*place))
        .y_label_formatter(&|place| up.label(*place))
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .draw()?;
    for (number, series) in texts.series.iter().enumerate() {
        let color = COLORS[number % COLORS.len()];
        let line: Vec<_> = series
            .points
            .iter()
            .map(|(x, y)| (right.place(*x), up.place(*y)))
            .collect();
        let markers = line.iter().map(|at| Circle::new(*at, 4, color.filled()));
        chart.draw_series(markers)?;
        chart
            .draw_series(LineSeries::new(line, color.stroke_width(2)))?
            .label(&series.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    if has_legend {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .label_font(("sans-serif", 14))
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .draw()?;
    }
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        assert_eq!(
            decades(3.0, 400.0),
            [2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0]
        );
        assert_eq!(decades(3.0, 40_000.0), [1.0, 10.0, 100.0, 1e3, 1e4, 1e5]);
        assert_eq!(decades(5.0, 5.0), [5.0, 10.0]);
        assert_eq!(steps(11.0), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0]);
        let labels = [0.25, 64.0, 1000.0, 1500.0, 1e6].map(short);
        assert_eq!(labels, ["0.25", "64", "1 k", "1.5 k", "1 M"]);
    }

    #[test]
    fn a_chart_is_drawn() {
        let series: Series = "a: b:1=2,10=30".parse().expect("well-formed");
        assert_eq!((&*series.name, series.points.len()), ("a: b", 2));
        assert!("a:1=x".parse::<Series>().is_err());
        let file = std::env::temp_dir().join(format!("chart-{}.svg", std::process::id()));
        let chart = Chart {
            title: "all of it".into(),
            right: "sessions".into(),
            up: "bytes".into(),
            log_right: true,
            log_up: true,
            series: vec![series],
        };
        draw(&file, &chart).expect("drawn");
        let text = std::fs::read_to_string(&file).expect("there");
        std::fs::remove_file(file).expect("removed");
        assert!(text.contains("all of it") && text.contains("<circle"));
    }
}
