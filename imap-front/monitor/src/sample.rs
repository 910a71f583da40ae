//! What was found of a metric, and all of it as OpenMetrics.

use std::fmt;
use std::sync::Mutex;

use counting::{BOUNDS_NS, Counted};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::table::{Kind, Metric};

/// The type of what [`openmetrics`] writes.
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const SECOND_NS: f64 = 1e9;

/// What was found of one metric, with its labels' values.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Which.
    pub metric: &'static Metric,
    /// A value for each of its labels.
    pub labels: Vec<String>,
    /// What was found.
    pub value: Value,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A whole number.
    Count(u64),
    /// Another one.
    Float(f64),
    /// Times.
    Times(Box<Counted>),
}

impl Sample {
    /// Of a metric without labels.
    pub fn new(metric: &'static Metric, value: impl Into<Value>) -> Self {
        Self::with(metric, [], value)
    }

    /// With a value for each label.
    pub fn with<const N: usize>(
        metric: &'static Metric,
        labels: [&str; N],
        value: impl Into<Value>,
    ) -> Self {
        debug_assert_eq!(labels.len(), metric.labels.len(), "{}", metric.name);
        Self {
            metric,
            labels: labels.map(str::to_owned).into(),
            value: value.into(),
        }
    }

    /// What it means, as far as its last label says so.
    pub fn help(&self) -> &'static str {
        self.metric.help_of(self.labels.last().map(String::as_str))
    }

    /// Names and values, escaped as the text wants it: the encoder does not.
    fn label_pairs(&self) -> Vec<(&'static str, String)> {
        let escaped = |value: &String| {
            let value = value.replace('\\', r"\\").replace('"', r#"\""#);
            value.replace('\n', r"\n")
        };
        let names = self.metric.labels.iter().copied();
        names.zip(self.labels.iter().map(escaped)).collect()
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<Counted> for Value {
    fn from(times: Counted) -> Self {
        Self::Times(Box::new(times))
    }
}

/// Samples as OpenMetrics 1.0, those of a metric one after the other.
pub fn openmetrics(samples: Vec<Sample>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Found(Mutex::new(samples))));
    let mut text = String::new();
    text::encode(&mut text, &registry).expect("a string takes everything");
    text
}

/// A collector must be `Sync`; it is asked once.
#[derive(Debug)]
struct Found(Mutex<Vec<Sample>>);

impl Collector for Found {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut samples = self.0.lock().unwrap_or_else(|failed| failed.into_inner());
        // Stable: what was found first of a metric stays first.
        samples.sort_by_key(|sample| sample.metric.name);
        for of_one in samples.chunk_by(|one, next| one.metric.name == next.metric.name) {
            let Metric {
                name, help, kind, ..
            } = *of_one[0].metric;
            let kind = match kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
            for sample in of_one {
                if sample.labels.is_empty() {
                    sample.write(&mut metric)?;
                    continue;
                }
                let pairs = sample.label_pairs();
                sample.write(&mut metric.encode_family(&pairs.as_slice())?)?;
            }
        }
        Ok(())
    }
}

/// Nothing here has an exemplar.
type NoLabels = [(&'static str, &'static str); 0];

impl Sample {
    fn write(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        match (&self.value, self.metric.kind) {
            (Value::Count(count), Kind::Counter) => {
                encoder.encode_counter::<NoLabels, _, u64>(count, None)
            }
            (Value::Float(number), Kind::Counter) => {
                encoder.encode_counter::<NoLabels, _, u64>(number, None)
            }
            (Value::Count(count), _) => encoder.encode_gauge(count),
            (Value::Float(number), _) => encoder.encode_gauge(number),
            (Value::Times(times), _) => {
                let seconds = BOUNDS_NS.map(|bound| bound as f64 / SECOND_NS);
                let bounds = seconds.into_iter().chain([f64::MAX]);
                let buckets: Vec<(f64, u64)> = bounds.zip(times.counts).collect();
                let sum = times.sum_ns as f64 / SECOND_NS;
                encoder.encode_histogram::<NoLabels>(sum, times.count(), &buckets, None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table;

    #[test]
    fn samples_are_written_as_the_standard_has_them() {
        let histogram = counting::Histogram::default();
        histogram.add(20_000, 3);
        histogram.add(20_000_000_000, 1);
        let text = openmetrics(vec![
            Sample::with(&table::ACCEPTED, ["0"], 7),
            Sample::with(&table::TOLD, ["0"], histogram.read()),
            Sample::with(&table::ACCEPTED, ["1"], 8),
            Sample::new(&table::WRITER_BUSY, 1.5),
            Sample::with(&table::BUILD, ["1 \"x\"\n\\"], 1),
        ]);
        for line in [
            "# TYPE ensign_connections_accepted counter",
            "# HELP ensign_connections_accepted connections that came, of IMAP and LMTP",
            "ensign_connections_accepted_total{shard=\"0\"} 7",
            "ensign_connections_accepted_total{shard=\"1\"} 8",
            "# TYPE ensign_told_seconds histogram",
            "ensign_told_seconds_bucket{le=\"0.00001\",shard=\"0\"} 0",
            "ensign_told_seconds_bucket{le=\"0.000025\",shard=\"0\"} 3",
            "ensign_told_seconds_bucket{le=\"+Inf\",shard=\"0\"} 4",
            "ensign_told_seconds_count{shard=\"0\"} 4",
            "ensign_told_seconds_sum{shard=\"0\"} 20.00006",
            "ensign_writer_busy_seconds_total 1.5",
            r#"ensign_build_info{version="1 \"x\"\n\\"} 1"#,
        ] {
            assert!(text.lines().any(|have| have == line), "{line}\n{text}");
        }
        assert_eq!(
            text.matches("# TYPE ensign_connections_accepted ").count(),
            1
        );
        assert!(text.ends_with("# EOF\n"));
    }
}
