//! NOTIFY (RFC 5465): which mailboxes are watched beside the selected one.
//!
//! Names are watched first. Then the store says which mailboxes are meant, these are watched, and
//! the store is asked again: what has changed meanwhile is found by that, and what happens later is
//! announced. The same is done whenever names have changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use mail::watched::{Filter, Where};
use mail::{
    Events, MailboxId, MailboxName, NameChange, Refusal, Reply, Request, Rights, Scope, Watched,
    WatchedMailbox,
};

use super::notified::{Notify, Notifying};
use super::{Session, Step, Work};
use crate::imap::action::{Action, FurtherWatch};
use crate::imap::ast::{EventGroup, NotifyEvent, NotifyMailboxes, NotifySet};
use crate::imap::encode;
use crate::imap::notify::{SelectedEvents, Spec, push_first_status, push_status};

/// How often the store is asked again because other mailboxes are meant than before.
const ROUNDS_MAX: u8 = 4;

/// What a session keeps of what it was asked for, besides FETCH items: about 300 names.
const SCOPE_BYTES_MAX: usize = 16 << 10;

/// The events that there are (RFC 5465 §8 `unsupported-events-code`).
const BAD_EVENT: &str = "NO [BADEVENT (MessageNew MessageExpunge FlagChange MailboxName \
                         SubscriptionChange MailboxMetadataChange ServerMetadataChange)] \
                         Some of these events are not known";
/// The answer where nothing may be watched.
const REFUSED: &str = "NO [CANNOT] NOTIFY is not offered here";
/// The answer to who names more than is kept.
const TOO_LONG: &str = "NO [LIMIT] These are more names than a session may keep";
/// The answer to who asks for too much (RFC 5465 §3.1).
const TOO_MANY: &str = "NO [NOTIFICATIONOVERFLOW] These are more mailboxes than one may watch";

/// Mailboxes are being watched.
pub(super) struct Setting {
    cause: Cause,
    spec: Arc<Spec>,
    /// What is watched.
    list: Vec<MailboxId>,
    /// What was not watched before.
    fresh: BTreeSet<MailboxId>,
    /// Names that have changed.
    touched: BTreeSet<MailboxName>,
    rounds: u8,
    /// They are in place, and the store was asked again.
    is_placed: bool,
}

/// Why.
enum Cause {
    /// NOTIFY SET, with STATUS or without.
    Command { tag: Box<str>, status: bool },
    /// Names have changed; within IDLE, its tag.
    Names { idle: Option<Box<str>> },
}

impl Session {
    pub(super) fn notify(&mut self, tag: Box<str>, set: Option<Box<NotifySet>>) {
        let Some(set) = set else {
            self.stop_notifying();
            return self.finish(tag, "OK NOTIFY completed");
        };
        if self.config.notify_mailboxes_max == 0 {
            return self.done(&tag, REFUSED);
        }
        let mut events = set.groups.iter().flat_map(|group| &group.events);
        if events.any(|event| *event == NotifyEvent::Unknown) {
            return self.done(&tag, BAD_EVENT);
        }
        let Some(spec) = self.spec(&set.groups) else {
            return self.done(&tag, TOO_LONG);
        };
        let cause = Cause::Command {
            tag,
            status: set.status,
        };
        self.ask_watched(Setting {
            cause,
            spec,
            list: vec![],
            fresh: BTreeSet::new(),
            touched: BTreeSet::new(),
            rounds: 0,
            is_placed: false,
        });
    }

    /// What is asked for; none if it is more than may be kept.
    fn spec(&self, groups: &[EventGroup]) -> Option<Arc<Spec>> {
        let mut selected = None;
        let mut filters = Vec::new();
        for group in groups {
            let mailboxes = match &group.mailboxes {
                NotifyMailboxes::Selected | NotifyMailboxes::SelectedDelayed => {
                    selected = selected_events(group);
                    continue;
                }
                NotifyMailboxes::Inboxes | NotifyMailboxes::Personal => Where::Personal,
                NotifyMailboxes::Subscribed => Where::Subscribed,
                NotifyMailboxes::Subtree(names) => Where::Subtree(names.iter().cloned().collect()),
                NotifyMailboxes::Mailboxes(names) => {
                    Where::Mailboxes(names.iter().cloned().collect())
                }
            };
            let event = |event: &NotifyEvent| match event {
                NotifyEvent::MessageNew(_) | NotifyEvent::MessageExpunge => Events::MESSAGES,
                NotifyEvent::FlagChange => Events::FLAGS,
                NotifyEvent::MailboxName => Events::NAMES,
                NotifyEvent::SubscriptionChange => Events::SUBSCRIPTIONS,
                NotifyEvent::MailboxMetadataChange => Events::METADATA,
                NotifyEvent::ServerMetadataChange => Events::SERVER_METADATA,
                NotifyEvent::Unknown => Events::NONE,
            };
            let all = group.events.iter().map(event);
            let events = all.fold(Events::NONE, |all, event| all | event);
            if !events.is_empty() {
                filters.push(Filter { mailboxes, events });
            }
        }
        let scope = Scope {
            filters: filters.into(),
        };
        let is_small = scope.bytes() <= SCOPE_BYTES_MAX;
        is_small.then(|| Spec::new(selected, scope, self.config.watchers.clone()))
    }

    /// As after NOTIFY NONE.
    pub(super) fn stop_notifying(&mut self) {
        if matches!(self.notify, Notify::On(_)) {
            self.act(Action::UnwatchFurther);
        }
        self.notify = Notify::Off;
    }

    /// The server can't tell all that it was asked for (RFC 5465 §5.8).
    pub(super) fn overflow(&mut self) {
        self.stop_notifying();
        self.say("* OK [NOTIFICATIONOVERFLOW] No more is told; ask again, or for less");
    }

    /// Names have changed: finds out which mailboxes are meant now.
    pub(super) fn resolve_again(&mut self, spec: Arc<Spec>) {
        let touched = match &mut self.notify {
            Notify::On(notifying) => notifying.take_touched(),
            Notify::Base | Notify::Off | Notify::Lost => BTreeSet::new(),
        };
        let idle = self.leave_idle();
        self.ask_watched(Setting {
            cause: Cause::Names { idle },
            spec,
            list: vec![],
            fresh: BTreeSet::new(),
            touched,
            rounds: 0,
            is_placed: false,
        });
    }

    fn ask_watched(&mut self, setting: Setting) {
        let Some(user) = self.user else { return };
        let request = Request::Watched {
            user,
            scope: setting.spec.scope.clone(),
            only: vec![],
            needs: Rights::SIGHT,
            max: self.config.notify_mailboxes_max,
        };
        self.ask(request, Step::Notify(Box::new(setting)));
    }

    /// The store has said which mailboxes are meant.
    pub(super) fn resolved(&mut self, mut setting: Box<Setting>, reply: Reply) {
        let watched = match reply {
            Reply::Watched(watched) if !watched.too_many => watched,
            Reply::Watched(_) => return self.cannot_watch(*setting, None),
            Reply::Refused(refusal) => return self.cannot_watch(*setting, Some(&refusal)),
            _ => return self.cannot_watch(*setting, Some(&Refusal::Bug)),
        };
        let list: Vec<MailboxId> = watched.mailboxes.iter().map(|it| it.mailbox).collect();
        let is_same = setting.is_placed && list == setting.list;
        if is_same || setting.rounds == ROUNDS_MAX {
            return self.are_watched(*setting, watched);
        }
        setting.rounds += 1;
        setting.list = list;
        setting.is_placed = true;
        self.watch_further(&setting.spec, &watched);
        self.work = Work::Placing(setting);
    }

    fn watch_further(&mut self, spec: &Arc<Spec>, watched: &Watched) {
        let Some(user) = self.user else { return };
        let mailbox = |it: &WatchedMailbox| {
            FurtherWatch::Mailbox(it.mailbox, it.figures.modseq, it.events.bits())
        };
        let mut watches: Vec<FurtherWatch> = watched.mailboxes.iter().map(mailbox).collect();
        watches.push(FurtherWatch::Names(user));
        if spec.scope.heeds_all() {
            watches.push(FurtherWatch::Names(NameChange::ANYONE));
        }
        self.act(Action::WatchFurther(spec.clone(), watches));
        match &mut self.notify {
            // What was not told yet still is, if it is asked for again.
            Notify::On(notifying) => notifying.set(spec.clone()),
            notify => *notify = Notify::On(Box::new(Notifying::new(spec.clone()))),
        }
    }

    /// What was to be watched is. These mailboxes were not before.
    pub fn handle_further_watching(&mut self, fresh: &[MailboxId]) {
        if let Work::Placing(_) = &self.work
            && let Work::Placing(mut setting) = std::mem::replace(&mut self.work, Work::Ready)
        {
            setting.fresh.extend(fresh);
            self.ask_watched(*setting);
            self.go_on();
        }
    }

    /// More is meant than may be watched, or the store can't say what.
    fn cannot_watch(&mut self, setting: Setting, why: Option<&Refusal>) {
        match (setting.cause, why) {
            // What was asked for before stays, unless it has been given up already.
            (Cause::Command { tag, .. }, _) if setting.is_placed => {
                self.stop_notifying();
                self.done(&tag, TOO_MANY);
            }
            (Cause::Command { tag, .. }, Some(refusal)) => self.refuse(&tag, refusal),
            (Cause::Command { tag, .. }, None) => self.done(&tag, TOO_MANY),
            (Cause::Names { idle }, _) => {
                self.overflow();
                self.go_back(idle);
            }
        }
    }

    fn are_watched(&mut self, setting: Setting, watched: Watched) {
        let (condstore, form) = (self.condstore, self.name_form);
        if let Notify::On(notifying) = &mut self.notify {
            notifying.are_known(&watched);
        }
        let is_selected = {
            let selected = self.selected_mailbox();
            move |id: MailboxId| selected == Some(id)
        };
        match setting.cause {
            Cause::Command { tag, status } => {
                for name in &watched.no_access {
                    let mut line = b"* LIST (\\NoAccess) \"/\" ".to_vec();
                    encode::mailbox(&mut line, name, self.name_form);
                    line.extend_from_slice(b"\r\n");
                    self.output.bytes(&line);
                }
                let mut lines = Vec::new();
                let told = watched.mailboxes.iter().filter(|_| status);
                for it in told.filter(|it| !is_selected(it.mailbox)) {
                    push_first_status(
                        &mut lines,
                        (&it.name, form),
                        &it.figures,
                        (it.events, condstore),
                    );
                    let told = Action::Told(it.mailbox, it.figures.modseq);
                    self.actions.push_back(told);
                    if let Notify::On(notifying) = &mut self.notify {
                        notifying.is_told(&it.figures);
                    }
                }
                self.output.bytes(&lines);
                self.watch_selected();
                self.finish(tag, "OK NOTIFY completed");
            }
            Cause::Names { idle } => {
                let mut lines = Vec::new();
                // What was not watched, and what has another name: the client hears what it is.
                let is_new = |it: &&WatchedMailbox| {
                    setting.fresh.contains(&it.mailbox) || setting.touched.contains(&it.name)
                };
                let found = watched.mailboxes.iter().filter(is_new);
                for it in found.filter(|it| !is_selected(it.mailbox)) {
                    push_status(
                        &mut lines,
                        (&it.name, form),
                        &it.figures,
                        (it.events, condstore),
                    );
                    let told = Action::Told(it.mailbox, it.figures.modseq);
                    self.actions.push_back(told);
                    if let Notify::On(notifying) = &mut self.notify {
                        notifying.is_told(&it.figures);
                    }
                }
                self.output.bytes(&lines);
                self.go_back(idle);
            }
        }
    }

    /// Watches the selected mailbox, if NOTIFY has news of it told between commands.
    pub(super) fn watch_selected(&mut self) {
        let tells = matches!(&self.notify, Notify::On(it) if it.spec.selected.is_some());
        let unwatched = self.selected.as_deref().filter(|it| !it.watching);
        if let Some(mailbox) = unwatched.filter(|_| tells).map(|it| it.mailbox) {
            self.act(Action::Watch(mailbox));
        }
    }

    /// Whether the client is told of the selected mailbox between commands.
    pub(super) fn tells_selected(&self) -> bool {
        let idle = matches!(self.work, Work::Idle { .. });
        self.selected.is_some()
            && match &self.notify {
                Notify::Base => idle,
                Notify::Off | Notify::Lost => false,
                Notify::On(it) => {
                    it.spec.selected.is_some() && (idle || matches!(self.work, Work::Ready))
                }
            }
    }

    /// What NOTIFY has told of the selected mailbox.
    pub(super) fn selected_events(&self) -> Option<&SelectedEvents> {
        match &self.notify {
            Notify::On(it) => it.spec.selected.as_ref(),
            Notify::Base | Notify::Off | Notify::Lost => None,
        }
    }

    /// The tag of IDLE, if the client idles: [`Session::go_back`] goes on with it.
    pub(super) fn leave_idle(&mut self) -> Option<Box<str>> {
        match std::mem::replace(&mut self.work, Work::Ready) {
            Work::Idle { tag } => Some(tag),
            work => {
                self.work = work;
                None
            }
        }
    }

    /// What was between commands, or within IDLE, is done.
    pub(super) fn go_back(&mut self, idle: Option<Box<str>>) {
        self.work = idle.map_or(Work::Ready, |tag| Work::Idle { tag });
    }

    /// Whether the client has asked by NOTIFY for something, which holds.
    pub fn is_notified(&self) -> bool {
        matches!(self.notify, Notify::On(_))
    }
}

fn selected_events(group: &EventGroup) -> Option<SelectedEvents> {
    let items = group.events.iter().find_map(|event| match event {
        NotifyEvent::MessageNew(items) => Some(items.as_slice().into()),
        _ => None,
    })?;
    Some(SelectedEvents {
        delayed: group.mailboxes == NotifyMailboxes::SelectedDelayed,
        flags: group.events.contains(&NotifyEvent::FlagChange),
        items,
    })
}
