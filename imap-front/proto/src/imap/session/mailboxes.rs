//! Commands about mailboxes that need one answer each (RFC 3501 §6.3.3–§6.3.10).

use mail::SpecialUse;
use mail::name::is_composed;
use mail::reply::Status;
use mail::{MailboxName, Reply, Request};

use super::{Session, Step};
use crate::imap::ast::StatusItem;
use crate::imap::encode;

/// A STATUS under way.
pub(super) struct StatusOf {
    tag: Box<str>,
    name: MailboxName,
    items: Vec<StatusItem>,
}

impl Session {
    pub(super) fn create(&mut self, tag: Box<str>, name: MailboxName, uses: &[SpecialUse]) {
        let Some(user) = self.user else { return };
        if uses.len() > 1 {
            // RFC 6154 §3
            return self.done(&tag, "NO [USEATTR] A mailbox has one special use at most");
        }
        if !self.may_name(&tag, &name) {
            return;
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

    /// RFC 9051 §5.1, RFC 9755 §3: what a client makes in UTF-8 is Net-Unicode. Names that came
    /// otherwise may be used as they are.
    fn may_name(&mut self, tag: &str, name: &MailboxName) -> bool {
        let may = !self.name_form.is_utf8() || is_composed(name.as_str());
        if !may {
            self.done(tag, "NO [CANNOT] a mailbox name is in normalization form C");
        }
        may
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
        if !self.may_name(&tag, &to) {
            return;
        }
        if self.rev2 {
            return self.rename_listed(tag, from, to);
        }
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

    pub(super) fn status(&mut self, tag: Box<str>, name: MailboxName, items: Vec<StatusItem>) {
        let Some(user) = self.user else { return };
        // RFC 7162 §3.1: asking for it makes the client one that knows of mod-sequences.
        if items.contains(&StatusItem::HighestModSeq) {
            self.enable_condstore();
        }
        let request = Request::Status {
            user,
            name: name.clone(),
            deleted_bytes: items.contains(&StatusItem::DeletedStorage),
        };
        self.ask(request, Step::Status(StatusOf { tag, name, items }));
    }

    pub(super) fn status_came(&mut self, status: StatusOf, reply: Reply) {
        let StatusOf { tag, name, items } = status;
        match reply {
            Reply::Status(figures) => {
                self.say_status(&name, &items, &figures);
                self.finish(tag, "OK STATUS completed");
            }
            Reply::Refused(refusal) => self.refuse(&tag, &refusal),
            _ => self.done(&tag, "NO [SERVERBUG] The store gave another answer"),
        }
    }

    pub(super) fn say_status(
        &mut self,
        name: &MailboxName,
        items: &[StatusItem],
        figures: &Status,
    ) {
        let mut line = b"* STATUS ".to_vec();
        encode::mailbox(&mut line, name, self.name_form);
        let append_bytes_max = self.config.append_bytes_max;
        let values: Vec<String> = items
            .iter()
            .map(|item| match item {
                StatusItem::Messages => format!("MESSAGES {}", figures.messages),
                StatusItem::Recent => format!("RECENT {}", figures.recent),
                StatusItem::UidNext => format!("UIDNEXT {}", figures.uid_next),
                StatusItem::UidValidity => format!("UIDVALIDITY {}", figures.uid_validity),
                StatusItem::Unseen => format!("UNSEEN {}", figures.unseen),
                StatusItem::HighestModSeq => format!("HIGHESTMODSEQ {}", figures.highest_modseq),
                StatusItem::MailboxId => {
                    format!("MAILBOXID ({})", encode::mailbox_id(figures.object))
                }
                StatusItem::Size => format!("SIZE {}", figures.size),
                StatusItem::AppendLimit => format!("APPENDLIMIT {append_bytes_max}"),
                StatusItem::Deleted => format!("DELETED {}", figures.deleted),
                StatusItem::DeletedStorage => {
                    format!("DELETED-STORAGE {}", figures.deleted_bytes)
                }
            })
            .collect();
        line.extend_from_slice(format!(" ({})\r\n", values.join(" ")).as_bytes());
        self.output.bytes(&line);
    }
}
