//! A message that can't be read is named in the log: whose, which mailbox, which UID.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use mail::{MailboxId, Uid};

use super::tables;
use crate::Error;
use crate::kv::Kv;

/// So many lines in a [`WINDOW`]; what is beyond is counted.
const LINES_MAX: u32 = 20;
const WINDOW: Duration = Duration::from_secs(10);

/// Lines written lately, and those left out.
struct Lines {
    since: Option<Instant>,
    written: u32,
    left_out: u64,
}

static LINES: Mutex<Lines> = Mutex::new(Lines {
    since: None,
    written: 0,
    left_out: 0,
});

impl Lines {
    /// Whether one more may be written, and how many were left out before it.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        let is_over = self
            .since
            .is_none_or(|since| now.duration_since(since) >= WINDOW);
        if is_over {
            self.since = Some(now);
            self.written = 0;
        }
        if self.written >= LINES_MAX {
            self.left_out += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

/// A mailbox for the log: its name and whose it is, if that can be read.
pub(crate) fn place(kv: &dyn Kv, id: MailboxId) -> String {
    let user = |user| tables::user_name(kv, user).unwrap_or_default();
    match tables::name_of(kv, id) {
        Ok(Some((owner, name))) => format!("mailbox {name} of {}", user(owner)),
        _ => format!("mailbox number {}", id.0),
    }
}

/// Says that a message can't be read.
pub(super) fn report(kv: &dyn Kv, (id, uid): (MailboxId, Uid), error: &Error) {
    report_what(kv, id, &format!("the message with UID {uid}"), error);
}

/// Says that an access control list can't be read.
pub(super) fn report_list(kv: &dyn Kv, id: MailboxId, error: &Error) {
    report_what(kv, id, "the access control list", error);
}

/// Says that an access key can't be read.
pub(super) fn report_key(kv: &dyn Kv, id: MailboxId, error: &Error) {
    report_what(kv, id, "an access key", error);
}

fn report_what(kv: &dyn Kv, id: MailboxId, what: &str, error: &Error) {
    let mut lines = LINES.lock().unwrap_or_else(|error| error.into_inner());
    let Some(left_out) = lines.admit(Instant::now()) else {
        return;
    };
    drop(lines);
    let place = place(kv, id);
    tracing::error!("{place}: {what} can't be read: {error}");
    if left_out > 0 {
        tracing::error!("{left_out} more could not be read before");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_the_rest_is_counted() {
        let mut lines = Lines {
            since: None,
            written: 0,
            left_out: 0,
        };
        let now = Instant::now();
        let written = (0..100).filter(|_| lines.admit(now).is_some()).count();
        assert_eq!(written as u32, LINES_MAX);
        assert_eq!(lines.admit(now + WINDOW), Some(80));
        assert_eq!(lines.admit(now + WINDOW), Some(0));
    }
}
