//! What the page is made of, found by whoever serves it.

use std::collections::VecDeque;

use counting::Counted;

/// Seconds of which the page shows the course.
pub const COURSE_S: usize = 120;

/// Everything that the page shows.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// What the server is called.
    pub host: String,
    /// Which version it is.
    pub version: &'static str,
    /// For how long it has been running, in seconds.
    pub up_s: u64,
    /// Why it is not ready, if it isn't.
    pub not_ready: Option<&'static str>,
    /// Its shards.
    pub shards: Vec<Shard>,
    /// The last seconds, the oldest first.
    pub course: Course,
    /// The store.
    pub store: Store,
    /// What is kept in memory, by what it is for, in bytes.
    pub memory: Vec<(&'static str, u64)>,
    /// What the process has in memory, in bytes.
    pub resident_bytes: u64,
    /// The last calls that held up others, the newest first.
    pub slow: Vec<Slow>,
    /// Addresses to which something was refused lately, the newest first.
    pub refused: Vec<Refused>,
    /// What was refused, dropped or cut since the start, where that is more than nothing: how
    /// often, and what it means.
    pub trouble: Vec<(u64, &'static str)>,
    /// When IDLE is offered.
    pub conditions: Vec<Condition>,
    /// The certificates in use.
    pub certificates: Vec<Certificate>,
}

/// A shard.
#[derive(Clone, Debug, Default)]
pub struct Shard {
    /// Sessions that have not logged in.
    pub login: u64,
    /// Sessions that have, and are active.
    pub active: u64,
    /// Sessions that are packed away.
    pub parked: u64,
    /// Sessions in IDLE.
    pub idling: u64,
    /// Connections of all kinds.
    pub open: u64,
    /// Connections that there may be.
    pub places: u64,
    /// Connections of TLS 1.2 and 1.3.
    pub tls: [u64; 2],
    /// Mailboxes that are watched.
    pub topics: u64,
    /// How soon its sessions were told, since the start.
    pub told: Counted,
}

/// The store.
#[derive(Clone, Debug, Default)]
pub struct Store {
    /// It takes what is written.
    pub up: bool,
    /// Commits since the start.
    pub commits: u64,
    /// Operations in them.
    pub operations: u64,
    /// Free bytes on its disk.
    pub free_bytes: u64,
    /// How much of the time since the start its writer was busy, of a thousand.
    pub busy_permille: u64,
}

/// A call that held up others.
#[derive(Clone, Debug)]
pub struct Slow {
    /// Whom.
    pub plane: &'static str,
    /// What was done.
    pub call: &'static str,
    /// For how long, in milliseconds.
    pub ms: u64,
    /// For whom, if that is known.
    pub user: Option<String>,
}

/// An address to which something was refused.
#[derive(Clone, Debug)]
pub struct Refused {
    /// It.
    pub address: String,
    /// What it was refused last.
    pub why: &'static str,
    /// How often.
    pub count: u64,
}

/// A condition of IDLE.
#[derive(Clone, Debug)]
pub struct Condition {
    /// What must be.
    pub text: String,
    /// Whether it is.
    pub met: bool,
    /// What to type, if it isn't.
    pub remedy: String,
}

/// A certificate.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Its file.
    pub file: String,
    /// Whose it is.
    pub names: String,
    /// Days until its end.
    pub days_left: i64,
}

/// What was counted at one moment, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Sessions then.
    pub sessions: u64,
    /// Messages that are durable in a mailbox.
    pub deliveries: u64,
    /// Sessions told.
    pub announcements: u64,
    /// Commands that ended.
    pub commands: u64,
    /// Logins that were right.
    pub logins: u64,
    /// How soon sessions were told.
    pub told: Counted,
    /// How long commits took.
    pub synced: Counted,
}

/// Moments a second apart.
#[derive(Clone, Debug, Default)]
pub struct Course(VecDeque<Moment>);

impl Course {
    /// A second later.
    pub fn note(&mut self, moment: Moment) {
        if self.0.len() > COURSE_S {
            self.0.pop_front();
        }
        self.0.push_back(moment);
    }

    /// The newest.
    pub fn now(&self) -> Moment {
        self.0.back().copied().unwrap_or_default()
    }

    /// What came in the last seconds, and how many they were.
    pub fn lately(&self, seconds: usize) -> (Moment, u64) {
        let now = self.now();
        let back = seconds.min(self.0.len().saturating_sub(1));
        let before = self.0.get(self.0.len().saturating_sub(1 + back)).copied();
        let before = before.unwrap_or_default();
        let moment = Moment {
            sessions: now.sessions,
            deliveries: now.deliveries.saturating_sub(before.deliveries),
            announcements: now.announcements.saturating_sub(before.announcements),
            commands: now.commands.saturating_sub(before.commands),
            logins: now.logins.saturating_sub(before.logins),
            told: now.told.since(&before.told),
            synced: now.synced.since(&before.synced),
        };
        (moment, back as u64)
    }

    /// Something of each second, the oldest first: as it was, or what came in that second.
    pub(super) fn each(&self, of: fn(&Moment) -> u64, grows: bool) -> Vec<u64> {
        let all: Vec<u64> = self.0.iter().map(of).collect();
        match grows {
            false => all,
            true => all
                .windows(2)
                .map(|two| two[1].saturating_sub(two[0]))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_course_is_bounded_and_knows_what_came_lately() {
        let mut course = Course::default();
        assert_eq!(course.lately(10), (Moment::default(), 0));
        for second in 0..1000 {
            course.note(Moment {
                sessions: 7,
                deliveries: 3 * second,
                ..Moment::default()
            });
        }
        let (lately, seconds) = course.lately(60);
        assert_eq!((lately.deliveries, lately.sessions, seconds), (180, 7, 60));
        assert_eq!(course.lately(5000).1, COURSE_S as u64);
        let each = course.each(|moment| moment.deliveries, true);
        assert_eq!((each.len(), each[0]), (COURSE_S, 3));
    }
}
