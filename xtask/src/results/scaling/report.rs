//! `README.md`, `points.csv` and the charts.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::Point;
use super::curves::{CURVES, Chart, Curve};
use crate::install::Profile;
use crate::results::prepared::{Figures, thousands};
use crate::results::{Words, relative};
use crate::{paths, shell};

/// Curves and their points.
type Measured<'a> = [(&'a Curve, Vec<Point>)];

/// Writes everything that was measured so far.
pub(super) fn write(measured: &Measured<'_>, out: &Path) -> Result<()> {
    let machine = shell::capture(loadgen().arg("machine"))?;
    let mut text = format!(
        "# Curves\n\n```\ncargo xtask results scaling\n```\n\n{}\n\n\
         Each point is a run against a fresh start of the server on the same store. At the \
         most:\n\n",
        machine.trim_end()
    );
    headlines(&mut text, measured)?;
    let mut csv = String::from("curve,over,x,measure,value,unit\n");
    for (curve, points) in measured {
        section(&mut text, curve, points)?;
        for point in points {
            for (measure, value, unit) in &point.figures.0 {
                let Curve { name, over, .. } = curve;
                writeln!(csv, "{name},{over},{},{measure},{value},{unit}", point.x)?;
            }
        }
    }
    text.push_str(
        "Every number: `points.csv`. Each run's own report, command, raw histograms (HdrHistogram \
         log) and plot: its folder.\n",
    );
    fs::write(out.join("points.csv"), csv).context("cannot write points.csv")?;
    for words in pictures(out)? {
        shell::run(loadgen().args(words))?;
    }
    fs::write(out.join("README.md"), text).context("cannot write the report")
}

fn file(chart: &Chart) -> String {
    format!("{}.svg", chart.name)
}

/// Each curve's first measures at its last point.
fn headlines(text: &mut String, measured: &Measured<'_>) -> Result<()> {
    text.push_str("| measure | value | | at |\n|---|---|---|---|\n");
    for (curve, points) in measured {
        let Some(last) = points.last() else { continue };
        for measure in curve.measures {
            if let Some(value) = last.figures.shown(measure) {
                let name = format!("{}: {measure}", curve.name);
                let at = thousands(last.x as f64);
                writeln!(text, "| {name} | {value} | | {at} {} |", curve.over)?;
            }
        }
    }
    text.push('\n');
    Ok(())
}

/// Table, charts and commands of a curve.
fn section(text: &mut String, curve: &Curve, points: &[Point]) -> Result<()> {
    writeln!(text, "## {}\n", curve.title)?;
    let measures = curve.measures.join(" | ");
    writeln!(text, "| {} | {measures} |", curve.over)?;
    writeln!(text, "|---{}|", "|---".repeat(curve.measures.len()))?;
    for point in points {
        let cells = curve.measures.iter();
        let cells: Vec<String> = cells
            .map(|measure| point.figures.shown(measure).unwrap_or_else(|| "–".into()))
            .collect();
        let x = format!("[{}]({}/)", thousands(point.x as f64), point.folder);
        writeln!(text, "| {x} | {} |", cells.join(" | "))?;
    }
    text.push('\n');
    for chart in curve.charts {
        writeln!(text, "![{}]({})\n", chart.title, file(chart))?;
    }
    text.push_str("```\n");
    for point in points {
        if let Some(option) = curve.option {
            writeln!(text, "configutil -o {option} -v {}", point.x)?;
        }
        writeln!(text, "loadgen idle {}", point.words)?;
    }
    text.push_str("```\n\n");
    Ok(())
}

/// What the load generator is told to draw of the points that lie in the study's folder.
pub(in crate::results) fn pictures(out: &Path) -> Result<Vec<Words>> {
    let file = out.join("points.csv");
    let text = fs::read_to_string(&file).unwrap_or_default();
    let points = Figures::points(&text);
    let points = points.with_context(|| format!("{} is not as expected", file.display()))?;
    let mut all = Vec::new();
    for curve in &CURVES {
        let of = points.iter().filter(|(name, ..)| name == curve.name);
        let of: Vec<_> = of.map(|(_, x, figures)| (*x, figures)).collect();
        let charts = curve.charts.iter();
        all.extend(charts.filter_map(|chart| words(chart, curve, &of, out)));
    }
    Ok(all)
}

/// A chart, of the series that have points.
fn words(chart: &Chart, curve: &Curve, points: &[(usize, &Figures)], out: &Path) -> Option<Words> {
    let series = chart.series.iter().filter_map(|(measure, name)| {
        let point =
            |(x, figures): &(usize, &Figures)| Some(format!("{x}={}", figures.get(measure)?));
        let points: Vec<String> = points.iter().filter_map(point).collect();
        (!points.is_empty()).then(|| format!("{name}:{}", points.join(",")))
    });
    let series: Vec<String> = series.collect();
    if series.is_empty() {
        return None;
    }
    let file = relative(&out.join(file(chart))).display().to_string();
    let fixed = [
        "chart",
        "--title",
        chart.title,
        "--right",
        curve.over,
        "--up",
        chart.up,
    ];
    let mut words: Words = fixed.map(str::to_owned).into();
    words.extend(["--log-right", "--unit", chart.unit, "--out", &file].map(str::to_owned));
    words.extend(chart.is_log.then(|| "--log-up".to_owned()));
    words.extend(series);
    Some(words)
}

fn loadgen() -> Command {
    let mut loadgen = Command::new(Profile::current().folder().join("loadgen"));
    loadgen.current_dir(paths::root());
    loadgen
}

#[cfg(test)]
mod tests {
    use super::thousands;

    #[test]
    fn numbers_are_legible() {
        let texts = [1_000_000.0, 12_345.6, 123.4, 12.34, 1.234, 0.0, -5000.0].map(thousands);
        let expected = ["1,000,000", "12,346", "123", "12.3", "1.23", "0", "-5,000"];
        assert_eq!(texts, expected);
    }
}
