//! What a study of a site looks for, and what it has found.

use std::fmt;

use hdrhistogram::Histogram;

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Subscribers of one event.
    pub subscribers: usize,
    /// Events published to all of them.
    pub rounds: usize,
    /// Events published to one subscriber.
    pub singles: usize,
    /// Events that cross without pause.
    pub flood: usize,
    /// Subscriptions of one broker.
    pub subscriptions: usize,
    /// How often each comparison is made, by turns.
    pub turns: usize,
}

/// What was found: the table's rows, and times.
#[derive(Default)]
pub struct Found {
    /// As they were measured.
    pub rows: Vec<Row>,
    /// With their names.
    pub times: Vec<(String, Histogram<u64>)>,
}

/// What a figure has to keep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bar {
    /// What is compared, the most that it may be, and in what.
    AtMost(f64, f64, &'static str),
    /// The same with the least.
    AtLeast(f64, f64, &'static str),
}

/// A measure.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub measure: String,
    /// Ours.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// The same by NATS alone.
    pub nats: Option<f64>,
    /// What it has to keep.
    pub bar: Option<Bar>,
}

impl Row {
    /// A figure that is held against nothing.
    pub fn new(measure: &str, value: f64, unit: &'static str) -> Self {
        Self {
            measure: measure.into(),
            value,
            unit,
            nats: None,
            bar: None,
        }
    }
}

impl Bar {
    /// Whether it is kept.
    pub fn is_kept(self) -> bool {
        match self {
            Self::AtMost(value, most, _) => value <= most,
            Self::AtLeast(value, least, _) => value >= least,
        }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, word, bar, unit) = match *self {
            Self::AtMost(value, most, unit) => (value, "most", most, unit),
            Self::AtLeast(value, least, unit) => (value, "least", least, unit),
        };
        let kept = if self.is_kept() { "met" } else { "MISSED" };
        let [value, bar] = [value, bar].map(|it| figure(it, unit));
        write!(f, "{value}, at {word} {bar}: {kept}")
    }
}

/// A figure as people read it.
pub fn figure(value: f64, unit: &str) -> String {
    let text = match value.abs() {
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    };
    format!("{text} {unit}").trim_end().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_says_whether_it_is_kept() {
        let texts = [
            Bar::AtMost(1.25, 1.6, "× NATS"),
            Bar::AtMost(2.0, 1.6, "× NATS"),
            Bar::AtLeast(123_456.0, 100_000.0, "/s"),
        ]
        .map(|bar| bar.to_string());
        let expected = [
            "1.25 × NATS, at most 1.60 × NATS: met",
            "2 × NATS, at most 1.60 × NATS: MISSED",
            "123456 /s, at least 100000 /s: met",
        ];
        assert_eq!(texts, expected);
    }
}
