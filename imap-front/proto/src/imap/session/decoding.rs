//! BINARY (RFC 3516): parts of messages without their transfer encoding.
//!
//! A literal's size is said before it, so a part is decoded twice, piece by piece, by those who
//! read messages: first to count, then to give. The second time begins where what was asked for
//! does, or a piece before it.

use std::ops::Range;

use bytes::Bytes;
use mail::mime::transfer::Decoder;
use mail::mime::{Structure, What};
use mail::{MailboxId, Message, Request, Uid};

use crate::imap::ast::FetchItem;

/// What comes next of a part.
pub(super) enum Next {
    /// This is said.
    Text(Bytes),
    /// These octets of the literal are given.
    Octets(Bytes),
    /// It is decoded further.
    Decode(Box<Decoding>),
}

/// A part that is being decoded.
pub(super) struct Decoding {
    uid: Uid,
    label: String,
    /// How far it is.
    at: Place,
    only_size: bool,
    /// The octets that are asked for.
    asked: Range<u64>,
    stage: Stage,
}

#[derive(Clone)]
struct Place {
    /// What of the message is not decoded yet.
    range: Range<u64>,
    decoder: Decoder,
    /// Octets that came out before.
    octets: u64,
}

enum Stage {
    /// It is counted; the last place before what is asked for, and whether there is NUL behind it.
    Counting { start: Place, has_nul: bool },
    /// So many octets are to be given.
    Giving { left: u64 },
}

impl Decoding {
    /// Where a part is and how it is decoded; none if the message has no such part, or if the
    /// encoding is not known.
    pub fn of(structure: &Structure, part: &[u32]) -> Option<(Range<u64>, Decoder)> {
        let range = structure.resolve(part, What::Whole)?;
        let decoder = match structure.part(part) {
            Some(part) => Decoder::of(part)?,
            None => Decoder::identity(),
        };
        Some((range, decoder))
    }

    pub fn new(
        uid: Uid,
        label: String,
        range: Range<u64>,
        decoder: Decoder,
        (partial, only_size): (Option<(u32, u32)>, bool),
    ) -> Self {
        let at = Place {
            range,
            decoder,
            octets: 0,
        };
        let asked =
            |(first, count): (u32, u32)| u64::from(first)..u64::from(first) + u64::from(count);
        Self {
            uid,
            label,
            only_size,
            asked: partial.map_or(0..u64::MAX, asked),
            stage: Stage::Counting {
                start: at.clone(),
                has_nul: false,
            },
            at,
        }
    }

    /// What is asked of the store.
    pub fn request(&self, mailbox: MailboxId) -> Request {
        Request::Decode {
            mailbox,
            uid: self.uid,
            range: self.at.range.clone(),
            decoder: self.at.decoder,
            only_size: matches!(self.stage, Stage::Counting { .. }),
        }
    }

    /// The store has decoded a piece: what is said now, and what is to be done then.
    pub fn decoded(
        mut self: Box<Self>,
        (rest, decoder): (Range<u64>, Decoder),
        (size, nul): (u64, bool),
        octets: Bytes,
    ) -> Vec<Next> {
        let before = self.at.octets;
        self.at = Place {
            range: rest,
            decoder,
            octets: before + size,
        };
        match &mut self.stage {
            Stage::Counting { start, has_nul } => {
                *has_nul |= nul && self.at.octets > self.asked.start;
                if self.at.octets <= self.asked.start {
                    *start = self.at.clone();
                }
                let is_enough = self.at.octets >= self.asked.end;
                if !self.at.range.is_empty() && !is_enough {
                    return vec![Next::Decode(self)];
                }
                if self.only_size {
                    let text = format!("{}{}", self.label, self.at.octets);
                    return vec![Next::Text(text.into())];
                }
                let end = self.asked.end.min(self.at.octets);
                let left = end.saturating_sub(self.asked.start);
                // RFC 3516 §4.3: so the client sees whether there is NUL in it.
                let tilde = if *has_nul { "~" } else { "" };
                let label = format!("{}{tilde}{{{left}}}\r\n", self.label);
                let mut segments = vec![Next::Text(label.into())];
                if left > 0 {
                    self.at = start.clone();
                    self.stage = Stage::Giving { left };
                    segments.push(Next::Decode(self));
                }
                segments
            }
            Stage::Giving { left } => {
                let skipped = self.asked.start.saturating_sub(before).min(size);
                let given = (size - skipped).min(*left);
                *left -= given;
                let octets = octets.slice(skipped as usize..(skipped + given) as usize);
                let is_done = *left == 0;
                let mut segments = vec![Next::Octets(octets)];
                if !is_done {
                    segments.push(Next::Decode(self));
                }
                segments
            }
        }
    }

    /// Whether nothing more can come out.
    pub fn is_at_end(&self) -> bool {
        self.at.range.is_empty() && matches!(self.stage, Stage::Giving { .. })
    }
}

/// The items without those of parts in an encoding that is not known, if there are any.
pub(super) fn without_unknown(message: &Message, items: &[FetchItem]) -> Option<Vec<FetchItem>> {
    let structure = message.structure.as_deref()?;
    let is_known = |item: &&FetchItem| match item {
        FetchItem::Binary { part, .. } | FetchItem::BinarySize(part) => {
            let part = structure.part(part);
            part.is_none_or(|part| Decoder::of(part).is_some())
        }
        _ => true,
    };
    let known: Vec<FetchItem> = items.iter().filter(is_known).cloned().collect();
    (known.len() < items.len()).then_some(known)
}
