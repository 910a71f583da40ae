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
    /// Metadata of mailboxes changes.
    pub const METADATA: Self = Self(16);
    /// Metadata of the server changes.
    pub const SERVER_METADATA: Self = Self(32);
    /// All that are about messages.
    pub const OF_MESSAGES: Self = Self(3);

    /// As bits.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// From bits.
    pub fn from_bits(bits: u8) -> Self {
        Self(bits & 63)
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
    Subtree(Names),
    /// These and those one level below them.
    Near(Names),
    /// These.
    Mailboxes(Names),
}

/// Names of mailboxes, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(Box<[MailboxName]>);

impl Names {
    /// Whether a name is among them.
    pub fn contains(&self, name: &MailboxName) -> bool {
        self.0.binary_search(name).is_ok()
    }

    /// Whether a name, or one above it, is among them.
    pub fn contain_above(&self, name: &MailboxName) -> bool {
        let above = std::iter::successors(name.parent(), MailboxName::parent);
        self.contains(name) || above.into_iter().any(|above| self.contains(&above))
    }
}

impl FromIterator<MailboxName> for Names {
    fn from_iter<I: IntoIterator<Item = MailboxName>>(names: I) -> Self {
        let mut names: Vec<MailboxName> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        Self(names.into())
    }
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

    /// Whether events may be asked for of a name, as far as that doesn't hang on whether it is
    /// subscribed: for certain, or if it is.
    pub fn may_have(&self, name: &MailboxName, is_own: bool, wanted: Events) -> Option<bool> {
        if self.events(name, is_own, false).intersects(wanted) {
            return Some(true);
        }
        let may = self.events(name, is_own, true).intersects(wanted);
        may.then_some(false)
    }

    /// Whether it means subscribed mailboxes, with one of these events.
    pub fn means_subscribed(&self, wanted: Events) -> bool {
        let filters = self.filters.iter();
        let mut subscribed = filters.filter(|it| it.mailboxes == Where::Subscribed);
        subscribed.any(|it| it.events.intersects(wanted))
    }

    /// Whether it may mean mailboxes of others.
    pub fn may_mean_others(&self) -> bool {
        let is_personal = |it: &Filter| it.mailboxes == Where::Personal;
        !self.filters.iter().all(is_personal)
    }

    /// Whether what all users are told of may matter to it.
    pub fn heeds_all(&self) -> bool {
        self.may_mean_others() || self.all_events().intersects(Events::SERVER_METADATA)
    }

    /// The events that are asked for of a name.
    pub fn events(&self, name: &MailboxName, is_own: bool, is_subscribed: bool) -> Events {
        let means = |filter: &&Filter| match &filter.mailboxes {
            Where::Personal => is_own,
            Where::Subscribed => is_subscribed,
            Where::Subtree(names) => names.contain_above(name),
            Where::Near(names) => {
                let above = name.parent();
                names.contains(name) || above.is_some_and(|above| names.contains(&above))
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
            Where::Subtree(names) | Where::Near(names) | Where::Mailboxes(names) => {
                // With the two counts of an `Arc`.
                let each = 2 * size_of::<MailboxName>();
                let bytes = |name: &MailboxName| each + name.as_str().len();
                names.0.iter().map(bytes).sum::<usize>()
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
