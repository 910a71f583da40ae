//! What a mailbox was at a mod-sequence, and what happened since.

use std::collections::BTreeSet;
use std::sync::Arc;

use mail::{Change, Delta, Event, MailboxId, ModSeq, Reply, Uid, UidRanges};

use crate::state::{Mailbox, State};

/// The events since `since`: none, or one that spans all; of a deleted mailbox, its end.
pub(crate) fn delta(state: &State, id: MailboxId, since: ModSeq) -> Delta {
    let Some(mailbox) = state.mailbox(id) else {
        let seq = ModSeq(since.0 + 1);
        let end = Event {
            mailbox: id,
            prev: since,
            seq,
            changes: vec![],
            deleted: true,
        };
        return vec![Arc::new(end)];
    };
    if mailbox.modseq <= since {
        return vec![];
    }
    let changes = changes(mailbox, since);
    let event = Event {
        mailbox: id,
        prev: since,
        seq: mailbox.modseq,
        changes,
        deleted: false,
    };
    vec![Arc::new(event)]
}

/// The UIDs that were there at `at`, ascending.
pub(crate) fn uids_at(mailbox: &Mailbox, at: ModSeq) -> BTreeSet<Uid> {
    let present = mailbox
        .messages
        .iter()
        .filter(|(_, m)| m.created <= at)
        .map(|(uid, _)| *uid);
    let gone = mailbox
        .expunged
        .iter()
        .filter(|e| e.created <= at && e.gone > at)
        .map(|e| e.uid);
    present.chain(gone).collect()
}

/// Which of the messages in `known` came, changed or went after `since`, for a session that stands
/// at `upto`.
pub(crate) fn missed(
    mailbox: &Mailbox,
    (since, upto): (ModSeq, ModSeq),
    known: &UidRanges,
    vanished: bool,
) -> Reply {
    let gone = mailbox.expunged.iter();
    let gone = gone.filter(|gone| vanished && since < gone.gone && gone.gone <= upto);
    let gone: BTreeSet<Uid> = gone.map(|gone| gone.uid).collect();
    let changed = mailbox.messages.iter();
    let changed = changed.filter(|(_, message)| message.modseq > since);
    let is_known = |uid: &Uid| known.contains(*uid);
    Reply::Changes {
        vanished: gone.into_iter().filter(is_known).collect(),
        changed: changed.map(|(uid, _)| *uid).filter(is_known).collect(),
    }
}

/// Walks an observer's view from `since` to now, one change after the other.
fn changes(mailbox: &Mailbox, since: ModSeq) -> Vec<Change> {
    let mut view: Vec<Uid> = uids_at(mailbox, since).into_iter().collect();
    let mut changes = Vec::new();
    if mailbox.acl_at > since {
        changes.push(Change::Acl(Arc::new(mailbox.acl.clone())));
    }
    if let Some((at, user)) = mailbox.key_reset
        && at > since
    {
        changes.push(Change::KeyReset(user));
    }
    if mailbox.keywords_at > since {
        changes.push(Change::Keywords(mailbox.keywords.clone().into()));
    }
    for uid in view.clone() {
        if !mailbox.messages.contains_key(&uid) {
            let index = view
                .iter()
                .position(|have| *have == uid)
                .expect("it is in its own copy");
            view.remove(index);
            changes.push(Change::Expunged {
                uid,
                number: index as u32 + 1,
            });
        }
    }
    let known = view.clone();
    for (&uid, message) in &mailbox.messages {
        if message.created > since {
            view.push(uid);
            let (exists, flags) = (view.len() as u32, message.flags.clone());
            changes.push(Change::New { uid, exists, flags });
        }
    }
    for (uid, number) in known.into_iter().zip(1..) {
        let message = &mailbox.messages[&uid];
        if message.modseq > since {
            let (flags, modseq) = (message.flags.clone(), message.modseq);
            changes.push(Change::Flags {
                uid,
                number,
                flags,
                modseq,
            });
        }
    }
    changes
}
