//! Figures of reports, as people read them, and which of two is the worse.

use crate::results::prepared::thousands;

/// What a cell of a report's table holds: a number and its unit.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figure {
    pub(super) value: f64,
    pub(super) unit: String,
    /// The cell.
    text: String,
}

/// A change by more than this part is said.
const TOLD: f64 = 0.1;

impl Figure {
    /// Reads `26416 /s`, `1,042 µs`, `0 / 0 / 0`, of which the sum counts, and the like.
    pub(super) fn parse(cell: &str) -> Option<Self> {
        let figure = |value, unit: &str| Self {
            value,
            unit: unit.into(),
            text: cell.into(),
        };
        let counts: Option<Vec<u64>> = cell.split(" / ").map(|it| it.parse().ok()).collect();
        if let Some(counts) = counts.filter(|counts| counts.len() > 1) {
            return Some(figure(counts.iter().sum::<u64>() as f64, ""));
        }
        let (number, unit) = cell.split_once(' ').unwrap_or((cell, ""));
        let value: f64 = number.replace(',', "").parse().ok()?;
        Some(match unit {
            "ms" => figure(value * 1e3, "µs"),
            "s" => figure(value * 1e6, "µs"),
            _ => figure(value, unit),
        })
    }

    /// In the unit of its size.
    pub(super) fn shown(&self) -> String {
        let value = self.value;
        match self.unit.as_str() {
            "µs" => match value {
                it if it < 999.5 => format!("{} µs", digits(it)),
                it if it < 999_500.0 => format!("{} ms", digits(it / 1e3)),
                it => format!("{} s", digits(it / 1e6)),
            },
            "B" => match value {
                it if it < 9999.5 => format!("{} B", thousands(it)),
                it if it < 999_500.0 => format!("{} kB", digits(it / 1e3)),
                it => format!("{} MB", digits(it / 1e6)),
            },
            "minutes" => format!("{} minutes", thousands(value)),
            "/s" => format!("{} a second", thousands(value.round())),
            unit if value >= 1000.0 => format!("{} {unit}", thousands(value.round())).trim().into(),
            _ => self.text.clone(),
        }
    }

    /// How many times as good as another's figure of the measure it is.
    pub(super) fn times(&self, measure: &str, other: &Self) -> Option<f64> {
        if self.unit != other.unit {
            return None;
        }
        let ratio = match better(measure, &self.unit)? {
            Better::Less => other.value / self.value,
            Better::More => self.value / other.value,
        };
        ratio.is_finite().then_some(ratio)
    }

    /// By which part it is worse than the figure of an earlier run, if that is to be told; without
    /// bounds if there was nothing of what now is something.
    pub(super) fn worse(&self, measure: &str, before: &Self) -> Option<f64> {
        let family = |unit: &str| unit.split(',').next().unwrap_or_default().to_owned();
        if family(&self.unit) != family(&before.unit) {
            return None;
        }
        let (large, small) = match better(measure, &self.unit)? {
            Better::Less => (self.value, before.value),
            Better::More => (before.value, self.value),
        };
        if large <= small {
            return None;
        }
        let part = large / small - 1.0;
        (part > TOLD).then_some(part)
    }
}

/// Three digits, and no more than that behind a point.
fn digits(value: f64) -> String {
    let text = thousands(value);
    match text.contains('.') && value >= 99.95 {
        true => thousands(value.round()),
        false => text,
    }
}

#[derive(Clone, Copy)]
enum Better {
    Less,
    More,
}

/// Which of two figures is the better one, if one is.
fn better(measure: &str, unit: &str) -> Option<Better> {
    let says = |words: &[&str]| words.iter().any(|word| measure.contains(word));
    match unit.split([',', ' ']).next().unwrap_or_default() {
        "/s" | "/" => Some(Better::More),
        "µs" | "B" | "MB" | "MiB" | "%" => Some(Better::Less),
        "×" if says(&["sooner", "more", "less", "against the plain file"]) => Some(Better::More),
        "×" => Some(Better::Less),
        "" if says(&["a second"]) => Some(Better::More),
        "" if says(&["refused", "faults", "misses", "not heard"]) => Some(Better::Less),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Figure;

    fn figure(cell: &str) -> Figure {
        Figure::parse(cell).expect("a figure")
    }

    #[test]
    fn figures_are_shown_in_units_that_people_read() {
        for (cell, shown) in [
            ("26416 /s", "26,416 a second"),
            ("63 µs", "63 µs"),
            ("4.76 µs", "4.76 µs"),
            ("1042 µs", "1.04 ms"),
            ("444,415 µs", "444 ms"),
            ("60030975 µs", "60.0 s"),
            ("999.7 µs", "1.00 ms"),
            ("167.0 ms", "167 ms"),
            ("148.8 s", "149 s"),
            ("316 B", "316 B"),
            ("3396297 B", "3.40 MB"),
            ("573673 B", "574 kB"),
            ("0.30 %", "0.30 %"),
            ("13237 ×", "13,237 ×"),
            ("55077", "55,077"),
            ("0 / 0 / 0", "0 / 0 / 0"),
            ("192.0 MiB, growing", "192.0 MiB, growing"),
            ("20.0 minutes", "20 minutes"),
        ] {
            assert_eq!(figure(cell).shown(), shown);
        }
        assert_eq!(Figure::parse("not to be seen"), None);
        assert_eq!(Figure::parse(""), None);
    }

    #[test]
    fn what_is_worse_by_a_tenth_is_told() {
        let worse = |measure: &str, before, now| figure(now).worse(measure, &figure(before));
        let part = worse("250 → EXISTS", "50 µs", "63 µs").expect("worse");
        assert!((part - 0.26).abs() < 1e-9);
        assert_eq!(worse("250 → EXISTS", "60 µs", "63 µs"), None);
        assert_eq!(worse("250 → EXISTS", "63 µs", "50 µs"), None);
        assert!(worse("durable deliveries", "9000 /s", "7079 /s").is_some());
        assert_eq!(worse("durable deliveries", "7079 /s", "9000 /s"), None);
        assert!(worse("deliveries against the plain file", "0.31 ×", "0.27 ×").is_some());
        assert_eq!(
            worse("crowd against the bare send loop", "0.66 ×", "0.55 ×"),
            None
        );
        assert_eq!(
            worse("misses / doubles / disorders", "0 / 0 / 0", "0 / 0 / 0"),
            None
        );
        let infinite = worse("misses / doubles / disorders", "0 / 0 / 0", "0 / 1 / 0");
        assert_eq!(infinite, Some(f64::INFINITY));
        let memory = "server user memory at the end";
        assert!(worse(memory, "150.0 MiB, flat", "192.0 MiB, growing").is_some());
        assert_eq!(worse("set-up took", "1 s", "300 ms"), None);
        assert_eq!(worse("burst: operations a commit", "9.0", "6.0"), None);
    }

    #[test]
    fn times_are_in_one_direction() {
        let times = |measure: &str, ours, theirs| figure(ours).times(measure, &figure(theirs));
        assert_eq!(
            times("memory a quiet subscriber", "300 B", "9000 B"),
            Some(30.0)
        );
        assert_eq!(times("publishes a second", "600 /s", "300 /s"), Some(2.0));
        assert_eq!(times("publishes a second", "600 /s", "0 /s"), None);
    }
}
