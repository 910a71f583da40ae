//! What a URL names in a message, as CATENATE and URLFETCH read it.

use std::ops::Range;

use mail::request::Want;
use mail::{MailboxId, Message, Request};

use crate::imap::ast::Section;
use crate::imap::render;
use crate::imap::url::MessageUrl;

/// Asks for the message that a URL names; its octets are read afterwards.
pub(super) fn asked(mailbox: MailboxId, url: &MessageUrl) -> Request {
    Request::Fetch {
        mailbox,
        uids: vec![url.uid],
        want: Want {
            structure: url.section != Section::default(),
            ..Want::default()
        },
        budget_bytes: 1,
    }
}

/// The octets of a section of a message that was asked for so; none if it has no such part.
pub(super) fn octets(message: &Message, section: &Section) -> Option<Range<u64>> {
    match &message.structure {
        Some(structure) => structure.resolve(&section.part, render::what(&section.text)),
        None => Some(0..message.size),
    }
}
