//! What NOTIFY (RFC 5465) has a session tell between commands, and the words for it. A parked
//! session is told by the same words without being woken.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mail::metadata::EntryName;
use mail::namespace::Place;
use mail::{
    Became, Change, Event, Events, Figures, MailboxName, NameChange, Namespaces, News, Rights,
    Scope, UserId,
};

use super::ast::FetchItem;
use super::encode;
use super::name_form::NameForm;
use super::parked::Parked;

/// All that a NOTIFY SET asks for. It is kept for as long as that holds, beside a parked session.
#[derive(Debug)]
pub struct Spec {
    /// What is told of the selected mailbox; nothing if it was not asked for.
    pub(super) selected: Option<SelectedEvents>,
    /// Of other mailboxes, and names.
    pub(super) scope: Arc<Scope>,
    watchers: Arc<AtomicUsize>,
}

/// What is told of the selected mailbox.
#[derive(Debug)]
pub(super) struct SelectedEvents {
    /// Expunges wait for a command (RFC 5465 §6.1.2).
    pub delayed: bool,
    /// Flags are told.
    pub flags: bool,
    /// What is told of new messages.
    pub items: Arc<[FetchItem]>,
}

impl Spec {
    /// One that counts as a watcher for as long as it is there.
    pub(super) fn new(
        selected: Option<SelectedEvents>,
        scope: Scope,
        watchers: Arc<AtomicUsize>,
    ) -> Arc<Self> {
        watchers.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self {
            selected,
            scope: Arc::new(scope),
            watchers,
        })
    }

    /// One that a host has kept beside a session.
    pub fn of(beside: &Arc<dyn Any + Send + Sync>) -> Option<Arc<Self>> {
        beside.clone().downcast().ok()
    }

    /// The same, to be looked at.
    pub fn seen(beside: &Arc<dyn Any + Send + Sync>) -> Option<&Self> {
        (**beside).downcast_ref()
    }

    /// Whether it asks for events of messages in mailboxes that are not selected.
    pub(super) fn heeds_messages(&self) -> bool {
        self.scope.all_events().intersects(Events::OF_MESSAGES)
    }

    /// Whether a user is told of a change of a name, or other mailboxes may be watched for it, as
    /// far as is known without the store.
    pub(super) fn wants(
        &self,
        change: &NameChange,
        user: UserId,
        namespaces: &Namespaces,
    ) -> Wanted {
        let scope = &self.scope;
        if !change.is_for(user) || scope.filters.is_empty() {
            return Wanted::No;
        }
        let may_have = |name: &MailboxName, wanted| {
            scope.may_have(name, namespaces.place(name) == Place::Own, wanted)
        };
        let ask_if = |is_wanted| if is_wanted { Wanted::Ask } else { Wanted::No };
        match &change.what {
            Became::Many => Wanted::Ask,
            Became::Changed { name, was, .. } => {
                let any = Events::OF_MESSAGES | Events::NAMES;
                let above = name.parent().filter(|_| was.is_none());
                let names = [Some(name), was.as_ref()].into_iter().flatten();
                let of_names = names.filter_map(|name| may_have(name, any)).count() > 0;
                let of_above = above.and_then(|above| may_have(&above, Events::NAMES));
                ask_if(of_names || of_above.is_some())
            }
            Became::Subscribed { name, .. } => {
                let told = may_have(name, Events::SUBSCRIPTIONS).is_some();
                ask_if(told || scope.means_subscribed(Events::OF_MESSAGES))
            }
            Became::Annotated { name: None, .. } => {
                match scope.all_events().intersects(Events::SERVER_METADATA) {
                    true => Wanted::Yes,
                    false => Wanted::No,
                }
            }
            Became::Annotated {
                name: Some(name), ..
            } => match may_have(name, Events::METADATA) {
                Some(true) => Wanted::Yes,
                Some(false) => Wanted::Ask,
                None => Wanted::No,
            },
        }
    }
}

/// Whether a change of a name is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    No,
    /// The store is to be asked what the name is now.
    Ask,
    /// As it is.
    Yes,
}

impl Drop for Spec {
    fn drop(&mut self) {
        self.watchers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Which kinds of events an event is.
pub(super) fn kinds(event: &Event) -> Events {
    let mut kinds = Events::NONE;
    for change in &event.changes {
        kinds = kinds
            | match change {
                Change::New { .. } | Change::NewRun { .. } | Change::Expunged { .. } => {
                    Events::MESSAGES
                }
                Change::Flags { .. } => Events::FLAGS,
                Change::Acl(_) | Change::Keywords(_) | Change::KeyReset(_) => Events::NONE,
            };
    }
    kinds
}

/// How news concern a parked session that watches a mailbox beside the selected one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Further {
    /// Not at all.
    Silent,
    /// It is sent the line of this key.
    Line(u32),
    /// It is to hear of it itself.
    Wake,
}

/// A line's key: kinds of events, and these.
const CONDSTORE: u32 = 1 << 8;
const OWN: u32 = 1 << 9;
const UTF8: u32 = 1 << 10;

/// How news concern a parked session that watches their mailbox, or names, with these bits.
pub fn announce_further(
    parked: &Parked,
    spec: &Spec,
    (bits, news): (u8, &News),
    namespaces: &Namespaces,
) -> Further {
    let flag = |is_set, flag| if is_set { flag } else { 0 };
    let utf8 = flag(parked.name_form().is_utf8(), UTF8);
    let (event, figures) = match news {
        News::Mailbox(event, figures) => (event, figures),
        News::Name(change) => {
            return match spec.wants(change, parked.user, namespaces) {
                Wanted::No => Further::Silent,
                Wanted::Ask => Further::Wake,
                // All are told in the same words.
                Wanted::Yes => Further::Line(utf8),
            };
        }
    };
    if is_for_session(event) && !acl_lets_hear(event, parked.user) {
        return Further::Wake;
    }
    let kinds = kinds(event) & Events::from_bits(bits);
    let is_selected = parked.has(Parked::SELECTED) && parked.mailbox == event.mailbox;
    if kinds.is_empty() || is_selected {
        return Further::Silent;
    }
    let Some(figures) = figures else {
        return Further::Wake;
    };
    let is_own = figures.owner == parked.user;
    if !is_own && figures.others.is_none() {
        return Further::Wake;
    }
    let condstore = flag(parked.has(Parked::CONDSTORE), CONDSTORE);
    Further::Line(u32::from(kinds.bits()) | condstore | utf8 | flag(is_own, OWN))
}

/// Whether an event is a change of rights by which a user may hear of the mailbox.
pub(super) fn acl_lets_hear(event: &Event, user: UserId) -> bool {
    match event.changes.first() {
        Some(Change::Acl(acl)) => !event.deleted && may_hear(acl.rights_of(user)),
        _ => false,
    }
}

/// Whether only a session can say what an event means: its mailbox is gone, or rights have changed.
pub(super) fn is_for_session(event: &Event) -> bool {
    event.deleted || matches!(event.changes.first(), Some(Change::Acl(_)))
}

/// Whether news may concern a session that watches their mailbox, or names, with these bits.
pub fn concerns(bits: u8, news: &News) -> bool {
    match news {
        News::Name(_) => true,
        News::Mailbox(event, _) => {
            is_for_session(event) || kinds(event).intersects(Events::from_bits(bits))
        }
    }
}

/// Whether rights let somebody hear of a mailbox that they have not selected (RFC 5465 §5).
pub(super) fn may_hear(rights: Rights) -> bool {
    rights.contains(Rights::SIGHT)
}

/// The line of a key.
pub fn render_further(news: &News, key: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    let form = match key & UTF8 {
        0 => NameForm::Utf7,
        _ => NameForm::Utf8,
    };
    if let News::Name(change) = news
        && let Became::Annotated { name, entries } = &change.what
    {
        push_metadata(&mut out, name.as_ref(), entries, form);
    }
    if let News::Mailbox(_, Some(figures)) = news {
        let name = match key & OWN != 0 {
            true => Some(&figures.name),
            false => figures.others.as_ref(),
        };
        if let Some(name) = name {
            let kinds = Events::from_bits(key as u8);
            push_status(
                &mut out,
                (name, form),
                figures,
                (kinds, key & CONDSTORE != 0),
            );
        }
    }
    out
}

/// STATUS of a mailbox in which something has happened (RFC 5465 §5.1 to §5.3).
pub(super) fn push_status(
    out: &mut Vec<u8>,
    name: (&MailboxName, NameForm),
    figures: &Figures,
    (kinds, condstore): (Events, bool),
) {
    let mut items = Vec::new();
    if kinds.intersects(Events::MESSAGES) {
        items.push(format!("UIDNEXT {}", figures.uid_next));
        items.push(format!("MESSAGES {}", figures.messages));
    }
    if condstore || kinds.intersects(Events::FLAGS) {
        items.push(format!("HIGHESTMODSEQ {}", figures.modseq));
    }
    if kinds.intersects(Events::FLAGS) {
        items.push(format!("UIDVALIDITY {}", figures.uid_validity));
    }
    push_line(out, name, &items);
}

/// STATUS of a mailbox that is watched from now on (RFC 5465 §3.1).
pub(super) fn push_first_status(
    out: &mut Vec<u8>,
    name: (&MailboxName, NameForm),
    figures: &Figures,
    (kinds, condstore): (Events, bool),
) {
    let mut items = vec![
        format!("MESSAGES {}", figures.messages),
        format!("UIDNEXT {}", figures.uid_next),
        format!("UIDVALIDITY {}", figures.uid_validity),
    ];
    if condstore || kinds.intersects(Events::FLAGS) {
        items.push(format!("HIGHESTMODSEQ {}", figures.modseq));
    }
    push_line(out, name, &items);
}

/// Which metadata of a mailbox, or the server, has changed (RFC 5465 §5.6, §5.7; RFC 5464 §4.4.2).
pub(super) fn push_metadata(
    out: &mut Vec<u8>,
    mailbox: Option<&MailboxName>,
    entries: &[EntryName],
    form: NameForm,
) {
    out.extend_from_slice(b"* METADATA ");
    match mailbox {
        Some(mailbox) => encode::mailbox(out, mailbox, form),
        None => out.extend_from_slice(b"\"\""),
    }
    for entry in entries {
        out.push(b' ');
        encode::astring(out, entry.as_str().as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

fn push_line(out: &mut Vec<u8>, (name, form): (&MailboxName, NameForm), items: &[String]) {
    out.extend_from_slice(b"* STATUS ");
    encode::mailbox(out, name, form);
    out.extend_from_slice(format!(" ({})\r\n", items.join(" ")).as_bytes());
}
