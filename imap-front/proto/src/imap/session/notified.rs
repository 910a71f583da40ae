//! What a session tells between commands that has been asked to by NOTIFY (RFC 5465 §5).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use mail::{
    Became, Events, Figures, MailboxId, MailboxName, NameChange, Namespaces, News, Reply, Request,
    Rights, Uid, UidRanges, UserId, Watched,
};

use super::{Session, Step, ViewState, Work};
use crate::imap::action::Action;
use crate::imap::notify::{
    Spec, Wanted, acl_lets_hear, is_for_session, kinds, push_metadata, push_status,
};

/// Bytes of changes of names that wait to be told; with more, no more is told (RFC 5465 §5.8).
const NAMES_BYTES_MAX: usize = 32 << 10;
/// Names that have changed, after which other mailboxes are looked for at once.
const TOUCHED_MAX: usize = 256;

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
    /// What became of names, and what that takes in bytes.
    names: VecDeque<Arc<NameChange>>,
    names_bytes: usize,
    /// Mailboxes in which something may have happened.
    stale: BTreeMap<MailboxId, Since>,
    /// Mailboxes that the user may not hear of any more.
    revoked: BTreeSet<MailboxId>,
    /// Other mailboxes may be meant than before.
    pub(super) is_to_resolve: bool,
    /// Names that have changed since that was last found out.
    pub(super) touched: BTreeSet<MailboxName>,
    /// Names have changed and it is not known which.
    has_lost_names: bool,
    /// New messages in the selected mailbox of which more is to be told: from one UID to below
    /// another.
    new_messages: Option<(Uid, Uid)>,
    /// Those of which its client knows, as it has appended them: ranges, ascending.
    own_messages: Vec<(Uid, Uid)>,
}

/// Up to when the client has heard what happened in a mailbox: the low bits of its mod-sequence.
#[derive(Clone, Copy, Debug)]
enum Since {
    Unknown,
    UpTo(u16),
    /// It was selected, and need not be one of those that are watched. Unless that is known, not of
    /// all.
    Selected(Option<u16>),
}

impl Since {
    fn is_up_to(self, now: u16) -> bool {
        match self {
            Self::Unknown => false,
            Self::UpTo(heard) => heard == now,
            Self::Selected(heard) => heard == Some(now),
        }
    }
}

/// Mailboxes of which is asked what has happened.
pub(super) struct CatchingUp {
    stale: BTreeMap<MailboxId, Since>,
    idle: Option<Box<str>>,
}

impl Notifying {
    pub fn new(spec: Arc<Spec>) -> Self {
        Self {
            spec,
            untold: BTreeMap::new(),
            names: VecDeque::new(),
            names_bytes: 0,
            stale: BTreeMap::new(),
            revoked: BTreeSet::new(),
            is_to_resolve: false,
            touched: BTreeSet::new(),
            has_lost_names: false,
            new_messages: None,
            own_messages: vec![],
        }
    }

    /// Something else is asked for from now on. What was not told yet still is, as far as it is
    /// asked for again.
    pub fn set(&mut self, spec: Arc<Spec>) {
        let items = spec.selected.as_ref().map(|it| it.items.len());
        if items.is_none_or(|count| count == 0) {
            self.new_messages = None;
            self.own_messages.clear();
        }
        self.spec = spec;
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
        if self.untold.is_empty() {
            return;
        }
        let known = watched.mailboxes.iter().map(|it| (it.mailbox, it));
        let known: BTreeMap<MailboxId, _> = known.collect();
        self.untold.retain(|id, (kinds, figures)| {
            let Some(it) = known.get(id) else {
                return false;
            };
            if it.figures.modseq >= figures.modseq {
                *figures = it.figures.clone();
            }
            *kinds = *kinds & it.events;
            !kinds.is_empty()
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

    fn take_name(&mut self, change: &Arc<NameChange>, user: UserId, namespaces: &Namespaces) {
        if self.spec.wants(change, user, namespaces) == Wanted::No {
            return;
        }
        let bytes = size_of::<NameChange>() + change.what.bytes();
        match change.what == Became::Many || self.names_bytes + bytes > NAMES_BYTES_MAX {
            true => self.has_lost_names = true,
            false => {
                self.names_bytes += bytes;
                self.names.push_back(change.clone());
            }
        }
    }

    fn next_name(&mut self) -> Option<Arc<NameChange>> {
        let change = self.names.pop_front()?;
        self.names_bytes -= size_of::<NameChange>() + change.what.bytes();
        Some(change)
    }

    /// Whether what became of a name by itself waits to be told.
    pub(super) fn will_tell(&self, asked: &MailboxName) -> bool {
        self.names.iter().any(|change| {
            matches!(&change.what, Became::Changed { name, was: None, .. } if name == asked)
        })
    }
}

impl Session {
    /// News of what is watched beside the selected mailbox, with a watch's bits.
    pub fn handle_further(&mut self, news: &News, bits: u8) {
        let selected = self.selected_mailbox();
        let (Notify::On(notifying), Some(user)) = (&mut self.notify, self.user) else {
            return;
        };
        match news {
            News::Name(change) => notifying.take_name(change, user, &self.config.namespaces),
            News::Mailbox(event, figures) => {
                let id = event.mailbox;
                if is_for_session(event) && !acl_lets_hear(event, user) {
                    notifying.revoked.insert(id);
                    notifying.untold.remove(&id);
                    notifying.is_to_resolve = true;
                }
                let kinds = kinds(event) & Events::from_bits(bits);
                let is_told = !kinds.is_empty() && selected != Some(id);
                if is_told && !notifying.revoked.contains(&id) {
                    match figures.as_ref().filter(|it| it.name_for(user).is_some()) {
                        Some(figures) => {
                            let had = notifying.untold.get(&id).map(|it| it.0);
                            let kinds = kinds | had.unwrap_or_default();
                            notifying.untold.insert(id, (kinds, figures.clone()));
                        }
                        None => drop(notifying.stale.insert(id, Since::Unknown)),
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
                    Some(id) => drop(notifying.stale.insert(*id, Since::UpTo(*cursor))),
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

    /// The client itself has appended these messages: no more is told of them, if that is to the
    /// selected mailbox (RFC 5465 §5.2).
    pub(super) fn note_own_messages(&mut self, mailbox: MailboxId, first: Uid, count: u32) {
        if self.selected_mailbox() == Some(mailbox)
            && let Notify::On(notifying) = &mut self.notify
            && let Some(selected) = &notifying.spec.selected
            && !selected.items.is_empty()
        {
            let last = Uid(first.0.saturating_add(count.saturating_sub(1)));
            notifying.own_messages.push((first, last));
        }
    }

    /// The mailbox that was selected is not any more: what the client has not heard of it, it hears
    /// as of others.
    pub(super) fn heed_unselected(&mut self) {
        let (Notify::On(notifying), Some(selected)) = (&mut self.notify, &self.selected) else {
            return;
        };
        notifying.new_messages = None;
        notifying.own_messages.clear();
        let told = match &selected.view {
            ViewState::Loaded(view) => view.all_sent().then_some(view.modseq),
            ViewState::Unloaded {
                modseq, withheld, ..
            } => withheld.is_none().then_some(*modseq),
        };
        if notifying.spec.heeds_messages() {
            let since = Since::Selected(told.map(|modseq| modseq.0 as u16));
            notifying.stale.insert(selected.mailbox, since);
        }
    }

    /// A mailbox was selected: the client knows all of it.
    pub(super) fn heed_selected(&mut self, mailbox: MailboxId) {
        if let Notify::On(notifying) = &mut self.notify {
            notifying.untold.remove(&mailbox);
            notifying.stale.remove(&mailbox);
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
            let told = told | Events::METADATA | Events::SERVER_METADATA;
            if notifying.spec.scope.all_events().intersects(told) {
                self.overflow();
                return false;
            }
        }
        if let Some(range) = notifying.new_messages.take() {
            let others = without(range, &std::mem::take(&mut notifying.own_messages));
            let items = notifying.spec.selected.as_ref().map(|it| it.items.clone());
            if !others.is_empty() {
                let idle = self.leave_idle();
                self.fetch_new(idle, others, items.unwrap_or_default());
                return true;
            }
            return self.has_news() && self.tell_news();
        }
        self.tell_mailboxes();
        if self.output.is_full() {
            return false;
        }
        self.ask_of_news()
    }

    fn tell_mailboxes(&mut self) {
        let form = self.name_form;
        let (Notify::On(notifying), Some(user)) = (&mut self.notify, self.user) else {
            return;
        };
        while !self.output.is_full()
            && let Some((_, (kinds, figures))) = notifying.untold.pop_first()
        {
            let mut line = Vec::new();
            if let Some(name) = figures.name_for(user) {
                push_status(&mut line, (name, form), &figures, (kinds, self.condstore));
            }
            self.output.bytes(&line);
        }
    }

    /// Asks of the store what is to be told.
    fn ask_of_news(&mut self) -> bool {
        let form = self.name_form;
        let (Notify::On(notifying), Some(user)) = (&mut self.notify, self.user) else {
            return false;
        };
        if notifying.touched.len() < TOUCHED_MAX
            && let Some(change) = notifying.next_name()
        {
            let spec = &notifying.spec;
            match (
                &change.what,
                spec.wants(&change, user, &self.config.namespaces),
            ) {
                // Something else is asked for by now.
                (_, Wanted::No) => return true,
                (Became::Annotated { name, entries }, Wanted::Yes) => {
                    let mut line = Vec::new();
                    push_metadata(&mut line, name.as_ref(), entries, form);
                    self.output.bytes(&line);
                    return true;
                }
                _ => self.ask_of_name(user, change),
            }
        } else if std::mem::take(&mut notifying.is_to_resolve) {
            let spec = notifying.spec.clone();
            self.resolve_again(spec);
        } else if !notifying.stale.is_empty() {
            let stale = std::mem::take(&mut notifying.stale);
            let request = Request::Watched {
                user,
                scope: notifying.spec.scope.clone(),
                only: stale.keys().copied().collect(),
                needs: Rights::SIGHT,
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
        let (selected, form) = (self.selected_mailbox(), self.name_form);
        for it in &watched.mailboxes {
            let Some(since) = stale.remove(&it.mailbox) else {
                continue;
            };
            let modseq = it.figures.modseq;
            if selected != Some(it.mailbox) && !since.is_up_to(modseq.0 as u16) {
                let mut line = Vec::new();
                push_status(
                    &mut line,
                    (&it.name, form),
                    &it.figures,
                    (it.events, self.condstore),
                );
                self.output.bytes(&line);
            }
            self.actions.push_back(Action::Told(it.mailbox, modseq));
        }
        // Those that are left are gone, or the user may not hear of them.
        let is_watched = |since: &Since| !matches!(since, Since::Selected(_));
        if stale.values().any(is_watched)
            && let Notify::On(notifying) = &mut self.notify
        {
            notifying.is_to_resolve = true;
        }
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

/// From one UID to below another, but for these ranges.
fn without((mut from, below): (Uid, Uid), own: &[(Uid, Uid)]) -> UidRanges {
    let mut left = vec![];
    let mut push = |from: Uid, below: Uid| {
        left.extend((from < below).then(|| (from, Uid(below.0 - 1))));
    };
    for (first, last) in own {
        push(from, (*first).min(below));
        from = from.max(Uid(last.0.saturating_add(1)));
    }
    push(from, below);
    left.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use mail::{Change, Event, ModSeq, UidValidity, WatchedMailbox};

    use super::*;

    const WORK: MailboxId = MailboxId(7);

    fn figures(messages: u32) -> Arc<Figures> {
        Arc::new(Figures {
            mailbox: WORK,
            owner: UserId(1),
            name: MailboxName::new("Work"),
            others: None,
            messages,
            uid_next: Uid(messages + 1),
            uid_validity: UidValidity(1),
            modseq: ModSeq(u64::from(messages) + 1),
        })
    }

    /// A message has come to a mailbox that has so many now.
    fn came(messages: u32) -> News {
        let seq = ModSeq(u64::from(messages) + 1);
        let change = Change::New {
            uid: Uid(messages),
            exists: messages,
            flags: Arc::default(),
        };
        let event = Event {
            mailbox: WORK,
            prev: ModSeq(seq.0 - 1),
            seq,
            changes: vec![change],
            deleted: false,
        };
        News::Mailbox(Arc::new(event), Some(figures(messages)))
    }

    /// Answers what a session asks, of a mailbox that has so many messages; gives what it says.
    fn answer(session: &mut Session, messages: u32) -> String {
        let mut said = String::new();
        while let Some(action) = session.poll_action() {
            match action {
                Action::Send(bytes) => {
                    said.push_str(&String::from_utf8_lossy(&bytes));
                    session.handle_drained();
                }
                Action::Request(Request::Watched { .. }) => {
                    let mailbox = WatchedMailbox {
                        mailbox: WORK,
                        name: MailboxName::new("Work"),
                        events: Events::MESSAGES,
                        figures: figures(messages),
                    };
                    session.handle_reply(Reply::Watched(Watched {
                        mailboxes: vec![mailbox],
                        ..Watched::default()
                    }));
                }
                Action::WatchFurther(..) => session.handle_further_watching(&[]),
                _ => {}
            }
        }
        said
    }

    fn watching() -> Session {
        let mut session = Session::new(Arc::default(), true);
        session.user = Some(UserId(1));
        session.handle_input(b"a NOTIFY SET (PERSONAL (MessageNew MessageExpunge))\r\n");
        assert!(answer(&mut session, 0).ends_with("a OK NOTIFY completed\r\n"));
        session
    }

    #[test]
    fn what_was_not_told_yet_is_told_after_another_set() {
        let mut session = watching();
        let again =
            |more: &str| format!("b NOTIFY SET (PERSONAL ({more}MessageNew MessageExpunge))\r\n");
        session.handle_input(again("MailboxName ").as_bytes());
        // It comes while the store is asked.
        session.handle_further(&came(1), Events::MESSAGES.bits());
        let status = "* STATUS Work (UIDNEXT 2 MESSAGES 1)\r\n";
        assert_eq!(
            answer(&mut session, 1),
            format!("b OK NOTIFY completed\r\n{status}")
        );
        // With STATUS it is told by that.
        session.handle_input(again("").replace("SET", "SET STATUS").as_bytes());
        session.handle_further(&came(2), Events::MESSAGES.bits());
        let said = answer(&mut session, 2);
        assert_eq!(said.matches("* STATUS").count(), 1, "{said}");
        // And who asks for nothing hears of nothing.
        session.handle_input(b"b NOTIFY SET (PERSONAL (MailboxName))\r\n");
        session.handle_further(&came(3), Events::MESSAGES.bits());
        session.handle_input(b"c NOTIFY NONE\r\n");
        let said = answer(&mut session, 3);
        assert!(said.ends_with("c OK NOTIFY completed\r\n"), "{said}");
    }

    #[test]
    fn more_than_may_wait_is_told_so() {
        let mut session = watching();
        session.handle_input(b"b NOTIFY SET (PERSONAL (MailboxName))\r\n");
        for number in 0..NAMES_BYTES_MAX / 100 {
            let name = MailboxName::new(&format!("{number}{}", "x".repeat(100)));
            let change = NameChange::of(UserId(1), Became::changed(name, None));
            session.handle_further(&News::Name(Arc::new(change)), 0);
        }
        let said = answer(&mut session, 0);
        assert!(
            said.ends_with("more is told; ask again, or for less\r\n"),
            "{said}"
        );
        let many = format!("{} ", "x".repeat(90)).repeat(400);
        let line = format!(
            "c NOTIFY SET (MAILBOXES ({}) (MailboxName))\r\n",
            many.trim_end()
        );
        session.handle_input(line.as_bytes());
        // They are the same name.
        assert!(answer(&mut session, 0).starts_with("c OK"));
        let many: Vec<String> = (0..400)
            .map(|it| format!("{it}{}", "x".repeat(90)))
            .collect();
        let line = format!(
            "d NOTIFY SET (MAILBOXES ({}) (MailboxName))\r\n",
            many.join(" ")
        );
        session.handle_input(line.as_bytes());
        let said = answer(&mut session, 0);
        assert!(said.starts_with("d NO [LIMIT]"), "{said}");
    }
}
