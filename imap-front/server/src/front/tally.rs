//! What the log is told of sessions: that they came, and what they were when they end.

use std::net::IpAddr;

use engine::event::SessionId;
use engine::protocol::Context;
use engine::stats::Reason;
use mail::{Reply, UserId};
use proto::imap::Parked;
use tls::Failure;

use super::logins::Came;
use super::{Backend, Front, FrontSession};
use crate::bounds::Bound;
use crate::lines::{Ended, Line, Traffic, Who};
use crate::stalls::{Plane, Stall};

const SECOND_NS: u64 = 1_000_000_000;

/// What an active session has done since it came, or since it was last packed away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub received: u64,
    pub sent: u64,
    /// It was packed away before: what it did until then is forgotten.
    pub was_parked: bool,
    /// Why the server ends it, if it does.
    pub ending: Option<Ending>,
}

/// Why the server ends a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Its client said nothing for too long.
    Quiet,
    /// The server stops.
    Shutdown,
    /// Its user was deleted, renamed or locked, or has another password.
    Revoked,
    /// There is no memory for what it sent.
    Memory,
    /// An administrator's tool.
    Kicked,
}

/// Ends of connections of one shard, from one call of the engine to the next.
#[derive(Default)]
pub(super) struct Ends {
    why: Option<Reason>,
    /// What is wrong with the TLS of the connection that ends next, and of that which ends now.
    coming: Option<Failure>,
    failure: Option<Failure>,
    ended: Option<Box<Ended>>,
}

impl Ends {
    /// Why the connection ends that comes next.
    pub fn note(&mut self, why: Reason) {
        self.why = Some(why);
        self.failure = self.coming.take();
    }

    /// What was wrong with its TLS.
    pub fn note_failure(&mut self, failure: Failure) {
        self.coming = Some(failure);
    }
}

/// The `result` of a line, and whether the session was cut.
fn told(why: Reason, ending: Option<Ending>) -> (&'static str, bool) {
    match (why, ending) {
        (Reason::Closed, None) => ("closed", false),
        (Reason::Closed, Some(Ending::Quiet)) => ("idle", false),
        (Reason::Closed, Some(Ending::Shutdown)) => ("shutdown", false),
        (Reason::Closed, Some(Ending::Revoked)) => ("revoked", true),
        (Reason::Closed, Some(Ending::Memory)) => ("memory", true),
        (Reason::Closed, Some(Ending::Kicked)) => ("kicked", true),
        (Reason::Hangup, _) => ("hangup", false),
        (Reason::Truncated, _) => ("truncated", false),
        (Reason::Broken, _) => ("broken", false),
        (Reason::ShutdownForced, _) => ("shutdown", false),
        (Reason::WriteTimeout, _) => ("write-timeout", true),
        (Reason::OutboxFull, _) => ("outbox-full", true),
        (Reason::OutputFull, _) => ("output-full", true),
        (Reason::HandshakeFailed, _) => ("handshake", true),
        (Reason::TlsFault, _) => ("tls", true),
        (Reason::DeflateFault, _) => ("deflate", true),
        (Reason::WindowsFull, _) => ("memory", true),
        _ => ("ended", false),
    }
}

impl<B: Backend> Front<B> {
    /// A client has logged in.
    pub(super) fn welcome(
        &mut self,
        session: &mut FrontSession,
        cx: &Context<'_, Reply>,
        user: UserId,
    ) {
        let (id, client) = (cx.id(), session.peer.take());
        self.logins.came(id, cx.now_ns(), user, client);
        let who = who(id, client, session.called.clone());
        let tls = cx.is_secure();
        self.lines.put(Line::LoggedIn { who, user, tls });
    }

    /// An active session has ended.
    pub(super) fn note_ended(&mut self, session: &FrontSession, id: SessionId) {
        let why = self.ends.why.take().unwrap_or(Reason::Closed);
        let (result, cut) = told(why, session.tally.ending);
        if session.user.is_none() && !cut {
            return;
        }
        let mut ended = ended(session, id, (result, cut));
        ended.why = self.ends.failure.take();
        self.ends.ended = Some(Box::new(ended));
    }

    /// A session of LMTP has ended: there is a line if it was cut.
    pub(crate) fn note_deliverer_ended(&mut self, client: Option<IpAddr>, id: SessionId) {
        let why = self.ends.why.take().unwrap_or(Reason::Closed);
        let (result, cut) = told(why, None);
        if cut {
            self.lines.put(Line::Ended(Box::new(Ended {
                who: who(id, client, None),
                user: None,
                result,
                cut,
                why: self.ends.failure.take(),
                seconds: None,
                traffic: None,
            })));
        }
    }

    /// The client has given up its login, and may log in again as anybody (RFC 8437).
    pub(super) fn note_logout(&mut self, session: &mut FrontSession, cx: &Context<'_, Reply>) {
        let id = cx.id();
        let ended = ended(session, id, ("unauthenticated", false));
        session.peer = self.logins.came_of(id).and_then(|came| came.client);
        self.ends.ended = Some(Box::new(ended));
        self.tell_end(cx);
        self.counts.went(session.user.is_some());
        self.counts.came(false);
        // Its requests from now on are nobody's, and what it did is told.
        (session.user, session.proved, session.requester) = (None, None, None);
        session.tally.was_parked = true;
        if let Some(users) = &mut self.users {
            users.leave(id.slot);
        }
    }

    /// A parked session has ended.
    pub(super) fn note_parked_ended(&mut self, parked: &Parked, id: SessionId) {
        let why = self.ends.why.take().unwrap_or(Reason::Closed);
        let (result, cut) = told(why, None);
        self.ends.ended = Some(Box::new(Ended {
            who: who(id, None, None),
            user: Some(parked.user),
            result,
            cut,
            why: self.ends.failure.take(),
            seconds: None,
            traffic: None,
        }));
    }

    /// The connection is gone of which was told before.
    pub(super) fn tell_end(&mut self, cx: &Context<'_, Reply>) {
        let Some(mut ended) = self.ends.ended.take() else {
            return;
        };
        if let Some(user) = ended.user
            && let Some(Came { at_s, client }) = self.logins.left(cx.id(), user)
        {
            let since_ns = u64::from(at_s) * SECOND_NS;
            ended.who.client = client;
            ended.seconds = Some(cx.now_ns().saturating_sub(since_ns) / SECOND_NS);
        }
        self.lines.put(Line::Ended(ended));
    }

    /// A session must end: its user may not stay, or an administrator has kicked it.
    pub(super) fn say_good_bye(&mut self, session: &mut FrontSession) {
        let (ending, text) = if self.visitor.kicks {
            (Ending::Kicked, "The administrator has ended your session")
        } else {
            self.bounds.meet(Bound::Revoked);
            (
                Ending::Revoked,
                "Your password was changed or your account removed, renamed or locked; log in \
                 again",
            )
        };
        session.tally.ending = Some(ending);
        session.machine.handle_shutdown(text);
    }

    /// A call took too long, of a session or of the shard.
    pub(super) fn tell_stall(&self, of: Option<&FrontSession>, name: &'static str, ns: u64) {
        let Some(stalls) = &self.stalls else { return };
        let requester = of.and_then(|session| session.requester.as_ref());
        let stall = Stall {
            ns,
            name: of.map_or(name, |session| session.asked),
            user: of.and_then(|session| session.user),
            session: requester.map(|requester| requester.id),
        };
        stalls.took(Plane::Data, stall);
    }
}

fn who(session: SessionId, client: Option<IpAddr>, called: Option<Box<str>>) -> Who {
    Who {
        session: Some(session),
        client,
        called,
    }
}

/// What an active session was, as it ends for this reason, cut or not.
fn ended(session: &FrontSession, id: SessionId, (result, cut): (&'static str, bool)) -> Ended {
    let traffic = Traffic {
        received: session.tally.received,
        sent: session.tally.sent,
        commands: session.machine.commands_given(),
    };
    Ended {
        who: who(id, session.peer, session.called.clone()),
        user: session.user,
        result,
        cut,
        why: None,
        seconds: None,
        traffic: (!session.tally.was_parked).then_some(traffic),
    }
}
