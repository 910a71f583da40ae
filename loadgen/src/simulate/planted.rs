//! Bugs to plant. A harness that has never failed proves nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use engine::event::{Event, SessionId};
use engine::protocol::{
    Active, Announce, Channel, Context, Parked as Due, Parking, Protocol, Seen, TakenOver,
};
use engine::stats::Reason;
use engine::topic::TopicId;
use engine::{Beside, Mark};

/// A bug, planted at a seam.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Mutant {
    /// None: the server as it is.
    None,
    /// Some committed events are never published.
    LostEvent,
    /// Events don't move the cursor of a parked session.
    StuckCursor,
    /// A slow reader is taken for caught up and told nothing.
    SilentCatchUp,
    /// Deliveries are answered before they are durable.
    EarlyReply,
    /// A delivery that the backend has no room for is taken all the same, and comes again.
    TakenTwice,
    /// A message for several recipients goes to the first, and all are answered alike.
    LeftOut,
    /// A record is sealed under a number that has sealed another.
    SealedTwice,
    /// A KeyUpdate that a client has asked for is sealed and not sent.
    LostKeyUpdate,
    /// Something leaves behind `close_notify`.
    BehindTheEnd,
    /// What another process gets of a session is how that was when it was first written down.
    OldRow,
}

impl Mutant {
    /// All bugs.
    pub const ALL: [Self; 10] = [
        Self::LostEvent,
        Self::StuckCursor,
        Self::SilentCatchUp,
        Self::EarlyReply,
        Self::TakenTwice,
        Self::LeftOut,
        Self::SealedTwice,
        Self::LostKeyUpdate,
        Self::BehindTheEnd,
        Self::OldRow,
    ];

    /// Whether only worlds with handovers can show it.
    pub fn needs_handovers(self) -> bool {
        self == Self::OldRow
    }
}

/// A protocol with a bug in it.
pub struct Planted<P> {
    inner: P,
    mutant: Mutant,
    /// How sessions that are packed away were first written down.
    first: BTreeMap<(u32, u16), Vec<u8>>,
}

impl<P> Planted<P> {
    /// Plants a bug.
    pub fn new(inner: P, mutant: Mutant) -> Self {
        let first = BTreeMap::new();
        Self {
            inner,
            mutant,
            first,
        }
    }
}

impl<P: Protocol> Active for Planted<P> {
    type Session = P::Session;
    type Fact = P::Fact;
    type Reply = P::Reply;

    fn needs_peer(&self, listener: u8) -> bool {
        self.inner.needs_peer(listener)
    }
    fn admits(&mut self, listener: u8) -> bool {
        self.inner.admits(listener)
    }
    fn refusal(&self, listener: u8) -> Option<Bytes> {
        self.inner.refusal(listener)
    }
    fn open(&mut self, cx: &mut Context<'_, P::Reply>, listener: u8) -> P::Session {
        self.inner.open(cx, listener)
    }
    fn asks_certificate(&self, session: &P::Session) -> bool {
        self.inner.asks_certificate(session)
    }
    fn handle_channel(
        &mut self,
        session: &mut P::Session,
        cx: &mut Context<'_, P::Reply>,
        channel: &Channel,
    ) {
        self.inner.handle_channel(session, cx, channel);
    }
    fn handle_input(
        &mut self,
        session: &mut P::Session,
        cx: &mut Context<'_, P::Reply>,
        bytes: &[u8],
    ) {
        self.inner.handle_input(session, cx, bytes);
    }
    fn handle_reply(
        &mut self,
        session: &mut P::Session,
        cx: &mut Context<'_, P::Reply>,
        reply: P::Reply,
    ) {
        self.inner.handle_reply(session, cx, reply);
    }
    fn handle_watching(&mut self, session: &mut P::Session, cx: &mut Context<'_, P::Reply>) {
        self.inner.handle_watching(session, cx);
    }
    fn handle_stale(&mut self, session: &mut P::Session, cx: &mut Context<'_, P::Reply>) {
        self.inner.handle_stale(session, cx);
    }
    fn handle_drained(&mut self, session: &mut P::Session, cx: &mut Context<'_, P::Reply>) {
        self.inner.handle_drained(session, cx);
    }
    fn handle_deadline(&mut self, session: &mut P::Session, cx: &mut Context<'_, P::Reply>) {
        self.inner.handle_deadline(session, cx);
    }
    fn handle_shutdown(&mut self, session: &mut P::Session, cx: &mut Context<'_, P::Reply>) {
        self.inner.handle_shutdown(session, cx);
    }
    fn note_end(&mut self, why: Reason) {
        self.inner.note_end(why);
    }
    fn note_failure(&mut self, failure: tls::Failure) {
        self.inner.note_failure(failure);
    }
    fn handle_closed(&mut self, session: &mut P::Session, id: SessionId) {
        self.inner.handle_closed(session, id);
    }
    fn handle_message(&mut self, cx: &mut Context<'_, P::Reply>, message: P::Reply) {
        self.inner.handle_message(cx, message);
    }
    fn handle_late_reply(&mut self, cx: &mut Context<'_, P::Reply>, reply: P::Reply) {
        self.inner.handle_late_reply(cx, reply);
    }
    fn handle_gone(&mut self, cx: &mut Context<'_, P::Reply>) {
        self.inner.handle_gone(cx);
    }
    fn held_bytes(&self) -> usize {
        self.inner.held_bytes()
    }
    fn handle_turn(&mut self, cx: &mut Context<'_, P::Reply>) -> bool {
        self.inner.handle_turn(cx)
    }
    fn takes_requests(&self) -> bool {
        self.inner.takes_requests()
    }
    fn hears(&self, session: &P::Session) -> bool {
        self.inner.hears(session)
    }
    fn rests(&self, session: &P::Session) -> bool {
        self.inner.rests(session)
    }
    fn lives_on_posts(&self) -> bool {
        self.inner.lives_on_posts()
    }
    fn awaits_answer(&self, session: &P::Session) -> bool {
        self.inner.awaits_answer(session)
    }
    fn concerns(&mut self, mark: &mut Mark, event: &Event<P::Fact>) -> bool {
        self.inner.concerns(mark, event)
    }
    fn handle_further(
        &mut self,
        session: &mut P::Session,
        cx: &mut Context<'_, P::Reply>,
        event: &Event<P::Fact>,
        bits: u8,
    ) {
        self.inner.handle_further(session, cx, event, bits);
    }
    fn handle_further_watching(
        &mut self,
        session: &mut P::Session,
        cx: &mut Context<'_, P::Reply>,
        fresh: &[TopicId],
    ) {
        self.inner.handle_further_watching(session, cx, fresh);
    }
    fn handle_further_stale(
        &mut self,
        session: &mut P::Session,
        cx: &mut Context<'_, P::Reply>,
        missed: &[(TopicId, Mark)],
    ) {
        self.inner.handle_further_stale(session, cx, missed);
    }
}

impl<P: Protocol> Parking for Planted<P> {
    type Parked = P::Parked;
    type Key = P::Key;

    fn handle_parked_closed(&mut self, parked: &P::Parked, id: SessionId) {
        self.inner.handle_parked_closed(parked, id);
    }

    fn park(&mut self, session: &P::Session) -> Option<P::Parked> {
        self.inner.park(session)
    }
    fn unpark(&mut self, parked: P::Parked, id: SessionId) -> P::Session {
        self.inner.unpark(parked, id)
    }
    fn cursor(&self, parked: &P::Parked) -> Option<u64> {
        self.inner.cursor(parked)
    }

    fn announce(&mut self, parked: &mut P::Parked, event: &Event<P::Fact>) -> Announce<P::Key> {
        let before = *parked;
        match (self.mutant, self.inner.announce(parked, event)) {
            (Mutant::StuckCursor, announce) => {
                *parked = before;
                announce
            }
            (_, announce) => announce,
        }
    }

    fn render(&mut self, event: &Event<P::Fact>, key: P::Key) -> Bytes {
        self.inner.render(event, key)
    }

    fn render_many(
        &mut self,
        parked: &mut P::Parked,
        events: &[Arc<Event<P::Fact>>],
    ) -> Option<Bytes> {
        let news = self.inner.render_many(parked, events)?;
        Some(match self.mutant {
            Mutant::SilentCatchUp => Bytes::new(),
            _ => news,
        })
    }

    fn announce_further(
        &mut self,
        parked: &mut P::Parked,
        beside: &Beside,
        mark: &mut Mark,
        event: &Event<P::Fact>,
    ) -> Announce<u32> {
        self.inner.announce_further(parked, beside, mark, event)
    }

    fn render_further(&mut self, event: &Event<P::Fact>, key: u32) -> Bytes {
        self.inner.render_further(event, key)
    }

    fn unpark_beside(&mut self, session: &mut P::Session, beside: &Beside) {
        self.inner.unpark_beside(session, beside);
    }

    fn hand_over(
        &mut self,
        id: SessionId,
        seen: Seen<'_, P::Session, P::Parked>,
        output: &mut Vec<u8>,
    ) -> bool {
        let is_old = self.mutant == Mutant::OldRow && matches!(seen, Seen::Parked(_));
        let begin = output.len();
        let is_written = self.inner.hand_over(id, seen, output);
        if is_old && is_written {
            let written = output.split_off(begin);
            let first = self.first.entry((id.slot, id.generation));
            output.extend_from_slice(first.or_insert(written));
        }
        is_written
    }

    fn take_over(
        &mut self,
        id: SessionId,
        secure: bool,
        bytes: &[u8],
    ) -> Option<TakenOver<P::Session, P::Parked>> {
        self.inner.take_over(id, secure, bytes)
    }

    fn give_up(&mut self, id: SessionId, parked: &P::Parked) {
        self.inner.give_up(id, parked);
    }

    fn handle_taken_over(&mut self) {
        self.inner.handle_taken_over();
    }

    fn parked_deadline(&mut self, parked: &mut P::Parked, now_ns: u64) -> Due {
        self.inner.parked_deadline(parked, now_ns)
    }
}
