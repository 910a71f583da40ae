//! What sessions of one server have in common.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Limits and texts; shared by all sessions.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// The greeting's text after the capabilities: `host IMAP4 service (product version)`.
    pub banner: String,
    /// Product name for ID (RFC 2971).
    pub product: String,
    /// Product version for ID.
    pub version: String,
    /// Whether sessions may idle.
    pub idle: bool,
    /// Whether IDLE is among the capabilities; it may be possible and yet not be announced for a
    /// while, and sessions that run then learn of it.
    pub idle_announced: Arc<AtomicBool>,
    /// Whether SCRAM-SHA-256 is offered to those who may log in; it comes and goes with what is
    /// known of the users.
    pub scram: Arc<AtomicBool>,
    /// Longest command line with its literals, in bytes.
    pub command_bytes_max: usize,
    /// Longest command line with its literals before login, longest line of a SASL exchange, and
    /// all that is kept of what a client sends before login, in bytes.
    pub login_bytes_max: usize,
    /// Largest message that APPEND takes, in bytes.
    pub append_bytes_max: u64,
    /// Failed logins before the session is closed.
    pub login_failures_max: u8,
    /// Commands that a client may give before it has logged in; 0 is no limit.
    pub prelogin_commands_max: u32,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            banner: "localhost IMAP4 service (Ensign)".into(),
            product: "Ensign".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            idle: true,
            idle_announced: Arc::new(AtomicBool::new(true)),
            scram: Arc::default(),
            command_bytes_max: 64 << 10,
            login_bytes_max: 8 << 10,
            append_bytes_max: 50 << 20,
            login_failures_max: 3,
            prelogin_commands_max: 0,
        }
    }
}

impl SessionConfig {
    pub(super) fn offers_scram(&self) -> bool {
        self.scram.load(Ordering::Relaxed)
    }

    /// The capabilities that a session has, before or after login (RFC 3501 §6.1.1). Only what is
    /// fully there is listed.
    pub fn capabilities(&self, passwords: bool, starttls: bool, authenticated: bool) -> String {
        let mut list = String::from("IMAP4rev1 LITERAL+ SASL-IR ID ENABLE");
        if starttls && !authenticated {
            list.push_str(" STARTTLS");
        }
        if !authenticated {
            let login = if passwords {
                " AUTH=PLAIN AUTH=LOGIN"
            } else {
                " LOGINDISABLED"
            };
            list.push_str(login);
        }
        if passwords && !authenticated && self.offers_scram() {
            list.push_str(" AUTH=SCRAM-SHA-256");
        }
        if self.idle && self.idle_announced.load(Ordering::Relaxed) {
            list.push_str(" IDLE");
        }
        list.push_str(
            " NAMESPACE CHILDREN UIDPLUS UNSELECT MOVE SPECIAL-USE CREATE-SPECIAL-USE \
             LIST-EXTENDED LIST-STATUS ESEARCH CONDSTORE STATUS=SIZE",
        );
        // RFC 7889 §2: the same for all mailboxes.
        list.push_str(&format!(" APPENDLIMIT={}", self.append_bytes_max));
        list
    }
}
