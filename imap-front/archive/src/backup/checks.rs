//! What a record may say. A checksum tells that a record is as it was written, and not that a store
//! can hold what it says: backups come from elsewhere, too.

use std::sync::Arc;

use mail::metadata::EntryName;
use mail::{Flags, InternalDate, ModSeq, Uid};

use super::besides::EntryRecord;
use super::record::{MailboxRecord, MessageRecord, NameRecord, UserRecord};
use crate::elsewhere::is_keyword;

/// The highest mod-sequence. Clients may be told of twice as much (RFC 7162 §7), and no store gets
/// so far by itself.
pub const MODSEQ_MAX: ModSeq = ModSeq(1 << 62);
/// Keywords of a mailbox, or of a message.
const KEYWORDS_MAX: usize = 256;
/// Entries of an access control list.
const ACL_ENTRIES_MAX: usize = 1000;
/// Bytes of a name: of one's own, or of another's below that one's name.
const NAME_BYTES_MAX: usize = 4096;
/// Bytes of an account, or of who submitted a message.
const ACCOUNT_BYTES_MAX: usize = 1024;
/// Bytes of an entry's value.
const VALUE_BYTES_MAX: usize = 1 << 20;
/// Bytes of a message.
const SIZE_MAX: u64 = 1 << 40;
/// Seconds before or after 1970: 34,000 years.
const SECONDS_MAX: u64 = 1 << 40;
/// Minutes that a zone is off: RFC 3501 has two digits for hours, of which there are 24.
const ZONE_MAX: u16 = 24 * 60 - 1;

type Checked = Result<(), &'static str>;

fn must(is_right: bool, wrong: &'static str) -> Checked {
    match is_right {
        true => Ok(()),
        false => Err(wrong),
    }
}

fn is_text(text: &str, bytes_max: usize) -> bool {
    text.len() <= bytes_max && !text.chars().any(char::is_control)
}

pub(super) fn user(user: &UserRecord) -> Checked {
    let is_right = !user.account.is_empty() && is_text(&user.account, ACCOUNT_BYTES_MAX);
    must(is_right, "an account is none that there may be")
}

pub(super) fn name(name: &NameRecord) -> Checked {
    must(
        !name.name.is_empty() && name.name.len() <= NAME_BYTES_MAX,
        "a name is empty or too long",
    )?;
    name.mailbox.as_ref().map_or(Ok(()), mailbox)
}

fn mailbox(mailbox: &MailboxRecord) -> Checked {
    must(mailbox.uid_validity.0 != 0, "a mailbox has no UIDVALIDITY")?;
    must(mailbox.uid_next.0 != 0, "a mailbox has no UIDNEXT")?;
    must(
        mailbox.modseq <= MODSEQ_MAX && mailbox.acl_at <= mailbox.modseq,
        "a mailbox has a mod-sequence that none may have",
    )?;
    must(
        are_keywords(&mailbox.keywords),
        "a mailbox has keywords that none may have",
    )?;
    let account = |it: &Option<String>| {
        let is_right = |it: &String| !it.is_empty() && is_text(it, ACCOUNT_BYTES_MAX);
        it.as_ref().is_none_or(is_right)
    };
    must(
        mailbox.acl.len() <= ACL_ENTRIES_MAX && mailbox.acl.iter().all(|it| account(&it.account)),
        "a mailbox has an access control list that none may have",
    )
}

/// Whether an entry of metadata is one that a mailbox or the server can have.
///
/// # Errors
/// Why not.
pub fn entry(entry: &EntryRecord) -> Result<(), &'static str> {
    let account = entry.account.as_ref();
    let is_right = EntryName::new(entry.name.as_bytes())
        .is_ok_and(|name| !name.is_bare() && name.is_private() == account.is_some());
    let has_value = entry.value.len() <= VALUE_BYTES_MAX;
    let is_known = account.is_none_or(|it| !it.is_empty() && is_text(it, ACCOUNT_BYTES_MAX));
    must(
        is_right && has_value && is_known,
        "an entry of metadata is none that there may be",
    )
}

fn date(date: InternalDate) -> bool {
    date.unix_s.unsigned_abs() <= SECONDS_MAX && date.zone_min.unsigned_abs() <= ZONE_MAX
}

/// Whether a mailbox or a message may have these keywords.
pub fn are_keywords(words: &[Arc<str>]) -> bool {
    words.len() <= KEYWORDS_MAX && words.iter().all(|it| is_keyword(it))
}

/// Whether a message is one that a store can hold.
///
/// # Errors
/// Why not.
pub fn message(message: &MessageRecord) -> Result<(), &'static str> {
    must(
        are_keywords(message.flags.keywords()),
        "a message has keywords that none may have",
    )?;
    must(
        date(message.date) && message.saved_s <= SECONDS_MAX,
        "a message has a date that none may have",
    )?;
    must(
        message.created <= message.modseq && message.modseq <= MODSEQ_MAX,
        "a message has mod-sequences that none may have",
    )?;
    must(message.size <= SIZE_MAX, "a message is larger than any")?;
    let submitter = message.submitter.as_deref().unwrap_or_default();
    must(
        is_text(submitter, ACCOUNT_BYTES_MAX),
        "a message has a submitter who can be none",
    )
}

pub(super) fn flags(flags: &Flags, modseq: ModSeq) -> Checked {
    must(
        are_keywords(flags.keywords()) && modseq <= MODSEQ_MAX,
        "flags are such as no message may have",
    )
}

/// Ranges have to ascend, and none of them may touch another.
pub(super) fn ranges(ranges: &[(Uid, Uid)], last: Uid) -> Result<Uid, &'static str> {
    let mut last = last;
    for (first, end) in ranges {
        must(
            *first > last && first <= end,
            "UIDs that are gone are not in their order",
        )?;
        last = *end;
    }
    Ok(last)
}
