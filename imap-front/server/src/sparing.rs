//! Lines of the log that may come thousands of times a second, at most one of them each second.
#![expect(
    clippy::disallowed_methods,
    reason = "how often something is said goes by the machine's clock"
)]

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often such a line is logged.
const EVERY: Duration = Duration::from_secs(1);

/// When such a line was logged last, and how many were left out since.
#[derive(Debug, Default)]
pub struct Sparing(Mutex<(Option<Instant>, u64)>);

/// How many lines were left out before this one; prints nothing if none were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftOut(u64);

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            1 => f.write_str(" (and once more)"),
            more => write!(f, " (and {more} times more)"),
        }
    }
}

impl Sparing {
    /// Logs, unless that was done within the last second.
    pub fn say(&self, log: impl FnOnce(LeftOut)) {
        if let Some(left_out) = self.due(Instant::now()) {
            log(left_out);
        }
    }

    fn due(&self, now: Instant) -> Option<LeftOut> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, left_out) = &mut *state;
        if last.is_some_and(|last| now.saturating_duration_since(last) < EVERY) {
            *left_out += 1;
            return None;
        }
        *last = Some(now);
        Some(LeftOut(std::mem::take(left_out)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_says_how_many_there_were() {
        let sparing = Sparing::default();
        let began = Instant::now();
        let lines: Vec<LeftOut> = (0..2500)
            .filter_map(|ms| sparing.due(began + Duration::from_millis(ms)))
            .collect();
        assert_eq!(lines, [LeftOut(0), LeftOut(999), LeftOut(999)]);
        assert_eq!(lines[1].to_string(), " (and 999 times more)");
        assert_eq!(lines[0].to_string(), "");
    }
}
