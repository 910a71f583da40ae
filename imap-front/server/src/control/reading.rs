//! Reads that take long: searches, structures of messages, and large mailboxes that have to be
//! looked through first.

use std::sync::Arc;

use mail::{MailboxId, ModSeq, Refusal, Reply, Request, Uid, UserId};

use super::fair_queue::Owner;
use super::workers::{NotDone, Progress, Work};
use super::{Control, busy};
use crate::bounds::Bound;
use crate::front::Requester;
use crate::planted;

/// Messages whose structure is read in one go; the session asks for the rest.
const STRUCTURES_MAX: usize = 16;

/// Whether a request may take longer than others should wait for it, whatever is in memory.
pub fn is_long(request: &Request) -> bool {
    match request {
        Request::Search { .. } | Request::List { .. } => true,
        Request::Fetch { want, .. } => want.structure,
        _ => false,
    }
}

/// Has a read done in its user's turn.
pub fn run(control: &Control, requester: Arc<Requester>, mut request: Request) {
    if let Request::Fetch { uids, .. } = &mut request {
        uids.truncate(STRUCTURES_MAX);
    }
    let owner = Owner {
        group: requester.user.map_or(0, |user| user.0),
        member: u64::from(requester.id.shard.0) << 32 | u64::from(requester.id.slot),
    };
    let read = Read {
        control: control.clone(),
        requester,
        request,
        hits: vec![],
        unreadable: 0,
        from: Uid(0),
    };
    control.searches.run(owner, Box::new(read));
}

struct Read {
    control: Control,
    requester: Arc<Requester>,
    request: Request,
    /// Of a search: what was found, and with which UID it goes on.
    hits: Vec<(Uid, ModSeq)>,
    /// Of a search: messages that can't be read.
    unreadable: usize,
    from: Uid,
}

impl Read {
    /// A piece of a search, and after the last the answer.
    fn search(&mut self, mailbox: MailboxId, since: ModSeq) -> Option<Reply> {
        let store = &self.control.store;
        match store.search_piece(&self.request, self.from) {
            Err(reply) => return Some(reply),
            Ok(piece) => {
                self.hits.extend(piece.hits);
                self.unreadable += piece.unreadable;
                if let Some(next) = piece.next {
                    self.from = next;
                    return None;
                }
            }
        }
        Some(match store.read(&Request::Sync { mailbox, since }) {
            Some(Reply::Synced(delta)) => Reply::Found {
                hits: std::mem::take(&mut self.hits),
                unreadable: self.unreadable,
                delta,
            },
            other => other.unwrap_or_else(busy),
        })
    }
}

impl Work for Read {
    fn piece(&mut self) -> Progress {
        planted::here("worker");
        let reply = match self.request {
            Request::Search { mailbox, since, .. } => self.search(mailbox, since),
            _ => Some(self.control.store.read(&self.request).unwrap_or_else(busy)),
        };
        let Some(reply) = reply else {
            return Progress::More;
        };
        self.control.replier.reply(self.requester.id, reply);
        Progress::Done
    }

    fn is_wanted(&self) -> bool {
        !self.requester.is_gone()
    }

    fn refuse(self: Box<Self>, why: NotDone) {
        let reply = match why {
            NotDone::Failed => Reply::Refused(Refusal::Bug),
            NotDone::TooManyOfOne => {
                self.control.bounds.meet(Bound::UserWorkRefused);
                busy()
            }
            NotDone::TooMany => {
                self.control.bounds.meet(Bound::WorkRefused);
                busy()
            }
        };
        self.control.replier.reply(self.requester.id, reply);
    }

    fn about(&self) -> (&'static str, Option<UserId>) {
        (self.request.name(), self.requester.user)
    }
}
