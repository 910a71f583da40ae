//! Packing a session away, and inflating it again.

use std::sync::Arc;

use mail::{MailboxId, ModSeq, Uid};

use super::notified::Notify;
use super::{Selected, Session, ViewState, Work};
use crate::imap::config::SessionConfig;
use crate::imap::counts::CommandName;
use crate::imap::output::Output;
use crate::imap::parked::Parked;

impl Session {
    /// The session packed away, if nothing is under way and the client has been told everything.
    pub fn park(&self) -> Option<Parked> {
        let tag: &str = match &self.work {
            Work::Ready => "",
            Work::Idle { tag } => tag,
            _ => return None,
        };
        let busy = self.closing
            || self.stale
            || !self.output.is_drained()
            || !self.receiver.is_empty()
            || !self.actions.is_empty()
            || self.saved_bytes() > 0
            || self
                .selected
                .as_ref()
                .is_some_and(|it| !it.contexts.is_empty())
            || !self.has_no_news();
        let mut parked = Parked {
            user: self.user?,
            mailbox: MailboxId(0),
            modseq: ModSeq(0),
            exists: 0,
            recent_from: Uid(0),
            recent: 0,
            heard_s: 0,
            bits: 0,
            modes: self.modes(),
            language: self.language,
            tag: [0; 12],
        };
        if busy || tag.len() > parked.tag.len() {
            return None;
        }
        parked.tag[..tag.len()].copy_from_slice(tag.as_bytes());
        let mut set = |bit, on| parked.bits |= if on { bit } else { 0 };
        set(Parked::CONDSTORE, self.condstore);
        set(Parked::QRESYNC, self.qresync);
        set(Parked::REV2, self.rev2);
        set(Parked::BESIDE, self.is_notified());
        match (&self.notify, self.selected_events()) {
            (Notify::Base, _) => {}
            (_, None) => set(Parked::MUTE, true),
            (_, Some(events)) => {
                set(Parked::NOTIFIED, true);
                set(Parked::FETCHES, !events.items.is_empty());
                set(Parked::FLAGLESS, !events.flags);
                set(Parked::DELAYED, events.delayed);
            }
        }
        if let Some(selected) = &self.selected {
            set(Parked::SELECTED, true);
            set(Parked::READ_ONLY, selected.read_only);
            set(Parked::WATCHING, selected.watching);
            parked.set_rights(selected.rights);
            parked.mailbox = selected.mailbox;
            match &selected.view {
                ViewState::Loaded(_) if selected.rights_untold => return None,
                ViewState::Loaded(view) => {
                    if !view.all_sent() {
                        let (after, count) = view.withholds().filter(|_| parked.withholds())?;
                        parked.set_withheld(after, count);
                    }
                    parked.modseq = view.modseq;
                    parked.exists = view.exists();
                    parked.recent_from = view.recent_from;
                    parked.recent = view.recent();
                }
                ViewState::Unloaded {
                    modseq,
                    exists,
                    recent_from,
                    recent,
                    withheld,
                } => {
                    if let Some((after, count)) = *withheld {
                        parked.set_withheld(after, count);
                    }
                    parked.modseq = *modseq;
                    parked.exists = *exists;
                    parked.recent_from = *recent_from;
                    parked.recent = *recent;
                }
            }
        }
        Some(parked)
    }

    fn modes(&self) -> u8 {
        let mode = |mode: u8, on| if on { mode } else { 0 };
        mode(Parked::IDLING, self.is_idling())
            | mode(Parked::UID_ONLY, self.uid_only)
            | mode(Parked::UTF8, self.name_form.names_no_charset())
            | mode(Parked::CLEARTEXT, self.cleartext)
    }

    /// Inflates a parked session. Its view is loaded when a command needs it.
    pub fn unpark(parked: Parked, config: Arc<SessionConfig>) -> Self {
        let mut session = Self::quiet(config, parked.has_mode(Parked::CLEARTEXT));
        session.user = Some(parked.user);
        session.output = Output::logged_in();
        session.condstore = parked.has(Parked::CONDSTORE);
        session.qresync = parked.has(Parked::QRESYNC);
        session.uid_only = parked.is_uid_only();
        session.rev2 = parked.has(Parked::REV2);
        session.name_form = parked.name_form();
        session.language = parked.language;
        if parked.has(Parked::BESIDE) {
            session.notify = Notify::Lost;
        } else if parked.has(Parked::MUTE) {
            session.notify = Notify::Off;
        }
        if parked.has(Parked::SELECTED) {
            session.selected = Some(Box::new(Selected {
                saved: Arc::default(),
                contexts: vec![],
                mailbox: parked.mailbox,
                read_only: parked.has(Parked::READ_ONLY),
                rights: parked.rights(),
                rights_untold: false,
                watching: parked.has(Parked::WATCHING),
                keywords: None,
                view: ViewState::Unloaded {
                    modseq: parked.modseq,
                    exists: parked.exists,
                    recent_from: parked.recent_from,
                    recent: parked.recent,
                    withheld: parked.withheld(),
                },
            }));
        }
        if parked.idles() {
            session.command = CommandName::Idle;
            session.work = Work::Idle {
                tag: String::from_utf8_lossy(parked.tag()).into(),
            };
        }
        session
    }

    /// Commands that came, good and bad, since the session began or was last inflated.
    pub fn commands_given(&self) -> u32 {
        self.receiver.commands_given()
    }

    /// The selected mailbox.
    pub fn selected_mailbox(&self) -> Option<MailboxId> {
        self.selected.as_ref().map(|selected| selected.mailbox)
    }
}
