//! IMAP4rev2 (RFC 9051), as far as it is more than what a session says and reads in another way:
//! LIST beside the answers to SELECT, EXAMINE and RENAME.

use mail::list::{Entry, Query};
use mail::{MailboxName, Reply, Request};

use super::list::attributes;
use super::select::Selecting;
use super::{Session, Step};
use crate::imap::ast::List;
use crate::imap::encode;

/// A RENAME under way.
pub(super) struct Renaming {
    pub(super) tag: Box<str>,
    from: MailboxName,
    to: MailboxName,
    /// It is done, and what the new name is is asked for.
    is_done: bool,
}

impl Session {
    /// Asks what a name is, of which its client is told.
    fn ask_listed(&mut self, name: &MailboxName, step: Step) {
        let query = Query {
            patterns: vec![name.as_str().into()],
            ..Query::default()
        };
        let request = Request::List {
            user: self.user.unwrap_or_default(),
            query: query.into(),
            after: None,
        };
        self.ask(request, step);
    }

    /// LIST of a name, which was another before. It may be one that its user may read and not look
    /// up.
    fn listed_line(
        &self,
        name: &MailboxName,
        entries: &[Entry],
        was: Option<&MailboxName>,
    ) -> Vec<u8> {
        let entry = entries.iter().find(|entry| entry.name == *name);
        let attributes = entry.map_or_else(Vec::new, |it| attributes(it, &List::default()));
        encode::list_line(&attributes, name, was, self.name_form)
    }

    /// RFC 9051 §6.3.2: what a mailbox is, is asked before it is opened.
    pub(super) fn list_selecting(&mut self, selecting: Selecting) {
        let name = selecting.name.clone();
        self.ask_listed(&name, Step::Selecting(selecting));
    }

    /// It came.
    pub(super) fn selecting_listed(&mut self, mut selecting: Selecting, reply: Reply) {
        if let Reply::Listed(piece) = reply {
            selecting.listed = self.listed_line(&selecting.name, &piece.entries, None);
            self.open(selecting);
        } else {
            self.not_listed(&selecting.tag, reply);
        }
    }

    fn not_listed(&mut self, tag: &str, reply: Reply) {
        match reply {
            Reply::Refused(refusal) => self.refuse(tag, &refusal),
            _ => self.done(tag, "NO [SERVERBUG] The store gave another answer"),
        }
    }

    /// RENAME, of which its client is told as of another's.
    pub(super) fn rename_listed(&mut self, tag: Box<str>, from: MailboxName, to: MailboxName) {
        let request = Request::Rename {
            user: self.user.unwrap_or_default(),
            from: from.clone(),
            to: to.clone(),
        };
        let renaming = Renaming {
            tag,
            from,
            to,
            is_done: false,
        };
        self.ask(request, Step::Renaming(renaming));
    }

    /// It is done, or what the name is now came (RFC 9051 §6.3.9.7).
    pub(super) fn renamed(&mut self, mut renaming: Renaming, reply: Reply) {
        match reply {
            // INBOX is still there (RFC 9051 §6.3.6).
            Reply::Done if !renaming.is_done && !renaming.from.is_inbox() => {
                renaming.is_done = true;
                let to = renaming.to.clone();
                return self.ask_listed(&to, Step::Renaming(renaming));
            }
            Reply::Listed(piece) => {
                let Renaming { from, to, .. } = &renaming;
                let line = self.listed_line(to, &piece.entries, Some(from));
                self.output.bytes(&line);
            }
            Reply::Refused(refusal) if !renaming.is_done => {
                return self.refuse(&renaming.tag, &refusal);
            }
            _ => {}
        }
        self.finish(renaming.tag, "OK RENAME completed");
    }
}
