//! Access keys: whose they are. One that is dropped revokes what it has signed, and no more.

use std::collections::BTreeSet;

use mail::MailboxId;

use super::survey::{Survey, number};
use crate::kv::Space;
use crate::rows::{AccessKeyRow, u64_row};

/// Drops keys of mailboxes that are not there, and those that can't be read.
pub(super) fn check(survey: &mut Survey<'_>) {
    if survey.is_underway || survey.unread.contains(Space::Mailboxes.name()) {
        return;
    }
    let known: BTreeSet<MailboxId> = survey.mailboxes().into_iter().map(|(id, _)| id).collect();
    let mut dropped = 0;
    // Of whom it is not known any more which keys they had given up: they have none now.
    let mut unsure: BTreeSet<Vec<u8>> = BTreeSet::new();
    survey.each(Space::AccessKeys, |survey, key, row| {
        let (mailbox, user) = key.split_at(key.len().min(8));
        let is_right = user.len() == 8
            && match number(mailbox).map(MailboxId) {
                // These come first.
                Some(MailboxId(0)) => {
                    let is_right = u64_row(row).is_ok();
                    if !is_right {
                        unsure.insert(user.to_vec());
                    }
                    is_right
                }
                Some(id) => {
                    let is_key = AccessKeyRow::decode(row).is_ok();
                    is_key && known.contains(&id) && !unsure.contains(user)
                }
                None => false,
            };
        if !is_right {
            survey.repair.delete(Space::AccessKeys, key.to_vec());
            dropped += 1;
        }
    });
    if dropped > 0 {
        let what = format!("{dropped} access keys belong to nothing; they are dropped");
        survey.find(None, None, false, what);
    }
}
