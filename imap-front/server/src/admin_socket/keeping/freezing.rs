//! What a backup reads: the store as of one commit.

use archive::backup::besides::{EntryRecord, LimitsRecord};
use archive::backup::record::{
    AclRecord, Content, FlagsRecord, MailboxRecord, MessageRecord, NameRecord, Record, UserRecord,
};
use mail::{MailboxId, ModSeq, Uid, UserId};
use serde_json::json;
use store::frozen::{Frozen, FrozenMailbox, FrozenMessage, FrozenMetadata, FrozenName};
use store::put::Put;

use super::super::{Failed, Tool, note_act};
use super::asked::Freeze;
use super::{Keeper, Sending};
use crate::mark;

/// Messages that are looked at in one piece.
const SLICE: usize = 128;
/// Ranges of UIDs in one record.
const RANGES_MAX: usize = 64 << 10;
/// How far who reads a whole store gives way to those who serve, as `nice` has it.
const NICE: i32 = 10;

impl Keeper {
    /// What is asked from now on is as of the last commit. A backup that is made of it is noted
    /// behind that commit: if the store ever goes back to before the note, nothing is added to it.
    pub(super) fn freeze(&self, freeze: Freeze, tool: &mut Tool) -> Result<u64, Failed> {
        // If it is not permitted, the scheduler shares as it does.
        let _ = rustix::process::nice(NICE);
        let (frozen, identity) = self.marked()?;
        let backup = mark::new();
        let before = match freeze.since {
            Some(since) => frozen.backed_up(since)?,
            None => None,
        };
        if freeze.is_for_backup {
            self.put(Put::Backup(backup, frozen.commit()))?;
        }
        tool.say(&json!({
            "commit": frozen.commit(),
            "identity": format!("{identity:032x}"),
            "id": format!("{backup:032x}"),
            "since": before,
        }))?;
        tool.held.frozen = Some(frozen);
        note_act("freeze", "", None, tool.uid);
        Ok(1)
    }

    /// Tells the mark that this store has, and no other.
    pub(super) fn identity(&self, tool: &mut Tool) -> Result<u64, Failed> {
        let (_, identity) = self.marked()?;
        tool.say(&json!({ "identity": format!("{identity:032x}") }))?;
        Ok(1)
    }

    /// The store as of the last commit, and its mark.
    fn marked(&self) -> Result<(Frozen, u128), Failed> {
        let frozen = self.store.freeze()?;
        let unmarked = || {
            Failed(
                "the store has no mark, as its disk was full when it was opened: make room and \
                 open it again"
                    .into(),
            )
        };
        let identity = frozen.identity().ok_or_else(unmarked)?;
        Ok((frozen, identity))
    }
}

impl Keeper {
    /// Tells a user, what they have, and what they may have. Gives how many users that are.
    pub(super) fn usage(&self, tool: &mut Tool, after: u64) -> Result<u64, Failed> {
        frozen(tool, |frozen, tool| {
            let Some(found) = frozen.user_after(UserId(after))? else {
                return Ok(0);
            };
            let (used, quota) = self.store.usage(found.user)?;
            let limit = |limit: u64| (limit != 0).then_some(limit);
            tool.say(&json!({
                "usedbytes": used.bytes,
                "quotabytes": limit(quota.bytes),
                "usedmessages": used.messages,
                "quotamessages": limit(quota.messages),
            }))?;
            let mut sending = Sending::default();
            let (number, account) = (found.user.0, found.account);
            sending.add(&Record::User(UserRecord { number, account }), tool)?;
            sending.send(tool)?;
            Ok(1)
        })
    }
}

/// Takes the frozen store out of what is held for a tool, and puts it back afterwards.
fn frozen<T>(
    tool: &mut Tool,
    work: impl FnOnce(&Frozen, &mut Tool) -> Result<T, Failed>,
) -> Result<T, Failed> {
    let frozen = tool.held.frozen.take();
    let frozen = frozen.ok_or_else(|| Failed("nothing was frozen before".into()))?;
    let done = work(&frozen, tool);
    tool.held.frozen = Some(frozen);
    done
}

/// Tells a user and their names. Gives how many users that are.
pub(super) fn user(tool: &mut Tool, account: Option<&str>, after: u64) -> Result<u64, Failed> {
    frozen(tool, |frozen, tool| {
        let found = match account {
            Some(account) => frozen.user(account)?.map(|user| (user, account.to_owned())),
            None => frozen
                .user_after(UserId(after))?
                .map(|found| (found.user, found.account)),
        };
        let Some((user, account)) = found else {
            return Ok(0);
        };
        let mut sending = Sending::default();
        let number = user.0;
        sending.add(&Record::User(UserRecord { number, account }), tool)?;
        if let Some(set) = frozen.limits(user)? {
            let mail::QuotaLimits {
                bytes,
                messages,
                mailboxes,
            } = set.limits;
            let limits = LimitsRecord {
                limits: [bytes, messages, mailboxes],
                instead_of: [set.instead_of.bytes, set.instead_of.messages],
            };
            sending.add(&Record::Limits(limits), tool)?;
        }
        send_entries(frozen.server_entries(Some(user))?, &mut sending, tool)?;
        for name in frozen.names(user)? {
            let mailbox = name.mailbox.as_ref().map(|it| (it.id, it.object));
            sending.add(&Record::Name(name_record(name)), tool)?;
            if let Some((mailbox, object)) = mailbox {
                sending.add(&Record::Object(object.0), tool)?;
                send_entries(frozen.entries(mailbox)?, &mut sending, tool)?;
            }
        }
        sending.send(tool)?;
        Ok(1)
    })
}

/// Tells metadata of the server that all share.
pub(super) fn server(tool: &mut Tool) -> Result<u64, Failed> {
    frozen(tool, |frozen, tool| {
        let mut sending = Sending::default();
        send_entries(frozen.server_entries(None)?, &mut sending, tool)?;
        sending.send(tool)?;
        Ok(1)
    })
}

fn send_entries(
    entries: Vec<FrozenMetadata>,
    sending: &mut Sending,
    tool: &mut Tool,
) -> Result<(), Failed> {
    for FrozenMetadata { account, entry } in entries {
        let record = EntryRecord {
            account,
            name: entry.name.as_str().to_owned(),
            value: entry.value.unwrap_or_default(),
        };
        sending.add(&Record::Entry(record), tool)?;
    }
    Ok(())
}

fn name_record(name: FrozenName) -> NameRecord {
    NameRecord {
        name: name.name.as_str().to_owned(),
        exists: name.exists,
        subscribed: name.subscribed,
        special_use: name.special_use,
        mailbox: name.mailbox.map(mailbox_record),
    }
}

fn mailbox_record(mailbox: FrozenMailbox) -> MailboxRecord {
    let entries = mailbox.acl.into_iter();
    MailboxRecord {
        id: mailbox.id.0,
        object: mailbox.object.0,
        uid_validity: mailbox.uid_validity,
        uid_next: mailbox.uid_next,
        modseq: mailbox.modseq,
        recent_from: mailbox.recent_from,
        messages: mailbox.messages,
        bytes: mailbox.bytes,
        keywords: mailbox.keywords,
        acl_at: mailbox.acl_at,
        acl: entries
            .map(|entry| AclRecord {
                account: entry.account,
                negative: entry.negative,
                rights: entry.rights,
            })
            .collect(),
        content: Content::Whole,
    }
}

/// Tells what is in a mailbox, or what happened since. Gives how many messages that are.
pub(super) fn messages(
    tool: &mut Tool,
    mailbox: MailboxId,
    since: Option<(ModSeq, Uid)>,
) -> Result<u64, Failed> {
    frozen(tool, |frozen, tool| {
        let mut sending = Sending::default();
        let gone = match since {
            Some((since, _)) => frozen.gone(mailbox, since)?,
            None => None,
        };
        // If it is not known any more what went, all that is there is told.
        let since = since.filter(|_| gone.is_some());
        let content = if since.is_some() { "since" } else { "whole" };
        tool.say(&json!({ "content": content }))?;
        let mut ranges = Vec::new();
        for range in gone.unwrap_or_default().into_ranges() {
            // What came and went in between was never in a backup.
            if since.is_some_and(|(_, next)| range.0 >= next) {
                continue;
            }
            ranges.push(range);
            if ranges.len() == RANGES_MAX {
                sending.add(&Record::Gone(std::mem::take(&mut ranges)), tool)?;
            }
        }
        if !ranges.is_empty() {
            sending.add(&Record::Gone(ranges), tool)?;
        }
        if let Some((since, next)) = since {
            changes(frozen, (mailbox, since, next), &mut sending, tool)?;
        }
        let mut next = since.map_or(Uid(1), |(_, next)| next);
        let mut count = 0;
        loop {
            let some = frozen.messages(mailbox, next, SLICE)?;
            let Some(last) = some.last() else {
                break;
            };
            next = Uid(last.uid.0.saturating_add(1));
            count += some.len() as u64;
            for message in &some {
                send_message(frozen, message, &mut sending, tool)?;
            }
        }
        sending.send(tool)?;
        Ok(count)
    })
}

/// Flags that changed of messages that were there before.
fn changes(
    frozen: &Frozen,
    (mailbox, since, next): (MailboxId, ModSeq, Uid),
    sending: &mut Sending,
    tool: &mut Tool,
) -> Result<(), Failed> {
    let mut after = (since, Uid(u32::MAX));
    loop {
        let some = frozen.changed(mailbox, after, SLICE)?;
        let Some(last) = some.last() else {
            return Ok(());
        };
        after = (last.modseq, last.uid);
        for message in some.into_iter().filter(|it| it.uid < next) {
            let changed = FlagsRecord {
                uid: message.uid,
                modseq: message.modseq,
                flags: message.flags,
            };
            sending.add(&Record::Flags(changed), tool)?;
        }
    }
}

fn send_message(
    frozen: &Frozen,
    message: &FrozenMessage,
    sending: &mut Sending,
    tool: &mut Tool,
) -> Result<(), Failed> {
    let first = frozen.bytes(message, 0)?;
    let mut at = first.len() as u64;
    let record = MessageRecord {
        uid: message.uid,
        modseq: message.modseq,
        created: message.created,
        flags: message.flags.clone(),
        date: message.date,
        saved_s: message.saved_s,
        submitter: message.submitter.clone(),
        size: message.size,
        first,
        body: 0,
    };
    sending.add(&Record::Body(message.body), tool)?;
    sending.add(&Record::Message(record), tool)?;
    while at < message.size {
        let piece = frozen.bytes(message, at)?;
        at += piece.len() as u64;
        sending.add(&Record::Piece(piece), tool)?;
    }
    Ok(())
}
