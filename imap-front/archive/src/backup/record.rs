//! What a backup is made of. The server sends its tools the same records.

use std::sync::Arc;

use bytes::Bytes;
use mail::{Flags, InternalDate, MailboxName, ModSeq, Rights, SpecialUse, Uid, UidValidity};

use super::besides::{EntryRecord, LimitsRecord};
use super::code::{Decoder, Encoder};

pub use super::code::Malformed;

/// The longest record, in bytes.
pub const RECORD_BYTES_MAX: usize = 4 << 20;
/// Bytes of a message in one record at most.
pub const PIECE_BYTES_MAX: usize = 64 << 10;
/// All system flags.
const SYSTEM_MAX: u8 = 31;
/// Kinds from this on may be passed over by who doesn't know them.
pub const MAY_BE_PASSED_OVER: u8 = 0x80;

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// What the backup is; the first.
    Header(Header),
    /// A user, by ascending numbers; what follows is theirs.
    User(UserRecord),
    /// A name of theirs; what follows is in its mailbox.
    Name(NameRecord),
    /// A message, by ascending UIDs.
    Message(MessageRecord),
    /// The next bytes of the message before.
    Piece(Bytes),
    /// A message that was there before has other flags.
    Flags(FlagsRecord),
    /// Messages that were there before have gone: first and last UIDs.
    Gone(Vec<(Uid, Uid)>),
    /// The last.
    End(Totals),
    /// Limits of the user.
    Limits(LimitsRecord),
    /// Metadata of the mailbox, or of the server.
    Entry(EntryRecord),
    /// The number that the body of the message that follows has in the store.
    Body(u64),
    /// What clients know the mailbox of the name before by.
    Object(u64),
    /// Something newer that may be passed over.
    Unknown(u8),
}

/// What a backup is of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// All users.
    #[default]
    All,
    /// One account.
    Account(String),
    /// One mailbox of an account.
    Mailbox(String, String),
}

impl Scope {
    /// Whether both are of the same: names of mailboxes may be spelt in several ways.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Mailbox(account, name), Self::Mailbox(other_account, other_name)) => {
                account == other_account && MailboxName::new(name) == MailboxName::new(other_name)
            }
            _ => self == other,
        }
    }
}

/// What a backup is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Its own mark.
    pub id: u128,
    /// The mark of the backup to which it adds; 0 if it stands alone.
    pub adds_to: u128,
    /// The mark of the store that it was made of.
    pub store: u128,
    /// The last commit that is in it.
    pub commit: u64,
    /// The last commit that is in the backup to which it adds.
    pub since: u64,
    /// When it was made, in seconds since 1970.
    pub made_s: u64,
    /// What it is of.
    pub scope: Scope,
    /// The version of the program that made it.
    pub program: String,
}

/// A user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserRecord {
    /// Their number in the store.
    pub number: u64,
    /// Their account.
    pub account: String,
}

/// A name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameRecord {
    /// The name.
    pub name: String,
    /// It exists; if not, it is only subscribed.
    pub exists: bool,
    /// It is subscribed.
    pub subscribed: bool,
    /// Its use attribute.
    pub special_use: Option<SpecialUse>,
    /// Its mailbox; none if it can't be selected.
    pub mailbox: Option<MailboxRecord>,
}

/// What a backup has of a mailbox's messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// All of them.
    #[default]
    Whole,
    /// What came, changed and went since the backup before.
    Since,
}

/// A mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailboxRecord {
    /// Its number in the store.
    pub id: u64,
    /// UIDVALIDITY.
    pub uid_validity: UidValidity,
    /// UIDNEXT.
    pub uid_next: Uid,
    /// HIGHESTMODSEQ.
    pub modseq: ModSeq,
    /// Messages from this UID on are recent.
    pub recent_from: Uid,
    /// How many messages it has.
    pub messages: u32,
    /// Their bytes.
    pub bytes: u64,
    /// Its keywords, in their places.
    pub keywords: Vec<Arc<str>>,
    /// When its access control list was last changed; 0 if it never had one.
    pub acl_at: ModSeq,
    /// Its access control list.
    pub acl: Vec<AclRecord>,
    /// What follows of it.
    pub content: Content,
    /// What clients know it by, which a record of its own tells; 0 if that is not known.
    pub object: u64,
}

/// An entry of an access control list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclRecord {
    /// The account of whom it is about; none is `anyone`.
    pub account: Option<String>,
    /// The rights are taken away.
    pub negative: bool,
    /// Which.
    pub rights: Rights,
}

/// A message, with its first bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageRecord {
    /// UID.
    pub uid: Uid,
    /// MODSEQ; 0 if it has none yet.
    pub modseq: ModSeq,
    /// The mod-sequence at which it came; 0 if it has none yet.
    pub created: ModSeq,
    /// Its flags.
    pub flags: Flags,
    /// Its internal date.
    pub date: InternalDate,
    /// When it came into the mailbox, in seconds since 1970; 0 if that is not known.
    pub saved_s: u64,
    /// Who submitted it, if that is known for certain.
    pub submitter: Option<Box<str>>,
    /// Its size in bytes.
    pub size: u64,
    /// The first of them.
    pub first: Bytes,
    /// The number of its body in the store that it comes from, which a record of its own tells; 0
    /// if that is not known.
    pub body: u64,
}

/// Flags that a message has now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlagsRecord {
    /// UID.
    pub uid: Uid,
    /// MODSEQ.
    pub modseq: ModSeq,
    /// Its flags.
    pub flags: Flags,
}

/// How much a backup holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Users.
    pub users: u64,
    /// Mailboxes.
    pub mailboxes: u64,
    /// Messages.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Flags that changed.
    pub flags: u64,
    /// Messages that went.
    pub gone: u64,
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

/// A kind of record.
mod kind {
    pub const HEADER: u8 = 1;
    pub const USER: u8 = 2;
    pub const NAME: u8 = 3;
    pub const MESSAGE: u8 = 4;
    pub const PIECE: u8 = 5;
    pub const FLAGS: u8 = 6;
    pub const GONE: u8 = 7;
    pub const END: u8 = 15;
    pub const LIMITS: u8 = super::MAY_BE_PASSED_OVER;
    pub const ENTRY: u8 = super::MAY_BE_PASSED_OVER + 1;
    pub const BODY: u8 = super::MAY_BE_PASSED_OVER + 2;
    pub const OBJECT: u8 = super::MAY_BE_PASSED_OVER + 3;
}

impl Record {
    /// The number of its kind.
    pub fn kind(&self) -> u8 {
        match self {
            Self::Header(_) => kind::HEADER,
            Self::User(_) => kind::USER,
            Self::Name(_) => kind::NAME,
            Self::Message(_) => kind::MESSAGE,
            Self::Piece(_) => kind::PIECE,
            Self::Flags(_) => kind::FLAGS,
            Self::Gone(_) => kind::GONE,
            Self::End(_) => kind::END,
            Self::Limits(_) => kind::LIMITS,
            Self::Entry(_) => kind::ENTRY,
            Self::Body(_) => kind::BODY,
            Self::Object(_) => kind::OBJECT,
            Self::Unknown(kind) => *kind,
        }
    }

    /// What stands in it.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Encoder::default();
        match self {
            Self::Header(header) => header.encode(&mut to),
            Self::User(user) => drop(to.u64(user.number).text(&user.account)),
            Self::Name(name) => name.encode(&mut to),
            Self::Message(message) => message.encode(&mut to),
            Self::Piece(bytes) => to.0.extend_from_slice(bytes),
            Self::Flags(changed) => {
                to.u32(changed.uid.0).u64(changed.modseq.0);
                encode_flags(&mut to, &changed.flags);
            }
            Self::Gone(ranges) => {
                to.u32(ranges.len() as u32);
                for (first, last) in ranges {
                    to.u32(first.0).u32(last.0);
                }
            }
            Self::End(totals) => {
                to.u64(totals.users)
                    .u64(totals.mailboxes)
                    .u64(totals.messages)
                    .u64(totals.bytes)
                    .u64(totals.flags)
                    .u64(totals.gone);
            }
            Self::Limits(limits) => limits.encode(&mut to),
            Self::Entry(entry) => entry.encode(&mut to),
            Self::Body(number) | Self::Object(number) => drop(to.u64(*number)),
            Self::Unknown(_) => {}
        }
        to.0
    }

    /// Reads one.
    ///
    /// # Errors
    /// If it does not have the form of its kind, or the kind is not known and can't be passed over.
    pub fn decode(kind: u8, bytes: Bytes) -> Result<Self, Malformed> {
        let mut from = Decoder(bytes);
        let record = match kind {
            kind::HEADER => Self::Header(Header::decode(&mut from)?),
            kind::USER => Self::User(UserRecord {
                number: from.u64()?,
                account: from.text()?,
            }),
            kind::NAME => Self::Name(NameRecord::decode(&mut from)?),
            kind::MESSAGE => Self::Message(MessageRecord::decode(&mut from)?),
            kind::PIECE => Self::Piece(std::mem::take(&mut from.0)),
            kind::FLAGS => Self::Flags(FlagsRecord {
                uid: Uid(from.u32()?),
                modseq: ModSeq(from.u64()?),
                flags: decode_flags(&mut from)?,
            }),
            kind::GONE => Self::Gone(from.list(|from| Ok((Uid(from.u32()?), Uid(from.u32()?))))?),
            kind::END => Self::End(Totals {
                users: from.u64()?,
                mailboxes: from.u64()?,
                messages: from.u64()?,
                bytes: from.u64()?,
                flags: from.u64()?,
                gone: from.u64()?,
            }),
            kind::LIMITS => Self::Limits(LimitsRecord::decode(&mut from)?),
            kind::ENTRY => Self::Entry(EntryRecord::decode(&mut from)?),
            kind::BODY => Self::Body(from.u64()?),
            kind::OBJECT => Self::Object(from.u64()?),
            kind if kind >= MAY_BE_PASSED_OVER => return Ok(Self::Unknown(kind)),
            _ => return Err(Malformed("its kind is not known")),
        };
        from.end()?;
        Ok(record)
    }
}

impl Header {
    fn encode(&self, to: &mut Encoder) {
        to.u128(self.id)
            .u128(self.adds_to)
            .u128(self.store)
            .u64(self.commit)
            .u64(self.since)
            .u64(self.made_s);
        match &self.scope {
            Scope::All => to.u8(0),
            Scope::Account(account) => to.u8(1).text(account),
            Scope::Mailbox(account, name) => to.u8(2).text(account).text(name),
        };
        to.text(&self.program);
    }

    fn decode(from: &mut Decoder) -> Result<Self, Malformed> {
        Ok(Self {
            id: from.u128()?,
            adds_to: from.u128()?,
            store: from.u128()?,
            commit: from.u64()?,
            since: from.u64()?,
            made_s: from.u64()?,
            scope: match from.u8()? {
                0 => Scope::All,
                1 => Scope::Account(from.text()?),
                2 => Scope::Mailbox(from.text()?, from.text()?),
                _ => return Err(Malformed("what it is of is not known")),
            },
            program: from.text()?,
        })
    }
}

impl NameRecord {
    fn encode(&self, to: &mut Encoder) {
        let index = |wanted| USES.iter().position(|have| *have == wanted);
        let special_use = self.special_use.and_then(index);
        to.text(&self.name)
            .u8(u8::from(self.exists) | u8::from(self.subscribed) << 1)
            .u8(special_use.map_or(0, |index| index as u8 + 1))
            .u8(u8::from(self.mailbox.is_some()));
        if let Some(mailbox) = &self.mailbox {
            mailbox.encode(to);
        }
    }

    fn decode(from: &mut Decoder) -> Result<Self, Malformed> {
        let name = from.text()?;
        let bits = from.u8()?;
        let special_use = match usize::from(from.u8()?) {
            0 => None,
            number => match USES.get(number - 1) {
                Some(special_use) => Some(*special_use),
                None => return Err(Malformed("its use attribute is not known")),
            },
        };
        Ok(Self {
            name,
            exists: bits & 1 != 0,
            subscribed: bits & 2 != 0,
            special_use,
            mailbox: match from.u8()? {
                0 => None,
                _ => Some(MailboxRecord::decode(from)?),
            },
        })
    }
}

impl MailboxRecord {
    fn encode(&self, to: &mut Encoder) {
        to.u64(self.id)
            .u32(self.uid_validity.0)
            .u32(self.uid_next.0)
            .u64(self.modseq.0)
            .u32(self.recent_from.0)
            .u32(self.messages)
            .u64(self.bytes)
            .u32(self.keywords.len() as u32);
        for keyword in &self.keywords {
            to.text(keyword);
        }
        to.u64(self.acl_at.0).u32(self.acl.len() as u32);
        for entry in &self.acl {
            let bits = u8::from(entry.negative) | u8::from(entry.account.is_some()) << 1;
            to.u8(bits)
                .u16(entry.rights.bits())
                .text(entry.account.as_deref().unwrap_or_default());
        }
        to.u8(match self.content {
            Content::Whole => 0,
            Content::Since => 1,
        });
    }

    fn decode(from: &mut Decoder) -> Result<Self, Malformed> {
        Ok(Self {
            id: from.u64()?,
            uid_validity: UidValidity(from.u32()?),
            uid_next: Uid(from.u32()?),
            modseq: ModSeq(from.u64()?),
            recent_from: Uid(from.u32()?),
            messages: from.u32()?,
            bytes: from.u64()?,
            keywords: from.list(|from| Ok(from.text()?.into()))?,
            acl_at: ModSeq(from.u64()?),
            acl: from.list(|from| {
                let (bits, rights) = (from.u8()?, from.u16()?);
                let account = from.text()?;
                Ok(AclRecord {
                    account: (bits & 2 != 0).then_some(account),
                    negative: bits & 1 != 0,
                    rights: Rights::from_bits(rights),
                })
            })?,
            content: match from.u8()? {
                0 => Content::Whole,
                1 => Content::Since,
                _ => return Err(Malformed("what follows of it is not known")),
            },
            object: 0,
        })
    }
}

fn encode_flags(to: &mut Encoder, flags: &Flags) {
    let keywords = flags.keywords();
    to.u8(flags.system_bits()).u32(keywords.len() as u32);
    for keyword in keywords {
        to.text(keyword);
    }
}

fn decode_flags(from: &mut Decoder) -> Result<Flags, Malformed> {
    let system = from.u8()?;
    if system > SYSTEM_MAX {
        return Err(Malformed("a flag is not known"));
    }
    let keywords = from.list(|from| Ok(Arc::<str>::from(from.text()?)))?;
    Ok(Flags::new(system, keywords))
}

impl MessageRecord {
    fn encode(&self, to: &mut Encoder) {
        to.u32(self.uid.0).u64(self.modseq.0).u64(self.created.0);
        encode_flags(to, &self.flags);
        to.u64(self.date.unix_s as u64)
            .u16(self.date.zone_min as u16)
            .u64(self.saved_s)
            .text(self.submitter.as_deref().unwrap_or_default())
            .u64(self.size)
            .bytes(&self.first);
    }

    fn decode(from: &mut Decoder) -> Result<Self, Malformed> {
        Ok(Self {
            uid: Uid(from.u32()?),
            modseq: ModSeq(from.u64()?),
            created: ModSeq(from.u64()?),
            flags: decode_flags(from)?,
            date: InternalDate {
                unix_s: from.u64()? as i64,
                zone_min: from.u16()? as i16,
            },
            saved_s: from.u64()?,
            submitter: Some(from.text()?)
                .filter(|it| !it.is_empty())
                .map(Into::into),
            size: from.u64()?,
            first: from.bytes()?,
            body: 0,
        })
    }
}

#[cfg(test)]
mod tests;
