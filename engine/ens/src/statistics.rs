//! The line that `ENS_STATS` asks for, about every five seconds (reference chapter 1.6).
#![expect(
    clippy::disallowed_methods,
    reason = "it tells how long the process has run"
)]

use std::io::Write;
use std::time::{Duration, Instant};

use crate::broker::Stats;

/// How often there is a line.
const EVERY: Duration = Duration::from_secs(5);

/// Prints the line to standard output when its time has come.
pub struct Statistics {
    wanted: bool,
    began: Instant,
    before: Figures,
}

#[derive(Clone, Copy, Default)]
struct Figures {
    at: f64,
    published: u64,
    notified: u64,
}

impl Statistics {
    /// Wanted if `ENS_STATS` is set to anything but 0.
    pub fn from_env() -> Self {
        let wanted = std::env::var("ENS_STATS");
        Self {
            wanted: wanted.is_ok_and(|value| !value.is_empty() && value != "0"),
            began: Instant::now(),
            before: Figures::default(),
        }
    }

    /// To be called often.
    pub fn print_if_due(&mut self, stats: &Stats) {
        let at = self.began.elapsed();
        if !self.wanted || at.as_secs_f64() < self.before.at + EVERY.as_secs_f64() {
            return;
        }
        let now = Figures {
            at: at.as_secs_f64(),
            published: stats.published(),
            notified: stats.notified(),
        };
        // Nobody may be reading any more.
        let _ = writeln!(std::io::stdout(), "{}", now.line(&self.before));
        self.before = now;
    }
}

impl Figures {
    /// `secs: pub: pub/s: pub/s(i): ntfy: ntfy/s: ntfy/s(i)`: totals, rates since the start, rates
    /// in the interval since the line before.
    fn line(&self, before: &Self) -> String {
        let rate = |now: u64, before: u64, over: f64| now.saturating_sub(before) as f64 / over;
        let interval = self.at - before.at;
        format!(
            "secs: {:.0} pub: {} pub/s: {:.1} pub/s(i): {:.1} ntfy: {} ntfy/s: {:.1} \
             ntfy/s(i): {:.1}",
            self.at,
            self.published,
            rate(self.published, 0, self.at),
            rate(self.published, before.published, interval),
            self.notified,
            rate(self.notified, 0, self.at),
            rate(self.notified, before.notified, interval),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_and_both_rates() {
        let before = Figures {
            at: 5.0,
            published: 100,
            notified: 1000,
        };
        let now = Figures {
            at: 10.0,
            published: 200,
            notified: 1500,
        };
        let expected = "secs: 10 pub: 200 pub/s: 20.0 pub/s(i): 20.0 ntfy: 1500 ntfy/s: 150.0 \
                        ntfy/s(i): 100.0";
        assert_eq!(now.line(&before), expected);
    }
}
