//! The view is brought up to date, and the client is sent what it may hear of it.

use std::sync::Arc;

use mail::{Flags, Reply, Request, Uid};

use super::{Selected, Session, Step, View, ViewState};

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
            ViewState::Unloaded { modseq, .. } => Request::View {
                mailbox,
                at: *modseq,
            },
        };
        self.ask(request, step);
    }

    /// Takes the answer to [`Session::sync`] into the view. False if the mailbox is gone; the
    /// session is being closed then.
    pub(super) fn synced(&mut self, reply: Reply) -> bool {
        self.take_sync(reply).map_err(|why| self.bye(&why)).is_ok()
    }

    /// As [`Session::synced`] of a loaded view; of messages for which `known` holds the client
    /// hears by other means.
    pub(super) fn synced_but(
        &mut self,
        delta: &[Arc<mail::Event>],
        known: impl Fn(Uid) -> bool,
    ) -> bool {
        let current = self.view().apply_but(delta, known);
        if !current {
            self.bye("The selected mailbox was deleted");
        }
        current
    }

    /// # Errors
    /// Why the session can only be ended.
    pub(super) fn take_sync(&mut self, reply: Reply) -> Result<(), String> {
        // RFC 2180 §3.3: a session whose mailbox was deleted can only be ended.
        let gone = || "The selected mailbox was deleted".to_owned();
        let selected = self.selected.as_mut().ok_or_else(gone)?;
        let current = match reply {
            Reply::Synced(delta) => match &mut selected.view {
                ViewState::Loaded(view) => view.apply(&delta),
                ViewState::Unloaded { .. } => false,
            },
            Reply::Viewed { uids, delta } => {
                let (modseq, recent_from) = match &selected.view {
                    ViewState::Loaded(view) => (view.modseq, view.recent_from),
                    ViewState::Unloaded {
                        modseq,
                        recent_from,
                        ..
                    } => (*modseq, *recent_from),
                };
                let mut view = View::new(uids, modseq, recent_from);
                let current = view.apply(&delta);
                selected.view = ViewState::Loaded(view);
                current
            }
            Reply::Refused(refusal) => {
                return Err(format!("The mailbox can't be read: {refusal}"));
            }
            _ => false,
        };
        if current { Ok(()) } else { Err(gone()) }
    }

    /// Adds what the client may be sent now.
    pub(super) fn send_updates(&mut self, expunges: bool) {
        let condstore = self.condstore;
        if let Some(Selected {
            view: ViewState::Loaded(view),
            keywords: Some(_),
            ..
        }) = self.selected.as_deref_mut()
            && let Some(keywords) = view.take_keywords()
        {
            self.introduce_keywords(&keywords);
        }
        if let Some(Selected {
            view: ViewState::Loaded(view),
            ..
        }) = self.selected.as_deref_mut()
        {
            view.send_updates(&mut self.output, expunges, condstore);
        }
    }

    /// Adds which messages there are, and nothing of their flags.
    pub(super) fn send_numbers(&mut self, expunges: bool) {
        let selected = self.selected.as_deref_mut();
        if let Some(ViewState::Loaded(view)) = selected.map(|selected| &mut selected.view) {
            view.send_numbers(&mut self.output, expunges);
        }
    }

    /// Tells of keywords before they are used for the first time (RFC 3501 §7.2.6).
    pub(super) fn introduce_keywords(&mut self, flags: &Flags) {
        let Some(selected) = self.selected.as_deref_mut() else {
            return;
        };
        let Some(known) = &mut selected.keywords else {
            return;
        };
        let all_known = flags
            .keywords()
            .iter()
            .all(|keyword| known.has_keyword(keyword));
        if !all_known {
            known.union(&Flags::new(0, flags.keywords().iter().cloned()));
            let lines = keyword_lines(known, selected.read_only);
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
            Some(ViewState::Unloaded { modseq, .. }) => *modseq,
            None => return,
        };
        self.say(&format!("* OK [HIGHESTMODSEQ {modseq}] Highest"));
    }
}

/// FLAGS and PERMANENTFLAGS of a mailbox that has these keywords.
pub(super) fn keyword_lines(keywords: &Flags, read_only: bool) -> String {
    const SYSTEM: &str = "\\Answered \\Flagged \\Deleted \\Seen \\Draft";
    let keywords: String = keywords
        .keywords()
        .iter()
        .map(|keyword| format!(" {keyword}"))
        .collect();
    let permanent = if read_only {
        String::new()
    } else {
        format!("{SYSTEM}{keywords} \\*")
    };
    format!(
        "* FLAGS ({SYSTEM}{keywords})\r\n\
         * OK [PERMANENTFLAGS ({permanent})] Flags that are kept\r\n"
    )
}
