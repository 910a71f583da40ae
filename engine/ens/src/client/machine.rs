//! The client's side of ENP: bytes in, news out.

use bytes::{Buf, Bytes, BytesMut};

use crate::event_ref::{EventRef, Pattern, RefError};
use crate::frame::{
    Frame, FrameError, LINK_BYTES_MAX, PAYLOAD_BYTES_MAX, Receipt, VERSION, decode,
};

/// What a broker had to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEvent {
    /// The broker greets.
    Welcome,
    /// A subscription is in force.
    Subscribed(u32),
    /// A subscription is not in force any more.
    Unsubscribed(u32),
    /// An event.
    Notified {
        /// The subscriptions that it matches.
        subscriptions: Vec<u32>,
        /// The link by which its publisher wants to hear that it was worked on, and what
        /// [`Machine::acknowledge`] takes for that.
        receipt: Option<(Receipt, Bytes)>,
        /// Its reference.
        event: String,
        /// Its payload.
        payload: Bytes,
    },
    /// A PUBLISH was accepted.
    Accepted(u32),
    /// A PUBLISH was worked on at the other end of its link.
    Acknowledged(u32),
    /// So many events were not sent, because this client was too slow.
    Lagged(u64),
    /// Something can't be done.
    Refused {
        /// The PUBLISH or SUBSCRIBE; 0 if it is neither.
        id: u32,
        /// Why.
        why: String,
    },
    /// The broker closes the connection, or does not speak this protocol.
    Over(String),
}

/// A client's connection, without the connection.
pub struct Machine {
    name: String,
    input: BytesMut,
    output: BytesMut,
    subscriptions: Vec<(u32, Pattern, String)>,
    ids: u32,
    welcome: bool,
}

impl Machine {
    /// A client; the name is for the broker's log.
    pub fn new(name: &str) -> Self {
        let mut machine = Self {
            name: name.into(),
            input: BytesMut::new(),
            output: BytesMut::new(),
            subscriptions: vec![],
            ids: 0,
            welcome: false,
        };
        machine.say(&Frame::Hello {
            version: VERSION,
            name,
        });
        machine
    }

    /// On a fresh connection: what was said or half heard is forgotten, subscriptions are not.
    pub fn reconnect(&mut self) {
        self.input.clear();
        self.output.clear();
        self.welcome = false;
        Frame::Hello {
            version: VERSION,
            name: &self.name,
        }
        .encode(&mut self.output);
        for (id, _, pattern) in &self.subscriptions {
            Frame::Subscribe { id: *id, pattern }.encode(&mut self.output);
        }
    }

    /// Whether the broker has greeted.
    pub fn is_welcome(&self) -> bool {
        self.welcome
    }

    /// Bytes for the broker.
    pub fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// Whether there are any.
    pub fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    fn say(&mut self, frame: &Frame<'_>) {
        frame.encode(&mut self.output);
    }

    fn id(&mut self) -> u32 {
        self.ids = if self.ids == u32::MAX {
            1
        } else {
            self.ids + 1
        };
        self.ids
    }

    /// Publishes. If `answered`, [`ClientEvent::Accepted`] or [`ClientEvent::Refused`] follows with
    /// the number given back. With a link that isn't empty, an acknowledgement may follow.
    ///
    /// # Errors
    /// If the event reference is none, or payload or link are too large.
    pub fn publish(
        &mut self,
        event: &str,
        payload: &[u8],
        link: &[u8],
        answered: bool,
    ) -> Result<u32, String> {
        EventRef::parse(event).map_err(|error| error.to_string())?;
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(format!("a payload has at most {PAYLOAD_BYTES_MAX} bytes"));
        }
        if link.len() > LINK_BYTES_MAX {
            return Err(format!("a link's name has at most {LINK_BYTES_MAX} bytes"));
        }
        let id = if answered || !link.is_empty() {
            self.id()
        } else {
            0
        };
        self.say(&Frame::Publish {
            id,
            link,
            event,
            payload,
        });
        Ok(id)
    }

    /// Subscribes; [`ClientEvent::Subscribed`] or [`ClientEvent::Refused`] follows.
    ///
    /// # Errors
    /// If the pattern is none.
    pub fn subscribe(&mut self, pattern: &str) -> Result<u32, RefError> {
        let parsed = Pattern::parse(pattern)?;
        let id = self.id();
        self.subscriptions.push((id, parsed, pattern.into()));
        self.say(&Frame::Subscribe { id, pattern });
        Ok(id)
    }

    /// Unsubscribes; events that are on their way are not told any more.
    pub fn unsubscribe(&mut self, id: u32) {
        let before = self.subscriptions.len();
        self.subscriptions.retain(|(have, ..)| *have != id);
        if self.subscriptions.len() < before {
            self.say(&Frame::Unsubscribe { id });
        }
    }

    /// Tells the publisher of an event that it was worked on.
    pub fn acknowledge(&mut self, receipt: Receipt) {
        self.say(&Frame::Ack { receipt });
    }

    /// Asks the broker for a sign of life.
    pub fn ping(&mut self) {
        self.say(&Frame::Ping { token: 1 });
    }

    /// Takes bytes from the broker.
    pub fn handle_input(&mut self, bytes: &[u8], news: &mut Vec<ClientEvent>) {
        self.input.extend_from_slice(bytes);
        let input = std::mem::take(&mut self.input);
        let mut taken = 0;
        loop {
            match decode(&input[taken..]) {
                Ok(None) => break,
                Ok(Some((frame, length))) => {
                    taken += length;
                    self.hear(frame, news);
                }
                // A newer broker may say more than this client knows.
                Err((FrameError::UnknownKind(_), length)) => taken += length,
                Err(_) => {
                    let why = "the other side does not speak ENP".into();
                    news.push(ClientEvent::Over(why));
                    taken = input.len();
                    break;
                }
            }
        }
        self.input = input;
        self.input.advance(taken);
    }

    fn hear(&mut self, frame: Frame<'_>, news: &mut Vec<ClientEvent>) {
        match frame {
            Frame::Welcome { .. } => {
                self.welcome = true;
                news.push(ClientEvent::Welcome);
            }
            Frame::Subscribed { id } => news.push(ClientEvent::Subscribed(id)),
            Frame::Unsubscribed { id } => news.push(ClientEvent::Unsubscribed(id)),
            Frame::Accepted { id } => news.push(ClientEvent::Accepted(id)),
            Frame::Acknowledged { id } => news.push(ClientEvent::Acknowledged(id)),
            Frame::Lagged { events } => news.push(ClientEvent::Lagged(events)),
            Frame::Ping { token } => self.say(&Frame::Pong { token }),
            Frame::Error { id, text, .. } => {
                self.subscriptions
                    .retain(|(have, ..)| *have != id || id == 0);
                news.push(ClientEvent::Refused {
                    id,
                    why: text.into(),
                });
            }
            Frame::Bye { text } => news.push(ClientEvent::Over(text.into())),
            Frame::Notify {
                subscription,
                receipt,
                event,
                payload,
            } => {
                let subscriptions = self.wanted(subscription, event);
                if !subscriptions.is_empty() {
                    let receipt =
                        receipt.map(|(bytes, link)| (bytes, Bytes::copy_from_slice(link)));
                    news.push(ClientEvent::Notified {
                        subscriptions,
                        receipt,
                        event: event.into(),
                        payload: Bytes::copy_from_slice(payload),
                    });
                }
            }
            // Brokers don't send these; nothing depends on them.
            Frame::Pong { .. }
            | Frame::Hello { .. }
            | Frame::Publish { .. }
            | Frame::Subscribe { .. }
            | Frame::Unsubscribe { .. }
            | Frame::Ack { .. } => {}
        }
    }

    /// The subscriptions that a NOTIFY is for.
    fn wanted(&self, only: u32, event: &str) -> Vec<u32> {
        let own = self.subscriptions.iter();
        if only != 0 {
            return own.map(|(id, ..)| *id).filter(|id| *id == only).collect();
        }
        let Ok(event) = EventRef::parse(event) else {
            return vec![];
        };
        own.filter(|(_, pattern, _)| pattern.pool.is_none() && pattern.matches(&event))
            .map(|(id, ..)| *id)
            .collect()
    }
}
