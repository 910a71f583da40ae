//! `README.md`, `points.csv` and the charts.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::Point;
use super::curves::{Chart, Curve};
use crate::install::Profile;
use crate::results::prepared::thousands;
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
        for chart in curve.charts {
            draw(chart, curve, points, &out.join(file(chart)))?;
        }
    }
    text.push_str(
        "Every number: `points.csv`. Each run's own report, command, raw histograms (HdrHistogram \
         log) and plot: its folder.\n",
    );
    fs::write(out.join("points.csv"), csv).context("cannot write points.csv")?;
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

/// Draws a chart, of the series that have points.
fn draw(chart: &Chart, curve: &Curve, points: &[Point], file: &Path) -> Result<()> {
    let series = chart.series.iter().filter_map(|(measure, name)| {
        let point = |point: &Point| Some(format!("{}={}", point.x, point.figures.get(measure)?));
        let points: Vec<String> = points.iter().filter_map(point).collect();
        (!points.is_empty()).then(|| format!("{name}:{}", points.join(",")))
    });
    let series: Vec<String> = series.collect();
    if series.is_empty() {
        return Ok(());
    }
    let mut command = loadgen();
    command
        .args(["chart", "--title", chart.title])
        .args(["--right", curve.over, "--up", chart.up, "--log-right"])
        .arg("--out")
        .arg(file);
    if chart.is_log {
        command.arg("--log-up");
    }
    shell::run(command.args(series))
}

fn loadgen() -> Command {
    let mut loadgen = Command::new(Profile::Release.folder().join("loadgen"));
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
