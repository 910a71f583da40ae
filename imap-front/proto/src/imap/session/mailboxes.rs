//! Commands about mailboxes that need one answer each (RFC 3501 §6.3.3–§6.3.10).

use std::collections::VecDeque;

use mail::reply::{MailboxInfo, Status};
use mail::request::SpecialUse;
use mail::{MailboxName, Reply, Request};

use super::list::{self, Match};
use super::{Session, Step};
use crate::imap::ast::{List, StatusItem};
use crate::imap::encode;

/// A LIST or LSUB under way.
pub(super) struct Listing {
    tag: Box<str>,
    list: List,
    lsub: bool,
}

/// A STATUS under way, alone or after a LIST (RFC 5819).
pub(super) struct StatusOf {
    tag: Box<str>,
    name: MailboxName,
    items: Vec<StatusItem>,
    /// Mailboxes whose figures follow.
    rest: VecDeque<MailboxName>,
    /// It belongs to a LIST: a mailbox that is gone is left out.
    of_list: bool,
}

impl Session {
    pub(super) fn create(&mut self, tag: Box<str>, name: MailboxName, uses: &[SpecialUse]) {
        let Some(user) = self.user else { return };
        if uses.len() > 1 {
            // RFC 6154 §3
            return self.done(&tag, "NO [USEATTR] A mailbox has one special use at most");
        }
        let special_use = uses.first().copied();
        let request = Request::Create {
            user,
            name,
            special_use,
        };
        self.ask(
            request,
            Step::Simple {
                tag,
                name: "CREATE",
            },
        );
    }

    pub(super) fn delete(&mut self, tag: Box<str>, name: MailboxName) {
        let Some(user) = self.user else { return };
        self.ask(
            Request::Delete { user, name },
            Step::Simple {
                tag,
                name: "DELETE",
            },
        );
    }

    pub(super) fn rename(&mut self, tag: Box<str>, from: MailboxName, to: MailboxName) {
        let Some(user) = self.user else { return };
        self.ask(
            Request::Rename { user, from, to },
            Step::Simple {
                tag,
                name: "RENAME",
            },
        );
    }

    pub(super) fn subscribe(&mut self, tag: Box<str>, name: MailboxName, on: bool) {
        let Some(user) = self.user else { return };
        let word = if on { "SUBSCRIBE" } else { "UNSUBSCRIBE" };
        self.ask(
            Request::Subscribe { user, name, on },
            Step::Simple { tag, name: word },
        );
    }

    pub(super) fn list(&mut self, tag: Box<str>, list: List) {
        let Some(user) = self.user else { return };
        if !list.extended && list.patterns.iter().all(|pattern| pattern.is_empty()) {
            // RFC 3501 §6.3.8: an empty pattern asks for the delimiter.
            self.say("* LIST (\\Noselect) \"/\" \"\"");
            return self.done(&tag, "OK LIST completed");
        }
        self.ask(
            Request::Mailboxes { user },
            Step::List(Listing {
                tag,
                list,
                lsub: false,
            }),
        );
    }

    pub(super) fn lsub(&mut self, tag: Box<str>, reference: &str, pattern: &str) {
        let Some(user) = self.user else { return };
        let list = List {
            reference: reference.into(),
            patterns: vec![pattern.into()],
            ..List::default()
        };
        self.ask(
            Request::Mailboxes { user },
            Step::List(Listing {
                tag,
                list,
                lsub: true,
            }),
        );
    }

    pub(super) fn listed(&mut self, listing: Listing, reply: Reply) {
        let Listing { tag, list, lsub } = listing;
        let infos: Vec<MailboxInfo> = match reply {
            Reply::Mailboxes(infos) => infos,
            Reply::Refused(refusal) => return self.refuse(&tag, &refusal),
            _ => return self.done(&tag, "NO [SERVERBUG] The store gave another answer"),
        };
        let matches = if lsub {
            list::lsub(&infos, &list)
        } else {
            list::list(&infos, &list)
        };
        let mut with_status = VecDeque::new();
        for found in matches {
            self.say_mailbox(if lsub { "LSUB" } else { "LIST" }, &found);
            if found.selectable {
                with_status.push_back(found.name);
            }
        }
        match list.returns.status {
            Some(items) if !lsub => self.next_status(tag, items, with_status),
            _ => self.done(
                &tag,
                if lsub {
                    "OK LSUB completed"
                } else {
                    "OK LIST completed"
                },
            ),
        }
    }

    fn say_mailbox(&mut self, word: &str, found: &Match) {
        let mut line = format!("* {word} ({}) \"/\" ", found.attributes.join(" ")).into_bytes();
        encode::mailbox(&mut line, &found.name);
        if found.child_info {
            // RFC 5258 §4
            line.extend_from_slice(b" (\"CHILDINFO\" (\"SUBSCRIBED\"))");
        }
        line.extend_from_slice(b"\r\n");
        self.out.extend_from_slice(&line);
        self.undrained = true;
    }

    fn next_status(
        &mut self,
        tag: Box<str>,
        items: Vec<StatusItem>,
        mut rest: VecDeque<MailboxName>,
    ) {
        match (rest.pop_front(), self.user) {
            (Some(name), Some(user)) => {
                let request = Request::Status {
                    user,
                    name: name.clone(),
                };
                let status = StatusOf {
                    tag,
                    name,
                    items,
                    rest,
                    of_list: true,
                };
                self.ask(request, Step::Status(status));
            }
            _ => self.done(&tag, "OK LIST completed"),
        }
    }

    pub(super) fn status(&mut self, tag: Box<str>, name: MailboxName, items: Vec<StatusItem>) {
        let Some(user) = self.user else { return };
        // RFC 7162 §3.1: asking for it makes the client one that knows of mod-sequences.
        self.condstore |= items.contains(&StatusItem::HighestModSeq);
        let request = Request::Status {
            user,
            name: name.clone(),
        };
        let rest = VecDeque::new();
        self.ask(
            request,
            Step::Status(StatusOf {
                tag,
                name,
                items,
                rest,
                of_list: false,
            }),
        );
    }

    pub(super) fn status_came(&mut self, status: StatusOf, reply: Reply) {
        let StatusOf {
            tag,
            name,
            items,
            rest,
            of_list,
        } = status;
        match reply {
            Reply::Status(figures) => self.say_status(&name, &items, &figures),
            Reply::Refused(refusal) if !of_list => return self.refuse(&tag, &refusal),
            _ => {}
        }
        if of_list {
            self.next_status(tag, items, rest);
        } else {
            self.done(&tag, "OK STATUS completed");
        }
    }

    fn say_status(&mut self, name: &MailboxName, items: &[StatusItem], figures: &Status) {
        let mut line = b"* STATUS ".to_vec();
        encode::mailbox(&mut line, name);
        let values: Vec<String> = items
            .iter()
            .map(|item| match item {
                StatusItem::Messages => format!("MESSAGES {}", figures.messages),
                StatusItem::Recent => format!("RECENT {}", figures.recent),
                StatusItem::UidNext => format!("UIDNEXT {}", figures.uid_next),
                StatusItem::UidValidity => format!("UIDVALIDITY {}", figures.uid_validity),
                StatusItem::Unseen => format!("UNSEEN {}", figures.unseen),
                StatusItem::HighestModSeq => format!("HIGHESTMODSEQ {}", figures.highest_modseq),
            })
            .collect();
        line.extend_from_slice(format!(" ({})\r\n", values.join(" ")).as_bytes());
        self.out.extend_from_slice(&line);
        self.undrained = true;
    }
}
