//! Causes that repeat: the first lines of each are written, and then how many more there were.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ahash::RandomState;

use crate::front::network;

/// Lines that one cause has in a window: enough for whoever counts them (`share/fail2ban`).
const LINES_A_CAUSE: u32 = 20;
/// Lines that failed logins have together, and all other causes together.
const LINES_MAX: u32 = 2000;
/// How long a window is.
pub(super) const WINDOW: Duration = Duration::from_secs(10);
/// Causes of either kind that are told apart in a window.
const CAUSES_MAX: usize = 4096;
/// Of how many causes a window's end tells one by one.
const TOLD_MAX: usize = 100;

/// What may come thousands of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Cause {
    pub event: &'static str,
    pub result: &'static str,
    /// Of IPv6 the network; none is this host.
    network: Option<u64>,
    /// Everybody beyond the causes that are told apart.
    many: bool,
}

impl Cause {
    /// Whether it is of many addresses.
    pub fn is_of_many(&self) -> bool {
        self.many
    }
}

/// What was left out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Of which cause; none are several.
    pub cause: Option<(Cause, Option<IpAddr>)>,
    pub count: u64,
}

/// What came in this window.
pub(super) struct Repeats {
    began: Instant,
    /// Logins that failed: no flood of what costs nobody a guess, as connections that are cut,
    /// keeps them from whoever guards the host.
    logins: Kind,
    others: Kind,
}

/// Causes of one kind.
#[derive(Default)]
struct Kind {
    lines: u32,
    causes: HashMap<Cause, Seen, RandomState>,
}

#[derive(Default)]
struct Seen {
    count: u32,
    left_out: u64,
    /// Whose was the last.
    client: Option<IpAddr>,
}

impl Repeats {
    pub fn new(now: Instant) -> Self {
        Self {
            began: now,
            logins: Kind::default(),
            others: Kind::default(),
        }
    }

    /// Whether a line of that cause is to be written.
    pub fn admits(
        &mut self,
        event: &'static str,
        result: &'static str,
        client: Option<IpAddr>,
    ) -> bool {
        let mut cause = Cause {
            event,
            result,
            network: client.map(network),
            many: false,
        };
        let Kind { lines, causes } = match event {
            "login" => &mut self.logins,
            _ => &mut self.others,
        };
        if causes.len() >= CAUSES_MAX && !causes.contains_key(&cause) {
            (cause.network, cause.many) = (None, true);
        }
        let seen = causes.entry(cause).or_default();
        seen.client = client.filter(|_| cause.network.is_some());
        let fits = seen.count < LINES_A_CAUSE && *lines < LINES_MAX;
        if fits {
            seen.count += 1;
            *lines += 1;
        } else {
            seen.left_out += 1;
        }
        fits
    }

    /// At the end of a window, what was left out in it.
    pub fn end(&mut self, now: Instant) -> Vec<LeftOut> {
        if now.saturating_duration_since(self.began) < WINDOW {
            return vec![];
        }
        self.began = now;
        let kinds = [&mut self.logins, &mut self.others].map(std::mem::take);
        let causes = kinds.into_iter().flat_map(|kind| kind.causes);
        let mut causes: Vec<(Cause, Seen)> = causes.filter(|(_, seen)| seen.left_out > 0).collect();
        causes.sort_by_key(|(_, seen)| std::cmp::Reverse(seen.left_out));
        let others: u64 = causes
            .iter()
            .skip(TOLD_MAX)
            .map(|(_, seen)| seen.left_out)
            .sum();
        let told = causes
            .into_iter()
            .take(TOLD_MAX)
            .map(|(cause, seen)| LeftOut {
                cause: Some((cause, seen.client)),
                count: seen.left_out,
            });
        let others = (others > 0).then_some(LeftOut {
            cause: None,
            count: others,
        });
        told.chain(others).collect()
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests begin at some time")]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_cause_are_written_and_the_others_counted() {
        let now = Instant::now();
        let mut repeats = Repeats::new(now);
        let one = Some(IpAddr::from([192, 0, 2, 1]));
        let mut come = |client, times| {
            let admits = |_: &u32| repeats.admits("login", "failed", client);
            (0..times).filter(admits).count()
        };
        assert_eq!(come(one, 50), 20);
        assert_eq!(come(None, 5), 5);
        let same_network = ["2001:db8::1", "2001:db8::2"].map(|it| it.parse().ok());
        assert_eq!(same_network.map(|it| come(it, 15)), [15, 5]);
        assert!(repeats.end(now).is_empty(), "the window goes on");
        let left_out = repeats.end(now + WINDOW);
        let counts: Vec<u64> = left_out.iter().map(|it| it.count).collect();
        assert_eq!(counts, [30, 10]);
        assert_eq!(left_out[0].cause.unwrap().1, one);
        assert!(repeats.admits("login", "failed", one), "a new window");
        assert!(repeats.end(now + 2 * WINDOW).is_empty());
    }

    #[test]
    fn a_flood_from_everywhere_has_bounds() {
        let now = Instant::now();
        let mut repeats = Repeats::new(now);
        let admitted = (0..100_000u32).filter(|number| {
            let client = IpAddr::from(number.to_be_bytes());
            repeats.admits("login", "failed", Some(client))
        });
        assert_eq!(admitted.count(), LINES_MAX as usize);
        assert!(repeats.logins.causes.len() <= CAUSES_MAX + 1);
        // This host has lines of its own.
        repeats.logins.lines = 0;
        assert!(repeats.admits("login", "failed", None));
        let left_out = repeats.end(now + WINDOW);
        assert_eq!(left_out.len(), TOLD_MAX + 1);
        assert_eq!(left_out.iter().map(|it| it.count).sum::<u64>(), 98_000);
    }

    #[test]
    fn connections_that_are_cut_keep_no_failed_login_out() {
        let now = Instant::now();
        let mut repeats = Repeats::new(now);
        let client = |number: u32| Some(IpAddr::from(number.to_be_bytes()));
        for number in 0..5000 {
            repeats.admits("cut", "handshake", client(number));
            repeats.admits("refusal", "maxprelogin", client(number));
        }
        let guesses = (0..50).filter(|_| repeats.admits("login", "failed", client(7777)));
        assert_eq!(guesses.count(), LINES_A_CAUSE as usize);
        assert!(!repeats.admits("cut", "handshake", client(7777)));
        let left_out = repeats.end(now + WINDOW);
        assert_eq!(
            left_out.iter().map(|it| it.count).sum::<u64>(),
            8000 + 30 + 1
        );
    }
}
