//! The one place that knows both floors: sessions of `proto` hosted by shards of `engine`.
//!
//! [`Front`] carries out what a session machine asks: bytes go to the connection, requests to the
//! [`Backend`], watches to the shard. It also owns the session's clock: logins must come soon,
//! quiet clients are logged out, idling ones are told that the server is still here.

mod asking;
mod backend;
mod claims;
mod cleartext;
mod counts;
mod deadlines;
mod endings;
mod further;
mod handover;
mod logins;
mod opening;
mod parking;
mod progress;
mod requester;
mod revoked;
mod shares;
mod tally;
mod visits;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use admin::config::Networks;
use bytes::Bytes;
use engine::Mark;
use engine::event::{Event, SessionId};
use engine::protocol::{Active, Context};
use engine::stats::Reason;
use engine::topic::TopicId;
use mail::{Refusal, Reply, Request, UserId};
use proto::imap::action::Action;
use proto::imap::{self, Compression, Session, SessionConfig};
use tls::NamedBy;

use crate::bounds::{Bound, Bounds};
use crate::lines::Lines;
use crate::refusals::Refused;
use crate::stalls::Stalls;
use claims::Claims;
use progress::AtWork;
use revoked::Revoked;
use shares::Counted;
use tally::{Ending, Ends, Tally};
use visits::Visitor;

pub use backend::Backend;
pub use cleartext::Cleartext;
pub use counts::SessionCounts;
pub use deadlines::Timeouts;
pub use logins::Logins;
pub(crate) use opening::Behind;
pub use requester::{Requester, network};
pub use revoked::Revocations;
pub use shares::Shares;
pub use visits::{Filter, Found, SLOTS_A_VISIT, SessionFacts, State, Visit, Visits};

/// Input of a client that may be held although a shard has no memory left: a command that is not
/// complete, or some that wait for the one before.
const HELD_ANYWAY_BYTES: usize = 1 << 10;
/// Places for waiting requests that are kept although none waits.
const KEPT_MAX: usize = 1024;

/// The IMAP front of one shard.
pub struct Front<B: Backend> {
    config: Arc<SessionConfig>,
    timeouts: Timeouts,
    cleartext: Cleartext,
    /// Whether clients may begin TLS.
    starttls: Arc<AtomicBool>,
    /// What of their certificates is their user's name.
    named_by: NamedBy,
    backend: B,
    /// Requests that the backend could not take yet, in order.
    waiting: VecDeque<(Arc<Requester>, Request)>,
    /// What these take, in bytes.
    waiting_bytes: usize,
    /// Bytes that the machines of its sessions keep.
    held_bytes: usize,
    /// Bytes that may wait on this shard: requests, what machines keep, and output.
    memory_max: usize,
    bounds: Arc<Bounds>,
    stalls: Option<Arc<Stalls>>,
    lines: Arc<Lines>,
    /// Who may name the client by the command ID.
    trusted: Arc<Networks>,
    addresses: Option<Counted>,
    users: Option<Counted>,
    revoked: Revoked,
    visitor: Visitor,
    logins: Logins,
    ends: Ends,
    claims: Claims,
    counts: Arc<SessionCounts>,
}

/// An active session and its clock.
pub struct FrontSession {
    machine: Session,
    reading: bool,
    /// Bytes that its machine kept when that was last counted.
    held_bytes: usize,
    /// When the client last said something, on the reactor's clock.
    heard_ns: u64,
    user: Option<UserId>,
    /// Whose password was proved, although the client has not answered that yet.
    proved: Option<UserId>,
    /// From where, until it has logged in.
    peer: Option<IpAddr>,
    /// What a proxy calls it.
    called: Option<Box<str>>,
    /// Who it is to others, once it has asked something.
    requester: Option<Arc<Requester>>,
    /// It was told that it gave too many commands.
    ended: bool,
    /// The last request, or none yet.
    asked: &'static str,
    /// An answer to a request is awaited that changes the store.
    asks_to_write: bool,
    /// It has been quiet long enough to be packed away outside of IDLE too.
    quiet: bool,
    /// It is counted as one that idles.
    idling: bool,
    /// The command that waits for the store.
    at_work: Option<AtWork>,
    tally: Tally,
}

impl FrontSession {
    fn requester(&mut self, id: SessionId) -> Arc<Requester> {
        let new = || {
            let requester = Requester::new(id, self.user, self.peer);
            Arc::new(requester.called(self.called.clone()))
        };
        self.requester.get_or_insert_with(new).clone()
    }
}

impl<B: Backend> Front<B> {
    /// A front whose sessions are set up by `config`.
    pub fn new(
        config: Arc<SessionConfig>,
        timeouts: Timeouts,
        cleartext: Cleartext,
        backend: B,
    ) -> Self {
        Self {
            config,
            timeouts,
            cleartext,
            starttls: Arc::default(),
            named_by: NamedBy::default(),
            backend,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            held_bytes: 0,
            memory_max: usize::MAX,
            bounds: Arc::default(),
            stalls: None,
            lines: Arc::default(),
            trusted: Arc::default(),
            addresses: None,
            users: None,
            revoked: Revoked::default(),
            visitor: Visitor::default(),
            logins: Logins::default(),
            ends: Ends::default(),
            claims: Claims::default(),
            counts: Arc::default(),
        }
    }

    /// Reports who logs in and out.
    pub fn with_logins(self, logins: Logins) -> Self {
        Self { logins, ..self }
    }

    /// Counts its sessions there.
    pub fn with_counts(self, counts: Arc<SessionCounts>) -> Self {
        Self { counts, ..self }
    }

    /// Counts what is refused and dropped here, and what takes too long.
    pub fn with_watch(self, bounds: Arc<Bounds>, stalls: Arc<Stalls>) -> Self {
        let stalls = Some(stalls);
        Self {
            bounds,
            stalls,
            ..self
        }
    }

    /// Bounds what may wait on this shard, in bytes: requests, what sessions keep, and output.
    pub fn with_memory(self, memory_max: usize) -> Self {
        Self { memory_max, ..self }
    }

    /// Lets clients begin TLS that come while this is set.
    pub fn with_starttls(self, starttls: Arc<AtomicBool>) -> Self {
        Self { starttls, ..self }
    }

    /// Takes this of a client's certificate for its user's name.
    pub fn with_named_by(self, named_by: NamedBy) -> Self {
        Self { named_by, ..self }
    }

    /// Lets clients of these networks name who they speak for, before login.
    pub fn with_trusted(self, trusted: Arc<Networks>) -> Self {
        Self { trusted, ..self }
    }

    /// Limits the connections of each address and of each user, this host's own but for; none is no
    /// limit.
    pub fn with_shares(self, addresses: Option<Arc<Shares>>, users: Option<Arc<Shares>>) -> Self {
        Self {
            addresses: addresses.map(Counted::new),
            users: users.map(Counted::new),
            ..self
        }
    }

    /// Tells whom something was refused.
    pub fn with_lines(self, lines: Arc<Lines>) -> Self {
        Self { lines, ..self }
    }

    /// Ends sessions of users who may not stay.
    pub fn with_revocations(self, revocations: &Revocations) -> Self {
        Self {
            revoked: revocations.of_shard(),
            ..self
        }
    }

    /// The backend, for a host that drives it by hand.
    pub fn backend_mut(&mut self) -> &mut B {
        &mut self.backend
    }

    /// Carries out what the machine asks until it asks nothing more.
    fn carry_out(&mut self, session: &mut FrontSession, cx: &mut Context<'_, Reply>) {
        if session.user.is_none() {
            self.note_login(session, cx);
        }
        self.carry_out_actions(session, cx);
        if self.counts_too_much(session, cx.owed_bytes()) {
            self.bounds.meet(Bound::Memory);
            session.tally.ending = Some(Ending::Memory);
            let text = "The server has no memory for what you sent, try again later";
            session.machine.handle_shutdown(text);
            self.carry_out_actions(session, cx);
        }
        if session.machine.is_idling() != session.idling {
            session.idling = !session.idling;
            match session.idling {
                true => self.counts.idles(),
                false => self.counts.wakes(),
            }
        }
        let wants = session.machine.wants_input();
        if wants != std::mem::replace(&mut session.reading, wants) {
            cx.read(wants);
        }
        session.note_work(cx.now_ns());
        cx.deadline(self.timeouts.next_ns(session, cx.now_ns()));
    }

    /// Whether the user of a login may have one more connection.
    fn admits(&mut self, session: &FrontSession, id: SessionId, user: UserId) -> bool {
        let (Some(users), Some(peer)) = (&mut self.users, Self::stranger(session)) else {
            return true;
        };
        let fits = users.enter(id.slot, user.0);
        if !fits {
            self.bounds.meet(Bound::UserConnections);
            self.lines.refuse(Refused::User(user), Some(peer), id);
        }
        fits
    }

    fn note_login(&mut self, session: &mut FrontSession, cx: &Context<'_, Reply>) {
        let Some(user) = session.machine.user() else {
            return self.note_refused(session, cx.id());
        };
        session.user = Some(user);
        self.counts.went(false);
        self.counts.came(true);
        // From now on it is its user's.
        session.requester = None;
        self.welcome(session, cx, user);
    }

    fn carry_out_actions(&mut self, session: &mut FrontSession, cx: &mut Context<'_, Reply>) {
        while let Some(action) = session.machine.poll_action() {
            match action {
                Action::Send(bytes) => {
                    session.tally.sent += bytes.len() as u64;
                    cx.send(bytes);
                }
                Action::Request(request) => self.submit(session, cx, request),
                Action::Claim(mailbox, below) => self.claim(mailbox, Some(below)),
                Action::Watch(mailbox) => cx.watch(TopicId(mailbox.0)),
                Action::Unwatch => cx.unwatch(),
                Action::WatchFurther(spec, watches) => further::watch(cx, spec, &watches),
                Action::UnwatchFurther => cx.unwatch_further(),
                Action::Told(mailbox, modseq) => further::told(cx, mailbox, modseq),
                Action::StartTls => cx.start_tls(),
                Action::Compress(rest) => cx.compress(rest.into()),
                Action::EndCompression => cx.end_compression(),
                Action::LoggedOut => self.note_logout(session, cx),
                Action::Forwarded(client) => self.forwarded(session, cx, *client),
                Action::Close => cx.close(),
            }
        }
    }

    /// Counts what the session's machine keeps. True if it keeps more than before, and more waits
    /// on this shard than may.
    fn counts_too_much(&mut self, session: &mut FrontSession, owed_bytes: usize) -> bool {
        let holds = session.machine.held_bytes();
        let before = std::mem::replace(&mut session.held_bytes, holds);
        self.held_bytes = self.held_bytes + holds - before;
        let waits = self.held_bytes + self.waiting_bytes + owed_bytes;
        holds > before.max(HELD_ANYWAY_BYTES) && waits > self.memory_max
    }
}

impl<B: Backend> Active for Front<B> {
    type Session = FrontSession;
    type Fact = mail::News;
    type Reply = Reply;

    fn needs_peer(&self, _listener: u8) -> bool {
        // A client of a listener that only this host reaches is this host.
        let counted = self.logins.are_reported() || self.addresses.is_some();
        self.cleartext == Cleartext::Loopback || counted || !self.trusted.is_empty()
    }

    fn refusal(&self, _listener: u8) -> Option<Bytes> {
        Some(Bytes::from_static(
            b"* BYE Too many connections, try again later\r\n",
        ))
    }

    fn open(&mut self, cx: &mut Context<'_, Reply>, _listener: u8) -> FrontSession {
        self.open_behind(cx, Behind::NONE)
    }

    fn asks_certificate(&self, _: &FrontSession) -> bool {
        true
    }

    fn handle_channel(
        &mut self,
        session: &mut FrontSession,
        cx: &mut Context<'_, Reply>,
        channel: &tls::Channel,
    ) {
        let channel = self.told_channel(channel);
        session.machine.handle_channel(channel);
        self.carry_out(session, cx);
    }

    fn handle_input(
        &mut self,
        session: &mut FrontSession,
        cx: &mut Context<'_, Reply>,
        bytes: &[u8],
    ) {
        let before = session
            .user
            .is_none()
            .then(|| session.machine.commands_given());
        session.quiet = false;
        session.tally.received += bytes.len() as u64;
        session.machine.set_compression(match cx.compression() {
            engine::protocol::Compression::Possible => Compression::Possible,
            engine::protocol::Compression::Full => Compression::Full,
            engine::protocol::Compression::Active => Compression::Active,
        });
        session.machine.handle_input(bytes);
        // A stranger who sends a byte now and then holds no place for ever.
        if before != Some(session.machine.commands_given()) {
            session.heard_ns = cx.now_ns();
        }
        self.carry_out(session, cx);
        if session.machine.is_within_a_command() {
            cx.acknowledge_now();
        }
    }

    fn handle_reply(
        &mut self,
        session: &mut FrontSession,
        cx: &mut Context<'_, Reply>,
        reply: Reply,
    ) {
        session.asks_to_write = false;
        let reply = match reply {
            Reply::Authenticated(user) | Reply::Proved { user, .. }
                if !self.admits(session, cx.id(), user) =>
            {
                let why = "you have too many connections, close some";
                Reply::Refused(Refusal::Limit(why))
            }
            reply => reply,
        };
        if let Reply::Proved { user, .. } = &reply {
            session.proved = Some(*user);
        }
        session.machine.handle_reply(reply);
        self.carry_out(session, cx);
    }

    /// The first piece of an upload was kept for a session that has left: it is forgotten.
    fn handle_late_reply(&mut self, cx: &mut Context<'_, Reply>, reply: Reply) {
        if let Reply::Spooled(spool) = reply {
            let requester = Requester::new(cx.id(), None, None);
            requester.leave();
            self.ask_later(requester.into(), Request::Discard { spool });
        }
    }

    fn handle_watching(&mut self, session: &mut FrontSession, cx: &mut Context<'_, Reply>) {
        session.machine.handle_watching();
        self.carry_out(session, cx);
    }

    fn handle_stale(&mut self, session: &mut FrontSession, cx: &mut Context<'_, Reply>) {
        session.machine.handle_stale();
        self.carry_out(session, cx);
    }

    fn handle_drained(&mut self, session: &mut FrontSession, cx: &mut Context<'_, Reply>) {
        session.machine.handle_drained();
        self.carry_out(session, cx);
    }

    fn handle_deadline(&mut self, session: &mut FrontSession, cx: &mut Context<'_, Reply>) {
        if self.timeouts.is_over(session, cx.now_ns()) {
            session.tally.ending = Some(Ending::Quiet);
            session.machine.handle_timeout();
        } else if session.machine.is_idling() {
            session.machine.handle_keepalive();
        } else {
            session.tell_progress(cx.now_ns());
        }
        session.quiet = self.timeouts.is_quiet(session, cx.now_ns());
        self.carry_out(session, cx);
    }

    fn handle_shutdown(&mut self, session: &mut FrontSession, cx: &mut Context<'_, Reply>) {
        session.tally.ending = Some(Ending::Shutdown);
        let text = "Server is shutting down, please reconnect";
        session.machine.handle_shutdown(text);
        self.carry_out(session, cx);
    }

    fn begin_review(&mut self) {
        self.revoked.take();
    }

    fn must_end(&self, session: &FrontSession) -> bool {
        let user = session.user.or(session.proved);
        user.is_some_and(|user| self.revoked.contains(user))
    }

    fn handle_must_end(&mut self, session: &mut FrontSession, cx: &mut Context<'_, Reply>) {
        self.say_good_bye(session);
        self.carry_out(session, cx);
    }

    fn end_review(&mut self) {
        self.revoked.forget();
    }

    fn handle_turn(&mut self, cx: &mut Context<'_, Reply>) -> bool {
        crate::planted::here("data");
        while let Some((requester, request)) = self.waiting.pop_front() {
            let bytes = size_of::<Requester>() + request.bytes();
            if requester.is_gone() && !request.is_write() {
                self.waiting_bytes -= bytes;
                self.bounds.meet(Bound::WorkAbandoned);
                continue;
            }
            if let Err(request) = self.backend.submit(&requester, request) {
                self.waiting.push_front((requester, request));
                return true;
            }
            self.waiting_bytes -= bytes;
        }
        if self.waiting.capacity() > KEPT_MAX {
            self.waiting = VecDeque::new();
        }
        self.submit_claims(cx.id())
    }

    fn held_bytes(&self) -> usize {
        self.held_bytes + self.waiting_bytes
    }

    fn takes_requests(&self) -> bool {
        self.waiting.is_empty() && self.backend.has_room()
    }

    fn note_end(&mut self, why: Reason) {
        self.ends.note(why);
    }

    fn note_failure(&mut self, failure: tls::Failure) {
        self.ends.note_failure(failure);
    }

    fn handle_closed(&mut self, session: &mut FrontSession, id: SessionId) {
        self.note_ended(session, id);
        self.counts.went(session.user.is_some());
        if std::mem::take(&mut session.idling) {
            self.counts.wakes();
        }
        if let Some(requester) = session.requester.take() {
            requester.leave();
        }
        session.machine.handle_closed();
        self.held_bytes -= std::mem::take(&mut session.held_bytes);
        while let Some(action) = session.machine.poll_action() {
            // An upload that was under way is forgotten; nobody is left to hear the answer.
            if let Action::Request(request) = action {
                let requester = session.requester(id);
                self.ask_later(requester, request);
            }
        }
    }

    fn handle_gone(&mut self, cx: &mut Context<'_, Reply>) {
        self.tell_end(cx);
        let counted = [&mut self.addresses, &mut self.users];
        for counted in counted.into_iter().flatten() {
            counted.leave(cx.id().slot);
        }
    }

    fn handle_stall(&mut self, session: Option<&FrontSession>, name: &'static str, ns: u64) {
        self.tell_stall(session, name, ns);
    }

    fn hears(&self, session: &FrontSession) -> bool {
        session.machine.hears()
    }

    fn concerns(&mut self, mark: &mut Mark, event: &Event<mail::News>) -> bool {
        further::is_newer(mark, event) && imap::concerns(mark.bits, &event.fact)
    }

    fn handle_further(
        &mut self,
        session: &mut FrontSession,
        cx: &mut Context<'_, Reply>,
        event: &Event<mail::News>,
        bits: u8,
    ) {
        session.machine.handle_further(&event.fact, bits);
        self.carry_out(session, cx);
    }

    fn handle_further_watching(
        &mut self,
        session: &mut FrontSession,
        cx: &mut Context<'_, Reply>,
        fresh: &[TopicId],
    ) {
        session
            .machine
            .handle_further_watching(&further::mailboxes(fresh));
        self.carry_out(session, cx);
    }

    fn handle_further_stale(
        &mut self,
        session: &mut FrontSession,
        cx: &mut Context<'_, Reply>,
        missed: &[(TopicId, Mark)],
    ) {
        session
            .machine
            .handle_further_stale(&further::missed(missed));
        self.carry_out(session, cx);
    }
}
