//! SELECT and EXAMINE (RFC 3501 §6.3.1, §6.3.2; RFC 9051 §6.3.2; RFC 7162 §3.1.2, §3.1.8).

use std::sync::Arc;

use mail::{Flags, MailboxName, Reply, Request, Rights};

use super::uid_only::UID_REQUIRED;
use super::{Selected, Session, Step, ViewState};
use crate::imap::ast::Resync;
use crate::imap::encode::{keyword_lines, mailbox_id};
use crate::imap::view::View;

/// A SELECT under way.
pub(super) struct Selecting {
    pub(super) tag: Box<str>,
    pub(super) name: MailboxName,
    read_only: bool,
    resync: Option<Box<Resync>>,
    /// LIST of the mailbox, for who speaks IMAP4rev2.
    pub(super) listed: Vec<u8>,
}

impl Session {
    pub(super) fn select(
        &mut self,
        tag: Box<str>,
        name: MailboxName,
        read_only: bool,
        (condstore, resync): (bool, Option<Box<Resync>>),
    ) {
        if resync.is_some() && !self.qresync {
            return self.done(&tag, "BAD ENABLE QRESYNC comes before its use");
        }
        if self.uid_only && resync.as_deref().is_some_and(|it| it.matches.is_some()) {
            // RFC 9586 §3.5: numbers that go with UIDs.
            return self.done(&tag, &format!("BAD {UID_REQUIRED}"));
        }
        // RFC 3501 §6.3.1: a failed SELECT leaves nothing selected.
        if self.selected.is_some() {
            self.unselect();
            // RFC 7162 §3.2.11: what came before is about the mailbox before.
            self.say("* OK [CLOSED] The mailbox selected before is closed");
        }
        self.condstore |= condstore;
        let selecting = Selecting {
            tag,
            name,
            read_only,
            resync,
            listed: vec![],
        };
        match self.rev2 {
            true => self.list_selecting(selecting),
            false => self.open(selecting),
        }
    }

    pub(super) fn open(&mut self, selecting: Selecting) {
        let request = Request::Open {
            user: self.user.unwrap_or_default(),
            name: selecting.name.clone(),
            read_only: selecting.read_only,
        };
        self.ask(request, Step::Select(selecting));
    }

    pub(super) fn opened(&mut self, selecting: Selecting, reply: Reply) {
        let Selecting {
            tag,
            read_only,
            resync,
            listed,
            ..
        } = selecting;
        let opened = match reply {
            Reply::Opened(opened) => opened,
            Reply::Refused(refusal) => return self.refuse(&tag, &refusal),
            _ => return self.done(&tag, "NO [SERVERBUG] The store gave another answer"),
        };
        let keywords = Flags::new(0, opened.keywords);
        let is_examine = read_only;
        // RFC 4314 §5.2
        let read_only = is_examine || !opened.rights.may_change();
        let flags = if read_only {
            Rights::NONE
        } else {
            opened.rights
        };
        self.output
            .bytes(keyword_lines(&keywords, flags, self.language).as_bytes());
        let view = View::new(opened.uids, opened.highest_modseq, opened.recent_from);
        self.say(&format!("* {} EXISTS", view.exists()));
        if !self.rev2 {
            self.say(&format!("* {} RECENT", view.recent()));
        }
        // RFC 9051 has neither; what is unseen can be searched.
        let says_unseen = !self.uid_only && !self.rev2;
        if let Some(number) = opened.first_unseen.filter(|_| says_unseen) {
            self.say(&format!("* OK [UNSEEN {number}] First unseen message"));
        }
        self.say(&format!(
            "* OK [UIDVALIDITY {}] UIDs are valid",
            opened.uid_validity
        ));
        self.say(&format!("* OK [UIDNEXT {}] Next UID", opened.uid_next));
        self.say(&format!(
            "* OK [HIGHESTMODSEQ {}] Highest",
            opened.highest_modseq
        ));
        // RFC 8474 §4.2
        let id = mailbox_id(opened.object);
        self.say(&format!("* OK [MAILBOXID ({id})] Identifier"));
        self.say_mechanisms();
        self.output.bytes(&listed);
        self.selected = Some(Box::new(Selected {
            saved: Arc::default(),
            contexts: vec![],
            mailbox: opened.mailbox,
            read_only,
            rights: opened.rights,
            rights_untold: false,
            watching: false,
            keywords: Some(keywords),
            view: ViewState::Loaded(view),
        }));
        self.heed_selected(opened.mailbox);
        self.watch_selected();
        let text = match (is_examine, read_only) {
            (true, _) => "OK [READ-ONLY] EXAMINE completed",
            (false, true) => "OK [READ-ONLY] SELECT completed",
            (false, false) => "OK [READ-WRITE] SELECT completed",
        };
        // RFC 7162 §3.2.5.1: with another UIDVALIDITY all that it remembers is void.
        match resync.filter(|it| it.uid_validity == opened.uid_validity) {
            Some(resync) => self.resync(&tag, text, *resync),
            None => self.done(&tag, text),
        }
    }
}
