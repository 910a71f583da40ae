//! UIDONLY (RFC 9586): a client that gives no message numbers, and is told none.

use mail::search::Key;

use super::Session;
use crate::imap::ast::Command;

/// Why its numbers are not taken (RFC 9586 §3.7).
pub(super) const UID_REQUIRED: &str =
    "[UIDREQUIRED] Message numbers are of no use once UIDONLY is enabled";

impl Command {
    /// Whether it names messages by their numbers, or asks for these.
    pub(super) fn numbers_messages(&self) -> bool {
        match self {
            Self::Fetch { uid, .. } | Self::Store { uid, .. } | Self::Copy { uid, .. } => !uid,
            Self::Search { uid, key, .. }
            | Self::Sort { uid, key, .. }
            | Self::Thread { uid, key, .. } => !uid || has_numbers(key),
            _ => false,
        }
    }
}

/// Whether a key names messages by their numbers; what was saved is none.
pub(super) fn has_numbers(key: &Key) -> bool {
    match key {
        Key::And(keys) => keys.iter().any(has_numbers),
        Key::Or(one, other) => has_numbers(one) || has_numbers(other),
        Key::Not(key) => has_numbers(key),
        Key::Numbers(set) => !set.is_saved(),
        _ => false,
    }
}

impl Session {
    /// From now on messages go by their UIDs. Searches whose results are told in numbers can't be
    /// told of any more.
    pub(super) fn go_by_uids(&mut self) {
        self.uid_only = true;
        for tag in self.followed_by_numbers() {
            self.stop_following(&tag, "Message numbers are told no more");
        }
    }
}
