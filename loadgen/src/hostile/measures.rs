//! What the population felt, phase by phase.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::measure::{histogram, record};

/// When something was meant to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nobody attacks.
    Quiet = 1,
    /// Somebody does.
    Attack = 2,
}

impl Phase {
    /// The phase of that number, if it is one.
    pub fn of(number: u8) -> Option<Self> {
        [Self::Quiet, Self::Attack]
            .into_iter()
            .find(|phase| *phase as u8 == number)
    }
}

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// From the end of DATA to EXISTS at the idler.
    Notification,
    /// From when a command was due to its OK.
    Command,
    /// From when a delivery was due to its 250.
    Delivery,
    /// From when a login was due (connect, LOGIN) to its OK.
    Login,
}

/// All kinds and their names.
pub const KINDS: [(Kind, &str); 4] = [
    (Kind::Notification, "notification"),
    (Kind::Command, "command"),
    (Kind::Delivery, "delivery"),
    (Kind::Login, "login"),
];

/// The times of both phases, and who was refused what.
#[derive(Clone, Debug)]
pub struct Measures {
    times: [[Histogram<u64>; 4]; 2],
    /// What went wrong for members of the population in the attack, and how often.
    pub refusals: BTreeMap<String, u64>,
}

impl Default for Measures {
    fn default() -> Self {
        let four = || [(); 4].map(|()| histogram());
        Self {
            times: [four(), four()],
            refusals: BTreeMap::new(),
        }
    }
}

impl Measures {
    /// Notes a time.
    pub fn add(&mut self, phase: Phase, kind: Kind, ns: u64) {
        record(&mut self.times[phase as usize - 1][kind as usize], ns);
    }

    /// Notes a refusal.
    pub fn refuse(&mut self, what: impl Into<String>) {
        *self.refusals.entry(what.into()).or_insert(0) += 1;
    }

    /// The times of a kind in a phase.
    pub fn times(&self, phase: Phase, kind: Kind) -> &Histogram<u64> {
        &self.times[phase as usize - 1][kind as usize]
    }

    /// By how much the worst time of any kind is above the quiet worst of the same kind, in
    /// microseconds.
    pub fn worst_above_quiet_us(&self) -> u64 {
        let above = KINDS.map(|(kind, _)| {
            let [quiet, attack] =
                [Phase::Quiet, Phase::Attack].map(|phase| self.times(phase, kind).max());
            attack.saturating_sub(quiet)
        });
        above.into_iter().max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_is_held_against_the_quiet_worst_of_its_kind() {
        let mut measures = Measures::default();
        measures.add(Phase::Quiet, Kind::Delivery, 9_000_000);
        measures.add(Phase::Attack, Kind::Delivery, 10_000_000);
        measures.add(Phase::Quiet, Kind::Login, 1_000_000);
        measures.add(Phase::Attack, Kind::Login, 4_000_000);
        let above = measures.worst_above_quiet_us();
        assert!((2_990..=3_010).contains(&above), "{above}");
        for (number, (kind, _)) in KINDS.iter().enumerate() {
            assert_eq!(*kind as usize, number);
        }
    }
}
