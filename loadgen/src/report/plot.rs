//! Latency by percentile and values over time, as SVG.

use std::path::Path;

use hdrhistogram::Histogram;
use plotters::coord::ranged1d::Ranged;
use plotters::prelude::*;

/// Draws one curve a histogram: the percentile to the right (each step one more nine), microseconds
/// upwards, both logarithmic.
///
/// # Errors
/// If the file can't be written.
pub(super) fn percentiles(
    file: &Path,
    histograms: &[(String, &Histogram<u64>)],
) -> std::io::Result<()> {
    draw(file, histograms).map_err(|error| std::io::Error::other(error.to_string()))
}

/// 0.5 is half a nine, 0.99 two nines.
fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile.min(0.9999)).log10()
}

fn draw(
    file: &Path,
    histograms: &[(String, &Histogram<u64>)],
) -> Result<(), Box<dyn std::error::Error>> {
    let max = histograms
        .iter()
        .map(|(_, times)| times.max())
        .max()
        .unwrap_or(1)
        .max(10);
    let root = SVGBackend::new(file, (900, 520)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(16)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..4.0f64, (1.0..max as f64 * 1.5).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("percentile")
        .y_desc("microseconds")
        .x_labels(5)
        .x_label_formatter(&|nines| {
            let percent = (1.0 - 10f64.powf(-nines)) * 100.0;
            format!("p{}", (percent * 100.0).round() / 100.0)
        })
        .draw()?;
    let lines = histograms.iter().map(|(name, times)| {
        let points = times.iter_quantiles(10).map(|step| {
            let value = step.value_iterated_to().max(1);
            (nines(step.quantile()), value as f64)
        });
        (name.as_str(), points.collect())
    });
    draw_lines(&mut chart, lines)?;
    root.present()?;
    Ok(())
}

/// Draws values over time, both linear, from 0 on; `axes` names them.
///
/// # Errors
/// If the file can't be written.
pub(crate) fn series(
    file: &Path,
    axes: [&str; 2],
    lines: Vec<(&str, Vec<(f64, f64)>)>,
) -> std::io::Result<()> {
    draw_series(file, axes, lines).map_err(|error| std::io::Error::other(error.to_string()))
}

fn draw_series(
    file: &Path,
    [right, up]: [&str; 2],
    lines: Vec<(&str, Vec<(f64, f64)>)>,
) -> Result<(), Box<dyn std::error::Error>> {
    let points = || lines.iter().flat_map(|(_, points)| points);
    let last = points().map(|(x, _)| *x).fold(0.0, f64::max);
    let most = points().map(|(_, y)| *y).fold(0.0, f64::max);
    let root = SVGBackend::new(file, (900, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(16)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..last.max(1e-9), 0.0..(most * 1.2).max(1e-9))?;
    chart.configure_mesh().x_desc(right).y_desc(up).draw()?;
    draw_lines(&mut chart, lines.into_iter())?;
    root.present()?;
    Ok(())
}

/// One curve each, in its own colour, and a legend.
fn draw_lines<'a, 'b, X, Y>(
    chart: &mut ChartContext<'b, SVGBackend<'b>, Cartesian2d<X, Y>>,
    lines: impl Iterator<Item = (&'a str, Vec<(f64, f64)>)>,
) -> Result<(), Box<dyn std::error::Error>>
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    for (place, (name, points)) in lines.enumerate() {
        let color = Palette99::pick(place).to_rgba();
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()?;
    Ok(())
}
