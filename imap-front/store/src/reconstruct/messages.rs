//! What is in each mailbox: messages, their bodies, and the indexes of what happened.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow::Continue;

use mail::{MailboxId, ModSeq, Uid};

use super::survey::Survey;
use crate::kv::Space;
use crate::logic::{self, keys};
use crate::rows::{Kept, Mailbox, MessageRow, u64_row};

pub(super) fn check(survey: &mut Survey<'_>) {
    let mut known = BTreeSet::new();
    for (id, row) in survey.mailboxes() {
        known.insert(id);
        check_mailbox(survey, id, row);
    }
    drop_the_homeless(survey, &known);
    check_kept(survey, &known);
}

/// Rows of mailboxes that are not there: nobody can see them.
fn drop_the_homeless(survey: &mut Survey<'_>, known: &BTreeSet<MailboxId>) {
    if survey.is_underway || survey.unread.contains(Space::Mailboxes.name()) {
        return;
    }
    for space in [Space::Messages, Space::Changes, Space::Expunged] {
        let mut homeless: BTreeMap<MailboxId, Vec<Vec<u8>>> = BTreeMap::new();
        let outcome = survey.rows.keys(space, &mut |key| {
            let number = key.get(..8).and_then(super::survey::number);
            let id = number.map(MailboxId).unwrap_or_default();
            if !known.contains(&id) {
                homeless.entry(id).or_default().push(key.to_vec());
            }
        });
        if let Err(error) = outcome {
            survey.unreadable(space, &error);
        }
        for (id, keys) in homeless {
            survey.uses("mailbox", id.0);
            let what = format!(
                "there is no such mailbox, but {} of its {}; they are dropped",
                keys.len(),
                space.name()
            );
            survey.find(Some(id), None, space == Space::Messages, what);
            keys.into_iter()
                .for_each(|key| survey.repair.delete(space, key));
        }
    }
}

/// What a mailbox should be, by its messages.
struct Counted {
    figures: Mailbox,
    /// Messages that changed after they came: the rows of the index.
    changed: BTreeSet<(ModSeq, Uid)>,
    uids: BTreeSet<Uid>,
    is_lossy: bool,
}

fn check_mailbox(survey: &mut Survey<'_>, id: MailboxId, row: Mailbox) {
    let figures = Mailbox {
        messages: 0,
        unseen: 0,
        deleted: 0,
        seen_deleted: 0,
        size: 0,
        deleted_bytes: None,
        ..row.clone()
    };
    let mut counted = Counted {
        figures,
        changed: BTreeSet::new(),
        uids: BTreeSet::new(),
        is_lossy: false,
    };
    let (from, to) = keys::rows(id);
    let mut messages = Vec::new();
    let outcome = survey
        .rows
        .scan(Space::Messages, &from, &to, false, &mut |key, row| {
            messages.push((key.to_vec(), MessageRow::decode(row)));
            Continue(())
        });
    if let Err(error) = outcome {
        survey.unreadable(Space::Messages, &error);
        return;
    }
    for (key, message) in messages {
        let uid = keys::uid_of(&key);
        // Of a COPY that is being prepared: nobody sees it yet.
        if row
            .staging
            .is_some_and(|(first, end)| first <= uid && uid < end)
        {
            continue;
        }
        match message {
            Ok(message) => check_message(survey, id, (uid, message), &mut counted),
            Err(error) => lose(survey, id, uid, &error, &mut counted),
        }
    }
    check_changes(survey, id, &counted);
    check_expunged(survey, id, &mut counted);
    // Of rows that are older than the count of deleted bytes it is made now.
    let mut right = counted.figures;
    survey.charge(right.user, right.size, u64::from(right.messages));
    if counted.is_lossy {
        right.uid_validity = survey.new_uid_validity();
    }
    let key = keys::number(id.0);
    let stored = survey.rows.get(Space::Mailboxes, &key);
    if !matches!(stored, Ok(Some(row)) if row == right.encode()) {
        for (what, has, should) in [
            (
                "messages",
                u64::from(row.messages),
                u64::from(right.messages),
            ),
            ("unseen", u64::from(row.unseen), u64::from(right.unseen)),
            ("deleted", u64::from(row.deleted), u64::from(right.deleted)),
            ("bytes", row.size, right.size),
            (
                "bytes deleted",
                row.deleted_bytes.or(right.deleted_bytes).unwrap_or(0),
                right.deleted_bytes.unwrap_or(0),
            ),
            (
                "next UID",
                u64::from(row.uid_next.0),
                u64::from(right.uid_next.0),
            ),
            ("mod-sequence", row.modseq.0, right.modseq.0),
        ] {
            if has != should {
                survey.find(
                    Some(id),
                    None,
                    false,
                    format!("{what}: {has} instead of {should}"),
                );
            }
        }
        survey.repair.put(Space::Mailboxes, key, right.encode());
    }
}

/// A message that is there and can't be read any more.
fn lose(
    survey: &mut Survey<'_>,
    id: MailboxId,
    uid: Uid,
    error: &crate::Error,
    counted: &mut Counted,
) {
    survey.find(Some(id), Some(uid), true, format!("lost: {error}"));
    survey
        .repair
        .delete(Space::Messages, keys::message(id, uid));
    counted.is_lossy = true;
    reach(&mut counted.figures, uid, ModSeq(0));
}

/// The figures go beyond a message.
fn reach(figures: &mut Mailbox, uid: Uid, modseq: ModSeq) {
    figures.uid_next = figures.uid_next.max(Uid(uid.0.saturating_add(1)));
    figures.modseq = figures.modseq.max(modseq);
}

fn check_message(
    survey: &mut Survey<'_>,
    id: MailboxId,
    (uid, mut message): (Uid, MessageRow),
    counted: &mut Counted,
) {
    survey.uses_body(message.body);
    if let Err(error) = logic::check_body(survey.rows, message.body, message.size) {
        return lose(survey, id, uid, &error, counted);
    }
    let keywords = counted.figures.keywords.len();
    let (before, modseq) = (message.keywords.len(), message.modseq);
    message
        .keywords
        .retain(|index| usize::from(*index) < keywords);
    message.modseq = message.modseq.max(message.created);
    // Of what came in one piece the mailbox knows the mod-sequence.
    let known = counted.figures.resolved(uid, message.clone());
    if message.keywords.len() < before || message.modseq != modseq {
        survey.find(
            Some(id),
            Some(uid),
            false,
            "flags or mod-sequence that can't be; mended",
        );
        let key = keys::message(id, uid);
        survey.repair.put(Space::Messages, key, message.encode());
    }
    *survey.bodies.entry(message.body).or_default() += 1;
    reach(&mut counted.figures, uid, known.modseq);
    counted.figures.add(&message);
    counted.uids.insert(uid);
    if known.modseq > known.created {
        counted.changed.insert((known.modseq, uid));
    }
}

/// The keys of an index of a mailbox: mod-sequence and UID.
fn index(survey: &mut Survey<'_>, space: Space, id: MailboxId) -> Option<BTreeSet<(ModSeq, Uid)>> {
    let (from, to) = keys::rows(id);
    let mut found = BTreeSet::new();
    let outcome = survey.rows.scan(space, &from, &to, false, &mut |key, _| {
        let modseq = key.get(8..16).and_then(super::survey::number);
        found.insert((ModSeq(modseq.unwrap_or(0)), keys::uid_of(key)));
        Continue(())
    });
    if let Err(error) = outcome {
        survey.unreadable(space, &error);
        return None;
    }
    Some(found)
}

fn check_changes(survey: &mut Survey<'_>, id: MailboxId, counted: &Counted) {
    let Some(found) = index(survey, Space::Changes, id) else {
        return;
    };
    let (missing, extra) = (&counted.changed - &found, &found - &counted.changed);
    if !missing.is_empty() || !extra.is_empty() {
        let (missing, extra) = (missing.len(), extra.len());
        let what = format!("the index of changes lacks {missing} and has {extra} too many");
        survey.find(Some(id), None, false, what);
    }
    for (modseq, uid) in missing {
        let key = keys::changed(id, modseq, uid);
        survey.repair.put(Space::Changes, key, bytes::Bytes::new());
    }
    for (modseq, uid) in extra {
        let key = keys::changed(id, modseq, uid);
        survey.repair.delete(Space::Changes, key);
    }
}

fn check_expunged(survey: &mut Survey<'_>, id: MailboxId, counted: &mut Counted) {
    let Some(found) = index(survey, Space::Expunged, id) else {
        return;
    };
    let mut wrong = 0;
    for (modseq, uid) in found {
        reach(&mut counted.figures, uid, modseq);
        if counted.uids.contains(&uid) {
            wrong += 1;
            let key = keys::changed(id, modseq, uid);
            survey.repair.delete(Space::Expunged, key);
        }
    }
    if wrong > 0 {
        let what = format!("{wrong} messages are noted as expunged and are there; they stay");
        survey.find(Some(id), None, false, what);
    }
}

/// Expunged messages that are kept: each belongs to an expunge that will give it up.
fn check_kept(survey: &mut Survey<'_>, known: &BTreeSet<MailboxId>) {
    if survey.is_underway {
        return;
    }
    let expunges: BTreeSet<_> = match logic::keeping::keeping(survey.rows) {
        Ok(expunges) => expunges.into_iter().collect(),
        Err(error) => return survey.unreadable(Space::Departed, &error),
    };
    let mut rows = Vec::new();
    let outcome = survey
        .rows
        .scan(Space::Kept, &[], &[0xff; 9], false, &mut |key, row| {
            rows.push((key.to_vec(), Kept::decode(row)));
            Continue(())
        });
    if let Err(error) = outcome {
        return survey.unreadable(Space::Kept, &error);
    }
    let (mut bytes, mut extra) = (0, 0);
    for (key, row) in rows {
        let id = key.get(..8).and_then(super::survey::number);
        let id = id.map(MailboxId).unwrap_or_default();
        let uid = keys::uid_of(&key);
        let kept = row.ok().filter(|kept| {
            let tombstone = keys::changed(id, kept.gone, uid);
            known.contains(&id)
                && expunges.contains(&(id, kept.gone))
                && !matches!(survey.rows.get(Space::Expunged, &tombstone), Ok(None))
        });
        match kept {
            Some(kept) => {
                bytes += kept.cost;
                survey.uses_body(kept.message.body);
                *survey.bodies.entry(kept.message.body).or_default() += 1;
            }
            None => {
                extra += 1;
                survey.repair.delete(Space::Kept, key);
            }
        }
    }
    if extra > 0 {
        let what = format!("{extra} expunged messages would be kept for ever; they are given up");
        survey.find(None, None, false, what);
    }
    let stored = survey.rows.get(Space::Meta, logic::keeping::BYTES);
    let stored = stored.ok().flatten().map_or(Ok(0), |row| u64_row(&row));
    if stored.ok() != Some(bytes) {
        let what = format!("another number of bytes is noted as kept than the {bytes} there are");
        survey.find(None, None, false, what);
        let key = logic::keeping::BYTES.to_vec();
        survey.repair.put(Space::Meta, key, keys::number(bytes));
    }
}
