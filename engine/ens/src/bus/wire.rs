//! What brokers say to each other on the bus: numbers, most significant byte first.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::bucket::BUCKETS;
use crate::event_ref::EVENT_REF_BYTES_MAX;
use crate::frame::{LINK_BYTES_MAX, PAYLOAD_BYTES_MAX};

/// What every message begins with: what it is, and the version of what follows.
const MAGIC: [u8; 3] = *b"EB\x01";
/// Bytes before what is said.
pub(super) const HEADER_BYTES: usize = 3 + 1 + 3 * 8;
/// Bytes of a batch before its events.
pub(super) const BATCH_BYTES: usize = HEADER_BYTES + 2 + 8 + 2;

/// A bus that takes no messages of so many bytes is none: a digest and a part of a list of pools
/// have fewer.
pub const MESSAGE_BYTES_MIN: usize = 128 * 1024;

/// No origin publishes as much.
const NUMBERS_MAX: u64 = 1 << 60;

/// What an origin knows a PUBLISH by that is to be acknowledged; only it can read that.
pub type Token = [u8; 16];

/// Where messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// Events of a bucket.
    Bucket(u16),
    /// Those of all buckets; only to be subscribed to.
    AllBuckets,
    /// What all brokers hear.
    Everyone,
    /// One origin.
    Origin(u64),
}

impl Subject {
    /// Its name at a site.
    pub fn name(&self, site: &str) -> String {
        match self {
            Self::Bucket(bucket) => format!("ens.{site}.b.{bucket}"),
            Self::AllBuckets => format!("ens.{site}.b.*"),
            Self::Everyone => format!("ens.{site}.c"),
            Self::Origin(origin) => format!("ens.{site}.o.{origin:016x}"),
        }
    }
}

/// Whether a broker says such a message under this name, behind that of its site. Rights at NATS
/// are by subject: who may publish under some only has no more here.
pub fn belongs_at(name: &str, message: &[u8]) -> bool {
    let kind = message.get(MAGIC.len()).copied().unwrap_or_default();
    match (name.split_once('.'), kind) {
        (None, DIGEST | WHO | POOLS) => name == "c",
        (Some(("o", _)), POOLED | ACK | ACKED) => true,
        (Some(("b", bucket)), BATCH) => message
            .get(HEADER_BYTES..HEADER_BYTES + 2)
            .and_then(|bytes| bytes.first_chunk())
            .is_some_and(|said| bucket.parse() == Ok(u16::from_be_bytes(*said))),
        _ => false,
    }
}

/// An event that crosses from one broker to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// Its reference, in UTF-8.
    pub event: Bytes,
    /// Opaque.
    pub payload: Bytes,
    /// The name of the link whose subscriber acknowledges it, and what its origin knows it by.
    pub link: Option<(Bytes, Token)>,
}

/// What is known of whoever says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Who.
    pub origin: u64,
    /// How long it has been there, in nanoseconds.
    pub age_ns: u64,
    /// Grows with each message of the origin, so that those can be put in order.
    pub order: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Events of one bucket; the first has this number, the others follow.
    Batch {
        bucket: u16,
        first: u64,
        events: Vec<Crossing>,
    },
    /// How far the origin is in each bucket in which it has published.
    Digest {
        /// Counts digests.
        number: u64,
        /// Of its list of pools.
        pools: u64,
        /// It ends, and takes nothing more.
        bye: bool,
        /// For each origin, the number of what was sent last for members of its pools.
        sent: Vec<(u64, u64)>,
        /// For each origin, up to which number what it has sent was taken.
        taken: Vec<(u64, u64)>,
        buckets: Vec<(u16, u64)>,
    },
    /// Who is there? All, or one of them, say how far they are, and which pools they have.
    Who { origin: Option<u64> },
    /// A part of the origin's pools.
    Pools {
        version: u64,
        part: u16,
        parts: u16,
        /// Patterns, and how many members.
        pools: Vec<(Bytes, u32)>,
    },
    /// An event for one member of a pool.
    Pooled {
        /// The origin that the event is from.
        home: u64,
        /// The number of what the sender has sent to the same origin before.
        before: u64,
        /// Grows with each that the sender sends.
        number: u64,
        /// How often it was handed on.
        hops: u8,
        pattern: Bytes,
        event: Crossing,
    },
    /// A subscriber has worked on an event.
    Ack { request: u64, token: Token },
    /// That was told.
    Acked { request: u64 },
}

const BATCH: u8 = 1;
const DIGEST: u8 = 2;
const WHO: u8 = 3;
const POOLS: u8 = 4;
const POOLED: u8 = 5;
const ACK: u8 = 6;
const ACKED: u8 = 7;

impl Crossing {
    /// Bytes that it takes in a message.
    pub fn wire_bytes(&self) -> usize {
        let link = self.link.as_ref().map_or(0, |(link, _)| link.len() + 16);
        1 + link + 2 + self.event.len() + 4 + self.payload.len()
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        match &self.link {
            // A link has a name.
            None => out.put_u8(0),
            Some((link, token)) => {
                out.put_u8(link.len() as u8);
                out.put_slice(link);
                out.put_slice(token);
            }
        }
        out.put_u16(self.event.len() as u16);
        out.put_slice(&self.event);
        out.put_u32(self.payload.len() as u32);
        out.put_slice(&self.payload);
    }

    fn decode(input: &mut Bytes) -> Option<Self> {
        let link = usize::from(input.try_get_u8().ok()?);
        const _: () = assert!(LINK_BYTES_MAX <= u8::MAX as usize);
        let link = match link {
            0 => None,
            length => {
                let link = take(input, length)?;
                let mut token = [0; 16];
                input.try_copy_to_slice(&mut token).ok()?;
                Some((link, token))
            }
        };
        let length = usize::from(input.try_get_u16().ok()?);
        let event = take(input, length).filter(|_| length <= EVENT_REF_BYTES_MAX)?;
        std::str::from_utf8(&event).ok()?;
        let length = input.try_get_u32().ok()? as usize;
        let payload = take(input, length).filter(|_| length <= PAYLOAD_BYTES_MAX)?;
        Some(Self {
            event,
            payload,
            link,
        })
    }
}

fn take(input: &mut Bytes, length: usize) -> Option<Bytes> {
    (length <= input.len()).then(|| input.split_to(length))
}

impl Header {
    /// None if no message begins with these bytes.
    pub fn of(message: &[u8]) -> Option<Self> {
        let (magic, rest) = message.split_first_chunk()?;
        let (_kind, mut rest) = rest.split_first()?;
        (*magic == MAGIC).then_some(())?;
        Some(Self {
            origin: rest.try_get_u64().ok()?,
            age_ns: rest.try_get_u64().ok()?,
            order: rest.try_get_u64().ok()?,
        })
    }

    fn encode(self, kind: u8, out: &mut BytesMut) {
        out.put_slice(&MAGIC);
        out.put_u8(kind);
        out.put_u64(self.origin);
        out.put_u64(self.age_ns);
        out.put_u64(self.order);
    }

    /// A batch without events; whoever adds them says with [`close_batch`] how many.
    pub fn open_batch(self, bucket: u16, first: u64, out: &mut BytesMut) {
        self.encode(BATCH, out);
        out.put_u16(bucket);
        out.put_u64(first);
        out.put_u16(0);
    }
}

/// Says how many events a batch has.
pub(super) fn close_batch(out: &mut BytesMut, count: u16) {
    out[BATCH_BYTES - 2..BATCH_BYTES].copy_from_slice(&count.to_be_bytes());
}

impl Said {
    pub fn encode(&self, header: Header) -> Bytes {
        let mut out = BytesMut::with_capacity(128);
        match self {
            Self::Batch {
                bucket,
                first,
                events,
            } => {
                header.open_batch(*bucket, *first, &mut out);
                events.iter().for_each(|event| event.encode(&mut out));
                close_batch(&mut out, events.len() as u16);
            }
            Self::Digest {
                number,
                pools,
                bye,
                sent,
                taken,
                buckets,
            } => {
                header.encode(DIGEST, &mut out);
                out.put_u64(*number);
                out.put_u64(*pools);
                out.put_u8(u8::from(*bye));
                for numbers in [sent, taken] {
                    out.put_u16(numbers.len() as u16);
                    for (origin, number) in numbers {
                        out.put_u64(*origin);
                        out.put_u64(*number);
                    }
                }
                for (bucket, number) in buckets {
                    out.put_u16(*bucket);
                    out.put_u64(*number);
                }
            }
            Self::Who { origin } => {
                header.encode(WHO, &mut out);
                origin.iter().for_each(|origin| out.put_u64(*origin));
            }
            Self::Pools {
                version,
                part,
                parts,
                pools,
            } => {
                header.encode(POOLS, &mut out);
                out.put_u64(*version);
                out.put_u16(*part);
                out.put_u16(*parts);
                for (pattern, members) in pools {
                    out.put_u32(*members);
                    out.put_u32(pattern.len() as u32);
                    out.put_slice(pattern);
                }
            }
            Self::Pooled {
                home,
                before,
                number,
                hops,
                pattern,
                event,
            } => {
                header.encode(POOLED, &mut out);
                out.put_u64(*home);
                out.put_u64(*before);
                out.put_u64(*number);
                out.put_u8(*hops);
                out.put_u32(pattern.len() as u32);
                out.put_slice(pattern);
                event.encode(&mut out);
            }
            Self::Ack { request, token } => {
                header.encode(ACK, &mut out);
                out.put_u64(*request);
                out.put_slice(token);
            }
            Self::Acked { request } => {
                header.encode(ACKED, &mut out);
                out.put_u64(*request);
            }
        }
        out.freeze()
    }

    /// None if these bytes are no message of a broker that speaks as this one does.
    pub fn decode(mut input: Bytes) -> Option<(Header, Self)> {
        let input = &mut input;
        let header = Header::of(input)?;
        let kind = input[MAGIC.len()];
        input.advance(HEADER_BYTES);
        let said = Self::body(kind, input)?;
        input.is_empty().then_some((header, said))
    }

    fn body(kind: u8, input: &mut Bytes) -> Option<Self> {
        Some(match kind {
            BATCH => {
                let bucket = bucket(input)?;
                let first = input.try_get_u64().ok()?;
                let count = input.try_get_u16().ok()?;
                let events = (0..count).map(|_| Crossing::decode(input));
                let events = events.collect::<Option<Vec<_>>>()?;
                (count > 0 && 0 < first && first < NUMBERS_MAX).then_some(())?;
                Self::Batch {
                    bucket,
                    first,
                    events,
                }
            }
            DIGEST => Self::Digest {
                number: input.try_get_u64().ok()?,
                pools: input.try_get_u64().ok()?,
                bye: match input.try_get_u8().ok()? {
                    0 => false,
                    1 => true,
                    _ => return None,
                },
                sent: numbers(input)?,
                taken: numbers(input)?,
                buckets: {
                    let mut buckets = Vec::with_capacity(input.len() / 10);
                    while !input.is_empty() {
                        let bucket = bucket(input)?;
                        let last = input.try_get_u64().ok()?;
                        buckets.push((bucket, (last < NUMBERS_MAX).then_some(last)?));
                    }
                    buckets
                },
            },
            WHO => Self::Who {
                origin: match input.is_empty() {
                    true => None,
                    false => Some(input.try_get_u64().ok()?),
                },
            },
            POOLS => Self::Pools {
                version: input.try_get_u64().ok()?,
                part: input.try_get_u16().ok()?,
                parts: input.try_get_u16().ok()?,
                pools: {
                    let mut pools = Vec::new();
                    while !input.is_empty() {
                        let members = input.try_get_u32().ok()?;
                        pools.push((pattern(input)?, members));
                    }
                    pools
                },
            },
            POOLED => Self::Pooled {
                home: input.try_get_u64().ok()?,
                before: input.try_get_u64().ok()?,
                number: input.try_get_u64().ok()?,
                hops: input.try_get_u8().ok()?,
                pattern: pattern(input)?,
                event: Crossing::decode(input)?,
            },
            ACK => Self::Ack {
                request: input.try_get_u64().ok()?,
                token: {
                    let mut token = [0; 16];
                    input.try_copy_to_slice(&mut token).ok()?;
                    token
                },
            },
            ACKED => Self::Acked {
                request: input.try_get_u64().ok()?,
            },
            _ => return None,
        })
    }
}

fn bucket(input: &mut Bytes) -> Option<u16> {
    input.try_get_u16().ok().filter(|bucket| *bucket < BUCKETS)
}

/// Origins, each with a number.
fn numbers(input: &mut Bytes) -> Option<Vec<(u64, u64)>> {
    let count = usize::from(input.try_get_u16().ok()?);
    let mut bytes = take(input, 16 * count)?;
    Some(
        (0..count)
            .map(|_| (bytes.get_u64(), bytes.get_u64()))
            .collect(),
    )
}

fn pattern(input: &mut Bytes) -> Option<Bytes> {
    let length = input.try_get_u32().ok()? as usize;
    take(input, length)
}

#[cfg(test)]
#[path = "wire/tests.rs"]
mod tests;
