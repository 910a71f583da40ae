//! Requests on their way to the backend, which may have no room for them yet.

use std::sync::Arc;

use engine::event::SessionId;
use engine::protocol::Context;
use mail::{MailboxId, Refusal, Reply, Request, Uid};

use super::{Backend, Front, FrontSession, Requester};
use crate::bounds::Bound;

/// Claims that the backend is given in one turn.
const CLAIMS_A_TURN: usize = 256;

impl<B: Backend> Front<B> {
    pub(super) fn submit(
        &mut self,
        session: &mut FrontSession,
        cx: &Context<'_, Reply>,
        request: Request,
    ) {
        session.asked = request.name();
        session.asks_to_write = request.is_write();
        let requester = session.requester(cx.id());
        if let Err(refusal) = self.ask(requester, request, cx.owed_bytes()) {
            session.asks_to_write = false;
            session.machine.handle_reply(Reply::Refused(refusal));
        }
    }

    /// Asks the backend, once it takes what waits already. Refuses if too many bytes wait on this
    /// shard.
    pub(crate) fn ask(
        &mut self,
        requester: Arc<Requester>,
        request: Request,
        owed_bytes: usize,
    ) -> Result<(), Refusal> {
        let refused = if self.waiting.is_empty() {
            self.backend.submit(&requester, request).err()
        } else {
            // In order: nothing overtakes what waits.
            Some(request)
        };
        let Some(request) = refused else {
            return Ok(());
        };
        if self.wait(requester, request, owed_bytes) {
            return Ok(());
        }
        self.bounds.meet(Bound::RequestRefused);
        Err(Refusal::Busy("too many requests are waiting, try again"))
    }

    /// Asks for what a session that has left leaves to do.
    pub(crate) fn ask_later(&mut self, requester: Arc<Requester>, request: Request) {
        if !self.wait(requester, request, 0) {
            self.bounds.meet(Bound::DiscardDropped);
        }
    }

    /// Whether this shard has room for what its own sessions keep and so many bytes besides.
    pub(crate) fn has_memory(&self, bytes: usize) -> bool {
        self.held_bytes + self.waiting_bytes + bytes <= self.memory_max
    }

    /// Keeps a request until the backend takes it. False if too many bytes wait on this shard.
    fn wait(&mut self, requester: Arc<Requester>, request: Request, owed_bytes: usize) -> bool {
        let bytes = size_of::<Requester>() + request.bytes();
        if self.waiting_bytes + self.held_bytes + owed_bytes + bytes > self.memory_max {
            return false;
        }
        self.waiting_bytes += bytes;
        self.waiting.push_back((requester, request));
        true
    }

    /// Notes that a client was told of messages below a UID; the backend hears of it at the end of
    /// the turn.
    pub(super) fn claim(&mut self, mailbox: MailboxId, below: Option<Uid>) {
        if let Some(below) = below
            && !self.claims.note(mailbox, below)
        {
            self.bounds.meet(Bound::ClaimDropped);
        }
    }

    /// Tells the backend some of what was noted. True if there is more.
    pub(super) fn submit_claims(&mut self, id: SessionId) -> bool {
        for _ in 0..CLAIMS_A_TURN {
            let Some(request) = self.claims.pop() else {
                return false;
            };
            let nobody = Arc::new(Requester::new(id, None, None));
            if let Err(Request::Claim { mailbox, below }) = self.backend.submit(&nobody, request) {
                self.claim(mailbox, Some(below));
                return true;
            }
        }
        true
    }
}
