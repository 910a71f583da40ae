//! Sessions that are packed away, and what they are told meanwhile.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use engine::event::{Event, SessionId};
use engine::protocol::{Announce, Parked as Due, Parking, Seen};
use proto::imap::{self, Parked, Session};

use super::tally::Tally;
use super::{Backend, Front, FrontSession, deadlines};

impl<B: Backend> Parking for Front<B> {
    type Parked = Parked;
    type Key = imap::RenderKey;

    fn next_visit(&mut self, now_ns: u64) -> Option<Range<u32>> {
        self.begin_visit(now_ns)
    }

    fn visit(&mut self, id: SessionId, seen: Seen<'_, FrontSession, Parked>) -> bool {
        self.look_at(id, seen)
    }

    fn end_visit(&mut self, slots: u32) {
        self.finish_visit(slots);
    }

    fn handle_parked_closed(&mut self, parked: &Parked, id: SessionId) {
        self.note_parked_ended(parked, id);
    }

    fn must_end_parked(&self, parked: &Parked) -> bool {
        self.revoked.contains(parked.user)
    }

    fn park(&mut self, session: &FrontSession) -> Option<Parked> {
        if !session.quiet && !session.machine.is_idling() {
            return None;
        }
        let mut parked = session.machine.park()?;
        parked.heard_s = deadlines::seconds(session.heard_ns);
        Some(parked)
    }

    fn unpark(&mut self, parked: Parked, _: SessionId) -> FrontSession {
        FrontSession {
            heard_ns: deadlines::nanoseconds(parked.heard_s),
            machine: Session::unpark(parked, self.config.clone()),
            reading: true,
            held_bytes: 0,
            user: Some(parked.user),
            proved: None,
            peer: None,
            called: None,
            requester: None,
            ended: false,
            asked: "input",
            quiet: false,
            tally: Tally {
                was_parked: true,
                ..Tally::default()
            },
        }
    }

    fn cursor(&self, parked: &Parked) -> Option<u64> {
        parked.is_idling().then_some(parked.modseq.0)
    }

    fn announce(
        &mut self,
        parked: &mut Parked,
        event: &Event<Arc<mail::Event>>,
    ) -> Announce<Self::Key> {
        match imap::announce(parked, &event.fact) {
            imap::Announce::Silent => Announce::Silent,
            imap::Announce::Line(key) => {
                self.claim(parked.mailbox, imap::claim(parked, &event.fact));
                Announce::Send(key)
            }
            imap::Announce::Stale => Announce::Stale,
        }
    }

    fn render(&mut self, event: &Event<Arc<mail::Event>>, key: Self::Key) -> Bytes {
        imap::render(&event.fact, key).into()
    }

    fn render_many(
        &mut self,
        parked: &mut Parked,
        events: &[Arc<Event<Arc<mail::Event>>>],
    ) -> Option<Bytes> {
        let events = || events.iter().map(|event| &*event.fact);
        let rendered = imap::render_many(parked, events())?;
        for event in events() {
            self.claim(parked.mailbox, imap::claim(parked, event));
        }
        Some(rendered.into())
    }

    fn parked_deadline(&mut self, parked: &mut Parked, now_ns: u64) -> Due {
        self.timeouts.parked(parked, now_ns)
    }
}
