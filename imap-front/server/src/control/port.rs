//! The bounded queue from a data plane to its control plane.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use mail::Request;
use store::Store;

use super::turns::{Turns, Whose};
use super::{Control, Replier, busy, store_write};
use crate::front::{Backend, Requester};

/// Requests under way from one shard: more than this many are refused, politely.
const REQUESTS_MAX: usize = 16 * 1024;
/// Requests that are put in line between two that are done.
const SORTED_MAX: usize = 256;

/// A request, and who asks.
type Asked = (Arc<Requester>, Request);

/// The control plane's end.
pub struct Requests {
    coming: Receiver<Asked>,
    /// Those that came and were not given yet.
    turns: Turns<Asked>,
    waiting: Arc<AtomicUsize>,
}

/// The data plane's end of a port.
pub struct PortBackend {
    requests: Sender<Asked>,
    /// How many wait, sent or in line.
    waiting: Arc<AtomicUsize>,
    /// Messages go to the store's writer at once: they need nothing of the control plane, and each
    /// wake that a delivery is spared counts.
    store: Store,
    replier: Replier,
}

/// One direction of the seam between the planes of a core.
pub fn port(control: &Control) -> (PortBackend, Requests) {
    let (requests, coming) = bounded(REQUESTS_MAX);
    let waiting = Arc::new(AtomicUsize::new(0));
    let backend = PortBackend {
        requests,
        waiting: waiting.clone(),
        store: control.store.clone(),
        replier: control.replier.clone(),
    };
    let requests = Requests {
        coming,
        turns: Turns::default(),
        waiting,
    };
    (backend, requests)
}

/// Gives the next request, in its user's turn; waits for one. None once the data plane has dropped
/// its end and all are done.
impl Iterator for Requests {
    type Item = Asked;

    fn next(&mut self) -> Option<Asked> {
        let asked = self.take_turn()?;
        self.waiting.fetch_sub(1, Relaxed);
        Some(asked)
    }
}

impl Requests {
    fn take_turn(&mut self) -> Option<Asked> {
        if self.turns.is_empty() {
            let first = self.coming.recv().ok()?;
            if self.coming.is_empty() {
                return Some(first);
            }
            if let Some(claim) = self.put(first) {
                return Some(claim);
            }
        }
        for _ in 0..SORTED_MAX {
            let Ok(asked) = self.coming.try_recv() else {
                break;
            };
            if let Some(claim) = self.put(asked) {
                return Some(claim);
            }
        }
        self.turns.pop()
    }

    /// Puts a request in line. A claim is given back: it is a note in memory, and whatever is asked
    /// after it must find it there.
    fn put(&mut self, (requester, request): Asked) -> Option<Asked> {
        if let Request::Claim { .. } = request {
            return Some((requester, request));
        }
        let whose = Whose::of(&requester, &request);
        self.turns.push(whose, (requester, request));
        None
    }
}

impl Backend for PortBackend {
    fn submit(&mut self, requester: &Arc<Requester>, request: Request) -> Result<(), Request> {
        if let Request::Deliver { .. } | Request::Spool { .. } = request {
            let given = store_write(&self.store, &self.replier, requester, request);
            // Otherwise there is room soon.
            return given.or_else(|request| match self.store.is_closed() {
                true => {
                    self.replier.reply(requester.id, busy());
                    Ok(())
                }
                false => Err(request),
            });
        }
        if self.waiting.load(Relaxed) >= REQUESTS_MAX {
            return Err(request);
        }
        // Counted first: the other end may have done it by the time that it is sent.
        self.waiting.fetch_add(1, Relaxed);
        let sent = self.requests.try_send((requester.clone(), request));
        sent.map_err(|error| {
            self.waiting.fetch_sub(1, Relaxed);
            match error {
                TrySendError::Full((_, request)) | TrySendError::Disconnected((_, request)) => {
                    request
                }
            }
        })
    }

    fn has_room(&self) -> bool {
        self.waiting.load(Relaxed) < REQUESTS_MAX / 4
    }
}

#[cfg(test)]
mod tests {
    use engine::event::{SessionId, ShardId};
    use mail::{MailboxId, ModSeq, Uid, UserId};

    use super::*;

    #[test]
    fn users_take_turns_and_what_is_claimed_holds_for_what_is_asked_later() {
        let (sender, coming) = bounded(100);
        let mut requests = Requests {
            coming,
            turns: Turns::default(),
            waiting: Arc::new(AtomicUsize::new(24)),
        };
        let asks = |slot: u32, user: Option<u64>, request: Request| {
            let id = SessionId {
                shard: ShardId(0),
                generation: 1,
                slot,
            };
            let requester = Requester::new(id, user.map(UserId), None);
            sender.send((Arc::new(requester), request)).unwrap();
        };
        let sync = || Request::Sync {
            mailbox: MailboxId(1),
            since: ModSeq(1),
        };
        for slot in 1..=20 {
            asks(slot, Some(7), sync());
        }
        asks(21, Some(8), sync());
        let claim = Request::Claim {
            mailbox: MailboxId(1),
            below: Uid(9),
        };
        asks(0, None, claim);
        asks(22, Some(8), sync());
        asks(23, Some(9), sync());
        drop(sender);
        let order: Vec<u32> = requests.by_ref().map(|(who, _)| who.id.slot).collect();
        assert_eq!(order[..6], [0, 1, 21, 23, 2, 22]);
        assert_eq!(order[6..], (3..=20).collect::<Vec<_>>());
        assert_eq!(requests.waiting.load(Relaxed), 0);
    }
}
