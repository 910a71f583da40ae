//! Where ESEARCH searches (RFC 7377).

use mail::MailboxName;
use mail::search::Key;

use super::search_return::SearchReturn;

/// An ESEARCH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Esearch {
    /// Where; nothing is the selected mailbox.
    pub sources: Vec<SearchSource>,
    /// What is told of the results; nothing is ALL.
    pub returns: Vec<SearchReturn>,
    /// What is searched for.
    pub key: Key,
}

/// Mailboxes to search (RFC 7377 §2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchSource {
    /// `selected`
    Selected,
    /// `personal`, and `inboxes`: mail may be delivered to each of them (RFC 5465 §6.3).
    Personal,
    /// `subscribed`
    Subscribed,
    /// `subtree`: these and all below them.
    Subtree(Vec<MailboxName>),
    /// `subtree-one`: these and those one level below.
    SubtreeOne(Vec<MailboxName>),
    /// `mailboxes`: these.
    Mailboxes(Vec<MailboxName>),
}
