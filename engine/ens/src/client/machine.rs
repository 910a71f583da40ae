//! The client's side of ENP: bytes in, news out.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes, BytesMut};

use crate::event_ref::{EventRef, Pattern, RefError};
use crate::frame::{
    Frame, FrameError, Receipt, SCOPED, Scope, Unpublishable, VERSION, decode, publishable,
};
use crate::matcher::{EntryId, Matcher};

/// What whoever speaks TLS says of bytes that are none: an alert's type and version.
const TLS_ALERT: [u8; 2] = [21, 3];

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
    /// Events of other hosts were lost on their way to the broker; nobody knows how many.
    Missed,
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
    /// By their ids, so that they are made again in their order.
    subscriptions: BTreeMap<u32, Subscription>,
    matcher: Matcher<u32>,
    ids: u32,
    /// Which version the broker speaks, once it has greeted, and what it makes of subscriptions
    /// that don't say whose events they want.
    version: Option<u16>,
    scope: Scope,
    /// The broker has closed this connection, or it speaks no ENP.
    over: bool,
}

struct Subscription {
    pattern: String,
    scope: Option<Scope>,
    /// None in a pool: the broker says for which subscription an event is.
    entry: Option<EntryId>,
}

impl Machine {
    /// A client; the name is for the broker's log.
    pub fn new(name: &str) -> Self {
        let mut machine = Self {
            name: name.into(),
            input: BytesMut::new(),
            output: BytesMut::new(),
            subscriptions: BTreeMap::new(),
            matcher: Matcher::default(),
            ids: 0,
            version: None,
            scope: Scope::Site,
            over: false,
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
        self.version = None;
        self.over = false;
        Frame::Hello {
            version: VERSION,
            name: &self.name,
        }
        .encode(&mut self.output);
        for (id, subscription) in &self.subscriptions {
            let (id, scope) = (*id, subscription.scope);
            let pattern = &subscription.pattern;
            Frame::Subscribe { id, scope, pattern }.encode(&mut self.output);
        }
    }

    /// Whether nothing more will come: the connection is to be closed.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Whether the broker has greeted.
    pub fn is_welcome(&self) -> bool {
        self.version.is_some()
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
    ) -> Result<u32, Unpublishable> {
        publishable(event, payload, link)?;
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

    /// Subscribes; [`ClientEvent::Subscribed`] or [`ClientEvent::Refused`] follows. Whose events it
    /// hears is as the broker has it.
    ///
    /// # Errors
    /// If the pattern is none.
    pub fn subscribe(&mut self, pattern: &str) -> Result<u32, RefError> {
        self.subscribe_to(pattern, None)
    }

    /// Subscribes, and says whose events are wanted. A broker that is older than scopes refuses
    /// that.
    ///
    /// # Errors
    /// If the pattern is none.
    pub fn subscribe_to(&mut self, pattern: &str, scope: Option<Scope>) -> Result<u32, RefError> {
        let parsed = Pattern::parse(pattern)?;
        let id = self.id();
        let matched = parsed.pool.is_none();
        let entry = matched.then(|| self.matcher.insert(&parsed, id));
        let subscription = Subscription {
            pattern: pattern.into(),
            scope,
            entry,
        };
        self.subscriptions.insert(id, subscription);
        self.say(&Frame::Subscribe { id, scope, pattern });
        Ok(id)
    }

    /// Unsubscribes; events that are on their way are not told any more.
    pub fn unsubscribe(&mut self, id: u32) {
        if self.forget(id) {
            self.say(&Frame::Unsubscribe { id });
        }
    }

    fn forget(&mut self, id: u32) -> bool {
        let Some(gone) = self.subscriptions.remove(&id) else {
            return false;
        };
        if let Some(entry) = gone.entry {
            self.matcher.remove(entry);
        }
        true
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
        if self.over {
            return;
        }
        self.input.extend_from_slice(bytes);
        let input = std::mem::take(&mut self.input);
        let mut taken = 0;
        while !self.over {
            match decode(&input[taken..]) {
                _ if !self.is_welcome() && input.starts_with(&TLS_ALERT) => {
                    let why = "it speaks TLS on that port: begin the host with enps://".into();
                    news.push(ClientEvent::Over(why));
                    self.over = true;
                    taken = input.len();
                }
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
                    self.over = true;
                    taken = input.len();
                }
            }
        }
        self.input = input;
        self.input.advance(taken);
    }

    fn hear(&mut self, frame: Frame<'_>, news: &mut Vec<ClientEvent>) {
        match frame {
            Frame::Welcome { version, scope, .. } => {
                self.version = Some(version);
                self.scope = scope.unwrap_or_default();
                news.push(ClientEvent::Welcome);
            }
            Frame::Subscribed { id } => news.push(ClientEvent::Subscribed(id)),
            Frame::Unsubscribed { id } => news.push(ClientEvent::Unsubscribed(id)),
            Frame::Accepted { id } => news.push(ClientEvent::Accepted(id)),
            Frame::Acknowledged { id } => news.push(ClientEvent::Acknowledged(id)),
            Frame::Lagged { events } => news.push(ClientEvent::Lagged(events)),
            Frame::Missed => news.push(ClientEvent::Missed),
            Frame::Ping { token } => self.say(&Frame::Pong { token }),
            Frame::Error { id, text, .. } => {
                let why = self.no_scopes(id).unwrap_or_else(|| text.into());
                self.forget(id);
                news.push(ClientEvent::Refused { id, why });
            }
            Frame::Bye { text } => {
                news.push(ClientEvent::Over(text.into()));
                self.over = true;
            }
            Frame::Notify {
                subscription,
                away,
                receipt,
                event,
                payload,
            } => {
                let subscriptions = self.wanted(subscription, away, event);
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

    /// What a refusal of an older broker means, if it is of a subscription that asks for a scope.
    fn no_scopes(&self, id: u32) -> Option<String> {
        let scope = self.subscriptions.get(&id)?.scope?;
        let version = self.version.filter(|version| *version < SCOPED)?;
        Some(format!(
            "a subscription of scope {scope} needs a broker that speaks version {SCOPED} of ENP; \
             this one speaks {version}"
        ))
    }

    /// The subscriptions that a NOTIFY is for.
    fn wanted(&mut self, only: u32, away: bool, event: &str) -> Vec<u32> {
        if only != 0 {
            let own = self.subscriptions.contains_key(&only);
            return own.then_some(only).into_iter().collect();
        }
        let mut found = Vec::new();
        if let Ok(event) = EventRef::parse(event) {
            self.matcher.matches(&event, &mut found);
            let scope = |id: &u32| self.subscriptions.get(id).and_then(|it| it.scope);
            found.retain(|id| !away || scope(id).unwrap_or(self.scope) == Scope::Site);
            found.sort_unstable();
        }
        found
    }
}
