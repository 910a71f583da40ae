//! `docs/metrics.md`, made from the table.

use std::fmt::Write as _;

use crate::table::{Kind, SECTIONS};

/// The page of all metrics, for people.
pub fn page() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         What the server counts of itself. `sbin/counterutil` shows it, and `/metrics` of the\n\
         HTTP door for Prometheus and the like: [monitoring.md](monitoring.md) tells how. A label\n\
         `shard` is the number of a core's event loop; `counterutil` adds them up. Counters begin\n\
         at 0 with each start, and when `start-msg upgrade` has put another process in the place\n\
         of one.\n\n\
         <!-- Written by `cargo xtask docs` from the table in imap-front/monitor. -->\n",
    );
    for (title, metrics) in SECTIONS {
        let _ = write!(
            page,
            "\n## {title}\n\n| metric | kind | what it is |\n|---|---|---|\n"
        );
        for metric in metrics {
            let kind = match metric.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            let labels = match metric.labels.is_empty() {
                true => String::new(),
                false => format!("{{{}}}", metric.labels.join(", ")),
            };
            let _ = write!(
                page,
                "| `{}{labels}` | {kind} | {}",
                metric.sample_name(),
                metric.help
            );
            for (number, (value, help)) in metric.values.iter().enumerate() {
                let before = if number == 0 { ". " } else { "; " };
                let _ = write!(page, "{before}`{value}`: {help}");
            }
            page.push_str(" |\n");
        }
    }
    page
}
