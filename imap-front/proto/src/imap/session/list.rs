//! LIST and LSUB (RFC 3501 §6.3.8, §6.3.9; RFC 5258; RFC 5819; RFC 6154): piece by piece, as the
//! client takes what was listed.

use std::collections::VecDeque;
use std::sync::Arc;

use mail::SpecialUse;
use mail::list::{Entry, Query, joined};
use mail::name::NAME_BYTES_MAX;
use mail::reply::AclAnswer;
use mail::request::AclQuestion;
use mail::{MailboxName, Reply, Request};

use super::{Session, Step, Stream, Work};
use crate::imap::ast::List;
use crate::imap::encode;

/// A LIST or LSUB under way.
pub(super) struct Listing {
    tag: Box<str>,
    list: List,
    query: Arc<Query>,
    /// Names that are still to be said.
    entries: VecDeque<Entry>,
    /// Where the next piece begins, if there is one.
    next: Option<MailboxName>,
}

/// A name in a listing of which more is asked.
pub(super) struct Item {
    listing: Listing,
    name: MailboxName,
    /// Its figures come next.
    status_next: bool,
}

impl Session {
    pub(super) fn list(&mut self, tag: Box<str>, list: List) {
        let asks_for_delimiter = matches!(&list.patterns[..], [pattern] if pattern.is_empty());
        if !list.extended && asks_for_delimiter {
            // RFC 3501 §6.3.8: an empty pattern asks for the delimiter.
            self.say("* LIST (\\Noselect) \"/\" \"\"");
            return self.finish(tag, "OK LIST completed");
        }
        self.begin_listing(tag, list, false);
    }

    pub(super) fn lsub(&mut self, tag: Box<str>, list: List) {
        self.begin_listing(tag, list, true);
    }

    fn begin_listing(&mut self, tag: Box<str>, list: List, lsub: bool) {
        // Nothing lies below a reference that is longer than a name.
        let possible = list.reference.len() <= NAME_BYTES_MAX;
        let patterns = list.patterns.iter().filter(|_| possible);
        let query = Query {
            patterns: patterns
                .filter_map(|pattern| joined(&list.reference, pattern))
                .collect(),
            lsub,
            subscribed: list.select.subscribed,
            special_use: list.select.special_use,
            recursive_match: list.select.recursive_match,
        };
        let listing = Listing {
            tag,
            list,
            query: query.into(),
            entries: VecDeque::new(),
            next: None,
        };
        if listing.query.patterns.is_empty() {
            return self.list_on(listing);
        }
        self.next_piece(listing, None);
    }

    fn next_piece(&mut self, listing: Listing, after: Option<MailboxName>) {
        let Some(user) = self.user else { return };
        let query = listing.query.clone();
        self.ask(Request::List { user, query, after }, Step::List(listing));
    }

    pub(super) fn listed(&mut self, mut listing: Listing, reply: Reply) {
        match reply {
            Reply::Listed(piece) => {
                listing.entries = piece.entries.into();
                listing.next = piece.next;
                self.list_on(listing);
            }
            Reply::Refused(refusal) => self.refuse(&listing.tag, &refusal),
            _ => self.done(&listing.tag, "NO [SERVERBUG] The store gave another answer"),
        }
    }

    /// Says what was listed, as far as the client takes it.
    pub(super) fn list_on(&mut self, mut listing: Listing) {
        while !self.output.is_full() {
            let Some(entry) = listing.entries.pop_front() else {
                return match listing.next.take() {
                    Some(after) => self.next_piece(listing, Some(after)),
                    None if listing.query.lsub => self.finish(listing.tag, "OK LSUB completed"),
                    None => self.finish(listing.tag, "OK LIST completed"),
                };
            };
            self.say_entry(&listing, &entry);
            let returns = &listing.list.returns;
            let status = returns.status.is_some() && entry.selectable;
            if returns.my_rights && entry.selectable && !listing.query.lsub {
                return self.ask_rights(listing, entry.name, status);
            }
            if status && !listing.query.lsub {
                return self.ask_status(listing, entry.name);
            }
        }
        self.work = Work::Streaming(Box::new(Stream::List(listing)));
    }

    fn ask_status(&mut self, listing: Listing, name: MailboxName) {
        let Some(user) = self.user else { return };
        let request = Request::Status {
            user,
            name: name.clone(),
        };
        let item = Item {
            listing,
            name,
            status_next: false,
        };
        self.ask(request, Step::ListItem(item));
    }

    fn ask_rights(&mut self, listing: Listing, name: MailboxName, status_next: bool) {
        let Some(user) = self.user else { return };
        let request = Request::Acl {
            user,
            name: name.clone(),
            question: AclQuestion::Mine,
        };
        let item = Item {
            listing,
            name,
            status_next,
        };
        self.ask(request, Step::ListItem(item));
    }

    /// RFC 5819 §2, RFC 8440 §3: rights and figures come with their mailbox; one that is gone
    /// meanwhile, or may not be read, has none.
    pub(super) fn list_item_came(&mut self, item: Item, reply: Reply) {
        let Item {
            listing,
            name,
            status_next,
        } = item;
        match (reply, &listing.list.returns.status) {
            (Reply::Acl(AclAnswer::Mine(rights)), _) => self.say_my_rights(&name, rights),
            (Reply::Status(figures), Some(items)) => self.say_status(&name, items, &figures),
            _ => {}
        }
        if status_next {
            self.ask_status(listing, name);
        } else {
            self.list_on(listing);
        }
    }

    fn say_entry(&mut self, listing: &Listing, entry: &Entry) {
        let (word, attributes) = if listing.query.lsub {
            let noselect = (!entry.selectable).then_some("\\Noselect");
            ("LSUB", noselect.into_iter().collect())
        } else {
            ("LIST", attributes(entry, &listing.list))
        };
        let mut line = format!("* {word} ({}) \"/\" ", attributes.join(" ")).into_bytes();
        encode::mailbox(&mut line, &entry.name);
        if entry.child_info {
            // RFC 5258 §4
            line.extend_from_slice(b" (\"CHILDINFO\" (\"SUBSCRIBED\"))");
        }
        line.extend_from_slice(b"\r\n");
        self.output.bytes(&line);
    }
}

fn attributes(entry: &Entry, list: &List) -> Vec<&'static str> {
    let mut attributes = Vec::new();
    if !entry.exists {
        attributes.push("\\NonExistent");
    } else if !entry.selectable {
        attributes.push("\\Noselect");
    }
    attributes.push(if entry.has_children {
        "\\HasChildren"
    } else {
        "\\HasNoChildren"
    });
    if entry.subscribed && (list.returns.subscribed || list.select.subscribed) {
        attributes.push("\\Subscribed");
    }
    // RFC 6154 §2: they may be in any LIST answer.
    if let Some(special_use) = entry.special_use {
        attributes.push(match special_use {
            SpecialUse::All => "\\All",
            SpecialUse::Archive => "\\Archive",
            SpecialUse::Drafts => "\\Drafts",
            SpecialUse::Flagged => "\\Flagged",
            SpecialUse::Junk => "\\Junk",
            SpecialUse::Sent => "\\Sent",
            SpecialUse::Trash => "\\Trash",
        });
    }
    attributes
}
