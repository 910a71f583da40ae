//! LIST and LSUB (RFC 3501 §6.3.8, §6.3.9; RFC 5258; RFC 5819; RFC 6154; RFC 9590) and FIND
//! (RFC 1730): piece by piece, as the client takes what was listed.

use std::collections::VecDeque;
use std::sync::Arc;

use mail::SpecialUse;
use mail::list::{Entry, Query, joined};
use mail::metadata::MetadataQuery;
use mail::name::NAME_BYTES_MAX;
use mail::reply::AclAnswer;
use mail::request::AclQuestion;
use mail::{MailboxName, Reply, Request};

use super::{Session, Step, Stream, Work};
use crate::imap::ast::{List, StatusItem};
use crate::imap::encode;

/// A LIST or LSUB under way.
pub(super) struct Listing {
    tag: Box<str>,
    list: List,
    query: Arc<Query>,
    metadata: Option<Arc<MetadataQuery>>,
    /// It is FIND.
    finds: bool,
    /// Names that are still to be said.
    entries: VecDeque<Entry>,
    /// Where the next piece begins, if there is one.
    next: Option<MailboxName>,
}

/// A name in a listing of which more is asked.
pub(super) struct Item {
    listing: Listing,
    name: MailboxName,
    /// Its rights are asked for, and not its figures.
    is_rights: bool,
}

impl Session {
    pub(super) fn list(&mut self, tag: Box<str>, list: List) {
        let asks_for_delimiter = matches!(&list.patterns[..], [pattern] if pattern.is_empty());
        if !list.extended && asks_for_delimiter {
            // RFC 3501 §6.3.8: an empty pattern asks for the delimiter.
            self.say("* LIST (\\Noselect) \"/\" \"\"");
            return self.finish(tag, "OK LIST completed");
        }
        self.begin_listing(tag, list, false, false);
    }

    pub(super) fn find(&mut self, tag: Box<str>, subscribed: bool, pattern: Option<Box<str>>) {
        let mut list = List {
            patterns: pattern.into_iter().collect(),
            ..List::default()
        };
        list.select.subscribed = subscribed;
        self.begin_listing(tag, list, false, true);
    }

    pub(super) fn lsub(&mut self, tag: Box<str>, list: List) {
        self.begin_listing(tag, list, true, false);
    }

    fn begin_listing(&mut self, tag: Box<str>, mut list: List, lsub: bool, finds: bool) {
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
            metadata: list.returns.metadata.take().map(Arc::new),
            list,
            finds,
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
                    None if listing.finds => self.finish(listing.tag, "OK FIND completed"),
                    None if listing.query.lsub => self.finish(listing.tag, "OK LSUB completed"),
                    None => self.finish(listing.tag, "OK LIST completed"),
                };
            };
            self.say_entry(&listing, &entry);
            let returns = &listing.list.returns;
            let more = returns.my_rights || returns.status.is_some() || listing.metadata.is_some();
            if more && entry.selectable && !listing.query.lsub {
                return match returns.my_rights {
                    true => self.ask_rights(listing, entry.name),
                    false => self.ask_status(listing, entry.name),
                };
            }
        }
        self.work = Work::Streaming(Box::new(Stream::List(Box::new(listing))));
    }

    fn ask_rights(&mut self, listing: Listing, name: MailboxName) {
        let Some(user) = self.user else { return };
        let request = Request::Acl {
            user,
            name: name.clone(),
            question: AclQuestion::Mine,
        };
        let item = Item {
            listing,
            name,
            is_rights: true,
        };
        self.ask(request, Step::ListItem(item));
    }

    fn ask_status(&mut self, listing: Listing, name: MailboxName) {
        let Some(user) = self.user else { return };
        let Some(items) = &listing.list.returns.status else {
            return self.ask_metadata(listing, name);
        };
        let request = Request::Status {
            user,
            name: name.clone(),
            deleted_bytes: items.contains(&StatusItem::DeletedStorage),
        };
        let item = Item {
            listing,
            name,
            is_rights: false,
        };
        self.ask(request, Step::ListItem(item));
    }

    /// RFC 9590 §4
    fn ask_metadata(&mut self, listing: Listing, name: MailboxName) {
        let (Some(user), Some(query)) = (self.user, listing.metadata.clone()) else {
            return self.list_on(listing);
        };
        let request = Request::Metadata {
            user,
            mailbox: Some(name.clone()),
            query,
        };
        self.ask(request, Step::ListMetadata { listing, name });
    }

    pub(super) fn list_metadata_came(
        &mut self,
        listing: Listing,
        name: &MailboxName,
        reply: Reply,
    ) {
        if let Reply::Metadata(found) = reply {
            self.say_metadata(Some(name), found);
        }
        self.list_on(listing);
    }

    /// RFC 5819 §2, RFC 8440 §3: rights and figures come with their mailbox; one that is gone
    /// meanwhile, or may not be read, has none.
    pub(super) fn list_item_came(&mut self, item: Item, reply: Reply) {
        let Item {
            listing,
            name,
            is_rights,
        } = item;
        match (reply, &listing.list.returns.status) {
            (Reply::Acl(AclAnswer::Mine(rights)), _) => self.say_my_rights(&name, rights),
            (Reply::Status(figures), Some(items)) => self.say_status(&name, items, &figures),
            _ => {}
        }
        match is_rights {
            true => self.ask_status(listing, name),
            false => self.ask_metadata(listing, name),
        }
    }

    fn say_entry(&mut self, listing: &Listing, entry: &Entry) {
        if listing.finds {
            if entry.selectable {
                let mut line = b"* MAILBOX ".to_vec();
                encode::mailbox(&mut line, &entry.name, self.name_form);
                line.extend_from_slice(b"\r\n");
                self.output.bytes(&line);
            }
            return;
        }
        let (word, attributes) = if listing.query.lsub {
            let noselect = (!entry.selectable).then_some("\\Noselect");
            ("LSUB", noselect.into_iter().collect())
        } else {
            ("LIST", attributes(entry, &listing.list))
        };
        let mut line = format!("* {word} ({}) \"/\" ", attributes.join(" ")).into_bytes();
        encode::mailbox(&mut line, &entry.name, self.name_form);
        if entry.child_info {
            // RFC 5258 §4
            line.extend_from_slice(b" (\"CHILDINFO\" (\"SUBSCRIBED\"))");
        }
        line.extend_from_slice(b"\r\n");
        self.output.bytes(&line);
    }
}

pub(super) fn attributes(entry: &Entry, list: &List) -> Vec<&'static str> {
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
