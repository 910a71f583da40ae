//! Where other users' mailboxes lie among a user's names (RFC 2342).

use crate::MailboxName;
use crate::name::DELIMITER;

/// Where other users' mailboxes are found, and the shared ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// Before other users' names, with a delimiter at its end; empty if they are not found.
    pub others: Box<str>,
    /// Before the names of shared mailboxes, with a delimiter at its end; empty if there are none.
    pub shared: Box<str>,
    /// Whose mailboxes are the shared ones; empty if there are none.
    pub shared_owner: Box<str>,
}

/// What a name of a user means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// A mailbox of their own.
    Own,
    /// A mailbox of this user, and what that one calls it.
    Of(&'a str, MailboxName),
    /// A shared mailbox, and what its owner calls it.
    Shared(MailboxName),
    /// A name above others' mailboxes, which is none.
    Above,
}

impl Namespaces {
    /// As [`Namespaces::default`], with the usual prefixes.
    pub fn usual(shared_owner: &str) -> Self {
        Self {
            others: "Other Users/".into(),
            shared: "Shared Folders/".into(),
            shared_owner: shared_owner.into(),
        }
    }

    /// Whether there are shared mailboxes.
    pub fn has_shared(&self) -> bool {
        !self.shared.is_empty() && !self.shared_owner.is_empty()
    }

    /// The prefixes that there are.
    pub fn prefixes(&self) -> impl Iterator<Item = &str> {
        let shared = Some(&*self.shared).filter(|_| self.has_shared());
        let others = Some(&*self.others).filter(|prefix| !prefix.is_empty());
        others.into_iter().chain(shared)
    }

    /// What a name means.
    pub fn place<'a>(&self, name: &'a MailboxName) -> Place<'a> {
        let text = name.as_str();
        let within = |prefix: &str| {
            let (above, _) = prefix.split_at(prefix.len() - DELIMITER.len_utf8());
            text.strip_prefix(above)
                .filter(|rest| rest.is_empty() || rest.starts_with(DELIMITER))
        };
        // One prefix may lie within the other: the longer one counts.
        let found = self
            .prefixes()
            .filter_map(|prefix| Some((prefix, within(prefix)?)));
        let Some((prefix, rest)) = found.max_by_key(|(prefix, _)| prefix.len()) else {
            return Place::Own;
        };
        let Some(rest) = rest.strip_prefix(DELIMITER).filter(|rest| !rest.is_empty()) else {
            return Place::Above;
        };
        if prefix != &*self.others {
            return Place::Shared(MailboxName::new(rest));
        }
        match rest.split_once(DELIMITER) {
            Some((user, name)) if !name.is_empty() => Place::Of(user, MailboxName::new(name)),
            _ => Place::Above,
        }
    }

    /// The name of another user's mailbox.
    pub fn name_of(&self, user: &str, name: &MailboxName) -> MailboxName {
        MailboxName::new(&format!("{}{user}{DELIMITER}{name}", self.others))
    }

    /// The name of a shared mailbox.
    pub fn shared_name(&self, name: &MailboxName) -> MailboxName {
        MailboxName::new(&format!("{}{name}", self.shared))
    }

    /// Why the prefixes can't be used, if so.
    ///
    /// # Errors
    /// Which one, and what is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        for prefix in [&self.others, &self.shared] {
            if prefix.is_empty() {
                continue;
            }
            let Some(above) = prefix.strip_suffix(DELIMITER) else {
                return Err(format!("{prefix} has no {DELIMITER} at its end"));
            };
            let name = MailboxName::new(above);
            if let Err(why) = name.creatable() {
                return Err(format!("{prefix}: {why}"));
            }
            if name.as_str().split(DELIMITER).next() == Some("INBOX") {
                return Err(format!("{prefix} lies within INBOX"));
            }
        }
        if !self.others.is_empty() && self.others == self.shared {
            return Err(format!("{} is the prefix of both", self.others));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_somebodys() {
        let namespaces = Namespaces::usual("public");
        let name = MailboxName::new;
        for (text, place) in [
            ("Other", Place::Own),
            ("Other Users2/x", Place::Own),
            ("INBOX", Place::Own),
            ("Other Users", Place::Above),
            ("Other Users/ann", Place::Above),
            ("Other Users/ann/", Place::Above),
            (
                "Other Users/ann/inbox",
                Place::Of("ann", MailboxName::inbox()),
            ),
            ("Other Users/ann/a/b", Place::Of("ann", name("a/b"))),
            ("Shared Folders", Place::Above),
            ("Shared Folders/x/y", Place::Shared(name("x/y"))),
        ] {
            assert_eq!(namespaces.place(&name(text)), place, "{text}");
        }
        let none = Namespaces {
            shared_owner: "".into(),
            ..namespaces
        };
        assert_eq!(none.place(&name("Shared Folders/x")), Place::Own);
    }

    #[test]
    fn a_prefix_may_lie_within_the_other() {
        let namespaces = Namespaces {
            others: "Shared Folders/User/".into(),
            ..Namespaces::usual("public")
        };
        let name = MailboxName::new("Shared Folders/User/ann/x");
        assert_eq!(
            namespaces.place(&name),
            Place::Of("ann", MailboxName::new("x"))
        );
        assert_eq!(namespaces.name_of("ann", &MailboxName::new("x")), name);
        assert_eq!(namespaces.check(), Ok(()));
    }

    #[test]
    fn prefixes_that_can_not_be_used_are_refused() {
        for prefix in ["Other", "a//", "INBOX/x/", "Shared Folders/", "%/"] {
            let others = prefix.into();
            let namespaces = Namespaces {
                others,
                ..Namespaces::usual("")
            };
            assert!(namespaces.check().is_err(), "{prefix}");
        }
    }
}
