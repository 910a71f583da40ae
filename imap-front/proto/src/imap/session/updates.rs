//! The view is brought up to date, and the client is sent what it may hear of it.

use std::sync::Arc;

use mail::{Flags, ModSeq, Reply, Request, Uid};

use super::{Selected, Session, Step, View, ViewState};
use crate::imap::action::Action;
use crate::imap::encode::keyword_lines;
use crate::imap::view::{FlagsTold, ToldBy};

impl Session {
    /// Asks for what the view lacks; the step gets the answer.
    pub(super) fn sync(&mut self, step: Step) {
        let Some(selected) = &self.selected else {
            return;
        };
        let mailbox = selected.mailbox;
        let request = match &selected.view {
            ViewState::Loaded(view) => Request::Sync {
                mailbox,
                since: view.modseq,
            },
            ViewState::Unloaded {
                modseq, withheld, ..
            } => Request::View {
                mailbox,
                at: withheld.map_or(*modseq, |(after, _)| after),
            },
        };
        self.ask(request, step);
    }

    /// Takes the answer to [`Session::sync`] into the view. False if the mailbox is gone; the
    /// session is being closed then.
    pub(super) fn synced(&mut self, reply: Reply) -> bool {
        self.take_sync(reply).map_err(|why| self.bye(&why)).is_ok()
    }

    /// As [`Session::synced`] of a loaded view; of flags for which `known` holds, with the
    /// mod-sequence that they got, the client hears by other means.
    pub(super) fn synced_but(
        &mut self,
        delta: &[Arc<mail::Event>],
        known: impl Fn(Uid, ModSeq) -> bool,
    ) -> bool {
        self.note_changes(delta);
        let current = self.view().apply_but(delta, known);
        if !current {
            self.bye("The selected mailbox was deleted");
            return false;
        }
        self.heed_rights().map_err(|why| self.bye(&why)).is_ok()
    }

    /// # Errors
    /// Why the session can only be ended.
    pub(super) fn take_sync(&mut self, reply: Reply) -> Result<(), String> {
        // RFC 2180 §3.3: a session whose mailbox was deleted can only be ended.
        let gone = || "The selected mailbox was deleted".to_owned();
        if let Reply::Synced(delta) = &reply {
            self.note_changes(delta);
        }
        let selected = self.selected.as_mut().ok_or_else(gone)?;
        let current = match reply {
            Reply::Synced(delta) => match &mut selected.view {
                ViewState::Loaded(view) => view.apply(&delta),
                ViewState::Unloaded { .. } => false,
            },
            Reply::Viewed {
                uids,
                keywords,
                delta,
            } => {
                let (modseq, recent_from) = match &selected.view {
                    ViewState::Loaded(view) => (view.modseq, view.recent_from),
                    ViewState::Unloaded {
                        modseq,
                        recent_from,
                        withheld,
                        ..
                    } => (withheld.map_or(*modseq, |(after, _)| after), *recent_from),
                };
                let mut view = View::new(uids, modseq, recent_from);
                let current = view.apply(&delta);
                selected.view = ViewState::Loaded(view);
                selected.keywords = Some(Flags::new(0, keywords));
                current
            }
            Reply::Refused(refusal) => {
                return Err(format!("The mailbox can't be read: {refusal}"));
            }
            _ => false,
        };
        if current {
            self.heed_rights()
        } else {
            Err(gone())
        }
    }

    pub(super) fn finished(&mut self, tag: &str, text: &str, reply: Reply) {
        let synced = self.take_sync(reply);
        if synced.is_ok() {
            self.send_updates(true);
        }
        self.done(tag, text);
        if let Err(why) = synced {
            self.bye(&why);
        }
    }

    /// Adds what the client may be sent now.
    pub(super) fn send_updates(&mut self, expunges: bool) {
        if expunges {
            self.leave_contexts();
        }
        self.send_keywords();
        self.tell_of_key();
        let told_by = self.told_by();
        let what = FlagsTold {
            condstore: self.condstore,
            // RFC 9051 §7.5.2: nobody has asked for these.
            uid: self.rev2 || self.selected_events().is_some_and(|it| it.flags),
            uid_only: self.uid_only,
            recent: !self.rev2,
        };
        if let Some(view) = loaded(&mut self.selected) {
            let before = view.announced_below();
            let told = view.send_updates(&mut self.output, expunges.then_some(told_by), what);
            self.told_of_new(before, told);
        }
    }

    /// Adds what NOTIFY, or IDLE, has the client be sent between commands.
    pub(super) fn send_news(&mut self, is_idling: bool) {
        let (delayed, flags) = self
            .selected_events()
            .map_or((false, true), |it| (it.delayed, it.flags));
        if !flags && let Some(view) = loaded(&mut self.selected) {
            view.forget_all_flags();
        }
        self.send_updates(is_idling || !delayed);
    }

    /// Adds which messages there are, and nothing of their flags.
    pub(super) fn send_numbers(&mut self, expunges: bool) {
        if expunges {
            self.leave_contexts();
        }
        let (told_by, recent) = (expunges.then_some(self.told_by()), !self.rev2);
        if let Some(view) = loaded(&mut self.selected) {
            let before = view.announced_below();
            let told = view.send_numbers(&mut self.output, told_by, recent);
            self.told_of_new(before, told);
        }
    }

    /// How the client hears of messages that are gone.
    fn told_by(&self) -> ToldBy {
        match self.qresync || self.uid_only {
            true => ToldBy::Uids,
            false => ToldBy::Numbers,
        }
    }

    /// The client was told of messages from a UID to below another, if there are new ones.
    fn told_of_new(&mut self, from: Uid, below: Option<Uid>) {
        if let Some(below) = below {
            self.note_new_messages(from, below);
        }
        self.claim(below);
    }

    /// The client was told of messages below a UID: they are its own as recent, if they are new
    /// (RFC 3501 §2.3.2).
    fn claim(&mut self, below: Option<Uid>) {
        if let (Some(below), Some(selected)) = (below, &self.selected)
            && !selected.read_only
        {
            // Nothing that was said has to wait for it, nor it for that.
            self.actions
                .push_back(Action::Claim(selected.mailbox, below));
        }
    }

    /// Adds the mailbox's keywords, if there are new ones, and those of flags that were read and
    /// are newer still.
    fn send_keywords(&mut self) {
        let Some(view) = loaded(&mut self.selected) else {
            return;
        };
        let (all, of_flags) = (view.take_all_keywords(), view.take_keywords());
        if let (Some(all), Some(selected)) = (all, self.selected.as_deref_mut()) {
            let all = Flags::new(0, all.iter().cloned());
            let known = selected.keywords.as_ref();
            let is_known = |word| known.is_some_and(|known| known.has_keyword(word));
            if !all.keywords().iter().all(|word| is_known(word)) {
                let lines = keyword_lines(&all, selected.flag_rights(), self.language);
                selected.rights_untold = false;
                self.output.bytes(lines.as_bytes());
            }
            selected.keywords = Some(all);
        }
        self.tell_rights();
        if let Some(of_flags) = of_flags {
            self.introduce_keywords(&of_flags);
        }
    }

    /// Tells of keywords before they are used for the first time (RFC 3501 §7.2.6).
    pub(super) fn introduce_keywords(&mut self, flags: &Flags) {
        let Some(selected) = self.selected.as_deref_mut() else {
            return;
        };
        let rights = selected.flag_rights();
        let Some(known) = &mut selected.keywords else {
            return;
        };
        let all_known = flags
            .keywords()
            .iter()
            .all(|keyword| known.has_keyword(keyword));
        if !all_known {
            known.union(&Flags::new(0, flags.keywords().iter().cloned()));
            let lines = keyword_lines(known, rights, self.language);
            self.output.bytes(lines.as_bytes());
        }
    }

    /// The client knows of mod-sequences from now on (RFC 7162 §3.1). The first time a mailbox is
    /// selected meanwhile, it is told up to which it has heard.
    pub(super) fn enable_condstore(&mut self) {
        if std::mem::replace(&mut self.condstore, true) {
            return;
        }
        let modseq = match self.selected.as_deref().map(|selected| &selected.view) {
            Some(ViewState::Loaded(view)) => view.modseq,
            Some(ViewState::Unloaded {
                modseq, withheld, ..
            }) => withheld.map_or(*modseq, |(after, _)| after),
            None => return,
        };
        self.say(&format!("* OK [HIGHESTMODSEQ {modseq}] Highest"));
    }
}

/// The view of the selected mailbox, if it is loaded.
pub(super) fn loaded(selected: &mut Option<Box<Selected>>) -> Option<&mut View> {
    match &mut selected.as_deref_mut()?.view {
        ViewState::Loaded(view) => Some(view),
        ViewState::Unloaded { .. } => None,
    }
}
