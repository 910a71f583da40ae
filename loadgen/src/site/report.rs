//! The study's table.

use std::fs;
use std::io;
use std::path::Path;

use comfy_table::Table;

use super::findings::{Found, Sizes, figure};
use crate::report::{self, units};

/// A row a measure.
pub fn table(found: &Found) -> Table {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header(["measure", "Ensign", "NATS alone", "note"]);
    for row in &found.rows {
        table.add_row([
            row.measure.clone(),
            figure(row.value, row.unit),
            row.nats
                .map_or(String::new(), |value| figure(value, row.unit)),
            row.bar.map_or(String::new(), |bar| bar.to_string()),
        ]);
    }
    table
}

/// How it was measured.
const NOTES: &str = "\
Three hosts on loopback: a nats-server of one cluster and an enpd each, which begins with its own
host's server, and everything that loads them on the same cores. Comparisons are made by turns in
one run. *NATS alone* is a publisher and a subscriber of the servers themselves: by the client
library that brokers use, or by bare sockets, as the brokers' own clients and floods have them.
Times are from before the publisher's write. A flood has at most 20,000 events under way and loses
none; the best of its turns counts. Subscriptions at NATS are those of the broker's connection. A
server that is killed is the one of the subscriber's own broker.";

/// Writes the study's folder.
///
/// # Errors
/// If a file can't be written.
pub fn write(folder: &Path, sizes: &Sizes, found: &Found) -> io::Result<()> {
    let subscribers = units::count(sizes.subscribers);
    let times = found.times.iter();
    let report = report::Report {
        title: format!("One site of three hosts, {subscribers} subscribers to one event"),
        body: format!("{}\n\n{NOTES}", table(found)),
        histograms: times.map(|(name, times)| (name.clone(), times)).collect(),
    };
    report.write(folder)?;
    let mut csv = String::from("measure,value,unit\n");
    for row in &found.rows {
        csv.push_str(&format!(
            "{},{},{}\n",
            row.measure.replace(',', ""),
            row.value,
            row.unit
        ));
    }
    fs::write(folder.join("figures.csv"), csv)
}
