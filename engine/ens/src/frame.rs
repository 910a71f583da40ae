//! ENP frames: bytes to facts and back. `docs/ENP.md` is the specification.

use bytes::{BufMut, Bytes, BytesMut};

use crate::event_ref::{EVENT_REF_BYTES_MAX, EventRef, RefError};
pub use crate::scope::Scope;

/// What every HELLO begins with.
pub const MAGIC: [u8; 4] = *b"ENP\0";
/// What it is called by ALPN (RFC 7301), where it is spoken within TLS.
pub const PROTOCOL: &[u8] = b"enp";
/// The version of the protocol.
pub const VERSION: u16 = 3;
/// Since this one there are scopes.
pub const SCOPED: u16 = 3;
/// Largest payload, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// Largest frame behind its length: a payload, a reference and what stands before them.
pub const FRAME_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + EVENT_REF_BYTES_MAX + 512;
/// Bytes of the length before each frame.
pub const LENGTH_BYTES: usize = 4;
/// Longest name of a link, in bytes.
pub const LINK_BYTES_MAX: usize = 255;

/// Where an acknowledgement goes; only the broker that made it knows what is in it.
pub type Receipt = [u8; 16];

/// What client and broker say to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// First from the client.
    Hello {
        /// The client's newest version.
        version: u16,
        /// For the broker's log.
        name: &'a str,
    },
    /// The broker's answer.
    Welcome {
        /// The version spoken from now on.
        version: u16,
        /// Largest payload that the broker takes, in bytes.
        payload_max: u32,
        /// Seconds of silence after which the broker sends a PING; 0 if it never does.
        keepalive_s: u16,
        /// What this connection's subscriptions hear that don't say; since version 3, and none
        /// before.
        scope: Option<Scope>,
        /// The broker's name.
        name: &'a str,
    },
    /// An event happened.
    Publish {
        /// Answered by ACCEPTED if not 0.
        id: u32,
        /// The link whose subscriber acknowledges; no acknowledgement if empty.
        link: &'a [u8],
        /// The event reference.
        event: &'a str,
        /// Opaque.
        payload: &'a [u8],
    },
    /// The broker took a PUBLISH and gave it to its subscribers.
    Accepted {
        /// The PUBLISH.
        id: u32,
    },
    /// The subscriber at the other end of the link has worked on a PUBLISH.
    Acknowledged {
        /// The PUBLISH.
        id: u32,
    },
    /// Events of this pattern are wanted.
    Subscribe {
        /// The client's number for it, not 0.
        id: u32,
        /// Whose events; none is as WELCOME says. Version 3.
        scope: Option<Scope>,
        /// The pattern.
        pattern: &'a str,
    },
    /// From now on no event of it is missed.
    Subscribed {
        /// The SUBSCRIBE.
        id: u32,
    },
    /// They are wanted no longer.
    Unsubscribe {
        /// The SUBSCRIBE.
        id: u32,
    },
    /// No event of it comes any more.
    Unsubscribed {
        /// The SUBSCRIBE.
        id: u32,
    },
    /// An event that some subscription of the client matches. It comes once, however many match.
    Notify {
        /// 0; or the one subscription that it is for, if that is in a pool.
        subscription: u32,
        /// It was published at another broker of the site: it is for no subscription of local
        /// scope. Only a client that has some of both is told. Version 3.
        away: bool,
        /// Of the link that the publisher named: what an ACK gives back.
        receipt: Option<(Receipt, &'a [u8])>,
        /// The event reference.
        event: &'a str,
        /// Opaque.
        payload: &'a [u8],
    },
    /// The subscriber has worked on an event.
    Ack {
        /// From its NOTIFY.
        receipt: Receipt,
    },
    /// The client was too slow: so many events were not sent to it.
    Lagged {
        /// How many.
        events: u64,
    },
    /// Events were lost before the broker had them, and nobody knows how many. Version 2.
    Missed,
    /// Is someone there?
    Ping {
        /// Comes back.
        token: u32,
    },
    /// Yes.
    Pong {
        /// The PING's.
        token: u32,
    },
    /// What the client sent can't be done; the connection goes on, unless BYE follows.
    Error {
        /// What kind, see [`ErrorCode`].
        code: u16,
        /// The id of what it is about; 0 if it has none.
        id: u32,
        /// For people.
        text: &'a str,
    },
    /// The broker closes the connection.
    Bye {
        /// Why, for people.
        text: &'a str,
    },
}

/// Kinds of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum ErrorCode {
    /// The bytes are no frame of this protocol; the connection is closed.
    Malformed = 1,
    /// A frame of a kind that is not known, or that only the other side may send.
    UnknownKind = 2,
    /// The frame or its payload is too large; the connection is closed.
    TooLarge = 3,
    /// No HELLO came first, or its version is not spoken; the connection is closed.
    Version = 4,
    /// The event reference or pattern is none.
    BadReference = 5,
    /// The subscription's number is in use, 0, or unknown.
    BadId = 6,
    /// The client has too many subscriptions.
    TooMany = 7,
}

/// Why an event can't be published: for good, however often it is tried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unpublishable {
    /// Its reference.
    #[error(transparent)]
    Reference(#[from] RefError),
    /// Its payload.
    #[error("a payload has at most {PAYLOAD_BYTES_MAX} bytes, not {0}")]
    Payload(usize),
    /// The name of its link.
    #[error("a link's name has at most {LINK_BYTES_MAX} bytes, not {0}")]
    Link(usize),
}

/// Takes an event's reference apart and looks whether it fits into a PUBLISH and a NOTIFY: the one
/// limit, for all who publish.
///
/// # Errors
/// Why it can't be published.
pub fn publishable<'a>(
    event: &'a str,
    payload: &[u8],
    link: &[u8],
) -> Result<EventRef<'a>, Unpublishable> {
    let event = EventRef::parse(event)?;
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(Unpublishable::Payload(payload.len()));
    }
    if link.len() > LINK_BYTES_MAX {
        return Err(Unpublishable::Link(link.len()));
    }
    Ok(event)
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// They are too short or too long for their kind, or not UTF-8 where text should be.
    Malformed,
    /// The kind is not known. The frame can be skipped.
    UnknownKind(u8),
    /// The frame says that it is longer than [`FRAME_BYTES_MAX`].
    TooLarge,
    /// The payload of this PUBLISH or NOTIFY is larger than [`PAYLOAD_BYTES_MAX`]. The frame can be
    /// skipped.
    PayloadTooLarge(u32),
}

const HELLO: u8 = 1;
const WELCOME: u8 = 2;
const PUBLISH: u8 = 3;
const ACCEPTED: u8 = 4;
const ACKNOWLEDGED: u8 = 5;
const SUBSCRIBE: u8 = 6;
const SUBSCRIBED: u8 = 7;
const UNSUBSCRIBE: u8 = 8;
const UNSUBSCRIBED: u8 = 9;
const NOTIFY: u8 = 10;
const ACK: u8 = 11;
const LAGGED: u8 = 12;
const PING: u8 = 13;
const PONG: u8 = 14;
const ERROR: u8 = 15;
const BYE: u8 = 16;
const MISSED: u8 = 17;
const NOTIFY_AWAY: u8 = 18;

/// Makes a NOTIFY of subscription 0 that of an event of another host.
pub(crate) fn mark_away(notify: &mut [u8]) {
    debug_assert_eq!(notify.get(LENGTH_BYTES), Some(&NOTIFY));
    if let Some(kind) = notify.get_mut(LENGTH_BYTES) {
        *kind = NOTIFY_AWAY;
    }
}

/// The first frame in the bytes and how many bytes it takes; none if it is not all there.
///
/// # Errors
/// What is wrong with it, and how many bytes to skip.
pub fn decode(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, (FrameError, usize)> {
    let Some(length) = bytes.first_chunk::<LENGTH_BYTES>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length) as usize;
    if length > FRAME_BYTES_MAX {
        return Err((FrameError::TooLarge, 0));
    }
    let end = LENGTH_BYTES + length;
    let Some(body) = bytes.get(LENGTH_BYTES..end) else {
        return Ok(None);
    };
    match frame(body) {
        Ok(frame) => Ok(Some((frame, end))),
        Err(error) => Err((error, end)),
    }
}

fn frame(body: &[u8]) -> Result<Frame<'_>, FrameError> {
    let (&kind, rest) = body.split_first().ok_or(FrameError::Malformed)?;
    let mut fields = Fields(rest);
    let frame = match kind {
        HELLO => {
            if fields.array::<4>()? != MAGIC {
                return Err(FrameError::Malformed);
            }
            Frame::Hello {
                version: fields.u16()?,
                name: fields.rest_text()?,
            }
        }
        WELCOME => {
            let version = fields.u16()?;
            Frame::Welcome {
                version,
                payload_max: fields.u32()?,
                keepalive_s: fields.u16()?,
                scope: match version {
                    ..SCOPED => None,
                    SCOPED.. => Some(fields.scope()?),
                },
                name: fields.rest_text()?,
            }
        }
        PUBLISH => Frame::Publish {
            id: fields.u32()?,
            link: fields.short()?,
            event: fields.text()?,
            payload: fields.rest(),
        },
        ACCEPTED => Frame::Accepted { id: fields.u32()? },
        ACKNOWLEDGED => Frame::Acknowledged { id: fields.u32()? },
        SUBSCRIBE => Frame::Subscribe {
            id: fields.u32()?,
            scope: fields.scope_if_any(),
            pattern: fields.rest_text()?,
        },
        SUBSCRIBED => Frame::Subscribed { id: fields.u32()? },
        UNSUBSCRIBE => Frame::Unsubscribe { id: fields.u32()? },
        UNSUBSCRIBED => Frame::Unsubscribed { id: fields.u32()? },
        NOTIFY | NOTIFY_AWAY => fields.notify(kind == NOTIFY_AWAY)?,
        ACK => Frame::Ack {
            receipt: fields.array()?,
        },
        LAGGED => Frame::Lagged {
            events: u64::from_be_bytes(fields.array()?),
        },
        MISSED => Frame::Missed,
        PING => Frame::Ping {
            token: fields.u32()?,
        },
        PONG => Frame::Pong {
            token: fields.u32()?,
        },
        ERROR => Frame::Error {
            code: fields.u16()?,
            id: fields.u32()?,
            text: fields.rest_text()?,
        },
        BYE => Frame::Bye {
            text: fields.rest_text()?,
        },
        kind => return Err(FrameError::UnknownKind(kind)),
    };
    if !fields.0.is_empty() {
        return Err(FrameError::Malformed);
    }
    match frame {
        Frame::Publish { id, payload, .. }
        | Frame::Notify {
            subscription: id,
            payload,
            ..
        } if payload.len() > PAYLOAD_BYTES_MAX => Err(FrameError::PayloadTooLarge(id)),
        frame => Ok(frame),
    }
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], FrameError> {
        let (bytes, rest) = self
            .0
            .split_at_checked(count)
            .ok_or(FrameError::Malformed)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(FrameError::Malformed)?;
        self.0 = rest;
        Ok(*bytes)
    }

    fn u16(&mut self) -> Result<u16, FrameError> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, FrameError> {
        self.array().map(u32::from_be_bytes)
    }

    fn notify(&mut self, away: bool) -> Result<Frame<'a>, FrameError> {
        let subscription = self.u32()?;
        let link = self.short()?;
        let receipt = match link {
            [] => None,
            link => Some((self.array()?, link)),
        };
        let (event, payload) = (self.text()?, self.rest());
        Ok(Frame::Notify {
            subscription,
            away,
            receipt,
            event,
            payload,
        })
    }

    fn scope(&mut self) -> Result<Scope, FrameError> {
        let [byte] = self.array::<1>()?;
        Scope::of(byte).ok_or(FrameError::Malformed)
    }

    /// No pattern begins with a byte that is one.
    fn scope_if_any(&mut self) -> Option<Scope> {
        let (first, rest) = self.0.split_first()?;
        let scope = Scope::of(*first)?;
        self.0 = rest;
        Some(scope)
    }

    fn short(&mut self) -> Result<&'a [u8], FrameError> {
        let [length] = self.array::<1>()?;
        self.bytes(length.into())
    }

    fn text(&mut self) -> Result<&'a str, FrameError> {
        let length = self.u16()?;
        std::str::from_utf8(self.bytes(length.into())?).map_err(|_| FrameError::Malformed)
    }

    fn rest_text(&mut self) -> Result<&'a str, FrameError> {
        std::str::from_utf8(std::mem::take(&mut self.0)).map_err(|_| FrameError::Malformed)
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

impl Frame<'_> {
    /// Appends the frame with its length.
    pub fn encode(&self, out: &mut BytesMut) {
        let start = out.len();
        out.put_u32(0);
        match *self {
            Frame::Hello { version, name } => {
                out.put_u8(HELLO);
                out.put_slice(&MAGIC);
                out.put_u16(version);
                out.put_slice(name.as_bytes());
            }
            Frame::Welcome {
                version,
                payload_max,
                keepalive_s,
                scope,
                name,
            } => {
                out.put_u8(WELCOME);
                out.put_u16(version);
                out.put_u32(payload_max);
                out.put_u16(keepalive_s);
                if version >= SCOPED {
                    out.put_u8(scope.unwrap_or_default() as u8);
                }
                out.put_slice(name.as_bytes());
            }
            Frame::Publish {
                id,
                link,
                event,
                payload,
            } => {
                out.put_u8(PUBLISH);
                out.put_u32(id);
                put_short(out, link);
                put_text(out, event);
                out.put_slice(payload);
            }
            Frame::Accepted { id } => put_id(out, ACCEPTED, id),
            Frame::Acknowledged { id } => put_id(out, ACKNOWLEDGED, id),
            Frame::Subscribe { id, scope, pattern } => {
                put_id(out, SUBSCRIBE, id);
                scope.iter().for_each(|scope| out.put_u8(*scope as u8));
                out.put_slice(pattern.as_bytes());
            }
            Frame::Subscribed { id } => put_id(out, SUBSCRIBED, id),
            Frame::Unsubscribe { id } => put_id(out, UNSUBSCRIBE, id),
            Frame::Unsubscribed { id } => put_id(out, UNSUBSCRIBED, id),
            Frame::Notify {
                subscription,
                away,
                receipt,
                event,
                payload,
            } => {
                let kind = if away { NOTIFY_AWAY } else { NOTIFY };
                put_id(out, kind, subscription);
                put_short(out, receipt.map_or(&[][..], |(_, link)| link));
                if let Some((receipt, _)) = receipt {
                    out.put_slice(&receipt);
                }
                put_text(out, event);
                out.put_slice(payload);
            }
            Frame::Ack { receipt } => {
                out.put_u8(ACK);
                out.put_slice(&receipt);
            }
            Frame::Lagged { events } => {
                out.put_u8(LAGGED);
                out.put_u64(events);
            }
            Frame::Missed => out.put_u8(MISSED),
            Frame::Ping { token } => put_id(out, PING, token),
            Frame::Pong { token } => put_id(out, PONG, token),
            Frame::Error { code, id, text } => {
                out.put_u8(ERROR);
                out.put_u16(code);
                out.put_u32(id);
                out.put_slice(text.as_bytes());
            }
            Frame::Bye { text } => {
                out.put_u8(BYE);
                out.put_slice(text.as_bytes());
            }
        }
        let length = (out.len() - start - LENGTH_BYTES) as u32;
        out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
    }

    /// The frame with its length.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(64);
        self.encode(&mut out);
        out.freeze()
    }
}

fn put_id(out: &mut BytesMut, kind: u8, id: u32) {
    out.put_u8(kind);
    out.put_u32(id);
}

/// At most 255 bytes: longer ones are refused where they are made.
fn put_short(out: &mut BytesMut, bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(LINK_BYTES_MAX)];
    out.put_u8(bytes.len() as u8);
    out.put_slice(bytes);
}

fn put_text(out: &mut BytesMut, text: &str) {
    out.put_u16(text.len() as u16);
    out.put_slice(text.as_bytes());
}

#[cfg(test)]
mod tests;
