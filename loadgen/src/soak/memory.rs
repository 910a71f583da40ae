//! User memory over time, and whether it stays.

use crate::measure;

/// One look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Seconds since sessions began to churn.
    pub at_s: f64,
    /// Sessions that were open.
    pub sessions: usize,
    /// Messages in all mailboxes.
    pub messages: usize,
    /// The server's, in bytes.
    pub server: u64,
    /// One's own, in bytes.
    pub own: u64,
}

/// Looks at equal distances.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// In order.
    pub samples: Vec<Sample>,
}

/// A straight line through the later two thirds of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Bytes a minute.
    pub per_minute: f64,
    /// Growth over the time of the fit, as a part of the average.
    pub growth: f64,
}

/// Growth below this part of the average counts as none.
const FLAT_GROWTH: f64 = 0.03;

impl Trend {
    /// Whether memory stays.
    pub fn is_flat(self) -> bool {
        self.growth < FLAT_GROWTH
    }
}

impl Series {
    /// Looks; `holds` are sessions and messages. Without processes the server's memory is 0.
    ///
    /// # Errors
    /// If a process is not there or may not be looked at.
    pub fn look(
        &mut self,
        pids: &[u32],
        at_s: f64,
        holds: (usize, usize),
    ) -> std::io::Result<Sample> {
        let sample = Sample {
            at_s,
            sessions: holds.0,
            messages: holds.1,
            server: measure::memory(pids)?,
            own: measure::memory(&[std::process::id()])?,
        };
        self.samples.push(sample);
        Ok(sample)
    }

    /// The trend of what `value` takes, by least squares; none from fewer than three samples.
    pub fn trend(&self, value: impl Fn(&Sample) -> u64) -> Option<Trend> {
        let later = &self.samples[self.samples.len() / 3..];
        let count = later.len() as f64;
        if later.len() < 3 {
            return None;
        }
        let time = later.iter().map(|sample| sample.at_s).sum::<f64>() / count;
        let average = later.iter().map(|s| value(s) as f64).sum::<f64>() / count;
        let (mut above, mut below) = (0.0, 0.0);
        for sample in later {
            above += (sample.at_s - time) * (value(sample) as f64 - average);
            below += (sample.at_s - time).powi(2);
        }
        let per_second = above / below;
        let lasts = later[later.len() - 1].at_s - later[0].at_s;
        Some(Trend {
            per_minute: per_second * 60.0,
            growth: per_second * lasts / average,
        })
    }

    /// From CSV as [`Series::csv`] gives it; none if it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let sample = |line: &str| {
            let mut cells = line.split(',');
            Some(Sample {
                at_s: cells.next()?.parse().ok()?,
                sessions: cells.next()?.parse().ok()?,
                messages: cells.next()?.parse().ok()?,
                server: cells.next()?.parse().ok()?,
                own: cells.next()?.parse().ok()?,
            })
        };
        let samples: Option<Vec<_>> = text.lines().skip(1).map(sample).collect();
        samples.map(|samples| Self { samples })
    }

    /// The samples as CSV.
    pub fn csv(&self) -> String {
        let mut text = "seconds,sessions,messages,server_bytes,own_bytes\n".to_owned();
        for sample in &self.samples {
            let Sample {
                at_s,
                sessions,
                messages,
                server,
                own,
            } = sample;
            text.push_str(&format!("{at_s:.0},{sessions},{messages},{server},{own}\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(server: impl Fn(u64) -> u64) -> Series {
        let sample = |place: u64| Sample {
            at_s: place as f64 * 30.0,
            sessions: 5,
            messages: 6,
            server: server(place),
            own: 7,
        };
        Series {
            samples: (0..30).map(sample).collect(),
        }
    }

    #[test]
    fn growth_is_told_from_warming_up() {
        let warm = series(|place| 1_000_000 + place.min(9) * 100_000);
        let trend = warm.trend(|sample| sample.server).expect("enough samples");
        assert!(trend.is_flat() && trend.per_minute.abs() < 20_000.0);
        let leak = series(|place| 1_000_000 + place * 10_000);
        let trend = leak.trend(|sample| sample.server).expect("enough samples");
        assert!(!trend.is_flat());
        assert!((trend.per_minute - 20_000.0).abs() < 1.0);
        assert!(leak.csv().contains("\n30,5,6,1010000,7\n"));
        let again = Series::parse(&leak.csv()).expect("as written");
        assert_eq!(again.samples, leak.samples);
        assert_eq!(Series::default().trend(|sample| sample.own), None);
    }

    #[test]
    fn this_process_is_looked_at() {
        let mut series = Series::default();
        let sample = series.look(&[], 1.0, (2, 3)).expect("readable");
        assert!(sample.own > 4096 && sample.server == 0);
    }
}
