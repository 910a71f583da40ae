//! Which mailboxes a session watches beside the one that it has selected (RFC 5465 §6).

use std::sync::Arc;

use crate::{Figures, MailboxId, MailboxName};

/// Kinds of events that are asked for, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events(u8);

impl Events {
    /// None.
    pub const NONE: Self = Self(0);
    /// Messages come and go.
    pub const MESSAGES: Self = Self(1);
    /// Their flags change.
    pub const FLAGS: Self = Self(2);
    /// Mailboxes are made, renamed and deleted.
    pub const NAMES: Self = Self(4);
    /// Subscriptions change.
    pub const SUBSCRIPTIONS: Self = Self(8);
    /// All that are about messages.
    pub const OF_MESSAGES: Self = Self(3);

    /// As bits.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// From bits.
    pub fn from_bits(bits: u8) -> Self {
        Self(bits & 15)
    }

    /// Whether one of these is among them.
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether all of these are among them.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl std::ops::BitOr for Events {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl std::ops::BitAnd for Events {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// Mailboxes, by how they are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Where {
    /// The user's own. INBOXES are these too: mail may be delivered to each of them (RFC 5465
    /// §6.3).
    Personal,
    /// Those that are subscribed.
    Subscribed,
    /// These and all below them.
    Subtree(Box<[MailboxName]>),
    /// These.
    Mailboxes(Box<[MailboxName]>),
}

/// Events of some mailboxes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Which mailboxes.
    pub mailboxes: Where,
    /// Which events.
    pub events: Events,
}

/// All that a session watches beside its selected mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// A mailbox that several mean has the events of all of them.
    pub filters: Box<[Filter]>,
}

impl Scope {
    /// All events that are asked for, of whatever mailbox.
    pub fn all_events(&self) -> Events {
        self.filters
            .iter()
            .fold(Events::NONE, |all, filter| all | filter.events)
    }

    /// Whether it may mean mailboxes of others.
    pub fn may_mean_others(&self) -> bool {
        let is_personal = |it: &Filter| it.mailboxes == Where::Personal;
        !self.filters.iter().all(is_personal)
    }

    /// The events that are asked for of a name.
    pub fn events(&self, name: &MailboxName, is_own: bool, is_subscribed: bool) -> Events {
        let means = |filter: &&Filter| match &filter.mailboxes {
            Where::Personal => is_own,
            Where::Subscribed => is_subscribed,
            Where::Subtree(names) => {
                let means = |above: &MailboxName| name == above || name.is_below(above);
                names.iter().any(means)
            }
            Where::Mailboxes(names) => names.contains(name),
        };
        let meant = self.filters.iter().filter(means);
        meant.fold(Events::NONE, |all, filter| all | filter.events)
    }

    /// What it takes in memory, in bytes, about.
    pub fn bytes(&self) -> usize {
        let names = |filter: &Filter| match &filter.mailboxes {
            Where::Personal | Where::Subscribed => 0,
            Where::Subtree(names) | Where::Mailboxes(names) => {
                let bytes = |name: &MailboxName| size_of::<MailboxName>() + name.as_str().len();
                names.iter().map(bytes).sum::<usize>()
            }
        };
        size_of_val(&self.filters[..]) + self.filters.iter().map(names).sum::<usize>()
    }
}

/// A mailbox that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedMailbox {
    /// Which.
    pub mailbox: MailboxId,
    /// What the asker calls it.
    pub name: MailboxName,
    /// Events that are asked for, of those about messages.
    pub events: Events,
    /// Its figures.
    pub figures: Arc<Figures>,
}

/// Mailboxes that are watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// Those whose messages the user may hear of.
    pub mailboxes: Vec<WatchedMailbox>,
    /// Those named whose messages the user may not hear of, but may look up.
    pub no_access: Vec<MailboxName>,
    /// There are more than were asked for; nothing else is told then.
    pub too_many: bool,
}

impl Watched {
    /// What it takes in memory, in bytes, about.
    pub fn bytes(&self) -> usize {
        const EACH: usize = size_of::<WatchedMailbox>() + size_of::<Figures>();
        self.mailboxes.len() * EACH
            + self
                .mailboxes
                .iter()
                .map(|it| 2 * it.name.as_str().len())
                .sum::<usize>()
    }
}
