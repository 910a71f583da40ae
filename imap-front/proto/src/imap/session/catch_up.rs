//! So much happened in the selected mailbox that the store tells it in pieces.

use mail::{Reply, Request};

use super::{Session, Step, Work};

impl Session {
    /// Looks at what was missed. True if an answer is awaited now.
    pub(super) fn catch_up(&mut self) -> bool {
        let is_between = matches!(self.work, Work::Ready | Work::Idle { .. });
        if !self.tells_selected() {
            // What is not told between commands comes with the next one.
            self.stale &= !is_between;
            return false;
        }
        if self.output.is_full() {
            return false;
        }
        self.stale = false;
        let idle = self.leave_idle();
        self.sync(Step::Stale { idle });
        true
    }

    /// A step and its answer, once the view has all that the answer's delta begins to tell. None if
    /// the store is asked for more of it, or the session ends.
    pub(super) fn caught_up(&mut self, step: Step, mut reply: Reply) -> Option<(Step, Reply)> {
        // It is about other mailboxes than the selected one.
        if matches!(step, Step::Esearch(_)) {
            return Some((step, reply));
        }
        let (step, held) = match step {
            Step::CatchUp { step, reply } => (step, Some(reply)),
            step => (Box::new(step), None),
        };
        let is_cut = reply.take_more();
        let held = match held {
            None if !is_cut => return Some((*step, reply)),
            Some(held) => {
                let is_current = match (&*step, &*held, reply) {
                    // A STORE of many messages is told of its own changes in this way.
                    (
                        Step::Store(storing),
                        Reply::Stored {
                            modified,
                            own,
                            crossed,
                            ..
                        },
                        Reply::Synced(delta),
                    ) => self.synced_but(&delta, |uid, modseq| {
                        storing.knows((uid, modseq), modified, own, crossed)
                    }),
                    (_, _, reply) => self.synced(reply),
                };
                is_current.then_some(held)
            }
            // The pieces go into the view; the step goes on as if nothing had happened.
            None => {
                let delta = reply.delta_mut().map(std::mem::take).unwrap_or_default();
                let (piece, held) = match reply {
                    Reply::Viewed { uids, keywords, .. } => {
                        let viewed = Reply::Viewed {
                            uids,
                            keywords,
                            delta,
                        };
                        (viewed, Reply::Synced(vec![]))
                    }
                    held => (Reply::Synced(delta), held),
                };
                let is_current = self.synced(piece);
                is_current.then(|| Box::new(held))
            }
        };
        let Some(held) = held else {
            self.go_on();
            return None;
        };
        if !is_cut {
            return Some((*step, *held));
        }
        let request = Request::Sync {
            mailbox: self.mailbox(),
            since: self.view().modseq,
        };
        self.ask(request, Step::CatchUp { step, reply: held });
        None
    }
}
