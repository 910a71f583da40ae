//! LMTP on one shard: what its sessions ask is carried out here.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use bytes::Bytes;
use engine::event::{SessionId, ShardId};
use engine::protocol::Context;
use mail::{Reply, Request};
use proto::lmtp::{Action, Lookup};

use super::seats::{Full, Seats};
use super::session::{LmtpSession, Next};
use super::{Common, Settings, stamp};
use crate::bounds::{Bound, Bounds};
use crate::front::{Backend, Front};
use crate::lines::{Lines, Who};
use crate::refusals::Refused;

/// What a client hears that is one too many, in all or of its peer.
pub const FULL: &[u8] = b"421 4.3.2 Too many connections, come back later\r\n";
/// Input of a client that may be held although a shard has no memory left.
const HELD_ANYWAY_BYTES: usize = 4 << 10;
/// While an answer is awaited, the client's time is looked at again after this.
const LATER_NS: u64 = 1_000_000_000;
/// Between two times that other shards are asked for a place there is this much.
const ASK_OTHERS_EVERY_NS: u64 = 100_000_000;

/// LMTP of one shard.
pub struct LmtpShard {
    common: Arc<Common>,
    shards: u16,
    bounds: Arc<Bounds>,
    lines: Arc<Lines>,
    /// The settings, and which edition of them.
    settings: (u64, Settings),
    ids: stamp::Ids,
    seats: Seats,
    held_bytes: usize,
    /// Whether clients may begin TLS.
    starttls: Arc<AtomicBool>,
    /// When other shards may be asked again whether somebody gives way.
    ask_others_ns: u64,
}

impl LmtpShard {
    /// On one of so many shards.
    pub(super) fn new(common: Arc<Common>, id: ShardId, shards: u16, bounds: Arc<Bounds>) -> Self {
        Self {
            settings: common.settings(),
            ids: stamp::Ids::new(common.begun_ms, id.0),
            common,
            shards,
            bounds,
            lines: Arc::default(),
            seats: Seats::default(),
            held_bytes: 0,
            starttls: Arc::default(),
            ask_others_ns: 0,
        }
    }

    /// Puts down who finds no place.
    #[must_use]
    pub fn with_lines(self, lines: Arc<Lines>) -> Self {
        Self { lines, ..self }
    }

    /// Lets clients begin TLS that come while this is set, those of the Unix socket excepted: there
    /// nobody listens.
    #[must_use]
    pub fn with_starttls(self, starttls: Arc<AtomicBool>) -> Self {
        Self { starttls, ..self }
    }

    /// What all machines keep, in bytes.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// A connection has come, or is known to be somebody's by now: it takes a place. False if there
    /// is none; then it is told and closed.
    fn admit(&mut self, cx: &mut Context<'_, Reply>) -> bool {
        let address = cx.peer().map(|peer| peer.ip().to_canonical());
        self.seats.leave(&self.common.places, cx.id().slot);
        let entered = self.seats.enter(&self.common.places, cx.id(), address);
        self.admitted(cx, entered)
    }

    /// A connection has come of which a proxy has not said whose it is.
    pub fn admit_unknown(&mut self, cx: &mut Context<'_, Reply>) -> bool {
        let entered = self.seats.enter_unknown(&self.common.places, cx.id());
        self.admitted(cx, entered)
    }

    fn admitted(&mut self, cx: &mut Context<'_, Reply>, entered: Result<(), Full>) -> bool {
        let address = cx.peer().map(|peer| peer.ip().to_canonical());
        if let Err(full) = entered {
            self.bounds.meet(Bound::DeliveryConnections);
            let refused = match full {
                Full::All => Refused::Deliverers,
                Full::Peer(_) => Refused::Deliverer,
            };
            self.lines.refuse(refused, address, cx.id());
            self.make_room(full, cx);
            cx.send(Bytes::from_static(FULL));
            cx.read(false);
            cx.close();
            return false;
        }
        true
    }

    /// A session for a connection that has come; none if there is no place for it.
    pub fn open<B: Backend>(
        &mut self,
        front: &mut Front<B>,
        cx: &mut Context<'_, Reply>,
    ) -> Option<Box<LmtpSession>> {
        if !self.admit(cx) {
            return None;
        }
        let address = cx.peer().map(|peer| peer.ip().to_canonical());
        let peer = address.map(|address| address.to_string().into());
        let starttls = self.starttls.load(Relaxed) && peer.is_some();
        let settings = self.current_settings();
        let submitters = &settings.submitters;
        let trusted = address.is_some_and(|address| submitters.contain(address));
        let offer = (starttls, trusted);
        let session = LmtpSession::new(settings, peer, offer, cx.now_ns());
        let mut session = Box::new(session);
        self.carry_out(front, &mut session, cx);
        Some(session)
    }

    /// The settings for connections that come now.
    pub(super) fn current_settings(&mut self) -> &Settings {
        if self.settings.0 != self.common.edition() {
            self.settings = self.common.settings();
        }
        &self.settings.1
    }

    /// A connection that another process has had takes a place, if there is one.
    pub(super) fn seat(&mut self, id: SessionId, address: Option<IpAddr>, quiet_since_ns: u64) {
        let entered = self.seats.enter(&self.common.places, id, address);
        if entered.is_ok() {
            self.seats.note(id.slot, Some(quiet_since_ns));
        }
    }

    /// One who does nothing gives way, here or else on every other shard.
    fn make_room(&mut self, full: Full, cx: &mut Context<'_, Reply>) {
        let gives_way = Reply::GiveWay(match full {
            Full::All => None,
            Full::Peer(key) => Some(key),
        });
        if let Some(quiet) = self.seats.quietest(full, cx.now_ns()) {
            return cx.message(quiet, gives_way);
        }
        if cx.now_ns() < self.ask_others_ns {
            return;
        }
        self.ask_others_ns = cx.now_ns() + ASK_OTHERS_EVERY_NS;
        for shard in (0..self.shards).map(ShardId) {
            if shard != cx.id().shard {
                cx.message(SessionId::shard_itself(shard), gives_way.clone());
            }
        }
    }

    /// Another shard's connection finds no place.
    pub fn give_way(&mut self, key: Option<u32>, cx: &mut Context<'_, Reply>) {
        let full = key.map_or(Full::All, Full::Peer);
        if let Some(quiet) = self.seats.quietest(full, cx.now_ns()) {
            cx.message(quiet, Reply::GiveWay(key));
        }
    }

    /// Bytes arrived.
    pub fn handle_input<B: Backend>(
        &mut self,
        front: &mut Front<B>,
        session: &mut LmtpSession,
        cx: &mut Context<'_, Reply>,
        bytes: &[u8],
    ) {
        session.heard_ns = cx.now_ns();
        session.machine.handle_input(bytes);
        self.carry_out(front, session, cx);
    }

    /// An answer to what the session asked, or it is to give way.
    pub fn handle_reply<B: Backend>(
        &mut self,
        front: &mut Front<B>,
        session: &mut LmtpSession,
        cx: &mut Context<'_, Reply>,
        reply: Reply,
    ) {
        if let Reply::GiveWay(_) = reply {
            if session.is_quiet() {
                session.machine.handle_timeout();
            }
        } else {
            session.heard_ns = cx.now_ns();
            let next = session.take(reply);
            self.ask(front, session, cx, next);
            self.tell(session, cx);
        }
        self.carry_out(front, session, cx);
    }

    /// The client may have been quiet or at work for too long.
    pub fn handle_deadline<B: Backend>(
        &mut self,
        front: &mut Front<B>,
        session: &mut LmtpSession,
        cx: &mut Context<'_, Reply>,
    ) {
        let now_ns = cx.now_ns();
        if session.is_waiting() {
            // Its client is not to blame.
        } else if session
            .over_by_ns
            .is_some_and(|over_by_ns| over_by_ns <= now_ns)
        {
            session.machine.handle_overdue();
        } else if session.heard_ns + self.common.idle_ns <= now_ns {
            session.machine.handle_timeout();
        }
        self.carry_out(front, session, cx);
    }

    /// The server stops: a delivery under way is answered first.
    pub fn handle_shutdown<B: Backend>(
        &mut self,
        front: &mut Front<B>,
        session: &mut LmtpSession,
        cx: &mut Context<'_, Reply>,
    ) {
        session.machine.handle_stop();
        self.carry_out(front, session, cx);
    }

    /// The connection is gone; what was kept of its message is forgotten.
    pub fn handle_closed<B: Backend>(
        &mut self,
        front: &mut Front<B>,
        session: &mut LmtpSession,
        id: SessionId,
    ) {
        self.held_bytes -= std::mem::take(&mut session.held_bytes);
        front.note_deliverer_ended(session.peer(), id);
        if let Some(request) = session.close() {
            let requester = session.requester(id);
            requester.leave();
            front.ask_later(requester, request);
        }
    }

    /// A connection has left. False if it was none of LMTP's.
    pub fn handle_gone(&mut self, slot: u32) -> bool {
        self.seats.leave(&self.common.places, slot)
    }

    /// Carries out what the machine asks, and says whether it is read and when it is looked at.
    fn carry_out<B: Backend>(
        &mut self,
        front: &mut Front<B>,
        session: &mut LmtpSession,
        cx: &mut Context<'_, Reply>,
    ) {
        self.carry_out_actions(front, session, cx);
        if self.counts_too_much(front, session, cx.owed_bytes()) && !session.is_waiting() {
            self.bounds.meet(Bound::Memory);
            session.machine.handle_no_memory();
            self.carry_out_actions(front, session, cx);
            self.counts_too_much(front, session, cx.owed_bytes());
        }
        let wants = !session.is_waiting() && session.machine.wants_input();
        if wants != session.reading {
            session.reading = wants;
            cx.read(wants);
        }
        self.set_clock(session, cx);
    }

    /// Until the machine asks nothing more, or has to wait for an answer.
    fn carry_out_actions<B: Backend>(
        &mut self,
        front: &mut Front<B>,
        session: &mut LmtpSession,
        cx: &mut Context<'_, Reply>,
    ) {
        while !session.is_waiting() {
            let Some(action) = session.machine.poll_action() else {
                break;
            };
            let next = match action {
                Action::Send(bytes) => {
                    cx.send(bytes);
                    None
                }
                Action::Lookup(recipient) => {
                    let next = session.lookup(&recipient);
                    session.account.looked_up(recipient.address);
                    if next.is_none() {
                        session.account.refused("not-here");
                        session.machine.handle_lookup(Lookup::NotHere);
                    }
                    next
                }
                Action::Begin => {
                    let unix_s = (self.common.unix_s)(cx.now_ns());
                    let stamp = self.ids.stamp(unix_s);
                    session.account.begin(&stamp.id);
                    session.machine.handle_begin(Ok(stamp));
                    None
                }
                Action::Chunk(chunk) => Some(session.keep(chunk)),
                Action::Discard => session.discard(),
                Action::Deliver(delivery) => {
                    session.account.complete(&delivery, cx.now_ns());
                    Some(session.deliver(delivery))
                }
                Action::StartTls => {
                    cx.start_tls();
                    None
                }
                Action::Undelivered(message) => {
                    session.undelivered(message, cx.now_ns());
                    None
                }
                Action::TooBig => {
                    self.lines.refuse(Refused::TooBig, session.peer(), cx.id());
                    None
                }
                Action::Close => {
                    if let Some(refused) = session.refused() {
                        self.lines.refuse(refused, session.peer(), cx.id());
                    }
                    cx.close();
                    None
                }
            };
            self.ask(front, session, cx, next);
            self.tell(session, cx);
        }
    }

    /// Has the log told what came of recipients and messages.
    fn tell(&self, session: &mut LmtpSession, cx: &Context<'_, Reply>) {
        let client = session.peer();
        let who = || Who {
            session: Some(cx.id()),
            client,
            called: None,
        };
        if let Some(line) = session.account.take(who, cx.now_ns()) {
            self.lines.put(line);
        }
    }

    /// Asks the store or the user directory. A refusal for want of room is an answer like others.
    fn ask<B: Backend>(
        &mut self,
        front: &mut Front<B>,
        session: &mut LmtpSession,
        cx: &Context<'_, Reply>,
        mut next: Option<Next>,
    ) {
        while let Some(asked) = next {
            let request: Request = session.ask(asked);
            let requester = session.requester(cx.id());
            let refused = front.ask(requester, request, cx.owed_bytes()).err();
            next = refused.and_then(|refusal| session.take(Reply::Refused(refusal)));
        }
    }

    /// Counts what the session keeps. True if it keeps more than before, and more waits on this
    /// shard than may.
    fn counts_too_much<B: Backend>(
        &mut self,
        front: &Front<B>,
        session: &mut LmtpSession,
        owed_bytes: usize,
    ) -> bool {
        let holds = session.holds();
        let before = std::mem::replace(&mut session.held_bytes, holds);
        self.held_bytes = self.held_bytes + holds - before;
        holds > before.max(HELD_ANYWAY_BYTES) && !front.has_memory(self.held_bytes + owed_bytes)
    }

    fn set_clock(&mut self, session: &mut LmtpSession, cx: &mut Context<'_, Reply>) {
        let now_ns = cx.now_ns();
        if session.machine.is_in_transaction() {
            let over_by_ns = now_ns.saturating_add(self.common.transaction_ns);
            session.over_by_ns.get_or_insert(over_by_ns);
        } else {
            session.over_by_ns = None;
            if !session.is_waiting() {
                session.forget_requester();
            }
        }
        let quiet = session.is_quiet().then_some(now_ns);
        self.seats.note(cx.id().slot, quiet);
        let idle_ns = session.heard_ns.saturating_add(self.common.idle_ns);
        let due_ns = session.over_by_ns.unwrap_or(u64::MAX).min(idle_ns);
        let soonest_ns = if session.is_waiting() {
            now_ns + LATER_NS
        } else {
            0
        };
        cx.deadline(due_ns.max(soonest_ns));
    }
}
