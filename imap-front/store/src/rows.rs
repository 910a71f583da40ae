//! The rows' encodings: a version byte, then fields in order; numbers little-endian, texts with a
//! 32-bit length.

use std::sync::Arc;

use bytes::Bytes;
use mail::SpecialUse;
use mail::{
    Flags, InternalDate, MailboxId, ModSeq, ObjectId, SystemFlag, Uid, UidValidity, UserId,
};

use crate::Error;
use crate::notification::Counts;

const VERSION: u8 = 1;

mod access_key;
mod account;
mod acl;
mod metadata;

pub(crate) use access_key::AccessKeyRow;
pub(crate) use account::{Account, SetQuota};
pub(crate) use acl::AclRow;
pub(crate) use metadata::MetadataRow;

/// A mailbox name of a user. A row without mailbox and subscription is not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Name {
    /// None: only subscribed.
    pub exists: bool,
    /// None: `\Noselect`.
    pub mailbox: Option<MailboxId>,
    pub subscribed: bool,
    pub special_use: Option<SpecialUse>,
}

/// A mailbox's figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mailbox {
    pub user: UserId,
    pub uid_validity: UidValidity,
    pub uid_next: Uid,
    pub modseq: ModSeq,
    pub messages: u32,
    pub unseen: u32,
    /// Messages with `\\Deleted`.
    pub deleted: u32,
    /// Messages with both `\\Seen` and `\\Deleted`.
    pub seen_deleted: u32,
    pub size: u64,
    /// Bytes of messages with `\\Deleted`: none if there are no such messages, or they are from
    /// before this was counted.
    pub deleted_bytes: Option<u64>,
    /// Messages from this UID on were not claimed as recent.
    pub recent_from: Uid,
    pub keywords: Vec<Arc<str>>,
    /// UIDs of a COPY that is being prepared, end excluded. Rows from `uid_next` on are not seen.
    pub staging: Option<(Uid, Uid)>,
    /// What was published in one piece: rows of a batch say 0 instead of its mod-sequence.
    pub batches: Vec<Batch>,
    /// What was expunged up to here is not known any more.
    pub horizon: ModSeq,
    /// When the keywords last got a new one, or [`Mailbox::UNTOLD`].
    pub keywords_at: ModSeq,
    /// When its access control list was last changed; 0 if it never had one.
    pub acl_at: ModSeq,
    /// When somebody last gave up their key for it, and who; see [`mail::Change::SEVERAL`].
    pub key_reset: Option<(ModSeq, UserId)>,
    /// What clients know it by, if another mailbox had that before: it was restored.
    pub object: Option<ObjectId>,
}

/// Messages that came by one large COPY.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    pub first: Uid,
    /// Excluded.
    pub end: Uid,
    pub modseq: ModSeq,
}

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MessageRow {
    pub modseq: ModSeq,
    pub created: ModSeq,
    pub system: u8,
    /// Places in the mailbox's keywords.
    pub keywords: Vec<u8>,
    pub date: InternalDate,
    /// When it came into the mailbox, in seconds; 0 if it came by a version that did not note it.
    pub saved_s: u64,
    pub size: u64,
    pub body: u64,
    /// Who submitted it, if that is known for certain.
    pub submitter: Option<Box<str>>,
}

/// In the place of the bytes of messages with `\\Deleted`, if those are not counted.
const NOT_COUNTED: u64 = u64::MAX;

/// The bits of a message that was read and then marked for deletion.
const SEEN_DELETED: u8 = SystemFlag::Seen as u8 | SystemFlag::Deleted as u8;

impl Mailbox {
    /// There are new keywords of which no event has told yet: the next one does.
    pub const UNTOLD: ModSeq = ModSeq(u64::MAX);

    /// Rows of messages, about, with those that are staged.
    pub fn rows(&self) -> u32 {
        let staged = self.staging.map_or(0, |(first, end)| end.0 - first.0);
        self.messages.saturating_add(staged)
    }

    /// The figures for those who notify others.
    pub fn counts(&self) -> Counts {
        Counts {
            messages: self.messages,
            seen: self.messages.saturating_sub(self.unseen),
            deleted: self.deleted,
            seen_deleted: self.seen_deleted,
            uid_validity: self.uid_validity,
            last_uid: Uid(self.uid_next.0.saturating_sub(1)),
        }
    }

    /// A message's row with the mod-sequences of its batch, if it has none of its own.
    pub fn resolved(&self, uid: Uid, mut row: MessageRow) -> MessageRow {
        if row.is_of_a_batch()
            && let Some(batch) = self
                .batches
                .iter()
                .find(|batch| batch.first <= uid && uid < batch.end)
        {
            (row.created, row.modseq) = (batch.modseq, batch.modseq);
        }
        row
    }

    /// Counts a message in.
    pub fn add(&mut self, message: &MessageRow) {
        self.messages += 1;
        self.size += message.size;
        self.add_flags(message);
    }

    /// Counts all messages of some figures in.
    pub fn absorb(&mut self, figures: &Self) {
        let bytes = self.deleted_bytes().zip(figures.deleted_bytes());
        self.deleted_bytes = bytes.map(|(bytes, more)| bytes + more);
        self.messages += figures.messages;
        self.unseen += figures.unseen;
        self.deleted += figures.deleted;
        self.seen_deleted += figures.seen_deleted;
        self.size += figures.size;
        self.forget_deleted_bytes();
    }

    /// Counts a message out.
    pub fn subtract(&mut self, message: &MessageRow) {
        self.messages = self.messages.saturating_sub(1);
        self.size = self.size.saturating_sub(message.size);
        self.subtract_flags(message);
    }

    /// Counts a message's flags in.
    pub fn add_flags(&mut self, message: &MessageRow) {
        if message.is_deleted() {
            self.deleted_bytes = self.deleted_bytes().map(|bytes| bytes + message.size);
        }
        self.unseen += u32::from(message.system & SystemFlag::Seen as u8 == 0);
        self.deleted += u32::from(message.system & SystemFlag::Deleted as u8 != 0);
        self.seen_deleted += u32::from(message.system & SEEN_DELETED == SEEN_DELETED);
    }

    /// Counts a message's flags out.
    pub fn subtract_flags(&mut self, message: &MessageRow) {
        let unseen = u32::from(message.system & SystemFlag::Seen as u8 == 0);
        let deleted = u32::from(message.system & SystemFlag::Deleted as u8 != 0);
        self.unseen = self.unseen.saturating_sub(unseen);
        self.deleted = self.deleted.saturating_sub(deleted);
        let both = u32::from(message.system & SEEN_DELETED == SEEN_DELETED);
        self.seen_deleted = self.seen_deleted.saturating_sub(both);
        if message.is_deleted() {
            self.deleted_bytes = self.deleted_bytes.map(|it| it.saturating_sub(message.size));
        }
        self.forget_deleted_bytes();
    }

    /// Bytes of messages with `\\Deleted`, if they are counted.
    pub fn deleted_bytes(&self) -> Option<u64> {
        match self.deleted {
            0 => Some(0),
            _ => self.deleted_bytes,
        }
    }

    fn forget_deleted_bytes(&mut self) {
        self.deleted_bytes = self.deleted_bytes.filter(|_| self.deleted > 0);
    }
}

impl MessageRow {
    pub fn is_deleted(&self) -> bool {
        self.system & SystemFlag::Deleted as u8 != 0
    }

    /// It has no mod-sequence of its own: it is staged, or came with a batch.
    pub fn is_of_a_batch(&self) -> bool {
        self.created == ModSeq(0)
    }

    pub fn flags(&self, mailbox: &Mailbox) -> Flags {
        let keyword = |&index: &u8| mailbox.keywords.get(usize::from(index)).cloned();
        Flags::new(self.system, self.keywords.iter().filter_map(keyword))
    }
}

pub(crate) fn u64_row(bytes: &[u8]) -> Result<u64, Error> {
    let bytes: [u8; 8] = bytes
        .try_into()
        .map_err(|_| damaged("meta", "not a number"))?;
    Ok(u64::from_be_bytes(bytes))
}

fn damaged(space: &'static str, what: &'static str) -> Error {
    Error::Damaged { space, what }
}

struct RowEncoder(Vec<u8>);

impl RowEncoder {
    fn new() -> Self {
        Self(vec![VERSION])
    }

    fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn u64(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn bytes(self, value: &[u8]) -> Self {
        let mut encoder = self.u32(value.len() as u32);
        encoder.0.extend_from_slice(value);
        encoder
    }

    fn done(self) -> Bytes {
        self.0.into()
    }
}

struct RowDecoder<'a> {
    rest: &'a [u8],
    space: &'static str,
}

impl<'a> RowDecoder<'a> {
    fn new(space: &'static str, bytes: &'a [u8]) -> Result<Self, Error> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => Ok(Self { rest, space }),
            _ => Err(damaged(space, "written by another version")),
        }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return Err(damaged(self.space, "too short"));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    fn u8(&mut self) -> Result<u8, Error> {
        Ok(self.take(1)?[0])
    }

    fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(
            self.take(4)?.try_into().expect("took 4"),
        ))
    }

    fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(
            self.take(8)?.try_into().expect("took 8"),
        ))
    }

    fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let len = self.u32()? as usize;
        self.take(len)
    }

    fn text(&mut self) -> Result<&'a str, Error> {
        std::str::from_utf8(self.bytes()?).map_err(|_| damaged(self.space, "not UTF-8"))
    }
}

const USES: [SpecialUse; 7] = [
    SpecialUse::All,
    SpecialUse::Archive,
    SpecialUse::Drafts,
    SpecialUse::Flagged,
    SpecialUse::Junk,
    SpecialUse::Sent,
    SpecialUse::Trash,
];

impl Name {
    pub fn encode(&self) -> Bytes {
        let index = |wanted| USES.iter().position(|have| *have == wanted);
        let special_use = self
            .special_use
            .and_then(index)
            .map_or(0, |index| index as u8 + 1);
        RowEncoder::new()
            .u8(u8::from(self.exists) | u8::from(self.subscribed) << 1)
            .u64(self.mailbox.unwrap_or_default().0)
            .u8(special_use)
            .done()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut decoder = RowDecoder::new("names", bytes)?;
        let bits = decoder.u8()?;
        let mailbox = decoder.u64()?;
        let special_use = usize::from(decoder.u8()?);
        Ok(Self {
            exists: bits & 1 != 0,
            subscribed: bits & 2 != 0,
            mailbox: (mailbox != 0).then_some(MailboxId(mailbox)),
            special_use: special_use
                .checked_sub(1)
                .and_then(|index| USES.get(index).copied()),
        })
    }
}

impl Mailbox {
    pub fn encode(&self) -> Bytes {
        let encoder = RowEncoder::new()
            .u64(self.user.0)
            .u32(self.uid_validity.0)
            .u32(self.uid_next.0)
            .u64(self.modseq.0)
            .u32(self.messages)
            .u32(self.unseen)
            .u32(self.deleted)
            .u32(self.seen_deleted)
            .u64(self.size)
            .u32(self.recent_from.0)
            .u32(self.keywords.len() as u32);
        let encoder = self
            .keywords
            .iter()
            .fold(encoder, |encoder, word| encoder.bytes(word.as_bytes()));
        let is_usual = self.staging.is_none()
            && self.batches.is_empty()
            && self.horizon == ModSeq(0)
            && self.keywords_at == ModSeq(0)
            && self.acl_at == ModSeq(0)
            && self.key_reset.is_none()
            && self.object.is_none()
            && (self.deleted == 0 || self.deleted_bytes.is_none());
        if is_usual {
            return encoder.done();
        }
        let (first, end) = self.staging.unwrap_or_default();
        let encoder = encoder
            .u32(first.0)
            .u32(end.0)
            .u32(self.batches.len() as u32);
        let batch = |encoder: RowEncoder, batch: &Batch| {
            encoder
                .u32(batch.first.0)
                .u32(batch.end.0)
                .u64(batch.modseq.0)
        };
        let encoder = self.batches.iter().fold(encoder, batch);
        let encoder = encoder.u64(self.horizon.0).u64(self.keywords_at.0);
        let encoder = encoder.u64(self.acl_at.0);
        let deleted_bytes = self.deleted_bytes.filter(|_| self.deleted > 0);
        let (key_reset, object) = (self.key_reset, self.object);
        if deleted_bytes.is_none() && key_reset.is_none() && object.is_none() {
            return encoder.done();
        }
        let encoder = encoder.u64(deleted_bytes.unwrap_or(NOT_COUNTED));
        if key_reset.is_none() && object.is_none() {
            return encoder.done();
        }
        let (at, user) = key_reset.unwrap_or_default();
        let encoder = encoder.u64(at.0).u64(user.0);
        match object {
            None => encoder.done(),
            Some(object) => encoder.u64(object.0).done(),
        }
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut decoder = RowDecoder::new("mailboxes", bytes)?;
        let mut mailbox = Self {
            user: UserId(decoder.u64()?),
            uid_validity: UidValidity(decoder.u32()?),
            uid_next: Uid(decoder.u32()?),
            modseq: ModSeq(decoder.u64()?),
            messages: decoder.u32()?,
            unseen: decoder.u32()?,
            deleted: decoder.u32()?,
            seen_deleted: decoder.u32()?,
            size: decoder.u64()?,
            recent_from: Uid(decoder.u32()?),
            ..Self::default()
        };
        for _ in 0..decoder.u32()? {
            mailbox.keywords.push(decoder.text()?.into());
        }
        // What follows is rare.
        if decoder.is_at_end() {
            return Ok(mailbox);
        }
        let staging = (Uid(decoder.u32()?), Uid(decoder.u32()?));
        mailbox.staging = (staging.1.0 != 0).then_some(staging);
        for _ in 0..decoder.u32()? {
            mailbox.batches.push(Batch {
                first: Uid(decoder.u32()?),
                end: Uid(decoder.u32()?),
                modseq: ModSeq(decoder.u64()?),
            });
        }
        // Version 0.1 wrote no more than that.
        if !decoder.is_at_end() {
            mailbox.horizon = ModSeq(decoder.u64()?);
        }
        if !decoder.is_at_end() {
            mailbox.keywords_at = ModSeq(decoder.u64()?);
        }
        if !decoder.is_at_end() {
            mailbox.acl_at = ModSeq(decoder.u64()?);
        }
        if !decoder.is_at_end() {
            mailbox.deleted_bytes = Some(decoder.u64()?).filter(|bytes| *bytes != NOT_COUNTED);
            mailbox.forget_deleted_bytes();
        }
        if !decoder.is_at_end() {
            let (at, user) = (ModSeq(decoder.u64()?), UserId(decoder.u64()?));
            mailbox.key_reset = (at != ModSeq(0)).then_some((at, user));
        }
        if !decoder.is_at_end() {
            mailbox.object = Some(ObjectId(decoder.u64()?));
        }
        Ok(mailbox)
    }
}

impl MessageRow {
    pub fn encode(&self) -> Bytes {
        let encoder = RowEncoder::new()
            .u64(self.modseq.0)
            .u64(self.created.0)
            .u8(self.system)
            .u64(self.date.unix_s as u64)
            .u32(u32::from(self.date.zone_min as u16))
            .u64(self.size)
            .u64(self.body)
            .bytes(&self.keywords);
        if self.submitter.is_none() && self.saved_s == 0 {
            return encoder.done();
        }
        let submitter = self.submitter.as_deref().unwrap_or_default();
        encoder.bytes(submitter.as_bytes()).u64(self.saved_s).done()
    }

    /// When it came into the mailbox, if that is known.
    pub fn saved(&self) -> Option<InternalDate> {
        let unix_s = i64::try_from(self.saved_s).ok().filter(|at| *at != 0)?;
        let zone_min = 0;
        Some(InternalDate { unix_s, zone_min })
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut decoder = RowDecoder::new("messages", bytes)?;
        let mut row = Self {
            modseq: ModSeq(decoder.u64()?),
            created: ModSeq(decoder.u64()?),
            system: decoder.u8()?,
            date: InternalDate {
                unix_s: decoder.u64()? as i64,
                zone_min: decoder.u32()? as u16 as i16,
            },
            size: decoder.u64()?,
            body: decoder.u64()?,
            keywords: decoder.bytes()?.to_vec(),
            ..Self::default()
        };
        if !decoder.is_at_end() {
            let submitter = decoder.text()?;
            row.submitter = (!submitter.is_empty()).then(|| submitter.into());
            row.saved_s = decoder.u64()?;
        }
        Ok(row)
    }
}

/// A message that was expunged, as it was then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    pub message: MessageRow,
    /// Its keywords: their places in the mailbox's list may be given to others.
    pub keywords: Vec<Arc<str>>,
    /// When it went.
    pub gone: ModSeq,
    /// Bytes that it counts for among all that is kept.
    pub cost: u64,
}

impl Kept {
    pub fn flags(&self) -> Flags {
        Flags::new(self.message.system, self.keywords.iter().cloned())
    }

    pub fn encode(&self) -> Bytes {
        let encoder = RowEncoder::new()
            .bytes(&self.message.encode())
            .u64(self.gone.0)
            .u64(self.cost);
        let word = |encoder: RowEncoder, word: &Arc<str>| encoder.bytes(word.as_bytes());
        self.keywords.iter().fold(encoder, word).done()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut decoder = RowDecoder::new("kept", bytes)?;
        let mut kept = Self {
            message: MessageRow::decode(decoder.bytes()?)?,
            keywords: vec![],
            gone: ModSeq(decoder.u64()?),
            cost: decoder.u64()?,
        };
        while !decoder.is_at_end() {
            kept.keywords.push(decoder.text()?.into());
        }
        Ok(kept)
    }
}

#[cfg(test)]
mod tests;
