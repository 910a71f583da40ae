//! Axes: what a value's place is, and which ticks there are.

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};

use super::units::Unit;

/// Nines that are drawn at most.
pub(super) const NINES_MAX: f64 = 4.0;

/// One axis: what a value is on it, its ends, its ticks.
#[derive(Clone)]
pub(super) struct Axis {
    is_log: bool,
    ends: [f64; 2],
    /// Their places, and what stands there.
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// With a tick at each of the values, which are few.
    pub(super) fn at(values: &[f64], is_log: bool, unit: Unit) -> Self {
        let mut ticks = values.to_vec();
        ticks.sort_by(f64::total_cmp);
        ticks.dedup();
        let ends = [ticks[0], ticks[ticks.len() - 1]].map(|value| place(value, is_log));
        let margin = ((ends[1] - ends[0]) * 0.04).max(0.01);
        Self {
            ends: [ends[0] - margin, ends[1] + margin],
            ..Self::new(is_log, &ticks, unit)
        }
    }

    /// With round ticks that hold the values; from 0 on, unless it is logarithmic.
    pub(super) fn round(values: &[f64], is_log: bool, unit: Unit) -> Self {
        let most = values.iter().copied().fold(1e-9, f64::max);
        let ticks = if is_log {
            let positive = values.iter().copied().filter(|value| *value > 0.0);
            decades(positive.fold(most, f64::min), most)
        } else {
            steps(most)
        };
        let mut axis = Self::new(is_log, &ticks, unit);
        if is_log {
            // A curve at the lowest tick is not hidden by the axis.
            axis.ends[0] -= (axis.ends[1] - axis.ends[0]) * 0.03;
        }
        axis
    }

    /// Shares of all, by how many nines they have.
    pub(super) fn percentiles(end: f64) -> Self {
        let shares = [
            (0.0, "least"),
            (0.5, "p50"),
            (0.9, "p90"),
            (0.99, "p99"),
            (0.999, "p99.9"),
            (0.9999, "p99.99"),
        ];
        let ticks = shares
            .iter()
            .map(|(share, name)| (nines(*share), (*name).to_owned()));
        Self {
            is_log: false,
            ends: [0.0, end],
            ticks: ticks.filter(|(place, _)| *place <= end).collect(),
        }
    }

    fn new(is_log: bool, values: &[f64], unit: Unit) -> Self {
        let tick = |value: &f64| (place(*value, is_log), unit.tick(*value));
        let ticks: Vec<_> = values.iter().map(tick).collect();
        Self {
            is_log,
            ends: [ticks[0].0, ticks[ticks.len() - 1].0],
            ticks,
        }
    }

    /// Where a value is; what is below the axis is at its end.
    pub(super) fn place(&self, value: f64) -> f64 {
        place(value, self.is_log).max(self.ends[0])
    }

    /// Places of the ticks, and what stands there.
    pub(super) fn ticks(&self) -> &[(f64, String)] {
        &self.ticks
    }

    /// The places at its ends.
    pub(super) fn ends(&self) -> [f64; 2] {
        self.ends
    }

    /// What stands at a tick.
    pub(super) fn label(&self, place: f64) -> String {
        let far = |tick: &(f64, String)| (tick.0 - place).abs();
        let nearest = self.ticks.iter().min_by(|a, b| far(a).total_cmp(&far(b)));
        nearest.map(|(_, text)| text.clone()).unwrap_or_default()
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let [low, high] = self.ends;
        from + (f64::from(to - from) * (value - low) / (high - low)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.iter().map(|(place, _)| *place).collect()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.ends[0]..self.ends[1]
    }
}

/// How many nines a share has: 0.5 has a third of one, 0.99 has two.
pub(super) fn nines(share: f64) -> f64 {
    (-(1.0 - share).log10()).clamp(0.0, NINES_MAX)
}

/// How many nines the largest of so many values has: half of what it stands for is below it.
pub(super) fn nines_of(values: u64) -> f64 {
    (values as f64 * 2.0).log10().clamp(nines(0.5), NINES_MAX)
}

fn place(value: f64, is_log: bool) -> f64 {
    if is_log {
        value.max(1e-9).log10()
    } else {
        value
    }
}

/// Ticks of a logarithmic axis that holds both: decades, and 2 and 5 between them if they are few.
fn decades(low: f64, high: f64) -> Vec<f64> {
    let (first, last) = (low.log10().floor() as i32, high.log10().floor() as i32);
    let between: &[f64] = if last - first < 3 {
        &[1.0, 2.0, 5.0]
    } else {
        &[1.0]
    };
    let all = (first..=last + 1).flat_map(|decade| {
        let one = 10f64.powi(decade);
        between.iter().map(move |part| part * one)
    });
    let all: Vec<f64> = all.collect();
    let from = all.iter().rposition(|tick| *tick <= low).unwrap_or(0);
    let to = all.iter().position(|tick| *tick >= high);
    let to = to.unwrap_or(all.len() - 1).max(from + 1);
    all[from..=to].to_vec()
}

/// Ticks of a linear axis from 0 on: steps of 1, 2 or 5, four to ten of them.
fn steps(most: f64) -> Vec<f64> {
    let raw = most / 6.0;
    let one = 10f64.powf(raw.log10().floor());
    let parts = [1.0, 2.0, 5.0, 10.0].into_iter().map(|part| part * one);
    let step = parts.into_iter().find(|step| *step >= raw).unwrap_or(raw);
    let count = (most / step).ceil() as usize;
    (0..=count).map(|tick| tick as f64 * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        assert_eq!(
            decades(3.0, 400.0),
            [2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0]
        );
        assert_eq!(decades(3.0, 40_000.0), [1.0, 10.0, 100.0, 1e3, 1e4, 1e5]);
        assert_eq!(decades(5.0, 5.0), [5.0, 10.0]);
        assert_eq!(steps(11.0), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0]);
    }

    #[test]
    fn ticks_say_their_unit() {
        let axis = Axis::round(&[30.0, 2e6], true, Unit::Microseconds);
        let labels: Vec<&str> = axis.ticks.iter().map(|(_, text)| &**text).collect();
        assert_eq!(
            labels,
            ["10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s", "10 s"]
        );
        assert_eq!(axis.label(axis.place(1000.0)), "1 ms");
    }

    #[test]
    fn a_percentile_is_drawn_where_there_are_values_for_it() {
        assert!((nines(0.99) - 2.0).abs() < 1e-9);
        assert!((nines_of(200) - 2.602).abs() < 1e-3);
        assert!((nines_of(1) - nines(0.5)).abs() < 1e-9);
        assert!((nines(1.0) - 4.0).abs() < 1e-9);
        let axis = Axis::percentiles(nines_of(200));
        let labels: Vec<&str> = axis.ticks.iter().map(|(_, text)| &**text).collect();
        assert_eq!(labels, ["least", "p50", "p90", "p99"]);
    }
}
