//! The stage of what tells of the server: alert rules and `/metrics` before Prometheus's own judge,
//! and the status page in Chromium, over a restart of the server.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::failures::Failures;
use crate::base::{Base, free_port};
use crate::count::Count;
use crate::install::Profile;
use crate::{packages, paths, shell};

const RULES: &str = "imap-front/server/share/prometheus/ensign.yml";
const RULES_TESTED: &str = "tests/monitor/alerts.yml";
const PAGE: &str = "tests/monitor/page.cjs";

/// Judges all of it.
pub fn run(failures: &mut Failures) -> Result<Count> {
    packages::debian_one("promtool")?;
    packages::debian_one("chromium")?;
    packages::node_packages()?;
    let mut count = Count::default();
    shell::run(promtool().args(["check", "rules", RULES]))?;
    shell::run(promtool().args(["test", "rules", RULES_TESTED]))?;
    count.passed += 2;
    let base = Base::fresh(paths::target().join("monitor"), Profile::current())?;
    base.import("fred:fred\n")?;
    let port = free_port()?;
    base.set("service.http.port", &port.to_string())?;
    let mail = base.start_anywhere()?.imap;
    let url = format!("http://127.0.0.1:{port}/");
    judge(&url)?;
    count.passed += 1;
    let mut page = Command::new("node")
        .args([PAGE, &url, &chromium()?])
        .arg(base.folder())
        .env("NODE_PATH", packages::node().join("node_modules"))
        .env("MAIL", mail.to_string())
        .current_dir(paths::root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run node")?;
    let said = BufReader::new(page.stdout.take().context("node says nothing")?);
    let mut answers = page.stdin.take().context("node hears nothing")?;
    for line in said.lines() {
        let line = line?;
        println!("{line}");
        failures.look(&line);
        count += Count::of_clients(&line);
        if line == "RESTART" {
            base.stop()?;
            base.start()?;
            writeln!(answers, "done")?;
        }
    }
    let good = page.wait()?.success();
    ensure!(good || count.failed > 0, "the page's test broke off");
    base.stop()?;
    Ok(count)
}

fn promtool() -> Command {
    let mut promtool = Command::new("promtool");
    promtool.current_dir(paths::root());
    promtool
}

/// What is served is what Prometheus reads. Its linter reads the text of before OpenMetrics only,
/// in which a counter's type is told of its samples' name.
fn judge(url: &str) -> Result<()> {
    let served = shell::capture(Command::new("curl").args(["-sSf", &format!("{url}metrics")]))?;
    let as_before = served.lines().filter(|line| *line != "# EOF").map(|line| {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words.as_slice() {
            ["#", "TYPE", name, "counter"] => format!("# TYPE {name}_total counter\n"),
            ["#", "HELP", name, help] if is_counter(&served, name) => {
                format!("# HELP {name}_total {help}\n")
            }
            _ => format!("{line}\n"),
        }
    });
    let text: String = as_before.collect();
    let mut linter = promtool()
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot run promtool")?;
    let mut input = linter.stdin.take().context("promtool hears nothing")?;
    input.write_all(text.as_bytes())?;
    drop(input);
    ensure!(
        linter.wait()?.success(),
        "promtool has something to say against /metrics"
    );
    Ok(())
}

fn is_counter(served: &str, name: &str) -> bool {
    served.contains(&format!("# TYPE {name} counter\n"))
}

fn chromium() -> Result<String> {
    let path = PathBuf::from("/usr/bin/chromium");
    ensure!(path.exists(), "there is no {}", path.display());
    Ok(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    /// Words that begin as metrics do.
    fn named(text: &str) -> BTreeSet<String> {
        let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let ours = words.filter(|it| it.starts_with("ensign_") || it.starts_with("process_"));
        ours.map(str::to_owned).collect()
    }

    #[test]
    fn rules_and_dashboard_know_only_metrics_that_there_are() {
        let suffixes = ["", "_bucket", "_count", "_sum"];
        let all: BTreeSet<String> = monitor::table::all()
            .flat_map(|metric| suffixes.map(|suffix| metric.sample_name() + suffix))
            .collect();
        let dashboard = "imap-front/server/share/grafana/ensign.json";
        for file in [RULES, RULES_TESTED, dashboard, "docs/monitoring.md"] {
            let text = fs::read_to_string(paths::root().join(file)).unwrap();
            let used = named(&text);
            assert!(!used.is_empty(), "{file}");
            let unknown: Vec<_> = used.difference(&all).collect();
            assert!(unknown.is_empty(), "{file}: {unknown:?}");
        }
    }
}
