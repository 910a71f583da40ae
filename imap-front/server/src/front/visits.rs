//! Looks at the sessions of a shard, for the administrator's tools: a slice of its slots at a time,
//! each answered to whoever asked before the next is asked for.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};
use engine::event::{SessionId, ShardId};
use engine::protocol::Seen;
use mail::{MailboxId, UserId};
use proto::imap::Parked;

use super::deadlines::nanoseconds;
use super::logins::Came;
use super::{Backend, Front, FrontSession};
use crate::lines::Traffic;

/// Slots that are looked at in one turn: some tens of microseconds.
pub const SLOTS_A_VISIT: u32 = 1024;
/// Visits that may wait for a shard; the administrator's tools are few.
const WAITING_MAX: usize = 16;
const SECOND_NS: u64 = 1_000_000_000;

/// Which sessions are meant: those for which all that is given holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Whose.
    pub user: Option<UserId>,
    /// From where; `Some(None)` is this host.
    pub client: Option<Option<IpAddr>>,
    /// Which.
    pub session: Option<SessionId>,
}

/// A look at some slots of a shard.
pub struct Visit {
    /// Who is looked for.
    pub filter: Filter,
    /// Whether they are to end.
    pub kick: bool,
    /// Where.
    pub slots: Range<u32>,
    /// Where the answer goes.
    pub answer: Sender<Found>,
}

/// What a look has found.
#[derive(Debug, Default)]
pub struct Found {
    /// The sessions.
    pub sessions: Vec<SessionFacts>,
    /// How many slots the shard has.
    pub slots: u32,
}

/// What is known of a session. Of one that is packed away that is what its row and the table of
/// logins keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionFacts {
    /// Which it is.
    pub id: SessionId,
    /// Who is logged in.
    pub user: Option<UserId>,
    /// From where; none is this host.
    pub client: Option<IpAddr>,
    /// What it does.
    pub state: State,
    /// The selected mailbox.
    pub mailbox: Option<MailboxId>,
    /// How long it has been logged in.
    pub seconds: Option<u64>,
    /// For how long its client has said nothing.
    pub quiet_seconds: u64,
    /// What went over it; none if it was packed away in between, as that is forgotten then.
    pub traffic: Option<Traffic>,
}

/// What a session does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody has logged in.
    Login,
    /// Its client was heard lately, or is being answered.
    Active,
    /// It is in IDLE.
    Idle,
    /// It is packed away outside of IDLE.
    Quiet,
}

/// Where visits come in, for all shards; clones share them.
#[derive(Clone, Default)]
pub struct Visits {
    shards: Arc<Mutex<Vec<Sender<Visit>>>>,
}

impl Visits {
    /// Asks a shard for a visit, which begins once [`engine::Handle::visit`] tells it. False if too
    /// many wait there.
    pub fn ask(&self, shard: ShardId, visit: Visit) -> bool {
        let shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = shards.get(usize::from(shard.0));
        sender.is_some_and(|sender| sender.try_send(visit).is_ok())
    }

    /// The end of the next shard: they are made in the order of their numbers.
    pub(super) fn of_shard(&self) -> Visitor {
        let (sender, coming) = bounded(WAITING_MAX);
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        shards.push(sender);
        Visitor {
            coming: Some(coming),
            ..Visitor::default()
        }
    }
}

/// The visit that is under way on a shard.
#[derive(Default)]
pub(super) struct Visitor {
    coming: Option<Receiver<Visit>>,
    present: Option<Visit>,
    found: Found,
    now_ns: u64,
    /// The session that is told next to end was kicked.
    pub kicks: bool,
}

impl<B: Backend> Front<B> {
    /// Lets the administrator's tools look at its sessions.
    pub fn with_visits(self, visits: &Visits) -> Self {
        Self {
            visitor: visits.of_shard(),
            ..self
        }
    }

    pub(super) fn begin_visit(&mut self, now_ns: u64) -> Option<Range<u32>> {
        let visitor = &mut self.visitor;
        let visit = visitor.coming.as_ref()?.try_recv().ok()?;
        let slots = visit.slots.start..visit.slots.end.min(visit.slots.start + SLOTS_A_VISIT);
        visitor.present = Some(visit);
        visitor.now_ns = now_ns;
        Some(slots)
    }

    pub(super) fn look_at(&mut self, id: SessionId, seen: Seen<'_, FrontSession, Parked>) -> bool {
        let Some(visit) = &self.visitor.present else {
            return false;
        };
        let came = self.logins.came_of(id);
        let (user, client) = match seen {
            Seen::Active(session) => (
                session.user,
                session.peer.or(came.and_then(|came| came.client)),
            ),
            Seen::Parked(parked) => (Some(parked.user), came.and_then(|came| came.client)),
        };
        let client = client.map(|client| client.to_canonical());
        let client = client.filter(|client| !client.is_loopback());
        let filter = &visit.filter;
        let is_meant = filter.user.is_none_or(|meant| user == Some(meant))
            && filter.client.is_none_or(|meant| client == meant)
            && filter.session.is_none_or(|meant| meant == id);
        if !is_meant {
            return false;
        }
        let facts = facts(id, (user, client), came, seen, self.visitor.now_ns);
        self.visitor.kicks = visit.kick;
        self.visitor.found.sessions.push(facts);
        visit.kick
    }

    pub(super) fn finish_visit(&mut self, slots: u32) {
        let mut found = std::mem::take(&mut self.visitor.found);
        self.visitor.kicks = false;
        found.slots = slots;
        if let Some(visit) = self.visitor.present.take() {
            // It has room for one answer; who asked may have left.
            let _ = visit.answer.try_send(found);
        }
    }
}

fn facts(
    id: SessionId,
    (user, client): (Option<UserId>, Option<IpAddr>),
    came: Option<Came>,
    seen: Seen<'_, FrontSession, Parked>,
    now_ns: u64,
) -> SessionFacts {
    let since = |then_ns: u64| now_ns.saturating_sub(then_ns) / SECOND_NS;
    let (state, mailbox, heard_ns, traffic) = match seen {
        Seen::Active(session) => {
            let machine = &session.machine;
            let traffic = Traffic {
                received: session.tally.received,
                sent: session.tally.sent,
                commands: machine.commands_given(),
            };
            let state = match (user, machine.is_idling()) {
                (None, _) => State::Login,
                (_, true) => State::Idle,
                (_, false) => State::Active,
            };
            let traffic = (!session.tally.was_parked).then_some(traffic);
            (state, machine.selected_mailbox(), session.heard_ns, traffic)
        }
        Seen::Parked(parked) => {
            let state = match parked.idles() {
                true => State::Idle,
                false => State::Quiet,
            };
            let mailbox = parked.has(Parked::SELECTED).then_some(parked.mailbox);
            (state, mailbox, nanoseconds(parked.heard_s), None)
        }
    };
    SessionFacts {
        id,
        user,
        client,
        state,
        mailbox,
        seconds: came.map(|came| since(nanoseconds(came.at_s))),
        quiet_seconds: since(heard_ns),
        traffic,
    }
}
