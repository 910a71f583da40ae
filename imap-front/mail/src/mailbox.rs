//! What is known of a mailbox beside its messages.

use crate::MailboxName;

/// A mailbox, as a listing looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxInfo {
    /// Its name.
    pub name: MailboxName,
    /// It can be selected. False for names that only have children, and for subscriptions to
    /// names that don't exist.
    pub selectable: bool,
    /// It exists, selectable or not. False for a mere subscription.
    pub exists: bool,
    /// It is subscribed.
    pub subscribed: bool,
    /// Its use attribute.
    pub special_use: Option<SpecialUse>,
}

/// Special-use attributes (RFC 6154 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpecialUse {
    /// `\All`
    All,
    /// `\Archive`
    Archive,
    /// `\Drafts`
    Drafts,
    /// `\Flagged`
    Flagged,
    /// `\Junk`
    Junk,
    /// `\Sent`
    Sent,
    /// `\Trash`
    Trash,
}
