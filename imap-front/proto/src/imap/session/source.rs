//! Where a part of a message that is put together comes from.

use std::ops::Range;

use mail::{MailboxId, Uid};

use crate::imap::ast::SectionText;
use crate::imap::url::MessageUrl;

/// A part that a URL names.
pub(super) struct Source {
    pub url: Box<[u8]>,
    pub stage: Stage,
}

/// How far it was looked up.
pub(super) enum Stage {
    /// The name of the selected mailbox is asked for, beside which it is.
    Selected(MessageUrl),
    /// The mailbox is asked for.
    Mailbox(MessageUrl),
    /// The message is asked for.
    Message(MailboxId, MessageUrl),
    /// A header is asked for, of which fields are picked.
    Header(SectionText, Option<(u32, u32)>),
    /// These octets of a message are to be read.
    Octets {
        mailbox: MailboxId,
        uid: Uid,
        left: Range<u64>,
    },
}
