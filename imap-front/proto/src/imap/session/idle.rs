//! IDLE (RFC 2177).

use mail::Reply;

use super::{Session, Step, Work};
use crate::imap::action::Action;

/// Longest line that may come instead of DONE.
const IDLE_LINE_BYTES_MAX: usize = 4096;

impl Session {
    /// Begins to idle: the mailbox is watched first, then looked at, so that nothing is missed.
    pub(super) fn idle(&mut self, tag: Box<str>) {
        let Some(selected) = &self.selected else {
            return self.idle_now(tag);
        };
        if selected.watching {
            self.sync(Step::Idle { tag });
        } else {
            let mailbox = selected.mailbox;
            self.act(Action::Watch(mailbox));
            self.work = Work::Watching { tag };
        }
    }

    /// The mailbox is watched and the view is current.
    pub(super) fn idle_synced(&mut self, tag: Box<str>, reply: Reply) {
        if self.synced(reply) {
            // RFC 2177 §3: the continuation comes first. Clients wait for it before they read on.
            self.idle_now(tag);
            self.send_updates(true);
        }
    }

    fn idle_now(&mut self, tag: Box<str>) {
        self.say("+ idling");
        self.work = Work::Idle { tag };
    }

    /// A sign of life for an idling client.
    pub fn handle_keepalive(&mut self) {
        if self.is_idling() && !self.output.is_full() {
            self.output.bytes(&self.language.still_here());
        }
    }

    pub(super) fn next_idle_line(&mut self) -> bool {
        let Some(line) = self.receiver.line(IDLE_LINE_BYTES_MAX) else {
            return false;
        };
        let Work::Idle { tag } = std::mem::replace(&mut self.work, Work::Ready) else {
            return false;
        };
        // NOTIFY has news told between commands too.
        self.stale &= self.selected_events().is_some();
        match line {
            Ok(line) if line.eq_ignore_ascii_case(b"DONE") => self.done(&tag, "OK IDLE completed"),
            _ => self.done(&tag, "BAD expected DONE; IDLE has ended"),
        }
        true
    }
}
