//! Numbers as people read them, for the ticks of axes.

use std::str::FromStr;

/// What a value on an axis is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// A count, or a count a second.
    #[default]
    Count,
    /// A time in microseconds.
    Microseconds,
    /// Bytes.
    Bytes,
    /// A share of a hundred.
    Percent,
}

impl FromStr for Unit {
    type Err = String;

    /// `µs`, `B`, `%`, or nothing for a count.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Ok(Self::Count),
            "µs" => Ok(Self::Microseconds),
            "B" => Ok(Self::Bytes),
            "%" => Ok(Self::Percent),
            _ => Err(format!("{text} is none of the units µs, B, %")),
        }
    }
}

impl Unit {
    /// A value with the unit of its size: 1500 microseconds are `1.5 ms`.
    pub fn tick(self, value: f64) -> String {
        let steps: &[(f64, &str)] = match self {
            Self::Count => &[(1e9, " billion"), (1e6, " million"), (0.0, "")],
            Self::Microseconds => &[(1e6, " s"), (1e3, " ms"), (0.0, " µs")],
            Self::Bytes => &[(1e9, " GB"), (1e6, " MB"), (1e3, " kB"), (0.0, " B")],
            Self::Percent => &[(0.0, " %")],
        };
        if value == 0.0 && self != Self::Percent {
            return "0".into();
        }
        // What would be rounded up to the next step belongs to it.
        let size = value.abs() * 1.0005;
        let step = steps.iter().find(|(from, _)| size >= *from);
        let (from, unit) = step.copied().unwrap_or((0.0, ""));
        let scaled = if from > 0.0 { value / from } else { value };
        grouped((scaled * 1000.0).round() / 1000.0) + unit
    }
}

/// With a comma between thousands.
fn grouped(value: f64) -> String {
    let text = value.to_string();
    let digits = text.find('.').unwrap_or(text.len());
    let mut all = String::new();
    for (place, digit) in text.chars().enumerate() {
        let left = digits.saturating_sub(place);
        if left > 0 && left % 3 == 0 && all.ends_with(|c: char| c.is_ascii_digit()) {
            all.push(',');
        }
        all.push(digit);
    }
    all
}

/// A count in a text.
pub(crate) fn count(value: usize) -> String {
    grouped(value as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_legible() {
        let times = [0.0, 1.0, 10.0, 999.0, 999.9, 1500.0, 20_000.0, 1e6, 6e7];
        let times = times.map(|value| Unit::Microseconds.tick(value));
        assert_eq!(
            times,
            [
                "0", "1 µs", "10 µs", "999 µs", "1 ms", "1.5 ms", "20 ms", "1 s", "60 s"
            ]
        );
        let counts = [0.0, 0.25, 64.0, 1000.0, 250_000.0, 1e6, 2.5e6, -5000.0];
        let counts = counts.map(|value| Unit::Count.tick(value));
        assert_eq!(
            counts,
            [
                "0",
                "0.25",
                "64",
                "1,000",
                "250,000",
                "1 million",
                "2.5 million",
                "-5,000"
            ]
        );
        let bytes = [0.0, 316.0, 1000.0, 1688.0, 5e6].map(|value| Unit::Bytes.tick(value));
        assert_eq!(bytes, ["0", "316 B", "1 kB", "1.688 kB", "5 MB"]);
        assert_eq!(
            [0.0, 0.2].map(|it| Unit::Percent.tick(it)),
            ["0 %", "0.2 %"]
        );
    }

    #[test]
    fn units_have_names() {
        assert_eq!("µs".parse(), Ok(Unit::Microseconds));
        assert_eq!("".parse(), Ok(Unit::Count));
        assert!("furlong".parse::<Unit>().is_err());
    }
}
