//! What a shard hosts: sessions of IMAP, which park, and of LMTP, which don't. The listener says
//! which kind a connection opens.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use engine::event::{Event, SessionId};
use engine::protocol::{Active, Announce, Context, Parked as Due, Parking};
use mail::Reply;
use proto::imap::{Parked, RenderKey};

use crate::front::{Backend, Front, FrontSession};
use crate::lmtp::{self, LmtpSession, LmtpShard};

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

/// The host of one shard.
pub struct Host<B: Backend> {
    /// What each listener lets in, by its number.
    doors: Vec<Door>,
    imap: Front<B>,
    places: Arc<ImapPlaces>,
    lmtp: LmtpShard,
}

/// An active session of either kind.
pub enum HostSession {
    /// IMAP's.
    Imap(Box<FrontSession>),
    /// LMTP's.
    Lmtp(Box<LmtpSession>),
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
        }
    }

    fn door(&self, listener: u8) -> Door {
        self.doors[usize::from(listener)]
    }
}

type Cx<'a> = Context<'a, Reply>;

impl<B: Backend> Active for Host<B> {
    type Session = HostSession;
    type Fact = Arc<mail::Event>;
    type Reply = Reply;

    fn needs_peer(&self, listener: u8) -> bool {
        match self.door(listener) {
            Door::Imap | Door::Imaps => self.imap.needs_peer(listener),
            Door::Lmtp => true,
            Door::LmtpSocket => false,
        }
    }

    fn admits(&mut self, listener: u8) -> bool {
        let ImapPlaces { max, open } = &*self.places;
        let more = |open: usize| (open < *max).then_some(open + 1);
        match self.door(listener) {
            Door::Imap | Door::Imaps => open.fetch_update(Relaxed, Relaxed, more).is_ok(),
            // Its own limits are looked at when it opens.
            Door::Lmtp | Door::LmtpSocket => true,
        }
    }

    fn refusal(&self, listener: u8) -> Option<Bytes> {
        match self.door(listener) {
            Door::Imap | Door::Imaps => self.imap.refusal(listener),
            Door::Lmtp | Door::LmtpSocket => Some(Bytes::from_static(lmtp::FULL)),
        }
    }

    fn open(&mut self, cx: &mut Cx<'_>, listener: u8) -> HostSession {
        match self.door(listener) {
            Door::Imap | Door::Imaps => HostSession::Imap(Box::new(self.imap.open(cx, listener))),
            Door::Lmtp | Door::LmtpSocket => self
                .lmtp
                .open(&mut self.imap, cx)
                .map_or(HostSession::TurnedAway, HostSession::Lmtp),
        }
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
            HostSession::TurnedAway => {}
        }
    }

    fn handle_reply(&mut self, session: &mut HostSession, cx: &mut Cx<'_>, reply: Reply) {
        match session {
            HostSession::Imap(session) => self.imap.handle_reply(session, cx, reply),
            HostSession::Lmtp(session) => {
                self.lmtp.handle_reply(&mut self.imap, session, cx, reply);
            }
            HostSession::TurnedAway => {}
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
            HostSession::TurnedAway => {}
        }
    }

    fn handle_shutdown(&mut self, session: &mut HostSession, cx: &mut Cx<'_>) {
        match session {
            HostSession::Imap(session) => self.imap.handle_shutdown(session, cx),
            HostSession::Lmtp(session) => {
                self.lmtp.handle_shutdown(&mut self.imap, session, cx);
            }
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
        self.imap.held_bytes() + self.lmtp.held_bytes()
    }

    fn takes_requests(&self) -> bool {
        self.imap.takes_requests()
    }

    fn handle_closed(&mut self, session: &mut HostSession, id: SessionId) {
        match session {
            HostSession::Imap(session) => self.imap.handle_closed(session, id),
            HostSession::Lmtp(session) => self.lmtp.handle_closed(&mut self.imap, session, id),
            HostSession::TurnedAway => {}
        }
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
            Some(HostSession::TurnedAway) | None => self.imap.handle_stall(None, name, ns),
        }
    }

    fn hears(&self, session: &HostSession) -> bool {
        matches!(session, HostSession::Imap(session) if self.imap.hears(session))
    }
}

impl<B: Backend> Parking for Host<B> {
    type Parked = Parked;
    type Key = RenderKey;

    fn park(&mut self, session: &HostSession) -> Option<Parked> {
        match session {
            HostSession::Imap(session) => self.imap.park(session),
            HostSession::Lmtp(_) | HostSession::TurnedAway => None,
        }
    }

    fn unpark(&mut self, parked: Parked, id: SessionId) -> HostSession {
        HostSession::Imap(Box::new(self.imap.unpark(parked, id)))
    }

    fn cursor(&self, parked: &Parked) -> Option<u64> {
        self.imap.cursor(parked)
    }

    fn announce(
        &mut self,
        parked: &mut Parked,
        event: &Event<Arc<mail::Event>>,
    ) -> Announce<RenderKey> {
        self.imap.announce(parked, event)
    }

    fn render(&mut self, event: &Event<Arc<mail::Event>>, key: RenderKey) -> Bytes {
        self.imap.render(event, key)
    }

    fn render_many(
        &mut self,
        parked: &mut Parked,
        events: &[Arc<Event<Arc<mail::Event>>>],
    ) -> Option<Bytes> {
        self.imap.render_many(parked, events)
    }

    fn parked_deadline(&mut self, parked: &mut Parked, now_ns: u64) -> Due {
        self.imap.parked_deadline(parked, now_ns)
    }

    fn must_end_parked(&self, parked: &Parked) -> bool {
        self.imap.must_end_parked(parked)
    }
}
