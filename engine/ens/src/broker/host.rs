//! The broker as a protocol that the engine's shards host.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use engine::event::{Event, SessionId};
use engine::protocol::{Active, Announce, Parked as Due, Parking, Seen, TakenOver};
use tls::Failure;

use super::receipt::{self, Linked};
use super::session::{Parked, Session};
use super::subscriptions::REMOVALS_PER_TURN;
use super::{Broker, BrokerMessage, Cx, close};
use crate::event_ref::EventRef;
use crate::frame::{ErrorCode, Frame, FrameError, PAYLOAD_BYTES_MAX, decode};

/// What a client beyond the limit is told.
const TOO_MANY: &str = "too many connections, try again later";
/// How long a client may take to say HELLO.
const HELLO_NS: u64 = 10_000_000_000;

impl Broker {
    /// Works on all frames that are there; gives how many bytes they took.
    fn frames(&mut self, session: &mut Session, cx: &mut Cx<'_>, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while !session.closing {
            match decode(&bytes[taken..]) {
                Ok(None) => break,
                Ok(Some((frame, length))) => {
                    taken += length;
                    self.frame(session, cx, &frame);
                }
                Err((FrameError::UnknownKind(kind), length)) => {
                    taken += length;
                    let text = format!("frames of kind {kind} are not known");
                    self.refuse(cx, ErrorCode::UnknownKind, 0, &text);
                }
                Err((FrameError::PayloadTooLarge(id), length)) => {
                    taken += length;
                    let text = format!("a payload has at most {PAYLOAD_BYTES_MAX} bytes");
                    self.refuse(cx, ErrorCode::TooLarge, id, &text);
                }
                Err((error, _)) => {
                    let (code, text) = match error {
                        FrameError::TooLarge => (ErrorCode::TooLarge, "the frame is too large"),
                        _ => (ErrorCode::Malformed, "the bytes are no frame"),
                    };
                    self.refuse(cx, code, 0, text);
                    self.dismiss(cx, text);
                    session.closing = true;
                }
            }
        }
        taken
    }

    fn frame(&mut self, session: &mut Session, cx: &mut Cx<'_>, frame: &Frame<'_>) {
        match *frame {
            Frame::Hello { version, name } => self.greet(cx, session, version, name),
            _ if !session.is_greeted() => {
                self.refuse(cx, ErrorCode::Version, 0, "HELLO must come first");
                close(cx, "HELLO must come first");
                session.closing = true;
            }
            Frame::Publish {
                id,
                link,
                event,
                payload,
            } => match EventRef::parse(event) {
                Ok(event) => {
                    let linked = Linked::Here {
                        publisher: cx.id(),
                        id,
                    };
                    let link = (!link.is_empty()).then_some((linked, link));
                    self.publish(cx, &event, link, payload);
                    if id != 0 {
                        cx.send(Frame::Accepted { id }.to_bytes());
                    }
                }
                Err(error) => self.refuse(cx, ErrorCode::BadReference, id, &error.to_string()),
            },
            Frame::Subscribe { id, scope, pattern } => {
                self.subscribe(cx, session, (id, scope), pattern);
            }
            Frame::Unsubscribe { id } => self.unsubscribe(cx, id),
            Frame::Ack { receipt } => {
                let shards = self.subscribing.shards();
                // One that this broker did not make for this client means nothing.
                let linked = receipt::read(&self.config.secret, shards, &receipt, cx.id());
                match linked {
                    Some(Linked::Here { publisher, id }) => {
                        cx.message(publisher, BrokerMessage::Acknowledged { id });
                    }
                    Some(Linked::Away { number }) => self.acknowledge_away(number),
                    None => {}
                }
            }
            Frame::Ping { token } => cx.send(Frame::Pong { token }.to_bytes()),
            Frame::Pong { .. } => {}
            Frame::Welcome { .. }
            | Frame::Accepted { .. }
            | Frame::Acknowledged { .. }
            | Frame::Subscribed { .. }
            | Frame::Unsubscribed { .. }
            | Frame::Notify { .. }
            | Frame::Lagged { .. }
            | Frame::Missed
            | Frame::Error { .. }
            | Frame::Bye { .. } => {
                self.refuse(
                    cx,
                    ErrorCode::UnknownKind,
                    0,
                    "only a broker sends that frame",
                );
            }
        }
    }
}

/// Whose a connection is, as the log has it.
struct Client(Option<IpAddr>);

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(peer) => peer.to_canonical().fmt(f),
            None => f.write_str("a client"),
        }
    }
}

impl Active for Broker {
    type Session = Session;
    /// Topics are not used: ENS has keys and parameters.
    type Fact = ();
    type Reply = BrokerMessage;

    fn needs_peer(&self, listener: u8) -> bool {
        listener < self.config.tcp_listeners
    }

    fn refusal(&self, _listener: u8) -> Option<Bytes> {
        Some(Frame::Bye { text: TOO_MANY }.to_bytes())
    }

    fn open(&mut self, cx: &mut Cx<'_>, listener: u8) -> Session {
        let mut session = Session::default();
        if !self.placement.came(self.config.connections_max) {
            self.refused.insert(cx.id());
            session.closing = true;
            if let Some(more) = self.full.due(cx.now_ns()) {
                let open = self.config.connections_max;
                tracing::warn!("refused a connection: {open} are open{more}");
            }
            cx.read(false);
            close(cx, TOO_MANY);
            return session;
        }
        if listener < self.config.tcp_listeners {
            let verdict = cx
                .peer()
                .map(|peer| (peer, self.config.access.verdict(peer.ip())));
            match verdict {
                Some((_, verdict)) if verdict.allowed => {}
                Some((peer, verdict)) => {
                    if let Some(more) = self.strangers.due(cx.now_ns()) {
                        tracing::warn!("refused {peer}: {}{more}", verdict.because);
                    }
                    session.closing = true;
                }
                // It has left already.
                None => session.closing = true,
            }
            if session.closing {
                cx.read(false);
                cx.close();
                return session;
            }
        }
        session.peer = cx.peer().map(|peer| peer.ip());
        tracing::debug!(target: "gap::connection", id = ?cx.id(), peer = ?cx.peer(), "accepted");
        cx.deadline(cx.now_ns() + HELLO_NS);
        session
    }

    fn handle_input(&mut self, session: &mut Session, cx: &mut Cx<'_>, bytes: &[u8]) {
        if session.buffer.is_empty() {
            let taken = self.frames(session, cx, bytes);
            session.keep(taken, bytes, false);
        } else {
            session.buffer.extend_from_slice(bytes);
            let buffer = std::mem::take(&mut session.buffer);
            let taken = self.frames(session, cx, &buffer);
            session.buffer = buffer;
            session.keep(taken, &[], true);
        }
    }

    fn handle_reply(&mut self, _: &mut Session, cx: &mut Cx<'_>, message: BrokerMessage) {
        match message {
            BrokerMessage::Joined { id } => cx.send(Frame::Subscribed { id }.to_bytes()),
            BrokerMessage::Acknowledged { id } => cx.send(Frame::Acknowledged { id }.to_bytes()),
            _ => {}
        }
    }

    fn handle_message(&mut self, cx: &mut Cx<'_>, message: BrokerMessage) {
        self.message_to_shard(cx, message);
    }

    fn handle_dropped(&mut self, id: SessionId) {
        if let Some(tally) = self.untold(id) {
            return self.lagged.entry(id).or_default().join(tally);
        }
        if self.is_subscriber(id) {
            self.stats.drop_one();
        }
        self.lagged.entry(id).or_default().events += 1;
    }

    fn handle_turn(&mut self, cx: &mut Cx<'_>) -> bool {
        self.removals = REMOVALS_PER_TURN;
        let more = self.remove_some(cx);
        match self.site {
            Some(_) => self.tell_some(cx) || more,
            None => more,
        }
    }

    fn handle_watching(&mut self, _: &mut Session, _: &mut Cx<'_>) {}

    fn handle_stale(&mut self, _: &mut Session, cx: &mut Cx<'_>) {
        if let Some(bytes) = self.lagged(cx.id(), cx.now_ns()) {
            cx.send(bytes);
        }
    }

    fn handle_drained(&mut self, _: &mut Session, _: &mut Cx<'_>) {}

    fn handle_deadline(&mut self, session: &mut Session, cx: &mut Cx<'_>) {
        if session.is_greeted() {
            cx.send(Frame::Ping { token: 0 }.to_bytes());
            cx.deadline(self.keepalive_ns(cx.now_ns()));
        } else {
            if let Some(more) = self.strangers.due(cx.now_ns()) {
                let client = Client(session.peer);
                tracing::warn!("closed a connection of {client}: no HELLO came{more}");
            }
            close(cx, "no HELLO came");
            session.closing = true;
        }
    }

    fn handle_shutdown(&mut self, session: &mut Session, cx: &mut Cx<'_>) {
        self.dismiss(cx, "the broker is stopping");
        session.closing = true;
    }

    fn note_failure(&mut self, failure: Failure) {
        self.failure = Some(failure);
    }

    fn handle_closed(&mut self, session: &mut Session, _: SessionId) {
        let failure = self.failure.take();
        self.failed = failure.map(|failure| (session.peer, failure));
    }

    fn handle_gone(&mut self, cx: &mut Cx<'_>) {
        if let Some((peer, failure)) = self.failed.take()
            && let Some(more) = self.strangers.due(cx.now_ns())
        {
            let client = Client(peer);
            tracing::warn!("closed a connection of {client}, TLS has failed: {failure}{more}");
        }
        tracing::debug!(target: "gap::connection", id = ?cx.id(), "closed");
        self.gone(cx);
    }

    fn hears(&self, _: &Session) -> bool {
        true
    }

    fn rests(&self, session: &Session) -> bool {
        !session.closing
    }

    fn lives_on_posts(&self) -> bool {
        true
    }
}

impl Parking for Broker {
    type Parked = Parked;
    type Key = ();

    fn park(&mut self, session: &Session) -> Option<Parked> {
        session.park()
    }

    fn unpark(&mut self, parked: Parked, _: SessionId) -> Session {
        Session::unpark(parked)
    }

    fn cursor(&self, _: &Parked) -> Option<u64> {
        None
    }

    fn hand_over(
        &mut self,
        id: SessionId,
        seen: Seen<'_, Session, Parked>,
        output: &mut Vec<u8>,
    ) -> bool {
        self.write_down(id, seen, output);
        true
    }

    fn take_over(
        &mut self,
        id: SessionId,
        _secure: bool,
        bytes: &[u8],
    ) -> Option<TakenOver<Session, Parked>> {
        let session = self.read_back(id, bytes)?;
        Some(match session.park() {
            Some(parked) => TakenOver::Parked(parked),
            None => TakenOver::Active(session),
        })
    }

    fn give_up(&mut self, id: SessionId, _: &Parked) {
        self.forget_what_came(id);
    }

    fn handle_taken_over(&mut self) {
        self.join_those_that_came();
    }

    fn announce(&mut self, _: &mut Parked, _: &Event<()>) -> Announce<()> {
        Announce::Silent
    }

    fn render(&mut self, _: &Event<()>, (): ()) -> Bytes {
        Bytes::new()
    }

    fn render_many(&mut self, _: &mut Parked, _: &[Arc<Event<()>>]) -> Option<Bytes> {
        None
    }

    fn parked_deadline(&mut self, _: &mut Parked, now_ns: u64) -> Due {
        Due::Send {
            bytes: Frame::Ping { token: 0 }.to_bytes(),
            until_ns: self.keepalive_ns(now_ns),
        }
    }
}
