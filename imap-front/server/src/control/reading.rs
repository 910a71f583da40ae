//! Reads that take long: searches, sorting, structures of messages that are not in memory, and
//! large mailboxes that have to be looked through first.

use std::sync::Arc;

use mail::{Refusal, Reply, Request, UserId};
use store::LongRead;

use super::fair_queue::{Owner, Standing};
use super::workers::{NotDone, Progress, Work};
use super::{Control, busy};
use crate::bounds::Bound;
use crate::front::Requester;
use crate::planted;

/// Messages whose structure is read in one go; the session asks for the rest.
const STRUCTURES_MAX: usize = 16;
/// Messages of which no more than the header is read in one go.
const HEADERS_MAX: usize = 128;

/// Keys of a search that others wait for: each is about a bit for each message.
const KEYS_MAX: usize = 32;

/// Whether a request may take longer than others should wait for it, whatever is in memory.
pub fn is_long(request: &Request) -> bool {
    match request {
        Request::List { .. } | Request::Changes { .. } | Request::Watched { .. } => true,
        Request::Decode { .. } | Request::Arrange { .. } => true,
        Request::Search { program, .. } => program.looks_at_messages() || program.keys() > KEYS_MAX,
        Request::Fetch { want, .. } => want.thread || want.preview,
        Request::Metadata { query, .. } => query.exact().is_none(),
        // In rows from before they were counted they have to be.
        Request::Status { deleted_bytes, .. } => *deleted_bytes,
        _ => false,
    }
}

/// Has a read done in its user's turn.
pub fn run(control: &Control, requester: Arc<Requester>, mut request: Request) {
    if let Request::Fetch { uids, want, .. } = &mut request {
        uids.truncate(match want.structure || want.bytes {
            true => STRUCTURES_MAX,
            false => HEADERS_MAX,
        });
    }
    let owner = Owner {
        group: requester.user.map_or(0, |user| user.0),
        member: u64::from(requester.id.shard.0) << 32 | u64::from(requester.id.slot),
        standing: Standing::New,
    };
    let read = Read {
        control: control.clone(),
        requester,
        read: LongRead::new(request),
    };
    control.searches.run(owner, Box::new(read));
}

struct Read {
    control: Control,
    requester: Arc<Requester>,
    read: LongRead,
}

impl Work for Read {
    fn piece(&mut self) -> Progress {
        planted::here("worker");
        let reply = self.control.store.read_piece(&mut self.read);
        let Some(reply) = reply else {
            self.requester.note_reached(self.read.reached());
            return Progress::More;
        };
        self.requester.note_reached(None);
        self.control.replier.reply(self.requester.id, reply);
        self.control.store.work_off();
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
        (self.read.request().name(), self.requester.user)
    }
}

#[cfg(test)]
mod tests {
    use mail::search::{Key, Program};
    use mail::{MailboxId, ModSeq, SystemFlag, Uid};

    use super::*;

    fn search(key: Key) -> Request {
        Request::Search {
            mailbox: MailboxId(1),
            program: Program { key },
            since: ModSeq(1),
            recent_from: Uid(1),
        }
    }

    #[test]
    fn only_searches_that_look_at_messages_or_have_many_keys_go_to_workers() {
        let unseen = || Key::Not(Box::new(Key::Flag(SystemFlag::Seen)));
        let all = |keys| search(Key::And(keys));
        assert!(!is_long(&search(unseen())));
        assert!(!is_long(&all(vec![Key::Recent, Key::UidRanges(vec![])])));
        assert!(is_long(&all(vec![unseen(), Key::Larger(9)])));
        assert!(is_long(&all(vec![unseen(), Key::ModSeq(ModSeq(9))])));
        assert!(is_long(&all(vec![unseen(); 40])));
    }
}
