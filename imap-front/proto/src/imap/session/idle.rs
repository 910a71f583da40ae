//! IDLE (RFC 2177).

use mail::Reply;

use super::{Session, Work};
use crate::imap::action::Action;

/// Longest line that may come instead of DONE.
const IDLE_LINE_BYTES_MAX: usize = 4096;

/// The keep-alive: what an idling client is told from time to time, with its line end.
pub const STILL_HERE: &[u8] = b"* OK Still here\r\n";

impl Session {
    /// The keep-alive for a client that idles and is not parked.
    pub fn handle_keepalive(&mut self) {
        if matches!(self.work, Work::Idle { .. }) {
            self.out.extend_from_slice(STILL_HERE);
            self.undrained = true;
        }
    }

    /// The view is current; before the watch is in place (`watched` false) or after.
    pub(super) fn idle_synced(&mut self, tag: Box<str>, watched: bool, reply: Reply) {
        if !self.synced(reply) {
            return;
        }
        self.send_updates(true);
        let watching = self
            .selected
            .as_ref()
            .is_some_and(|selected| selected.watching);
        if watched || watching {
            self.idle_now(tag);
        } else {
            let mailbox = self.mailbox();
            self.act(Action::Watch(mailbox));
            self.work = Work::Watching { tag };
        }
    }

    pub(super) fn idle_now(&mut self, tag: Box<str>) {
        self.say("+ idling");
        self.work = Work::Idle { tag };
    }

    pub(super) fn next_idle_line(&mut self) -> bool {
        let Some(line) = self.receiver.line(IDLE_LINE_BYTES_MAX) else {
            return false;
        };
        let Work::Idle { tag } = std::mem::replace(&mut self.work, Work::Ready) else {
            return false;
        };
        match line {
            Ok(line) if line.eq_ignore_ascii_case(b"DONE") => self.done(&tag, "OK IDLE completed"),
            _ => self.done(&tag, "BAD expected DONE; IDLE has ended"),
        }
        true
    }
}
