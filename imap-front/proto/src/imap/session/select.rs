//! SELECT and EXAMINE (RFC 3501 §6.3.1, §6.3.2; RFC 7162 §3.1.2, §3.1.8).

use mail::{Flags, MailboxName, Reply, Request};

use super::{Selected, Session, Step, ViewState};
use crate::imap::encode::keyword_lines;
use crate::imap::view::View;

/// A SELECT under way.
pub(super) struct Selecting {
    tag: Box<str>,
    read_only: bool,
}

impl Session {
    pub(super) fn select(
        &mut self,
        tag: Box<str>,
        name: MailboxName,
        read_only: bool,
        condstore: bool,
    ) {
        let Some(user) = self.user else { return };
        // RFC 3501 §6.3.1: a failed SELECT leaves nothing selected.
        self.unselect();
        self.condstore |= condstore;
        let request = Request::Open {
            user,
            name,
            read_only,
        };
        self.ask(request, Step::Select(Selecting { tag, read_only }));
    }

    pub(super) fn opened(&mut self, selecting: Selecting, reply: Reply) {
        let Selecting { tag, read_only } = selecting;
        let opened = match reply {
            Reply::Opened(opened) => opened,
            Reply::Refused(refusal) => return self.refuse(&tag, &refusal),
            _ => return self.done(&tag, "NO [SERVERBUG] The store gave another answer"),
        };
        let keywords = Flags::new(0, opened.keywords);
        self.output
            .bytes(keyword_lines(&keywords, read_only).as_bytes());
        let view = View::new(opened.uids, opened.highest_modseq, opened.recent_from);
        self.say(&format!("* {} EXISTS", view.exists()));
        self.say(&format!("* {} RECENT", view.recent()));
        if let Some(number) = opened.first_unseen {
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
        self.selected = Some(Box::new(Selected {
            mailbox: opened.mailbox,
            read_only,
            watching: false,
            keywords: Some(keywords),
            view: ViewState::Loaded(view),
        }));
        self.done(
            &tag,
            if read_only {
                "OK [READ-ONLY] EXAMINE completed"
            } else {
                "OK [READ-WRITE] SELECT completed"
            },
        );
    }
}
