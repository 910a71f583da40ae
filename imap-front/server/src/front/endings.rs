//! Sessions that end for what was said before login.

use engine::event::SessionId;
use proto::imap::Ending;

use super::{Backend, Bound, Front, FrontSession};
use crate::refusals::Refused;

impl<B: Backend> Front<B> {
    /// Has a line logged, once, if the machine ended the session for what was said before login.
    pub(super) fn note_refused(&mut self, session: &mut FrontSession, id: SessionId) {
        let refused = match session.machine.ended_for() {
            Some(Ending::Commands) => Refused::Commands,
            Some(Ending::Http) => Refused::Http,
            Some(Ending::BehindStartTls) => Refused::BehindStartTls,
            None => return,
        };
        if std::mem::replace(&mut session.ended, true) {
            return;
        }
        if refused == Refused::Commands {
            self.bounds.meet(Bound::PreloginCommands);
        }
        let client = Self::stranger(session);
        self.lines.refuse(refused, client, id);
    }
}
