//! Latency by percentile and values over time, as SVG.

use std::path::Path;

use hdrhistogram::Histogram;

use super::axis::{Axis, NINES_MAX, nines, nines_of};
use super::picture::{self, Line, Picture};
use super::units::Unit;

const PERCENTILE: &str = "percentile (p99: one in a hundred took longer)";
/// Where a curve of percentiles has markers.
const MARKED: [f64; 4] = [0.5, 0.9, 0.99, 0.999];
/// How far the points of such a curve are apart, in nines.
const STEP: f64 = 0.02;
/// Markers of a curve over time.
const MARKS_MAX: usize = 12;

/// Draws one curve a histogram of microseconds: the percentile to the right (each step one more
/// nine), the time upwards, logarithmic. A curve ends with its longest time, or at p99.99.
///
/// # Errors
/// If the file can't be written.
pub(super) fn percentiles(
    file: &Path,
    title: &str,
    histograms: &[(String, &Histogram<u64>)],
) -> std::io::Result<()> {
    let measured = || histograms.iter().filter(|(_, times)| !times.is_empty());
    let ends = measured().flat_map(|(_, times)| [times.min(), times.max()]);
    let mut ends: Vec<f64> = ends.map(|time| time.max(1) as f64).collect();
    if ends.is_empty() {
        ends = vec![1.0, 10.0];
    }
    let most = measured().map(|(_, times)| nines_of(times.len()));
    let right = Axis::percentiles(most.fold(1.0, f64::max));
    let up = Axis::round(&ends, true, Unit::Microseconds);
    let lines = measured().map(|(name, times)| {
        let share = |nines: f64| 1.0 - 10f64.powf(-nines);
        let at = |nines: f64| {
            let time = times.value_at_quantile(share(nines));
            (nines, up.place(time.max(1) as f64))
        };
        let end = nines_of(times.len());
        let steps = (0..).map(|step| f64::from(step) * STEP);
        let points = steps.take_while(|nines| *nines < end).map(at);
        let last = match end < NINES_MAX {
            true => (end, up.place(times.max().max(1) as f64)),
            false => at(end),
        };
        let marks = MARKED.map(nines).into_iter();
        let marks = marks.filter(|nines| *nines < end - 0.05).map(at);
        Line {
            name,
            points: points.chain([last]).collect(),
            marks: marks.chain([last]).collect(),
        }
    });
    let picture = Picture {
        title,
        axes: [PERCENTILE, "time"],
        height: 440,
        lines: lines.collect(),
    };
    picture::draw(file, &picture, &right, &up)
}

/// Draws values over time, both linear, from 0 on; `axes` names them.
///
/// # Errors
/// If the file can't be written.
pub(crate) fn series(
    file: &Path,
    title: &str,
    axes: [&str; 2],
    lines: Vec<(&str, Vec<(f64, f64)>)>,
) -> std::io::Result<()> {
    let points = || lines.iter().flat_map(|(_, points)| points);
    let [xs, ys]: [Vec<f64>; 2] = [
        points().map(|(x, _)| *x).collect(),
        points().map(|(_, y)| *y).collect(),
    ];
    let [right, up] = [xs, ys].map(|values| Axis::round(&values, false, Unit::Count));
    let lines = lines.into_iter().map(|(name, points)| {
        let every = points.len().div_ceil(MARKS_MAX).max(1);
        Line {
            name,
            marks: points.iter().copied().step_by(every).collect(),
            points,
        }
    });
    let picture = Picture {
        title,
        axes,
        height: 400,
        lines: lines.collect(),
    };
    picture::draw(file, &picture, &right, &up)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure;

    #[test]
    fn a_plot_says_what_it_shows_in_units() {
        let mut times = measure::histogram();
        for time in 1..=200 {
            times.record(time * 100).expect("within bounds");
        }
        let none = measure::histogram();
        let file = std::env::temp_dir().join(format!("plot-{}.svg", std::process::id()));
        let all = [("a → b".to_owned(), &times), ("c".to_owned(), &none)];
        percentiles(&file, "two of them", &all).expect("drawn");
        let text = std::fs::read_to_string(&file).expect("there");
        for expected in ["two of them", "p99", "10 ms", "percentile"] {
            assert!(text.contains(expected), "{expected}");
        }
        assert!(!text.contains("p99.9"), "200 values say nothing of it");
        percentiles(&file, "nothing", &[]).expect("drawn");
        series(
            &file,
            "s",
            ["minutes", "MiB"],
            vec![("a", vec![(0.0, 1.0), (3.0, 2.0)])],
        )
        .expect("drawn");
        std::fs::remove_file(file).expect("removed");
    }
}
