//! What tools ask of backups, restores and imports.

use std::sync::Arc;

use mail::{MailboxId, ModSeq, ObjectId, QuotaLimits, Rights, SpecialUse, Uid, UidValidity};
use serde_json::Value;

use super::Failed;

/// A question, by its `ask`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Question {
    /// `freeze`: what is asked from now on is as of the last commit; it may be for a backup, which
    /// may add to another.
    Freeze(Freeze),
    /// `identity`: the mark that this store has, and no other.
    Identity,
    /// `frozen-server`: metadata of the server that all share.
    Server,
    /// `frozen-user`: a user and their names; the one with the lowest number after one, or one of
    /// an account.
    User { account: Option<String>, after: u64 },
    /// `usage`: what the user with the lowest number after one has, and may have.
    Usage { after: u64 },
    /// `frozen-messages`: what is in a mailbox, or what happened since it had this mod-sequence and
    /// this UIDNEXT.
    Messages {
        mailbox: MailboxId,
        since: Option<(ModSeq, Uid)>,
    },
    /// `put-user`: an account is to be known, with limits that were set by SETQUOTA.
    PutUser {
        account: String,
        limits: Option<store::put::SetLimits>,
    },
    /// `put-entries`: metadata of a mailbox that is being filled, or of the server; records
    /// follow.
    PutEntries {
        mailbox: Option<MailboxId>,
        bytes: u64,
    },
    /// `put-mailbox`: a mailbox is to be made.
    PutMailbox(Box<Mailbox>),
    /// `put-messages`: messages are to be put into it; records follow.
    PutMessages(Messages),
    /// `put-have`: which of some messages a mailbox lacks, told by UID, size and Message-ID.
    PutHave(Have),
    /// `put-place`: it gets its name.
    PutPlace(Box<store::put::Placing>),
    /// `put-abandon`: it is not wanted any more.
    PutAbandon { mailbox: MailboxId },
    /// `expire`: messages of a mailbox are removed, or counted.
    Expire(Box<Expire>),
    /// `put-name`: what a name is besides its mailbox.
    PutName(Box<Name>),
}

/// What is frozen for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Freeze {
    pub is_for_backup: bool,
    /// The mark of the backup to which another is to add.
    pub since: Option<u128>,
}

/// A mailbox to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Mailbox {
    pub account: String,
    pub name: String,
    pub uid_validity: Option<UidValidity>,
    /// UIDNEXT there.
    pub uid_next: Uid,
    pub keywords: Vec<Arc<str>>,
    /// What clients knew it by, if that is known.
    pub object: Option<ObjectId>,
}

/// Messages that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Messages {
    pub mailbox: MailboxId,
    /// The mailbox has no name yet, and so no other messages.
    pub is_new: bool,
    /// UIDs mean the same in the mailbox that is there.
    pub same_uids: bool,
    pub bytes: u64,
}

/// Messages that may be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Have {
    pub mailbox: MailboxId,
    pub same_uids: bool,
    pub list: Vec<(Uid, u64, Option<String>)>,
}

/// Which messages are to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Expire {
    /// Whose, and what they call the mailbox: for the log.
    pub account: String,
    pub name: String,
    pub mailbox: MailboxId,
    /// They came before this, in seconds.
    pub before_s: Option<i64>,
    /// They have more bytes.
    pub larger: Option<u64>,
    pub flag: Option<String>,
    /// Those with `\Flagged` too.
    pub takes_flagged: bool,
    /// They are only counted.
    pub is_trial: bool,
}

/// A name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Name {
    pub account: String,
    pub name: String,
    pub exists: bool,
    pub subscribed: bool,
    pub special_use: Option<SpecialUse>,
}

/// Use attributes as the protocol has them.
pub(super) const USES: [(&str, SpecialUse); 7] = [
    ("\\All", SpecialUse::All),
    ("\\Archive", SpecialUse::Archive),
    ("\\Drafts", SpecialUse::Drafts),
    ("\\Flagged", SpecialUse::Flagged),
    ("\\Junk", SpecialUse::Junk),
    ("\\Sent", SpecialUse::Sent),
    ("\\Trash", SpecialUse::Trash),
];

/// The fields of a question.
struct Fields<'a>(&'a Value);

impl Fields<'_> {
    fn text(&self, name: &str) -> Option<String> {
        self.0[name].as_str().map(str::to_owned)
    }

    fn must(&self, name: &str) -> Result<String, Failed> {
        let missing = || Failed(format!("{name:?} is missing"));
        self.text(name).ok_or_else(missing)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.0[name].as_u64()
    }

    fn small(&self, name: &str) -> Option<u32> {
        self.number(name).and_then(|it| u32::try_from(it).ok())
    }

    fn must_number(&self, name: &str) -> Result<u64, Failed> {
        let missing = || Failed(format!("{name:?} is missing"));
        self.number(name).ok_or_else(missing)
    }

    fn mailbox(&self) -> Result<MailboxId, Failed> {
        self.must_number("mailbox").map(MailboxId)
    }

    fn is(&self, name: &str) -> bool {
        self.0[name].as_bool().unwrap_or(false)
    }

    fn list(&self, name: &str) -> impl Iterator<Item = &Value> {
        self.0[name].as_array().into_iter().flatten()
    }
}

impl Question {
    /// Reads a question; none if it is about something else.
    pub fn read(ask: &str, value: &Value) -> Result<Option<Self>, Failed> {
        let fields = Fields(value);
        Ok(Some(match ask {
            "freeze" => Self::Freeze(Freeze {
                is_for_backup: fields.is("backup"),
                since: fields
                    .text("since")
                    .map(|since| u128::from_str_radix(&since, 16))
                    .transpose()?,
            }),
            "frozen-server" => Self::Server,
            "identity" => Self::Identity,
            "frozen-user" => Self::User {
                account: fields.text("account"),
                after: fields.number("after").unwrap_or(0),
            },
            "usage" => Self::Usage {
                after: fields.number("after").unwrap_or(0),
            },
            "frozen-messages" => Self::Messages {
                mailbox: fields.mailbox()?,
                since: match (fields.number("since"), fields.small("uidnext")) {
                    (Some(since), Some(next)) => Some((ModSeq(since), Uid(next))),
                    _ => None,
                },
            },
            "expire" => Self::Expire(Box::new(Expire {
                account: fields.must("account")?,
                name: fields.must("name")?,
                mailbox: fields.mailbox()?,
                before_s: value["before"].as_i64(),
                larger: fields.number("larger"),
                flag: fields.text("flag"),
                takes_flagged: fields.is("flagged"),
                is_trial: fields.is("trial"),
            })),
            _ => return Self::read_put(ask, value),
        }))
    }

    /// Reads a question by which something is put.
    fn read_put(ask: &str, value: &Value) -> Result<Option<Self>, Failed> {
        let fields = Fields(value);
        Ok(Some(match ask {
            "put-user" => Self::PutUser {
                account: fields.must("account")?,
                limits: value.get("limits").map(set_limits),
            },
            "put-entries" => Self::PutEntries {
                mailbox: fields.number("mailbox").map(MailboxId),
                bytes: fields.must_number("bytes")?,
            },
            "put-mailbox" => Self::PutMailbox(Box::new(Mailbox {
                account: fields.must("account")?,
                name: fields.must("name")?,
                uid_validity: fields.small("uidvalidity").map(UidValidity),
                uid_next: fields.small("uidnext").map_or(Uid(u32::MAX), Uid),
                keywords: fields
                    .list("keywords")
                    .filter_map(|it| it.as_str().map(Arc::from))
                    .collect(),
                object: fields.number("object").map(ObjectId),
            })),
            "put-messages" => Self::PutMessages(Messages {
                mailbox: fields.mailbox()?,
                is_new: fields.is("new"),
                same_uids: fields.is("sameuids"),
                bytes: fields.must_number("bytes")?,
            }),
            "put-have" => Self::PutHave(Have {
                mailbox: fields.mailbox()?,
                same_uids: fields.is("sameuids"),
                list: fields
                    .list("list")
                    .map(|it| {
                        let uid = it[0].as_u64().and_then(|uid| u32::try_from(uid).ok());
                        let id = it[2].as_str().map(str::to_owned);
                        (Uid(uid.unwrap_or(0)), it[1].as_u64().unwrap_or(0), id)
                    })
                    .collect(),
            }),
            "put-place" => Self::PutPlace(Box::new(store::put::Placing {
                mailbox: fields.mailbox()?,
                uid_next: Uid(fields.small("uidnext").unwrap_or(1)),
                modseq: ModSeq(fields.number("modseq").unwrap_or(1)),
                recent_from: Uid(fields.small("recentfrom").unwrap_or(1)),
                acl_at: ModSeq(fields.number("aclat").unwrap_or(0)),
                acl: value["acl"]
                    .is_array()
                    .then(|| fields.list("acl").map(acl_entry).collect()),
            })),
            "put-abandon" => Self::PutAbandon {
                mailbox: fields.mailbox()?,
            },
            "put-name" => {
                let wanted = fields.text("use");
                let special_use = USES
                    .into_iter()
                    .find(|(name, _)| wanted.as_deref() == Some(*name));
                Self::PutName(Box::new(Name {
                    account: fields.must("account")?,
                    name: fields.must("name")?,
                    exists: fields.is("exists"),
                    subscribed: fields.is("subscribed"),
                    special_use: special_use.map(|(_, it)| it),
                }))
            }
            _ => return Ok(None),
        }))
    }
}

/// Limits that were set by SETQUOTA: bytes, messages, mailboxes; and what the directory had said.
fn set_limits(value: &Value) -> store::put::SetLimits {
    let told = |place: usize| value[place].as_u64();
    store::put::SetLimits {
        limits: QuotaLimits {
            bytes: told(0),
            messages: told(1),
            mailboxes: told(2),
        },
        instead_of: store::Quota {
            bytes: told(3).unwrap_or(0),
            messages: told(4).unwrap_or(0),
        },
    }
}

/// An entry of an access control list: the account, whether it takes away, the bits of its rights.
fn acl_entry(value: &Value) -> (Option<String>, bool, Rights) {
    (
        value[0].as_str().map(str::to_owned),
        value[1].as_bool().unwrap_or(false),
        Rights::from_bits(value[2].as_u64().unwrap_or(0) as u16),
    )
}
