//! What a shard hosts: sessions of IMAP, which park, and of LMTP, which don't. The listener says
//! which kind a connection opens.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use engine::event::{Event, SessionId};
use engine::protocol::{Active, Announce, Context, Parked as Due, Parking, Seen, TakenOver};
use engine::stats::Reason;
use engine::topic::TopicId;
use engine::{Beside, Mark};
use mail::Reply;
use proto::imap::{Parked, RenderKey};
use proto::proxy::Header;

use crate::bounds::{Bound, Bounds};
use crate::front::{Backend, Behind, Front, FrontSession};
use crate::lines::Lines;
use crate::lmtp::{self, LmtpSession, LmtpShard};
use crate::proxies::{Arriving, HEADER_NS, Proxies};
use crate::refusals::Refused;

/// What a listener lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Mail clients.
    Imap,
    /// Mail clients that begin with a TLS handshake.
    Imaps,
    /// Deliverers, over TCP.
    Lmtp,
    /// Deliverers of this host, over the Unix socket.
    LmtpSocket,
}

/// IMAP connections of all shards together: bounded apart from LMTP's, so that neither takes the
/// other's places.
#[derive(Debug)]
pub struct ImapPlaces {
    max: usize,
    open: AtomicUsize,
}

impl ImapPlaces {
    /// At most so many.
    pub fn new(max: usize) -> Self {
        let open = AtomicUsize::new(0);
        Self { max, open }
    }
}

/// In front of a session that goes to another process: whose it is.
const OF_IMAP: u8 = 1;
const OF_LMTP: u8 = 2;

/// The host of one shard.
pub struct Host<B: Backend> {
    /// What each listener lets in, by its number.
    doors: Vec<Door>,
    imap: Front<B>,
    places: Arc<ImapPlaces>,
    lmtp: LmtpShard,
    proxies: Proxies,
    lines: Arc<Lines>,
    bounds: Arc<Bounds>,
    /// What is kept of headers of proxies.
    header_bytes: usize,
}

/// An active session of either kind.
pub enum HostSession {
    /// IMAP's.
    Imap(Box<FrontSession>),
    /// LMTP's.
    Lmtp(Box<LmtpSession>),
    /// A proxy's, which has not said yet whose it is.
    Arriving(Box<Arriving>),
    /// A connection for which there is no place, on its way out.
    TurnedAway,
}

impl<B: Backend> Host<B> {
    /// A host with these listeners.
    pub fn new(doors: Vec<Door>, imap: Front<B>, places: Arc<ImapPlaces>, lmtp: LmtpShard) -> Self {
        Self {
            doors,
            imap,
            places,
            lmtp,
            proxies: Proxies::default(),
            lines: Arc::default(),
            bounds: Arc::default(),
            header_bytes: 0,
        }
    }

    /// Lets proxies in, and says to whom that was refused.
    #[must_use]
    pub fn with_proxies(self, proxies: Proxies, lines: Arc<Lines>, bounds: Arc<Bounds>) -> Self {
        Self {
            proxies,
            lines,
            bounds,
            ..self
        }
    }

    fn door(&self, listener: u8) -> Door {
        self.doors[usize::from(listener)]
    }

    /// Whether proxies may come by a door.
    fn is_marked(&self, door: Door) -> bool {
        match door {
            Door::Imap | Door::Imaps => self.proxies.come_to_imap(),
            Door::Lmtp => self.proxies.come_to_lmtp(),
            Door::LmtpSocket => false,
        }
    }

    /// A session for whoever has come.
    fn let_in(&mut self, cx: &mut Cx<'_>, door: Door, behind: Behind) -> HostSession {
        match door {
            Door::Imap | Door::Imaps => {
                HostSession::Imap(Box::new(self.imap.open_behind(cx, behind)))
            }
            Door::Lmtp | Door::LmtpSocket => self
                .lmtp
                .open(&mut self.imap, cx)
                .map_or(HostSession::TurnedAway, HostSession::Lmtp),
        }
    }

    /// A proxy has come. It has one of all places, and none of an address: whose it is isn't known.
    fn await_header(&mut self, cx: &mut Cx<'_>, listener: u8, proxy: SocketAddr) -> HostSession {
        if self.door(listener) == Door::Lmtp && !self.lmtp.admit_unknown(cx) {
            return HostSession::TurnedAway;
        }
        cx.deadline(cx.now_ns() + HEADER_NS);
        HostSession::Arriving(Box::new(Arriving {
            listener,
            proxy,
            header: Header::default(),
        }))
    }

    /// Bytes of a header have come. Once it is there, gives the session that follows, and what came
    /// behind the header for that.
    fn arrive<'a>(
        &mut self,
        arriving: &mut Arriving,
        cx: &mut Cx<'_>,
        bytes: &'a [u8],
    ) -> Option<(HostSession, &'a [u8])> {
        self.header_bytes -= arriving.header.held_bytes();
        let (origin, length) = match arriving.header.take(bytes) {
            Ok(Some(whole)) => whole,
            Ok(None) => {
                self.header_bytes += arriving.header.held_bytes();
                return None;
            }
            Err(why) => {
                self.refuse(cx, arriving.proxy, Refused::Header(why));
                return Some((HostSession::TurnedAway, &[]));
            }
        };
        cx.set_peer(arriving.peer(&origin));
        let behind = self.proxies.behind(&origin);
        let door = self.door(arriving.listener);
        let mut rest = &bytes[length..];
        if door == Door::Imaps {
            cx.begin_tls(std::mem::take(&mut rest).to_vec());
        }
        Some((self.let_in(cx, door, behind), rest))
    }

    /// A proxy did not say whose connection it passes on.
    fn refuse(&mut self, cx: &mut Cx<'_>, proxy: SocketAddr, refused: Refused) {
        self.bounds.meet(Bound::ProxyHeader);
        self.lines.refuse(refused, Some(proxy.ip()), cx.id());
        cx.read(false);
        cx.close();
    }
}

type Cx<'a> = Context<'a, Reply>;

impl<B: Backend> Active for Host<B> {
    type Session = HostSession;
    type Fact = mail::News;
    type Reply = Reply;

    fn needs_peer(&self, listener: u8) -> bool {
        match self.door(listener) {
            door if self.is_marked(door) => true,
            Door::Imap | Door::Imaps => self.imap.needs_peer(listener),
            Door::Lmtp => true,
            Door::LmtpSocket => false,
        }
    }

    fn admits(&mut self, listener: u8) -> bool {
        let ImapPlaces { max, open } = &*self.places;
        let more = |open: usize| (open < *max).then_some(open + 1);
        match self.door(listener) {
            Door::Imap | Door::Imaps => {
                let fits = open.fetch_update(Relaxed, Relaxed, more).is_ok();
                if !fits {
                    self.bounds.meet(Bound::Connections);
                }
                fits
            }
            // Its own limits are looked at when it opens.
            Door::Lmtp | Door::LmtpSocket => true,
        }
    }

    fn refusal(&self, listener: u8) -> Option<Bytes> {
        match self.door(listener) {
            // It speaks TLS, which has not begun.
            door @ Door::Imaps if self.is_marked(door) => None,
            Door::Imap | Door::Imaps => self.imap.refusal(listener),
            Door::Lmtp | Door::LmtpSocket => Some(Bytes::from_static(lmtp::FULL)),
        }
    }

    fn open(&mut self, cx: &mut Cx<'_>, listener: u8) -> HostSession {
        let door = self.door(listener);
        if self.is_marked(door) {
            match cx.peer() {
                Some(proxy) if self.proxies.trust(proxy.ip()) => {
                    return self.await_header(cx, listener, proxy);
                }
                _ if door == Door::Imaps => cx.begin_tls(vec![]),
                _ => {}
            }
        }
        self.let_in(cx, door, Behind::NONE)
    }

    fn asks_certificate(&self, session: &HostSession) -> bool {
        matches!(session, HostSession::Imap(session) if self.imap.asks_certificate(session))
    }

    fn handle_channel(
        &mut self,
        session: &mut HostSession,
        cx: &mut Cx<'_>,
        channel: &tls::Channel,
    ) {
        if let HostSession::Imap(session) = session {
            self.imap.handle_channel(session, cx, channel);
        }
    }

    fn handle_input(&mut self, session: &mut HostSession, cx: &mut Cx<'_>, bytes: &[u8]) {
        match session {
            HostSession::Imap(session) => self.imap.handle_input(session, cx, bytes),
            HostSession::Lmtp(session) => {
                self.lmtp.handle_input(&mut self.imap, session, cx, bytes);
            }
            HostSession::Arriving(arriving) => {
                if let Some((next, rest)) = self.arrive(arriving, cx, bytes) {
                    *session = next;
                    if !rest.is_empty() {
                        self.handle_input(session, cx, rest);
                    }
                }
            }
            HostSession::TurnedAway => {}
        }
    }

    fn handle_reply(&mut self, session: &mut HostSession, cx: &mut Cx<'_>, reply: Reply) {
        match session {
            HostSession::Imap(session) => self.imap.handle_reply(session, cx, reply),
            HostSession::Lmtp(session) => {
                self.lmtp.handle_reply(&mut self.imap, session, cx, reply);
            }
            HostSession::Arriving(_) | HostSession::TurnedAway => {}
        }
    }

    fn handle_late_reply(&mut self, cx: &mut Cx<'_>, reply: Reply) {
        self.imap.handle_late_reply(cx, reply);
    }

    fn handle_message(&mut self, cx: &mut Cx<'_>, message: Reply) {
        if let Reply::GiveWay(key) = message {
            self.lmtp.give_way(key, cx);
        }
    }

    fn handle_watching(&mut self, session: &mut HostSession, cx: &mut Cx<'_>) {
        if let HostSession::Imap(session) = session {
            self.imap.handle_watching(session, cx);
        }
    }

    fn handle_stale(&mut self, session: &mut HostSession, cx: &mut Cx<'_>) {
        if let HostSession::Imap(session) = session {
            self.imap.handle_stale(session, cx);
        }
    }

    fn handle_drained(&mut self, session: &mut HostSession, cx: &mut Cx<'_>) {
        if let HostSession::Imap(session) = session {
            self.imap.handle_drained(session, cx);
        }
    }

    fn handle_deadline(&mut self, session: &mut HostSession, cx: &mut Cx<'_>) {
        match session {
            HostSession::Imap(session) => self.imap.handle_deadline(session, cx),
            HostSession::Lmtp(session) => {
                self.lmtp.handle_deadline(&mut self.imap, session, cx);
            }
            HostSession::Arriving(arriving) => {
                let proxy = arriving.proxy;
                self.header_bytes -= arriving.header.held_bytes();
                self.refuse(cx, proxy, Refused::NoHeader);
                *session = HostSession::TurnedAway;
            }
            HostSession::TurnedAway => {}
        }
    }

    fn handle_shutdown(&mut self, session: &mut HostSession, cx: &mut Cx<'_>) {
        match session {
            HostSession::Imap(session) => self.imap.handle_shutdown(session, cx),
            HostSession::Lmtp(session) => {
                self.lmtp.handle_shutdown(&mut self.imap, session, cx);
            }
            HostSession::Arriving(_) => cx.close(),
            HostSession::TurnedAway => {}
        }
    }

    fn begin_review(&mut self) {
        self.imap.begin_review();
    }

    fn must_end(&self, session: &HostSession) -> bool {
        matches!(session, HostSession::Imap(session) if self.imap.must_end(session))
    }

    fn handle_must_end(&mut self, session: &mut HostSession, cx: &mut Cx<'_>) {
        if let HostSession::Imap(session) = session {
            self.imap.handle_must_end(session, cx);
        }
    }

    fn end_review(&mut self) {
        self.imap.end_review();
    }

    fn handle_turn(&mut self, cx: &mut Cx<'_>) -> bool {
        self.imap.handle_turn(cx)
    }

    fn held_bytes(&self) -> usize {
        self.imap.held_bytes() + self.lmtp.held_bytes() + self.header_bytes
    }

    fn takes_requests(&self) -> bool {
        self.imap.takes_requests()
    }

    fn handle_closed(&mut self, session: &mut HostSession, id: SessionId) {
        match session {
            HostSession::Imap(session) => self.imap.handle_closed(session, id),
            HostSession::Lmtp(session) => self.lmtp.handle_closed(&mut self.imap, session, id),
            HostSession::Arriving(arriving) => self.header_bytes -= arriving.header.held_bytes(),
            HostSession::TurnedAway => {}
        }
    }

    fn note_end(&mut self, why: Reason) {
        self.imap.note_end(why);
    }

    fn note_failure(&mut self, failure: tls::Failure) {
        self.imap.note_failure(failure);
    }

    fn handle_gone(&mut self, cx: &mut Cx<'_>) {
        if !self.lmtp.handle_gone(cx.id().slot) {
            self.places.open.fetch_sub(1, Relaxed);
            self.imap.handle_gone(cx);
        }
    }

    fn handle_stall(&mut self, session: Option<&HostSession>, name: &'static str, ns: u64) {
        match session {
            Some(HostSession::Imap(session)) => self.imap.handle_stall(Some(session), name, ns),
            Some(HostSession::Lmtp(session)) => self.imap.handle_stall(None, session.doing(), ns),
            Some(HostSession::Arriving(_) | HostSession::TurnedAway) | None => {
                self.imap.handle_stall(None, name, ns)
            }
        }
    }

    fn hears(&self, session: &HostSession) -> bool {
        matches!(session, HostSession::Imap(session) if self.imap.hears(session))
    }

    fn concerns(&mut self, mark: &mut Mark, event: &Event<mail::News>) -> bool {
        self.imap.concerns(mark, event)
    }

    fn handle_further(
        &mut self,
        session: &mut HostSession,
        cx: &mut Cx<'_>,
        event: &Event<mail::News>,
        bits: u8,
    ) {
        if let HostSession::Imap(session) = session {
            self.imap.handle_further(session, cx, event, bits);
        }
    }

    fn handle_further_watching(
        &mut self,
        session: &mut HostSession,
        cx: &mut Cx<'_>,
        fresh: &[TopicId],
    ) {
        if let HostSession::Imap(session) = session {
            self.imap.handle_further_watching(session, cx, fresh);
        }
    }

    fn handle_further_stale(
        &mut self,
        session: &mut HostSession,
        cx: &mut Cx<'_>,
        missed: &[(TopicId, Mark)],
    ) {
        if let HostSession::Imap(session) = session {
            self.imap.handle_further_stale(session, cx, missed);
        }
    }

    fn rests(&self, session: &HostSession) -> bool {
        match session {
            HostSession::Imap(session) => self.imap.rests(session),
            HostSession::Lmtp(session) => session.rests(),
            HostSession::Arriving(_) | HostSession::TurnedAway => false,
        }
    }

    fn awaits_answer(&self, session: &HostSession) -> bool {
        match session {
            HostSession::Imap(session) => self.imap.awaits_answer(session),
            HostSession::Lmtp(session) => session.awaits_answer(),
            HostSession::Arriving(_) | HostSession::TurnedAway => false,
        }
    }
}

impl<B: Backend> Parking for Host<B> {
    type Parked = Parked;
    type Key = RenderKey;

    fn park(&mut self, session: &HostSession) -> Option<Parked> {
        match session {
            HostSession::Imap(session) => self.imap.park(session),
            HostSession::Lmtp(_) | HostSession::Arriving(_) | HostSession::TurnedAway => None,
        }
    }

    fn unpark(&mut self, parked: Parked, id: SessionId) -> HostSession {
        HostSession::Imap(Box::new(self.imap.unpark(parked, id)))
    }

    fn cursor(&self, parked: &Parked) -> Option<u64> {
        self.imap.cursor(parked)
    }

    fn announce(&mut self, parked: &mut Parked, event: &Event<mail::News>) -> Announce<RenderKey> {
        self.imap.announce(parked, event)
    }

    fn render(&mut self, event: &Event<mail::News>, key: RenderKey) -> Bytes {
        self.imap.render(event, key)
    }

    fn render_many(
        &mut self,
        parked: &mut Parked,
        events: &[Arc<Event<mail::News>>],
    ) -> Option<Bytes> {
        self.imap.render_many(parked, events)
    }

    fn announce_further(
        &mut self,
        parked: &mut Parked,
        beside: &Beside,
        mark: &mut Mark,
        event: &Event<mail::News>,
    ) -> Announce<u32> {
        self.imap.announce_further(parked, beside, mark, event)
    }

    fn render_further(&mut self, event: &Event<mail::News>, key: u32) -> Bytes {
        self.imap.render_further(event, key)
    }

    fn unpark_beside(&mut self, session: &mut HostSession, beside: &Beside) {
        if let HostSession::Imap(session) = session {
            self.imap.unpark_beside(session, beside);
        }
    }

    fn parked_deadline(&mut self, parked: &mut Parked, now_ns: u64) -> Due {
        self.imap.parked_deadline(parked, now_ns)
    }

    fn next_visit(&mut self, now_ns: u64) -> Option<Range<u32>> {
        self.imap.next_visit(now_ns)
    }

    fn visit(&mut self, id: SessionId, seen: Seen<'_, HostSession, Parked>) -> bool {
        match seen {
            Seen::Active(HostSession::Imap(session)) => self.imap.visit(id, Seen::Active(session)),
            // Deliverers have limits of their own, and leave.
            Seen::Active(_) => false,
            Seen::Parked(parked) => self.imap.visit(id, Seen::Parked(parked)),
        }
    }

    fn end_visit(&mut self, slots: u32) {
        self.imap.end_visit(slots);
    }

    fn handle_parked_closed(&mut self, parked: &Parked, id: SessionId) {
        self.imap.handle_parked_closed(parked, id);
    }

    fn hand_over(
        &mut self,
        id: SessionId,
        seen: Seen<'_, HostSession, Parked>,
        output: &mut Vec<u8>,
    ) -> bool {
        let seen = match seen {
            Seen::Active(HostSession::Lmtp(session)) => {
                output.push(OF_LMTP);
                return session.hand_over(output);
            }
            Seen::Active(HostSession::Imap(session)) => Seen::Active(&**session),
            Seen::Active(HostSession::Arriving(_) | HostSession::TurnedAway) => return false,
            Seen::Parked(parked) => Seen::Parked(parked),
        };
        output.push(OF_IMAP);
        self.imap.hand_over(id, seen, output)
    }

    fn take_over(
        &mut self,
        id: SessionId,
        _secure: bool,
        bytes: &[u8],
    ) -> Option<TakenOver<HostSession, Parked>> {
        let (front, bytes) = bytes.split_first()?;
        if *front == OF_LMTP {
            let session = self.lmtp.take_over(id, bytes)?;
            return Some(TakenOver::Active(HostSession::Lmtp(session)));
        }
        if *front != OF_IMAP {
            return None;
        }
        let taken = self.imap.take_over(id, bytes)?;
        self.places.open.fetch_add(1, Relaxed);
        Some(match taken {
            TakenOver::Active(session) => TakenOver::Active(HostSession::Imap(Box::new(session))),
            TakenOver::Parked(parked) => TakenOver::Parked(parked),
        })
    }

    fn give_up(&mut self, id: SessionId, parked: &Parked) {
        self.imap.give_up(id, parked);
        self.places.open.fetch_sub(1, Relaxed);
    }

    fn must_end_parked(&self, parked: &Parked) -> bool {
        self.imap.must_end_parked(parked)
    }
}
