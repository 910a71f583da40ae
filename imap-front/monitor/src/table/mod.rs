//! The one table of what is counted: `/metrics`, `counterutil` and `docs/metrics.md` are made of
//! it.

mod process;
mod server;
mod sessions;
mod site;
mod store;

pub use process::*;
pub use server::*;
pub use sessions::*;
pub use site::*;
pub use store::*;

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, from 0 at the start.
    Counter,
    /// It is as it is now.
    Gauge,
    /// How often something took how long.
    Histogram,
}

/// One metric, or one for each combination of its labels' values.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Without the suffix by which a counter's samples are known.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Names of labels.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
    /// Of its last label: what each value means. Empty where values speak for themselves.
    pub values: &'static [(&'static str, &'static str)],
}

impl Metric {
    /// As its samples are called.
    pub fn sample_name(&self) -> String {
        match self.kind {
            Kind::Counter => format!("{}_total", self.name),
            Kind::Gauge | Kind::Histogram => self.name.to_owned(),
        }
    }

    /// What a value of its last label means; what the metric is, if that says no more.
    pub fn help_of(&self, value: Option<&str>) -> &'static str {
        let mut values = self.values.iter();
        let found = values.find(|(name, _)| Some(*name) == value);
        found.map_or(self.help, |(_, help)| help)
    }
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    metric(Kind::Counter, name, labels, help)
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    metric(Kind::Gauge, name, labels, help)
}

const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    metric(Kind::Histogram, name, labels, help)
}

const fn metric(
    kind: Kind,
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind,
        labels,
        help,
        values: &[],
    }
}

impl Metric {
    const fn of(self, values: &'static [(&'static str, &'static str)]) -> Self {
        Self { values, ..self }
    }
}

/// Metrics that belong together, under a title.
pub type Section = (&'static str, &'static [&'static Metric]);

/// All metrics.
pub const SECTIONS: [Section; 5] = [
    ("Sessions and shards", sessions::ALL),
    ("Commands, logins, deliveries", server::ALL),
    ("The store", store::ALL),
    ("Brokers of other hosts", site::ALL),
    ("The process", process::ALL),
];

/// All metrics, in the order of their sections.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    SECTIONS
        .into_iter()
        .flat_map(|(_, metrics)| metrics.iter().copied())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const UNITS: [&str; 3] = ["_seconds", "_bytes", "_info"];

    #[test]
    fn names_are_by_convention_and_everything_is_explained() {
        let mut names = BTreeSet::new();
        for metric in all() {
            let Metric { name, help, .. } = *metric;
            assert!(names.insert(name), "{name} is there twice");
            let ours = name.starts_with("ensign_") || name.starts_with("process_");
            let letters = name.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
            assert!(ours && letters && !name.ends_with("_total"), "{name}");
            assert!(help.len() > 15 && !help.ends_with('.'), "{name}: {help}");
            let mut labels = metric.labels.iter();
            assert!(labels.all(|label| label.bytes().all(|it| it.is_ascii_lowercase())));
            assert!(
                metric.values.is_empty() || !metric.labels.is_empty(),
                "{name}"
            );
            let seconds = metric.kind != Kind::Histogram || name.ends_with(UNITS[0]);
            assert!(seconds, "{name}: what is counted by time is so in seconds");
            for (value, help) in metric.values {
                let letters = value
                    .bytes()
                    .all(|it| it.is_ascii_alphanumeric() || b"_.".contains(&it));
                assert!(letters && help.len() > 8, "{name}: {value}");
            }
        }
    }
}
