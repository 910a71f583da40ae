//! What a session tells between commands that has been asked to by NOTIFY (RFC 5465 §5).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use mail::list::{Entry, Query};
use mail::namespace::Place;
use mail::{
    Became, Change, Events, Figures, MailboxId, MailboxName, NameChange, News, Reply, Request, Uid,
    Watched,
};

use super::list::attributes;
use super::{Session, Step, Work};
use crate::imap::action::Action;
use crate::imap::ast::{List, ListReturn};
use crate::imap::encode;
use crate::imap::notify::{Spec, is_for_session, kinds, may_hear, push_status};

/// Changes of names that wait to be told; with more, no more is told (RFC 5465 §5.8).
const NAMES_MAX: usize = 256;

/// What a session has been told to tell.
pub(super) enum Notify {
    /// Nothing: as RFC 3501 and IDLE have it.
    Base,
    /// To tell nothing.
    Off,
    /// What was not kept: it is to be told that.
    Lost,
    On(Box<Notifying>),
}

/// What an active session knows of what it is to tell.
pub(super) struct Notifying {
    pub spec: Arc<Spec>,
    /// What happened in mailboxes.
    untold: BTreeMap<MailboxId, (Events, Arc<Figures>)>,
    /// What became of names.
    names: VecDeque<Became>,
    /// Mailboxes in which something may have happened, and up to when the client has heard of it.
    stale: BTreeMap<MailboxId, Option<u16>>,
    /// Mailboxes that the user may not hear of any more.
    revoked: BTreeSet<MailboxId>,
    /// Other mailboxes may be meant than before.
    is_to_resolve: bool,
    /// Names that have changed since that was last found out.
    touched: BTreeSet<MailboxName>,
    /// Names have changed and it is not known which.
    has_lost_names: bool,
    /// New messages in the selected mailbox of which more is to be told: from one UID to below
    /// another.
    new_messages: Option<(Uid, Uid)>,
}

/// A name of which is asked what it is now.
pub(super) struct NameAsked {
    became: Became,
    idle: Option<Box<str>>,
}

/// Mailboxes of which is asked what has happened.
pub(super) struct CatchingUp {
    stale: BTreeMap<MailboxId, Option<u16>>,
    idle: Option<Box<str>>,
}

impl Notifying {
    pub fn new(spec: Arc<Spec>) -> Self {
        Self {
            spec,
            untold: BTreeMap::new(),
            names: VecDeque::new(),
            stale: BTreeMap::new(),
            revoked: BTreeSet::new(),
            is_to_resolve: false,
            touched: BTreeSet::new(),
            has_lost_names: false,
            new_messages: None,
        }
    }

    /// Whether there is nothing to tell, and nothing to ask.
    pub fn is_calm(&self) -> bool {
        self.untold.is_empty()
            && self.names.is_empty()
            && self.stale.is_empty()
            && self.new_messages.is_none()
            && !self.is_to_resolve
            && !self.has_lost_names
    }

    /// These are watched, and what they are called is known.
    pub fn are_known(&mut self, watched: &Watched) {
        self.revoked.clear();
        let known = |id: MailboxId| watched.mailboxes.iter().find(|it| it.mailbox == id);
        self.untold.retain(|id, (_, figures)| match known(*id) {
            Some(it) if it.figures.modseq >= figures.modseq => {
                *figures = it.figures.clone();
                true
            }
            it => it.is_some(),
        });
    }

    /// Who has been told what a mailbox is need not be told what it was before.
    pub fn is_told(&mut self, told: &Figures) {
        let untold = self.untold.get(&told.mailbox);
        if untold.is_some_and(|(_, figures)| figures.modseq <= told.modseq) {
            self.untold.remove(&told.mailbox);
        }
    }

    /// Names that have changed since this was asked last.
    pub fn take_touched(&mut self) -> BTreeSet<MailboxName> {
        std::mem::take(&mut self.touched)
    }

    fn take_name(&mut self, change: &NameChange) {
        let scope = &self.spec.scope;
        let is_wanted = match &change.what {
            Became::Subscribed { .. } => {
                let is_of_subscribed =
                    |it: &mail::watched::Filter| it.mailboxes == mail::watched::Where::Subscribed;
                scope.all_events().intersects(Events::SUBSCRIPTIONS)
                    || scope.filters.iter().any(is_of_subscribed)
            }
            Became::Changed { .. } | Became::Many => self.spec.heeds_names(),
        };
        if !is_wanted {
            return;
        }
        match change.what == Became::Many || self.names.len() >= NAMES_MAX {
            true => self.has_lost_names = true,
            false => self.names.push_back(change.what.clone()),
        }
    }
}

impl Session {
    /// News of what is watched beside the selected mailbox, with a watch's bits.
    pub fn handle_further(&mut self, news: &News, bits: u8) {
        let (user, selected) = (self.user, self.selected_mailbox());
        let Notify::On(notifying) = &mut self.notify else {
            return;
        };
        match news {
            News::Name(change) => notifying.take_name(change),
            News::Mailbox(event, figures) => {
                let id = event.mailbox;
                if is_for_session(event) {
                    let acl = match event.changes.first() {
                        Some(Change::Acl(acl)) => Some(acl),
                        _ => None,
                    };
                    let rights = acl.zip(user).map(|(acl, user)| acl.rights_of(user));
                    if !rights.is_some_and(may_hear) {
                        notifying.revoked.insert(id);
                        notifying.untold.remove(&id);
                        notifying.is_to_resolve = true;
                    }
                }
                let kinds = kinds(event) & Events::from_bits(bits);
                let is_told = !kinds.is_empty() && selected != Some(id);
                if is_told && !notifying.revoked.contains(&id) {
                    let nameable = user.zip(figures.as_ref());
                    match nameable.filter(|(user, it)| it.name_for(*user).is_some()) {
                        Some((_, figures)) => {
                            let had = notifying.untold.get(&id).map(|it| it.0);
                            let kinds = kinds | had.unwrap_or_default();
                            notifying.untold.insert(id, (kinds, figures.clone()));
                        }
                        None => drop(notifying.stale.insert(id, None)),
                    }
                }
            }
        }
        self.go_on();
    }

    /// News of these mailboxes were missed, and the low bits of the mod-sequence up to which the
    /// client had heard of each; none are names.
    pub fn handle_further_stale(&mut self, missed: &[(Option<MailboxId>, u16)]) {
        if let Notify::On(notifying) = &mut self.notify {
            for (mailbox, cursor) in missed {
                match mailbox {
                    Some(id) => drop(notifying.stale.insert(*id, Some(*cursor))),
                    None => notifying.has_lost_names = true,
                }
            }
            self.go_on();
        }
    }

    /// Messages were announced in the selected mailbox, from one UID to below another.
    pub(super) fn note_new_messages(&mut self, from: Uid, below: Uid) {
        if let Notify::On(notifying) = &mut self.notify
            && let Some(selected) = &notifying.spec.selected
            && !selected.items.is_empty()
        {
            let from = notifying.new_messages.map_or(from, |had| had.0);
            notifying.new_messages = Some((from, below));
        }
    }

    /// Another mailbox is selected, or none.
    pub(super) fn forget_new_messages(&mut self) {
        if let Notify::On(notifying) = &mut self.notify {
            notifying.new_messages = None;
        }
    }

    /// Tells what came of what is watched beside the selected mailbox. True if an answer is awaited
    /// now.
    pub(super) fn tell_news(&mut self) -> bool {
        if matches!(self.notify, Notify::Lost) {
            self.overflow();
            return false;
        }
        let Notify::On(notifying) = &mut self.notify else {
            return false;
        };
        if notifying.is_calm() || self.output.is_full() {
            return false;
        }
        if notifying.has_lost_names {
            notifying.has_lost_names = false;
            notifying.is_to_resolve = true;
            let told = Events::NAMES | Events::SUBSCRIPTIONS;
            if notifying.spec.scope.all_events().intersects(told) {
                self.overflow();
                return false;
            }
        }
        if let Some((from, below)) = notifying.new_messages.take() {
            let items = notifying.spec.selected.as_ref().map(|it| it.items.clone());
            let idle = self.leave_idle();
            self.fetch_new(idle, (from, below), items.unwrap_or_default());
            return true;
        }
        self.tell_mailboxes();
        self.ask_of_news()
    }

    fn tell_mailboxes(&mut self) {
        let (Notify::On(notifying), Some(user)) = (&mut self.notify, self.user) else {
            return;
        };
        while !self.output.is_full()
            && let Some((_, (kinds, figures))) = notifying.untold.pop_first()
        {
            let mut line = Vec::new();
            if let Some(name) = figures.name_for(user) {
                push_status(&mut line, name, &figures, (kinds, self.condstore));
            }
            self.output.bytes(&line);
        }
    }

    /// Asks of the store what is to be told.
    fn ask_of_news(&mut self) -> bool {
        let (Notify::On(notifying), Some(user)) = (&mut self.notify, self.user) else {
            return false;
        };
        if let Some(became) = notifying.names.pop_front() {
            let (name, subscribed) = match &became {
                Became::Changed { name, .. } => (name, false),
                Became::Subscribed { name, on } => (name, *on),
                Became::Many => return false,
            };
            let query = Query {
                patterns: vec![name.as_str().into()],
                subscribed,
                ..Query::default()
            };
            let request = Request::List {
                user,
                query: query.into(),
                after: None,
            };
            let idle = self.leave_idle();
            self.ask(request, Step::Name(NameAsked { became, idle }));
        } else if std::mem::take(&mut notifying.is_to_resolve) {
            let spec = notifying.spec.clone();
            self.resolve_again(spec);
        } else if !notifying.stale.is_empty() {
            let stale = std::mem::take(&mut notifying.stale);
            let request = Request::Watched {
                user,
                scope: notifying.spec.scope.clone(),
                only: stale.keys().copied().collect(),
                max: usize::MAX,
            };
            let idle = self.leave_idle();
            self.ask(request, Step::CaughtUp(CatchingUp { stale, idle }));
        } else {
            return false;
        }
        true
    }

    /// What has happened in mailboxes that news were missed of.
    pub(super) fn caught_up_further(&mut self, catching_up: CatchingUp, reply: Reply) {
        let CatchingUp { mut stale, idle } = catching_up;
        self.go_back(idle);
        let Reply::Watched(watched) = reply else {
            // It is not known, and so can't be told.
            return self.overflow();
        };
        let selected = self.selected_mailbox();
        for it in &watched.mailboxes {
            let Some(cursor) = stale.remove(&it.mailbox) else {
                continue;
            };
            let modseq = it.figures.modseq;
            if selected != Some(it.mailbox) && cursor != Some(modseq.0 as u16) {
                let mut line = Vec::new();
                push_status(
                    &mut line,
                    &it.name,
                    &it.figures,
                    (it.events, self.condstore),
                );
                self.output.bytes(&line);
            }
            self.actions.push_back(Action::Told(it.mailbox, modseq));
        }
        // Those that are left are gone, or the user may not hear of them.
        if !stale.is_empty()
            && let Notify::On(notifying) = &mut self.notify
        {
            notifying.is_to_resolve = true;
        }
    }

    /// What a name is now.
    pub(super) fn name_came(&mut self, asked: NameAsked, reply: Reply) {
        let NameAsked { became, idle } = asked;
        self.go_back(idle);
        let Reply::Listed(piece) = reply else {
            return self.overflow();
        };
        let Notify::On(notifying) = &mut self.notify else {
            return;
        };
        let spec = notifying.spec.clone();
        let scope = &spec.scope;
        let events_of = |name: &MailboxName, is_subscribed| {
            let is_own = self.config.namespaces.place(name) == Place::Own;
            scope.events(name, is_own, is_subscribed)
        };
        let (name, was, is_told) = match &became {
            Became::Changed { name, was } => {
                let found = piece.entries.iter().find(|it| it.name == *name);
                let now = events_of(name, found.is_some_and(|it| it.subscribed));
                let before = was.as_ref().map(|was| events_of(was, false));
                let events = now | before.unwrap_or_default();
                if scope.all_events().intersects(Events::OF_MESSAGES) {
                    notifying.is_to_resolve = true;
                    notifying.touched.insert(name.clone());
                }
                (name, was.as_ref(), events.intersects(Events::NAMES))
            }
            Became::Subscribed { name, .. } => {
                let of_subscribed = scope.filters.iter();
                let of_messages = of_subscribed.filter(|it| {
                    it.mailboxes == mail::watched::Where::Subscribed
                        && it.events.intersects(Events::OF_MESSAGES)
                });
                notifying.is_to_resolve |= of_messages.count() > 0;
                let events = events_of(name, true);
                (name, None, events.intersects(Events::SUBSCRIPTIONS))
            }
            Became::Many => return,
        };
        if is_told {
            let entry = piece.entries.iter().find(|it| it.name == *name);
            self.say_name(name, entry, was);
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
        let mut line = format!("* LIST ({}) \"/\" ", attributes.join(" ")).into_bytes();
        encode::mailbox(&mut line, name);
        if let Some(was) = was {
            line.extend_from_slice(b" (\"OLDNAME\" (");
            encode::mailbox(&mut line, was);
            line.extend_from_slice(b"))");
        }
        line.extend_from_slice(b"\r\n");
        self.output.bytes(&line);
    }

    /// Whether a session can be packed away as far as NOTIFY goes.
    pub(super) fn has_no_news(&self) -> bool {
        match &self.notify {
            Notify::On(notifying) => notifying.is_calm() && notifying.revoked.is_empty(),
            Notify::Base | Notify::Off => true,
            Notify::Lost => false,
        }
    }

    /// Whether news are to be told, or asked for, between commands.
    pub(super) fn has_news(&self) -> bool {
        let is_between = matches!(self.work, Work::Ready | Work::Idle { .. });
        is_between
            && match &self.notify {
                Notify::On(notifying) => !notifying.is_calm(),
                Notify::Lost => true,
                Notify::Base | Notify::Off => false,
            }
    }

    /// What a host has kept beside the session.
    pub fn unpark_beside(&mut self, spec: Arc<Spec>) {
        self.notify = Notify::On(Box::new(Notifying::new(spec)));
    }
}
