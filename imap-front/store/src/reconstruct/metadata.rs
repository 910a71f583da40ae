//! Entries of metadata: whose they are, and what they cost.

use std::collections::BTreeSet;
use std::ops::ControlFlow::Continue;

use mail::{MailboxId, UserId};

use super::survey::{Survey, number};
use crate::kv::Space;
use crate::logic::keys;
use crate::rows::MetadataRow;

/// Drops entries of mailboxes that are not there, and those that can't be read; counts the others.
pub(super) fn check(survey: &mut Survey<'_>) {
    if survey.is_underway || survey.unread.contains(Space::Mailboxes.name()) {
        return;
    }
    let known: BTreeSet<MailboxId> = survey.mailboxes().into_iter().map(|(id, _)| id).collect();
    let mut rows = Vec::new();
    let end = [0xff; 9];
    let outcome = survey
        .rows
        .scan(Space::Metadata, &[], &end, false, &mut |key, row| {
            let cost = MetadataRow::decode(row).and_then(|row| Ok((row.payer, row.entry()?)));
            rows.push((key.to_vec(), cost));
            Continue(())
        });
    if let Err(error) = outcome {
        return survey.unreadable(Space::Metadata, &error);
    }
    let mut dropped = 0;
    for (key, row) in rows {
        let half = |at: usize| key.get(at..at + 8).and_then(number);
        let (mailbox, user) = (half(0).map(MailboxId), half(8).map(UserId));
        let is_there = |id: MailboxId| id == MailboxId(0) || known.contains(&id);
        let right = row.ok().filter(|(_, entry)| {
            let expected = mailbox
                .zip(user)
                .map(|(mailbox, user)| keys::entry(mailbox, user, &entry.name.key()));
            mailbox.is_some_and(is_there) && expected.is_some_and(|it| it == key)
        });
        match right {
            Some((payer, entry)) => survey.charge_metadata(payer, entry.cost()),
            None => {
                dropped += 1;
                survey.repair.delete(Space::Metadata, key);
            }
        }
    }
    if dropped > 0 {
        let what = format!("{dropped} entries of metadata belong to nothing; they are dropped");
        survey.find(None, None, false, what);
    }
}
