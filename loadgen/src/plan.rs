//! What is to happen, fixed by a seed before anything does.

use reactor::Rng;
use reactor::rng::Stream;

/// Whose mailbox a session watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Mailboxes {
    /// One mailbox each.
    Each,
    /// All in one.
    One,
}

/// When each delivery should happen, in nanoseconds from the phase's start, and to which mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Intended start.
    pub at_ns: u64,
    /// Mailbox.
    pub mailbox: u32,
}

/// `count` deliveries at a steady `rate` a second, to mailboxes drawn by chance.
pub fn deliveries(seed: u64, count: usize, rate: f64, mailboxes: u32) -> Vec<Delivery> {
    let mut rng = Rng::stream(seed, Stream::Workload);
    let gap_ns = 1e9 / rate;
    (0..count)
        .map(|number| Delivery {
            at_ns: (number as f64 * gap_ns) as u64,
            mailbox: rng.below(u64::from(mailboxes)) as u32,
        })
        .collect()
}

/// The name of user `number` by a pattern with `%d`.
pub fn user(pattern: &str, number: u32) -> String {
    pattern.replace("%d", &number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_repeat() {
        let plan = deliveries(1, 100, 50.0, 10);
        assert_eq!(plan, deliveries(1, 100, 50.0, 10));
        assert_ne!(plan, deliveries(2, 100, 50.0, 10));
        assert_eq!(plan[50].at_ns, 1_000_000_000);
        assert!(plan.iter().all(|delivery| delivery.mailbox < 10));
        assert_eq!(user("load%d", 7), "load7");
    }
}
