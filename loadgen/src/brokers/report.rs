//! The findings side by side.

use comfy_table::Table;
use hdrhistogram::Histogram;

use super::measures::{Found, Plan};
use crate::report::units;

/// A row a measure, a column a broker; the last column is the first broker against the best of
/// the others that speak something else.
pub fn table(found: &[Found]) -> Table {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::ASCII_MARKDOWN);
    let mut header = vec!["measure".to_owned()];
    header.extend(found.iter().map(|one| one.name.clone()));
    header.push("against the better".into());
    table.set_header(header);
    let at = |times: &Histogram<u64>, percent| times.value_at_percentile(percent) as f64;
    let mut row = |name: &str, unit: &str, less: bool, value: &dyn Fn(&Found) -> f64| {
        let mut cells = vec![name.to_owned()];
        cells.extend(found.iter().map(|one| figure(value(one), unit)));
        cells.push(ratio(found, less, value));
        table.add_row(cells);
    };
    row("publish → one subscriber, p50", "µs", true, &|it| {
        at(&it.single, 50.0)
    });
    row("publish → one subscriber, p99", "µs", true, &|it| {
        at(&it.single, 99.0)
    });
    row("publish → first of the crowd, p50", "µs", true, &|it| {
        at(&it.first, 50.0)
    });
    row("publish → last of the crowd, p50", "µs", true, &|it| {
        at(&it.last, 50.0)
    });
    row("publish → last of the crowd, p99", "µs", true, &|it| {
        at(&it.last, 99.0)
    });
    row("server CPU a notification", "µs", true, &|it| it.cpu_us);
    row("memory a quiet subscriber", "B", true, &|it| {
        it.memory_bytes
    });
    row("publishes a second, no subscriber", "/s", false, &|it| {
        it.alone_per_s
    });
    row("publishes a second, 10 subscribers", "/s", false, &|it| {
        it.with_ten_per_s
    });
    table
}

fn figure(value: f64, unit: &str) -> String {
    if value < 100.0 {
        format!("{value:.2} {unit}")
    } else {
        format!("{value:.0} {unit}")
    }
}

fn ratio(found: &[Found], less: bool, value: &dyn Fn(&Found) -> f64) -> String {
    let Some((ours, others)) = found.split_first() else {
        return String::new();
    };
    let rivals = others.iter().filter(|it| it.dialect != ours.dialect);
    let others = rivals.map(value);
    let best = others.reduce(|a, b| if less { a.min(b) } else { a.max(b) });
    best.filter(|best| *best > 0.0)
        .map_or(String::new(), |best| format!("{:.2} ×", value(ours) / best))
}

/// How it was measured.
pub const NOTES: &str = "\
Crowds are received by a thread a core, by epoll, the same for all brokers; times are from before
the publisher's write. The one subscriber is a process of its own and sleeps in `read`; where the
broker spins, publisher and subscriber are one process, which spins too. A broker's CPU is its
user and system time.";

/// The report's title.
pub fn title(plan: &Plan) -> String {
    format!(
        "{} subscribers to one event, brokers side by side",
        units::count(plan.subscribers)
    )
}

/// All histograms with their names.
pub fn histograms(found: &[Found]) -> Vec<(String, &Histogram<u64>)> {
    found.iter().flat_map(named).collect()
}

fn named(found: &Found) -> Vec<(String, &Histogram<u64>)> {
    let name = |what: &str| format!("{}: {what}", found.name);
    vec![
        (name("one subscriber"), &found.single),
        (name("first of the crowd"), &found.first),
        (name("last of the crowd"), &found.last),
    ]
}
