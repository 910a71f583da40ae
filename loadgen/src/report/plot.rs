//! Latency by percentile, as SVG.

use std::path::Path;

use hdrhistogram::Histogram;
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
    for (place, (name, times)) in histograms.iter().enumerate() {
        let color = Palette99::pick(place).to_rgba();
        let points = times.iter_quantiles(10).map(|step| {
            (
                nines(step.quantile()),
                step.value_iterated_to().max(1) as f64,
            )
        });
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
    root.present()?;
    Ok(())
}
