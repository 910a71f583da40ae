//! A session's clock: one deadline at a time, the nearest of those that apply.

use engine::protocol::Parked as Due;
use proto::imap::Parked;

use super::FrontSession;

const SECOND_NS: u64 = 1_000_000_000;

/// A session that is quiet for this long outside of IDLE is packed away.
const QUIET_NS: u64 = 15 * SECOND_NS;
/// One that is told of news meanwhile (NOTIFY) is packed away after this time: it may well say
/// nothing more.
const NOTIFIED_QUIET_NS: u64 = SECOND_NS;

fn quiet_ns(session: &FrontSession) -> u64 {
    match session.machine.is_notified() {
        true => NOTIFIED_QUIET_NS,
        false => QUIET_NS,
    }
}

/// How long clients may be quiet.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Without having logged in, from one command to the end of the next.
    pub login_ns: u64,
    /// After login: RFC 3501 §5.4 asks for 30 minutes at least.
    pub inactivity_ns: u64,
    /// How often an idling client is told "Still here".
    pub keepalive_ns: u64,
}

impl Timeouts {
    pub(super) fn next_ns(&self, session: &FrontSession, now_ns: u64) -> u64 {
        let tell_ns = session.at_work.map_or(u64::MAX, |it| it.tell_ns);
        let over_ns = self.over_ns(session).min(tell_ns);
        if session.machine.is_idling() {
            over_ns.min(now_ns + self.keepalive_ns)
        } else if session.user.is_some() && !session.quiet {
            over_ns.min(session.heard_ns + quiet_ns(session))
        } else {
            over_ns
        }
    }

    pub(super) fn is_quiet(&self, session: &FrontSession, now_ns: u64) -> bool {
        session.user.is_some() && now_ns >= session.heard_ns + quiet_ns(session)
    }

    pub(super) fn is_over(&self, session: &FrontSession, now_ns: u64) -> bool {
        now_ns >= self.over_ns(session)
    }

    pub(super) fn parked(&self, parked: &Parked, now_ns: u64) -> Due {
        let over_ns = nanoseconds(parked.heard_s) + self.inactivity_ns;
        if now_ns >= over_ns {
            return Due::Unpark;
        }
        if !parked.is_idling() {
            return Due::Wait { until_ns: over_ns };
        }
        let until_ns = over_ns.min(now_ns + self.keepalive_ns);
        Due::Send {
            bytes: parked.language.still_here(),
            until_ns,
        }
    }

    fn over_ns(&self, session: &FrontSession) -> u64 {
        let quiet_ns = if session.user.is_some() {
            self.inactivity_ns
        } else {
            self.login_ns
        };
        session.heard_ns + quiet_ns
    }
}

/// Whole seconds on the reactor's clock; enough for 136 years.
pub(super) fn seconds(ns: u64) -> u32 {
    // Rounded up, so that a session's clock never runs ahead by being parked.
    u32::try_from(ns.div_ceil(SECOND_NS)).unwrap_or(u32::MAX)
}

/// Seconds back to nanoseconds.
pub(super) fn nanoseconds(s: u32) -> u64 {
    u64::from(s) * SECOND_NS
}
