//! What became of names is told by a session that has been asked to by NOTIFY (RFC 5465 §5.4 to
//! §5.6): the store is asked what they are now.

use std::sync::Arc;

use mail::list::{Entry, Query};
use mail::namespace::Place;
use mail::{Became, Events, MailboxName, NameChange, Reply, Request, UserId};

use super::list::attributes;
use super::notified::Notify;
use super::{Session, Step};
use crate::imap::ast::{List, ListReturn};
use crate::imap::encode;
use crate::imap::notify::push_metadata;

/// A name of which is asked what it is now.
pub(super) struct NameAsked {
    change: Arc<NameChange>,
    /// Those of the names that are subscribed, once that was asked.
    subscribed: Option<Vec<MailboxName>>,
    idle: Option<Box<str>>,
}

impl Session {
    /// Asks what a name is now, and before, if it matters, whether it is subscribed.
    pub(super) fn ask_of_name(&mut self, user: UserId, change: Arc<NameChange>) {
        let Notify::On(notifying) = &self.notify else {
            return;
        };
        let wanted = Events::NAMES | Events::METADATA;
        let may_matter = notifying.spec.scope.means_subscribed(wanted);
        let is_told = matches!(change.what, Became::Subscribed { .. });
        let asked = NameAsked {
            change,
            subscribed: (is_told || !may_matter).then(Vec::new),
            idle: self.leave_idle(),
        };
        self.ask_names(user, asked);
    }

    fn ask_names(&mut self, user: UserId, asked: NameAsked) {
        let (names, subscribed) = match &asked.change.what {
            Became::Changed { name, was, .. } => {
                let above = name.parent().filter(|_| was.is_none());
                (vec![Some(name.clone()), was.clone(), above], false)
            }
            Became::Subscribed { name, on } => (vec![Some(name.clone())], *on),
            Became::Annotated { name, .. } => (vec![name.clone()], false),
            Became::Many => (vec![], false),
        };
        let names = names.iter().flatten();
        let query = Query {
            patterns: names.map(|name| name.as_str().into()).collect(),
            subscribed: subscribed || asked.subscribed.is_none(),
            ..Query::default()
        };
        let request = Request::List {
            user,
            query: query.into(),
            after: None,
        };
        self.ask(request, Step::Name(asked));
    }

    /// What a name is now.
    pub(super) fn name_came(&mut self, mut asked: NameAsked, reply: Reply) {
        let (Reply::Listed(piece), Some(user)) = (reply, self.user) else {
            self.go_back(asked.idle);
            return self.overflow();
        };
        let Some(subscribed) = &asked.subscribed else {
            let found = piece.entries.into_iter().filter(|it| it.subscribed);
            asked.subscribed = Some(found.map(|it| it.name).collect());
            return self.ask_names(user, asked);
        };
        self.go_back(asked.idle);
        let Notify::On(notifying) = &mut self.notify else {
            return;
        };
        let spec = notifying.spec.clone();
        let scope = &spec.scope;
        let namespaces = &self.config.namespaces;
        let entry = |name: &MailboxName| piece.entries.iter().find(|it| it.name == *name);
        let events_of = |name: &MailboxName| {
            let is_subscribed =
                subscribed.contains(name) || entry(name).is_some_and(|it| it.subscribed);
            scope.events(name, namespaces.place(name) == Place::Own, is_subscribed)
        };
        match &asked.change.what {
            Became::Changed { name, was, follows } => {
                let of = |name: Option<&MailboxName>| name.map(&events_of).unwrap_or_default();
                if scope.all_events().intersects(Events::OF_MESSAGES) {
                    notifying.is_to_resolve = true;
                    // One that is new is not watched yet, or the client has heard of it already.
                    notifying
                        .touched
                        .extend(was.is_some().then(|| name.clone()));
                }
                let is_told = |name: Option<&MailboxName>, was: Option<&MailboxName>| {
                    (of(name) | of(was)).intersects(Events::NAMES)
                };
                let (name_above, was) = (name.parent(), was.as_ref());
                let was_above = was.and_then(MailboxName::parent);
                // RFC 5465 §5.4: names below one that was renamed are not told again.
                let follows = *follows && is_told(name_above.as_ref(), was_above.as_ref());
                let is_told_above = was.is_none() && is_told(name_above.as_ref(), None);
                let above = name_above.filter(|above| {
                    let is_name = !matches!(namespaces.place(above), Place::Above);
                    is_told_above && is_name && !notifying.will_tell(above)
                });
                if is_told(Some(name), was) && !follows {
                    self.say_name(name, entry(name), was);
                }
                if let Some(above) = above {
                    self.say_name(&above, entry(&above), None);
                }
            }
            Became::Subscribed { name, .. } => {
                notifying.is_to_resolve |= scope.means_subscribed(Events::OF_MESSAGES);
                let events = scope.events(name, namespaces.place(name) == Place::Own, true);
                if events.intersects(Events::SUBSCRIPTIONS) {
                    self.say_name(name, entry(name), None);
                }
            }
            Became::Annotated {
                name: Some(name),
                entries,
            } if events_of(name).intersects(Events::METADATA) => {
                let mut line = Vec::new();
                push_metadata(&mut line, Some(name), entries, self.name_form);
                self.output.bytes(&line);
            }
            Became::Annotated { .. } | Became::Many => {}
        }
    }

    /// LIST of a name as it is now (RFC 5465 §5.4, §5.5).
    fn say_name(&mut self, name: &MailboxName, entry: Option<&Entry>, was: Option<&MailboxName>) {
        let all = List {
            returns: ListReturn {
                subscribed: true,
                ..ListReturn::default()
            },
            ..List::default()
        };
        let attributes = match entry {
            Some(entry) => attributes(entry, &all),
            None => vec!["\\NonExistent"],
        };
        let line = encode::list_line(&attributes, name, was, self.name_form);
        self.output.bytes(&line);
    }
}
