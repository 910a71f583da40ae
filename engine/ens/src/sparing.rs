//! Lines of the log that may come thousands of times a second, as of what strangers cause: one a
//! second is written, and says how many were left out before it.
#![expect(
    clippy::disallowed_methods,
    reason = "outside of a shard how often something is said goes by the machine's clock"
)]

use std::fmt;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;

/// How often such a line is written.
const EVERY_NS: u64 = 1_000_000_000;

/// When such a line may be written again, and how many were left out. It goes by one clock: the
/// caller's, or the machine's.
#[derive(Debug, Default)]
pub struct Sparing(Mutex<(u64, u64)>);

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
    /// Logs, unless that was done within the last second of the machine's clock.
    pub fn say(&self, log: impl FnOnce(LeftOut)) {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        let now_ns = START.elapsed().as_nanos() as u64;
        if let Some(left_out) = self.due(now_ns) {
            log(left_out);
        }
    }

    /// What the line says at its end of those that were left out before; none if it is left out
    /// itself.
    pub fn due(&self, now_ns: u64) -> Option<LeftOut> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (next_ns, left_out) = &mut *state;
        if now_ns < *next_ns {
            *left_out += 1;
            return None;
        }
        *next_ns = now_ns.saturating_add(EVERY_NS);
        Some(LeftOut(std::mem::take(left_out)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_says_how_many_there_were() {
        let sparing = Sparing::default();
        let at = |ms: u64| sparing.due(ms * 1_000_000);
        let lines: Vec<LeftOut> = (5000..7500).filter_map(at).collect();
        assert_eq!(lines, [LeftOut(0), LeftOut(999), LeftOut(999)]);
        assert_eq!(sparing.due(u64::MAX), Some(LeftOut(499)));
        let texts = [0, 1, 999].map(|more| LeftOut(more).to_string());
        assert_eq!(texts, ["", " (and once more)", " (and 999 times more)"]);
    }

    #[test]
    fn by_the_machines_clock_the_first_is_said_and_the_next_left_out() {
        let sparing = Sparing::default();
        let mut said = vec![];
        (0..2).for_each(|_| sparing.say(|left_out| said.push(left_out)));
        assert_eq!(said, [LeftOut(0)]);
    }
}
