//! Curves over how much of something there is, with a marker at each point, as SVG.

use std::path::Path;
use std::str::FromStr;

use super::axis::Axis;
use super::picture::{self, Line, Picture};
use super::units::Unit;

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
    /// What goes to the right.
    #[arg(long)]
    pub right: String,
    /// What goes upwards.
    #[arg(long)]
    pub up: String,
    /// Its unit: µs, B or %; ticks are then in the units of their size.
    #[arg(long, default_value = "")]
    pub unit: Unit,
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

/// Draws it.
///
/// # Errors
/// If the file can't be written.
pub fn draw(file: &Path, chart: &Chart) -> std::io::Result<()> {
    let points = || chart.series.iter().flat_map(|series| &series.points);
    let [xs, ys]: [Vec<f64>; 2] = [
        points().map(|(x, _)| *x).collect(),
        points().map(|(_, y)| *y).collect(),
    ];
    let right = Axis::at(&xs, chart.log_right, Unit::Count);
    let up = Axis::round(&ys, chart.log_up, chart.unit);
    let lines = chart.series.iter().map(|series| {
        let place = |(x, y): &(f64, f64)| (right.place(*x), up.place(*y));
        let points: Vec<_> = series.points.iter().map(place).collect();
        Line {
            name: &series.name,
            marks: points.clone(),
            points,
        }
    });
    let picture = Picture {
        title: &chart.title,
        axes: [&chart.right, &chart.up],
        height: 400,
        lines: lines.collect(),
    };
    picture::draw(file, &picture, &right, &up)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_is_drawn() {
        let series: Series = "a: b:1=2,10=30".parse().expect("well-formed");
        assert_eq!((&*series.name, series.points.len()), ("a: b", 2));
        assert!("a:1=x".parse::<Series>().is_err());
        let file = std::env::temp_dir().join(format!("chart-{}.svg", std::process::id()));
        let chart = Chart {
            title: "all of it".into(),
            right: "sessions".into(),
            up: "memory".into(),
            unit: Unit::Bytes,
            log_right: true,
            log_up: true,
            series: vec![series],
        };
        draw(&file, &chart).expect("drawn");
        let text = std::fs::read_to_string(&file).expect("there");
        std::fs::remove_file(file).expect("removed");
        for expected in ["all of it", "<circle", "20 B", "sessions", "memory"] {
            assert!(text.contains(expected), "{expected}");
        }
    }
}
