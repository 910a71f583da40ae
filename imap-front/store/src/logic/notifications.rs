//! What is noted for those who notify others.

use mail::{MailboxId, Uid, UserId};

use super::{Rules, limits};
use crate::Quota;
use crate::kv::Transaction;
use crate::notification::{MessageChange, Notification, What};
use crate::rows::{Account, Mailbox};

/// Something happened to a message; the row is the mailbox's after the whole operation.
pub(super) fn message(
    txn: &mut Transaction<'_>,
    mailbox: MailboxId,
    row: &Mailbox,
    uid: Uid,
    change: MessageChange,
) {
    let (user, counts) = (row.user, row.counts());
    let what = || What::Message {
        mailbox,
        uid,
        change,
        counts,
    };
    txn.notification(|| Notification { user, what: what() });
}

/// Something happened to a name.
pub(super) fn name(txn: &mut Transaction<'_>, user: UserId, what: impl FnOnce() -> What) {
    txn.notification(|| Notification { user, what: what() });
}

/// Messages were refused, or may be taken again.
pub(super) fn usage(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    user: UserId,
    account: &Account,
    refused: bool,
) {
    let used = Quota {
        bytes: account.bytes,
        messages: account.messages,
    };
    let quota = || limits::as_told(limits::limits(rules, account));
    txn.notification(|| Notification {
        user,
        what: What::Use {
            refused,
            used,
            quota: quota(),
        },
    });
}
