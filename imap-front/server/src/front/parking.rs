//! Sessions that are packed away, and what they are told meanwhile.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use engine::event::{Event, SessionId};
use engine::protocol::{Announce, Parked as Due, Parking, Seen};
use engine::{Beside, Mark};
use mail::News;
use proto::imap::{self, Further, Parked, Session};

use super::tally::Tally;
use super::{Backend, Front, FrontSession, deadlines, further};

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
        self.counts.went(true);
        if parked.idles() {
            self.counts.wakes();
        }
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
            idling: parked.idles(),
            at_work: None,
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
            asks_to_write: false,
            // Until its client says something.
            quiet: true,
            tally: Tally {
                was_parked: true,
                ..Tally::default()
            },
        }
    }

    fn cursor(&self, parked: &Parked) -> Option<u64> {
        parked.hears().then_some(parked.modseq.0)
    }

    fn announce(&mut self, parked: &mut Parked, event: &Event<News>) -> Announce<Self::Key> {
        let Some(fact) = event.fact.event() else {
            return Announce::Silent;
        };
        match imap::announce(parked, fact) {
            imap::Announce::Silent => Announce::Silent,
            imap::Announce::Line(key) => {
                self.claim(parked.mailbox, imap::claim(parked, fact));
                Announce::Send(key)
            }
            imap::Announce::Stale => Announce::Stale,
        }
    }

    fn render(&mut self, event: &Event<News>, key: Self::Key) -> Bytes {
        match event.fact.event() {
            Some(fact) => imap::render(fact, key).into(),
            None => Bytes::new(),
        }
    }

    fn render_many(&mut self, parked: &mut Parked, events: &[Arc<Event<News>>]) -> Option<Bytes> {
        let events = || {
            events
                .iter()
                .filter_map(|event| Some(&**event.fact.event()?))
        };
        let rendered = imap::render_many(parked, events())?;
        for event in events() {
            self.claim(parked.mailbox, imap::claim(parked, event));
        }
        Some(rendered.into())
    }

    fn announce_further(
        &mut self,
        parked: &mut Parked,
        beside: &Beside,
        mark: &mut Mark,
        event: &Event<News>,
    ) -> Announce<u32> {
        let Some(spec) = imap::Spec::seen(beside) else {
            return Announce::Silent;
        };
        if !further::is_newer(mark, event) {
            return Announce::Silent;
        }
        let news = (mark.bits, &event.fact);
        match imap::announce_further(parked, spec, news, &self.config.namespaces) {
            Further::Silent => Announce::Silent,
            Further::Line(key) => Announce::Send(key),
            Further::Wake => Announce::Stale,
        }
    }

    fn render_further(&mut self, event: &Event<News>, key: u32) -> Bytes {
        imap::render_further(&event.fact, key).into()
    }

    fn unpark_beside(&mut self, session: &mut FrontSession, beside: &Beside) {
        if let Some(spec) = imap::Spec::of(beside) {
            session.machine.unpark_beside(spec);
        }
    }

    fn parked_deadline(&mut self, parked: &mut Parked, now_ns: u64) -> Due {
        self.timeouts.parked(parked, now_ns)
    }
}
